//! Which pictures there are: a folder a class, or `train/`, `val/` and `test/` above such folders, as torchvision's
//! ImageFolder has them; or a CSV file with a line a picture.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use mfactor::{Error, Result, files, text};

use super::Part;

/// Most classes: a label is a byte.
const MOST_CLASSES: usize = 256;
/// Endings of pictures, to tell them from notes that lie beside the folders.
const ENDINGS: [&str; 5] = ["jpg", "jpeg", "png", "webp", "bmp"];

/// Pictures and their classes.
#[derive(Debug)]
pub(super) struct Listing {
    /// Names in the order of the labels: sorted.
    pub classes: Vec<String>,
    pub pictures: Vec<Listed>,
}

/// One picture.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    /// Where it is.
    pub path: PathBuf,
    /// Its name below the source, to be shown.
    pub name: String,
    pub label: u8,
    /// The part that it comes in; `None` where that is to be drawn.
    pub part: Option<Part>,
}

/// A picture with the name of its class.
struct Found {
    path: PathBuf,
    class: String,
    part: Option<Part>,
}

/// Lists the pictures of a folder or of a CSV file.
///
/// # Errors
/// [`Error::Input`] naming the folder, class or line that is wrong.
pub(super) fn list(source: &Path) -> Result<Listing> {
    let facts = fs::metadata(source).map_err(Error::io("read", source))?;
    let (base, found) = if facts.is_dir() {
        (source.to_owned(), in_folders(source)?)
    } else {
        let base = source.parent().unwrap_or(Path::new("")).to_owned();
        (base.clone(), in_csv(source, &base)?)
    };
    let names: BTreeSet<&str> = found.iter().map(|found| found.class.as_str()).collect();
    let classes: Vec<String> = names.into_iter().map(str::to_owned).collect();
    check_classes(source, &classes)?;
    let label = |class: &str| classes.iter().position(|own| own == class).unwrap_or_default() as u8;
    let listed = |found: Found| Listed {
        name: found.path.strip_prefix(&base).unwrap_or(&found.path).display().to_string(),
        label: label(&found.class),
        part: found.part,
        path: found.path,
    };
    Ok(Listing { pictures: found.into_iter().map(listed).collect(), classes })
}

fn check_classes(source: &Path, classes: &[String]) -> Result<()> {
    let refuse = |problem: String| Err(Error::file(source, problem));
    if !(2..=MOST_CLASSES).contains(&classes.len()) {
        return refuse(format!(
            "has {} classes; there must be 2 to {MOST_CLASSES}: a folder for each, with its pictures in it",
            classes.len()
        ));
    }
    let mut lower: BTreeMap<String, &str> = BTreeMap::new();
    for class in classes {
        if class.chars().any(char::is_control) {
            return refuse(format!("class {} has a name with control characters", text::name(class)));
        }
        if let Some(other) = lower.insert(class.to_lowercase(), class) {
            let (other, class) = (text::name(other), text::name(class));
            return refuse(format!("classes {other} and {class} differ in case alone; rename or merge them"));
        }
    }
    Ok(())
}

fn in_folders(source: &Path) -> Result<Vec<Found>> {
    let folders = folders(source)?;
    let part = |folder: &PathBuf| part(&folder.file_name().unwrap_or_default().to_string_lossy());
    let parts: Vec<Option<Part>> = folders.iter().map(part).collect();
    let is_parted = parts.contains(&Some(Part::Train)) && parts.iter().all(Option::is_some);
    if !is_parted {
        return classes_below(source, folders, None);
    }
    let mut found = vec![];
    for (folder, part) in folders.iter().zip(parts) {
        found.extend(classes_below(folder, self::folders(folder)?, part)?);
    }
    Ok(found)
}

/// What a name of a folder or a cell says of a part.
fn part(name: &str) -> Option<Part> {
    match name {
        "train" | "training" => Some(Part::Train),
        "val" | "valid" | "validation" => Some(Part::Validation),
        "test" => Some(Part::Test),
        _ => None,
    }
}

/// The folders in a folder. A picture beside them has no class, and is refused; other files are passed over.
fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let (folders, others): (Vec<_>, Vec<_>) =
        files::entries(folder)?.into_iter().partition(|path| path.is_dir());
    let is_picture = |path: &&PathBuf| {
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        ENDINGS.contains(&ending.as_str())
    };
    match others.iter().find(is_picture) {
        Some(picture) => {
            let problem =
                "lies in no class's folder; make a folder for each class, and move the pictures into them";
            Err(Error::file(picture, problem))
        }
        None => Ok(folders),
    }
}

fn classes_below(above: &Path, folders: Vec<PathBuf>, part: Option<Part>) -> Result<Vec<Found>> {
    if folders.is_empty() {
        return Err(Error::file(above, "has no folder in it; a folder for each class is wanted"));
    }
    let mut found = vec![];
    for folder in folders {
        let name = folder.file_name().and_then(|name| name.to_str());
        let class =
            name.ok_or_else(|| Error::file(&folder, "has a name that is not UTF-8; rename it"))?.to_owned();
        let mut paths = vec![];
        pictures_below(&folder, &mut vec![], &mut paths)?;
        if paths.is_empty() {
            return Err(Error::file(&folder, "is a class without a picture; fill or remove it"));
        }
        found.extend(paths.into_iter().map(|path| Found { path, class: class.clone(), part }));
    }
    Ok(found)
}

/// All files below a folder, links followed; `above` are the folders that it lies in.
fn pictures_below(folder: &Path, above: &mut Vec<(u64, u64)>, found: &mut Vec<PathBuf>) -> Result<()> {
    let facts = fs::metadata(folder).map_err(Error::io("read", folder))?;
    let own = (facts.dev(), facts.ino());
    if above.contains(&own) {
        return Err(Error::file(folder, "is a link to a folder that it lies in; remove it"));
    }
    above.push(own);
    for path in files::entries(folder)? {
        if path.is_dir() {
            pictures_below(&path, above, found)?;
        } else {
            found.push(path);
        }
    }
    above.pop();
    Ok(())
}

fn in_csv(source: &Path, base: &Path) -> Result<Vec<Found>> {
    let text = files::read_text(source)?;
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let unreadable =
        |error: csv::Error| Error::file(source, format!("is no CSV file that can be read: {error}"));
    let header = reader.headers().map_err(unreadable)?.clone();
    let column =
        |names: &[&str]| header.iter().position(|name| names.contains(&name.to_lowercase().as_str()));
    let (Some(file), Some(label)) =
        (column(&["file", "path", "filename", "image"]), column(&["label", "class"]))
    else {
        return Err(Error::file(source, "lacks a column \"file\" or \"label\" in its first line"));
    };
    let part_column = column(&["part", "split", "set"]);
    let (mut found, mut seen) = (vec![], BTreeSet::new());
    for row in reader.records() {
        let row = row.map_err(unreadable)?;
        let line = row.position().map_or(0, csv::Position::line);
        let refuse = |problem: String| Error::file(source, format!("line {line}: {problem}"));
        let cell = |column: usize| row.get(column).unwrap_or_default();
        let class = cell(label).to_owned();
        if class.is_empty() {
            return Err(refuse("has no label".to_owned()));
        }
        let part = match part_column.map(cell).unwrap_or_default() {
            "" => None,
            name => Some(part(name).ok_or_else(|| {
                refuse(format!("part is {}; there are train, val and test", text::name(name)))
            })?),
        };
        let path = inside(base, cell(file)).map_err(&refuse)?;
        if !seen.insert(path.clone()) {
            return Err(refuse(format!("{} stands in another line too", text::name(cell(file)))));
        }
        found.push(Found { path, class, part });
    }
    Ok(found)
}

/// A file that a line names, which must lie below the folder of the CSV file, links resolved.
fn inside(base: &Path, file: &str) -> Result<PathBuf, String> {
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    let path = base.join(file);
    let real = |path: &Path| path.canonicalize().ok();
    let base = if base.as_os_str().is_empty() { Path::new(".") } else { base };
    let leaves = real(&path).zip(real(base)).is_some_and(|(path, base)| !path.starts_with(base));
    if file.is_empty() || !Path::new(file).components().all(is_plain) || leaves {
        return Err(format!("{} is no file below the folder of the CSV file", text::name(file)));
    }
    Ok(path)
}
