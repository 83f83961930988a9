//! Pictures as people have them become a data set, or a message that names what is in the way; never half a folder.

use std::fs;
use std::path::{Path, PathBuf};

use datasets::import::{Draft, ImportOptions, Imported, import};
use mfactor::dataset::DataSet;
use mfactor::{Error, Result};
use tempfile::TempDir;

fn options() -> ImportOptions {
    ImportOptions {
        side: 8,
        is_grey: false,
        validation: 0.2,
        test: 0.2,
        seed: 1,
        skips_bad: false,
        name: "leaves".to_owned(),
    }
}

/// What makes a place wrong.
type Spoil = fn(&Place);

/// A place with pictures in `photos`.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("the place can be used"));
        fs::create_dir(place.path("photos")).expect("the place can be used");
        place
    }

    /// Two classes of ten pictures.
    fn two_classes() -> Self {
        let place = Self::new();
        for number in 0..20u8 {
            let class = if number % 2 == 0 { "oak" } else { "ash" };
            place.picture(&format!("photos/{class}/{number}.png"), number);
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A picture of 12×8 pixels that only `number` gives.
    fn picture(&self, name: &str, number: u8) {
        let value = |at: usize| (at.wrapping_mul(usize::from(number) * 2_654_435 + 40_503) >> 4) as u8;
        let pixels: Vec<u8> = (0..3 * 12 * 8).map(value).collect();
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("the place can be used")).expect("the place can be used");
        fs::write(path, pictures::png(12, 8, &pixels).expect("the place can be used"))
            .expect("the place can be used");
    }

    fn import(&self, source: &str, options: &ImportOptions) -> Result<Imported> {
        let out = self.path("made/leaves");
        let result =
            Draft::new(&out).and_then(|draft| import(&self.path(source), options, draft, &mut |_| ()));
        assert_eq!(result.is_ok(), out.exists(), "a folder appears whole or not at all");
        let names = fs::read_dir(self.0.path())
            .expect("the place can be used")
            .map(|entry| entry.expect("the place can be used").file_name());
        assert!(names.into_iter().all(|name| !name.to_string_lossy().starts_with('.')), "nothing is left");
        result
    }

    fn refusal(&self, source: &str) -> String {
        let error: Error = self.import(source, &options()).expect_err("this is refused");
        assert_eq!(error.exit_code(), mfactor::exit::INPUT, "{error}");
        error.to_string()
    }
}

#[test]
fn folders_of_classes_become_a_set_with_a_stratified_split() {
    let place = Place::two_classes();
    fs::write(place.path("photos/README.md"), "ours").unwrap();
    let imported = place.import("photos", &options()).unwrap();
    let set = DataSet::open(&imported.folder).unwrap();
    assert_eq!(set.manifest().classes, ["ash", "oak"]);
    for class in &imported.classes {
        assert_eq!((class.train, class.validation, class.test), (6, 2, 2));
    }
    let (train, test, split) = (set.train().unwrap(), set.test().unwrap(), set.split());
    let of = |labels: Vec<u8>| labels.iter().filter(|label| **label == 1).count();
    assert_eq!(of(split.validation.iter().map(|record| train.labels()[*record]).collect()), 2);
    assert_eq!((of(train.labels().to_vec()), of(test.labels().to_vec())), (8, 2));
    assert!(imported.contact_sheet.is_file());
    let list = fs::read_to_string(imported.folder.join("pictures.csv")).unwrap();
    assert_eq!(list.lines().count(), 21);
    // Each record is the picture that the list says, as the runner would see it.
    let row = list.lines().find(|row| row.contains(",test,1")).unwrap();
    let file = row.split(',').next().unwrap();
    let pixels = pictures::load(&place.path("photos").join(file), set.manifest().image).unwrap();
    assert_eq!(test.image(1), pixels);
}

#[test]
fn the_seed_decides_the_split() {
    let print = |seed| {
        let place = Place::two_classes();
        let imported = place.import("photos", &ImportOptions { seed, ..options() }).unwrap();
        DataSet::open(&imported.folder).unwrap().fingerprint().unwrap()
    };
    assert_eq!(print(1), print(1));
    assert_ne!(print(1), print(2));
}

#[test]
fn parts_that_are_there_are_kept_and_others_drawn() {
    let place = Place::new();
    for number in 0..24u8 {
        let class = if number % 2 == 0 { "oak" } else { "ash" };
        let part = if number < 16 { "train" } else { "test" };
        place.picture(&format!("photos/{part}/{class}/{number}.png"), number);
    }
    let imported = place.import("photos", &options()).unwrap();
    for class in &imported.classes {
        assert_eq!((class.train, class.validation, class.test), (6, 2, 4));
    }
}

#[test]
fn a_csv_file_names_files_labels_and_parts() {
    let place = Place::two_classes();
    let mut text = "file,label,part\n".to_owned();
    for number in 0..20 {
        let class = if number % 2 == 0 { "oak" } else { "ash" };
        let part = if number < 4 { "val" } else { "" };
        text.push_str(&format!("{class}/{number}.png,tree {class},{part}\n"));
    }
    fs::write(place.path("photos/all.csv"), &text).unwrap();
    let imported = place.import("photos/all.csv", &ImportOptions { is_grey: true, ..options() }).unwrap();
    assert_eq!(imported.classes[0].class, "tree ash");
    assert_eq!((imported.classes[0].validation, imported.classes[0].test), (2, 2));
    assert_eq!(DataSet::open(&imported.folder).unwrap().manifest().image.channels, 1);
}

#[test]
fn lines_that_cannot_be_are_refused_with_their_number() {
    let place = Place::two_classes();
    fs::write(place.path("secret.png"), "x").unwrap();
    std::os::unix::fs::symlink(place.path("secret.png"), place.path("photos/link.png")).unwrap();
    for (text, words) in [
        ("file,label\noak/0.png,\n", "line 2: has no label"),
        ("file,label\n../secret.png,oak\n", "line 2: \"../secret.png\" is no file below"),
        ("file,label\nlink.png,oak\n", "line 2: \"link.png\" is no file below"),
        ("file,label\n/etc/passwd,oak\n", "is no file below"),
        ("file,label\noak/0.png,oak\noak/0.png,ash\n", "line 3: \"oak/0.png\" stands in another line"),
        ("file,label,part\noak/0.png,oak,tst\n", "part is \"tst\""),
        ("name,kind\noak/0.png,oak\n", "lacks a column"),
        ("file,label\noak/0.png,oak\n", "has 1 classes"),
    ] {
        fs::write(place.path("photos/all.csv"), text).unwrap();
        let problem = place.refusal("photos/all.csv");
        assert!(problem.contains(words), "{problem}");
    }
}

#[test]
fn folders_that_cannot_be_are_refused_by_name() {
    let cases: [(Spoil, &str); 7] = [
        (|place| fs::create_dir(place.path("photos/elm")).unwrap(), "elm: is a class without a picture"),
        (|place| place.picture("photos/elm/1.png", 1), "class \"elm\" has 1 picture"),
        (|place| place.picture("photos/Oak/1.png", 1), "\"Oak\" and \"oak\" differ in case alone"),
        (|place| place.picture("photos/1.png", 1), "lies in no class's folder"),
        (
            |place| std::os::unix::fs::symlink("..", place.path("photos/oak/up")).unwrap(),
            "is a link to a folder that it lies in",
        ),
        (|place| fs::remove_dir_all(place.path("photos/oak")).unwrap(), "has 1 classes"),
        (|place| fs::write(place.path("photos/oak/x.gif"), b"GIF89a").unwrap(), "x.gif is a GIF picture"),
    ];
    for (spoil, words) in cases {
        let place = Place::two_classes();
        spoil(&place);
        let problem = place.refusal("photos");
        assert!(problem.contains(words), "{problem}");
    }
}

#[test]
fn bad_pictures_are_all_listed_and_left_out_only_on_request() {
    let place = Place::two_classes();
    let whole = fs::read(place.path("photos/oak/0.png")).unwrap();
    fs::write(place.path("photos/oak/cut.png"), &whole[..whole.len() / 2]).unwrap();
    let mut bomb = whole.clone();
    bomb[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    fs::write(place.path("photos/ash/bomb.png"), &bomb).unwrap();
    fs::write(place.path("photos/ash/empty.jpg"), b"").unwrap();
    std::os::unix::fs::symlink("nowhere", place.path("photos/ash/gone.png")).unwrap();
    let problem = place.refusal("photos");
    for words in
        ["4 of 24 pictures", "oak/cut.png is cut off", "65536×65536", "empty.jpg", "gone.png", "--skip-bad"]
    {
        assert!(problem.contains(words), "{words}: {problem}");
    }
    let imported = place.import("photos", &ImportOptions { skips_bad: true, ..options() }).unwrap();
    assert_eq!(imported.skipped.len(), 4);
    assert_eq!(imported.classes.iter().map(|c| c.train + c.validation + c.test).sum::<usize>(), 20);
}

#[test]
fn nearly_the_same_picture_in_two_parts_is_told() {
    let place = Place::new();
    for number in 0..12u8 {
        let class = if number % 2 == 0 { "oak" } else { "ash" };
        let part = ["train", "val", "test"][usize::from(number) / 4];
        place.picture(&format!("photos/{part}/{class}/{number}.png"), number);
    }
    assert_eq!(place.import("photos", &options()).unwrap().near_duplicates.pairs, 0);
    fs::remove_dir_all(place.path("made")).unwrap();
    place.picture("photos/test/ash/again.png", 0);
    let found = place.import("photos", &options()).unwrap().near_duplicates;
    assert_eq!(found.pairs, 1);
    assert!(found.listed[0].first.ends_with("again.png") || found.listed[0].second.ends_with("again.png"));
    assert!(!found.listed[0].same_class);
}

#[test]
fn nothing_is_written_over_or_into_the_pictures() {
    let place = Place::two_classes();
    let refused = |out: &Path| {
        let result =
            Draft::new(out).and_then(|draft| import(&place.path("photos"), &options(), draft, &mut |_| ()));
        result.unwrap_err().to_string()
    };
    assert!(refused(&place.path("photos")).contains("is there already"));
    assert!(refused(&place.path("photos/made")).contains("lies in the folder of the pictures"));
    for wrong in [ImportOptions { side: 7, ..options() }, ImportOptions { test: 0.0, ..options() }] {
        assert_eq!(place.import("photos", &wrong).unwrap_err().exit_code(), mfactor::exit::INPUT);
    }
}
