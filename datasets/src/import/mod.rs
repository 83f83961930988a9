//! Pictures as people have them, made into a data set: listed, decoded, split, written.
//!
//! Only one batch of pictures is held at a time: records go to a staging file, and from there to their places.
//!
//! | module | holds |
//! |---|---|
//! | `listing` | which pictures there are, of which class and part: folders, or a CSV file |
//! | `decoding` | pictures to records in a staging file |
//! | `parts` | which picture trains, validates, tests |
//! | `duplicates` | pictures that are nearly the same in two parts |
//! | `sheet` | the contact sheet |
//! | `draft` | the folder, which appears whole or not at all |

mod decoding;
mod draft;
mod duplicates;
mod listing;
mod parts;
mod sheet;
mod writing;

use std::path::{Path, PathBuf};

use mfactor::space::ImageShape;
use mfactor::{Error, Result};
use serde::Serialize;

pub use self::draft::Draft;
pub use self::duplicates::{Duplicates, Pair};
use crate::Progress;

/// Name of the contact sheet in the folder.
pub const SHEET_FILE: &str = "contact-sheet.png";
/// Name of the list of pictures in the folder: file, class, part and record number.
pub const PICTURES_FILE: &str = "pictures.csv";
/// Bad pictures that a message lists.
const MOST_LISTED: usize = 20;

/// How pictures are imported.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportOptions {
    /// Side of the square images, 8 to 512.
    pub side: usize,
    /// Whether they get one channel in place of three.
    pub is_grey: bool,
    /// Share of each class that validates, where the pictures come without such a part.
    pub validation: f64,
    /// Share of each class that tests, likewise.
    pub test: f64,
    /// Seed of the split.
    pub seed: u64,
    /// Whether pictures that cannot be used are left out.
    pub skips_bad: bool,
    /// Name of the set.
    pub name: String,
}

/// What is one of a picture's three uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Trains.
    Train,
    /// Validates.
    Validation,
    /// Tests.
    Test,
}

impl Part {
    pub(crate) const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// Pictures of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// Its name.
    pub class: String,
    /// Those that train.
    pub train: usize,
    /// Those that validate.
    pub validation: usize,
    /// Those that test.
    pub test: usize,
}

/// A picture that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The file.
    pub file: String,
    /// Why.
    pub problem: String,
}

/// What an import made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Folder of the set.
    pub folder: PathBuf,
    /// What became of each picture, in words.
    pub fit: String,
    /// Pictures of each class.
    pub classes: Vec<ClassCount>,
    /// Pictures that were left out.
    pub skipped: Vec<Skipped>,
    /// Pictures that are nearly the same in two parts.
    pub near_duplicates: Duplicates,
    /// The contact sheet.
    pub contact_sheet: PathBuf,
}

/// Makes a data set of the pictures in `source`, a folder or a CSV file, in the place that `draft` names. What fails leaves
/// nothing behind.
///
/// # Errors
/// [`Error::Input`] for options out of range, a source of another form, and pictures that cannot be used, all of which are
/// read before; [`Error::Io`] where the place cannot be written.
pub fn import(
    source: &Path,
    options: &ImportOptions,
    draft: Draft,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Imported> {
    check(options)?;
    draft.check_outside(source)?;
    let listing = listing::list(source)?;
    let image = ImageShape {
        channels: if options.is_grey { 1 } else { 3 },
        height: options.side,
        width: options.side,
    };
    // Staged once, and then written in another order.
    mfactor::files::check_room(
        draft.folder(),
        2 * listing.pictures.len() as u64 * (1 + image.bytes() as u64),
    )?;
    let decoded = decoding::decode(&listing, image, draft.folder(), on_progress)?;
    if !options.skips_bad && !decoded.skipped.is_empty() {
        return Err(refusal(source, &decoded.skipped, listing.pictures.len()));
    }
    let parts = parts::split(source, &listing, &decoded.pictures, options)?;
    let written = writing::write(&listing, &decoded, &parts, image, options, draft.folder(), on_progress)?;
    let near_duplicates = duplicates::find(&listing, &decoded, &parts);
    let folder = draft.publish()?;
    Ok(Imported {
        contact_sheet: folder.join(SHEET_FILE),
        folder,
        fit: pictures::FIT.to_owned(),
        classes: written,
        skipped: decoded.skipped,
        near_duplicates,
    })
}

fn check(options: &ImportOptions) -> Result<()> {
    if !(8..=512).contains(&options.side) {
        return Err(Error::input("side", format!("is {}; it must be from 8 to 512", options.side)));
    }
    for (name, share) in [("validation", options.validation), ("test", options.test)] {
        if !(share > 0.0 && share <= 0.5) {
            return Err(Error::input(name, format!("is {share}; a share above 0 and at most 0.5 is wanted")));
        }
    }
    Ok(())
}

/// All pictures that cannot be used, in one message.
fn refusal(source: &Path, bad: &[Skipped], all: usize) -> Error {
    let listed: Vec<String> =
        bad.iter().take(MOST_LISTED).map(|bad| format!("{} {}", bad.file, bad.problem)).collect();
    let more = match bad.len().saturating_sub(MOST_LISTED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let problem = format!(
        "{} of {all} pictures cannot be used: {}{more}. Mend them, or leave them out with --skip-bad",
        bad.len(),
        listed.join("; ")
    );
    Error::file(source, problem)
}
