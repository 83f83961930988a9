//! `mfactor data import`: pictures in folders, or named by a CSV file, made into a data set.

use std::path::PathBuf;

use clap::Args;
use datasets::import::{Draft, ImportOptions, Imported, Pair};
use mfactor::text::visible;

use super::data::text_of;
use crate::output::{Output, table, thousands};
use crate::progress::Line;
use crate::signals;

/// Left-out pictures and pairs that the text shows; JSON has more.
const MOST_SHOWN: usize = 10;

/// Make a data set of pictures: a folder a class, or a CSV file
#[derive(Args)]
#[command(after_help = "\
Examples:
  mfactor data import photos --side 64 --out leaves
  mfactor data import photos.csv --side 32 --grey --out leaves

SOURCE is a folder with a folder for each class, or with train/, val/ and test/ above such folders, as torchvision's
ImageFolder has them; or a CSV file with the columns file and label (and part: train, val or test), whose files lie
below its own folder. Parts that are not there are drawn from the training pictures, class by class.

JPEG, PNG, WebP and BMP are read as a person sees them: turned upright, in sRGB. Of each the largest square from the
middle is kept and resized by a triangle filter, as `edge-runner classify` does. What is transparent, animated, CMYK,
damaged, larger than 67 million pixels or of another form cannot be used: all such pictures are listed.")]
pub struct Import {
    /// Folder of pictures, or CSV file
    source: PathBuf,
    /// Folder of the new data set, which must not be there yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Side of the images in pixels, 8 to 512
    #[arg(long, value_name = "PIXELS")]
    side: usize,
    /// One channel in place of three
    #[arg(long)]
    grey: bool,
    /// Share of each class that validates, where the pictures have no such part
    #[arg(long, value_name = "SHARE", default_value_t = 0.15)]
    validation: f64,
    /// Share of each class that tests, likewise
    #[arg(long, value_name = "SHARE", default_value_t = 0.15)]
    test: f64,
    /// Seed by which parts are drawn
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Leave out pictures that cannot be used
    #[arg(long)]
    skip_bad: bool,
    /// Name of the set; that of its folder if not given
    #[arg(long)]
    name: Option<String>,
}

impl Import {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        let named = || self.out.file_name().map(|name| name.to_string_lossy().into_owned());
        let options = ImportOptions {
            side: self.side,
            is_grey: self.grey,
            validation: self.validation,
            test: self.test,
            seed: self.seed,
            skips_bad: self.skip_bad,
            name: self.name.clone().or_else(named).unwrap_or_else(|| "pictures".to_owned()),
        };
        let draft = signals::undone_at_end(|| {
            let draft = Draft::new(&self.out)?;
            let folder = draft.folder().to_owned();
            // Nothing can be done about a folder that does not go away.
            Ok::<_, mfactor::Error>((draft, move || drop(std::fs::remove_dir_all(folder))))
        })?;
        let line = Line::new(output);
        let imported = datasets::import::import(&self.source, &options, draft, &mut |progress| {
            line.show(&text_of(&progress));
        });
        line.finish();
        let imported = imported?;
        output.result(&imported, || text(&imported))
    }
}

fn text(imported: &Imported) -> String {
    let classes = imported.classes.iter().map(|class| {
        [
            visible(&class.class).into_owned(),
            thousands(class.train as u64),
            thousands(class.validation as u64),
            thousands(class.test as u64),
        ]
    });
    let mut text = table(&["class", "train", "validation", "test"], classes);
    text.push_str(&format!("\nEach picture: {}.\n", imported.fit));
    let skipped = &imported.skipped;
    if !skipped.is_empty() {
        text.push_str(&format!("Left out, for they cannot be used: {}\n", skipped.len()));
        for picture in skipped.iter().take(MOST_SHOWN) {
            text.push_str(&format!("  {} {}\n", visible(&picture.file), visible(&picture.problem)));
        }
    }
    let duplicates = &imported.near_duplicates;
    if duplicates.pairs > 0 {
        let words = "Nearly the same picture in two parts, which makes accuracy look better than it is";
        text.push_str(&format!("{words}: {}\n", duplicates.pairs));
        duplicates.listed.iter().take(MOST_SHOWN).for_each(|pair| text.push_str(&pair_text(pair)));
    }
    text.push_str(&format!("Look at {}\n", visible(&imported.contact_sheet.display().to_string())));
    text
}

fn pair_text(pair: &Pair) -> String {
    let labels = if pair.same_class { "" } else { ", with two labels" };
    format!("  {} and {}{labels}\n", visible(&pair.first), visible(&pair.second))
}
