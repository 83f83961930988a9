//! Published tables: what others reached with every network of a space, as ground truth for strategies.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mfactor::{Cost, Error, Point, Result, SearchSpace, files};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::download::{Expected, download};
use crate::places::folder_of;
use crate::{FetchOptions, Progress, leaving_nothing};

/// The file of a table in its folder, as `table:FILE` reads it.
const TABLE_FILE: &str = "table.csv";

/// The tables that are known by name.
const TABLES: [Published; 1] = [Published {
    name: "nas-bench-macro",
    url: "https://raw.githubusercontent.com/xiusu/NAS-Bench-Macro/61a2bfc2ca0dce04d0997e6cf498047c27d6acf2/data/nas-bench-macro_cifar10.json",
    sha256: "686dee8363cc21cca8c1f321ad5749454f2d9b9ca5972682e137e539bc522297",
    largest: 4 << 20,
    read: nas_bench_macro,
}];

/// A table, its address, and what makes rows of it.
struct Published {
    /// Its name, which is that of its space too.
    name: &'static str,
    url: &'static str,
    sha256: &'static str,
    /// Most bytes that are taken from a server.
    largest: u64,
    read: fn(&[u8], &SearchSpace) -> Result<Vec<Row>, String>,
}

/// One training of a network.
struct Row {
    architecture: String,
    seed: usize,
    accuracy: f64,
    cost: Cost,
}

/// A table that lies in a folder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PublishedTable {
    /// Its name, and that of its space.
    pub name: String,
    /// The file, for `--evaluator table:FILE`.
    pub file: PathBuf,
    /// Networks in it.
    pub networks: usize,
    /// Trainings in it.
    pub trainings: usize,
}

/// The names that [`fetch_table`] and [`table`] know.
pub fn table_names() -> Vec<&'static str> {
    TABLES.iter().map(|table| table.name).collect()
}

/// The file of a table by its name, where it was fetched.
///
/// # Errors
/// [`Error::Input`] for an unknown name; [`Error::Missing`] where it was not fetched.
pub fn table(name: &str) -> Result<PathBuf> {
    let file = folder_of(named(name)?.name)?.join(TABLE_FILE);
    match file.is_file() {
        true => Ok(file),
        false => Err(Error::missing(
            format!("the table {name} is not in {}", file.display()),
            format!("mfactor data fetch {name}"),
        )),
    }
}

/// Puts a published table into a folder, the one of this machine if none is given.
///
/// # Errors
/// [`Error::Input`] for an unknown name and for a download that is not what was published; [`Error::Board`] where the network
/// or the server fails; [`Error::Io`] where the folder cannot be written.
pub fn fetch_table(
    name: &str,
    folder: Option<&Path>,
    options: &FetchOptions,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<PublishedTable> {
    let published = named(name)?;
    let folder = folder.map_or_else(|| folder_of(name), |folder| Ok(folder.to_owned()))?;
    leaving_nothing(&folder, || fetch_into(published, &folder, options, on_progress))
}

fn named(name: &str) -> Result<&'static Published> {
    TABLES.iter().find(|table| table.name == name).ok_or_else(|| {
        let subject = format!("table {}", mfactor::text::name(name));
        Error::input(subject, format!("is not known; there are {}", table_names().join(", ")))
    })
}

fn fetch_into(
    published: &Published,
    folder: &Path,
    options: &FetchOptions,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<PublishedTable> {
    let space = SearchSpace::load(Path::new(published.name))?;
    let url = options.url.as_deref().unwrap_or(published.url);
    files::check_room(folder, 4 * published.largest)?;
    let expected = Expected { largest: published.largest, sum_name: "SHA-256", sum: published.sha256 };
    let draft = download::<Sha256>(url, &expected, folder, on_progress)?;
    let rows = (published.read)(&files::read(draft.path())?, &space)
        .map_err(|problem| Error::input(url, problem))?;
    let file = folder.join(TABLE_FILE);
    files::write(&file, text(&rows).as_bytes())?;
    let mut networks: Vec<&str> = rows.iter().map(|row| row.architecture.as_str()).collect();
    networks.dedup();
    Ok(PublishedTable {
        name: published.name.to_owned(),
        file,
        networks: networks.len(),
        trainings: rows.len(),
    })
}

fn text(rows: &[Row]) -> String {
    let mut text = "architecture,seed,accuracy,parameters,macs\n".to_owned();
    for Row { architecture, seed, accuracy, cost } in rows {
        let Cost { parameters, macs, .. } = cost;
        writeln!(text, "{architecture},{seed},{accuracy},{parameters},{macs}").expect("a String takes all");
    }
    text
}

/// What NAS-Bench-Macro (Su et al., CVPR 2021; Apache-2.0) says of a network.
#[derive(Deserialize)]
struct Trained {
    /// Accuracies on CIFAR-10's test images, in per cent, one a training.
    test_acc: Vec<f64>,
    params: u64,
    flops: u64,
}

/// Its keys are points: an option for each of eight choices. That parameters and multiply-accumulates are those of our space
/// says that they are read as they were meant.
fn nas_bench_macro(json: &[u8], space: &SearchSpace) -> Result<Vec<Row>, String> {
    let networks: BTreeMap<String, Trained> =
        serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let mut rows = vec![];
    for (key, trained) in networks {
        let options: Vec<u8> = key.bytes().map(|digit| digit.wrapping_sub(b'0')).collect();
        let is_point = options.len() == space.choices().count()
            && options
                .iter()
                .zip(space.choices())
                .all(|(option, choice)| usize::from(*option) < choice.options.len());
        if !is_point {
            return Err(format!(
                "has a network {} that is not of the space {}",
                mfactor::text::name(&key),
                space.name()
            ));
        }
        let architecture = space.architecture(&Point::new(options));
        let cost = space.cost(&architecture);
        if (cost.parameters, cost.macs) != (trained.params, trained.flops) {
            return Err(format!(
                "has a network {key} whose costs are not those of the space {}",
                space.name()
            ));
        }
        let architecture = architecture.to_string();
        rows.extend(trained.test_acc.iter().enumerate().map(|(seed, accuracy)| Row {
            architecture: architecture.clone(),
            seed,
            accuracy: accuracy / 100.0,
            cost,
        }));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str =
        r#"{"00000000": {"test_acc": [45.0, 46.0], "mean_acc": 45.5, "params": 387882, "flops": 7713280}}"#;

    fn space() -> SearchSpace {
        SearchSpace::load(Path::new("nas-bench-macro")).unwrap()
    }

    #[test]
    fn a_key_is_a_point_and_its_costs_say_so() {
        let rows = nas_bench_macro(SMALLEST.as_bytes(), &space()).unwrap();
        let expected = "architecture,seed,accuracy,parameters,macs\n\
            s32-w64.d.d-w128.d.d.d-w256.d.d.d,0,0.45,387882,7713280\n\
            s32-w64.d.d-w128.d.d.d-w256.d.d.d,1,0.46,387882,7713280\n";
        assert_eq!(text(&rows), expected);
        let lying = SMALLEST.replace("387882", "387881");
        assert!(nas_bench_macro(lying.as_bytes(), &space()).err().unwrap().contains("00000000"));
        assert!(nas_bench_macro(b"[]", &space()).is_err());
    }

    #[test]
    fn what_is_no_point_is_refused() {
        for key in ["0000000", "000000000", "00000003", "0000000x", "0000000\u{b2}", ""] {
            let json = SMALLEST.replace("00000000", key);
            assert!(nas_bench_macro(json.as_bytes(), &space()).is_err(), "{key}");
        }
    }

    #[test]
    fn an_unknown_table_lists_the_known_ones() {
        let error = table("nas-bench-301").unwrap_err().to_string();
        assert!(error.contains("nas-bench-301") && error.contains("nas-bench-macro"), "{error}");
    }
}
