//! `mfactor data`: fetch, import and check data sets.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use datasets::{FetchOptions, Progress, PublishedTable, Summary};

use crate::commands::data_import::Import;
use crate::output::{Output, table, thousands};
use crate::progress::Line;

/// Fetch, import or check a data set
#[derive(Args)]
pub struct Data {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Fetch(Fetch),
    Import(Import),
    Check(Check),
}

/// Put a data set, or a published table of accuracies, where the other commands find it, checked against its sum
#[derive(Args)]
#[command(after_help = "Examples:\n  mfactor data fetch cifar10\n  mfactor data fetch nas-bench-macro")]
struct Fetch {
    #[arg(help = format!("{}; or a table: {}", datasets::names().join(", "), datasets::table_names().join(", ")))]
    name: String,
    /// Folder to put it in; ~/.cache/mfactor/NAME if not given, or $MFACTOR_DATA/NAME
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Address of the archive at a mirror; what comes from there must have the published sum
    #[arg(long)]
    url: Option<String>,
}

/// Read every record of a data set and say what is in it
#[derive(Args)]
#[command(after_help = "Example:\n  mfactor data check digits")]
struct Check {
    #[arg(help = format!("{}, or a folder", datasets::names().join(", ")))]
    name: String,
}

impl Data {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        let summary = match self.action {
            Action::Fetch(fetch) if datasets::table_names().contains(&fetch.name.as_str()) => {
                return fetch.table(output);
            }
            Action::Import(import) => return import.run(output),
            Action::Fetch(fetch) => fetch.run(output)?,
            Action::Check(check) => datasets::check(&check.name)?,
        };
        output.result(&summary, || text(&summary))
    }
}

impl Fetch {
    fn run(self, output: &Output) -> anyhow::Result<Summary> {
        let folder = match self.out {
            Some(folder) => folder,
            None => datasets::folder(&self.name)?,
        };
        let line = Line::new(output);
        let options = FetchOptions { url: self.url, md5: None };
        let set =
            datasets::fetch(&self.name, &folder, &options, &mut |progress| line.show(&text_of(&progress)))?;
        line.finish();
        Ok(datasets::check(&set.folder().to_string_lossy())?)
    }

    fn table(self, output: &Output) -> anyhow::Result<()> {
        let line = Line::new(output);
        let options = FetchOptions { url: self.url, md5: None };
        let mut show = |progress| line.show(&text_of(&progress));
        let table = datasets::fetch_table(&self.name, self.out.as_deref(), &options, &mut show)?;
        line.finish();
        output.result(&table, || {
            let PublishedTable { name, file, networks, trainings } = &table;
            let rows = [
                ("space", name.clone()),
                ("file", file.display().to_string()),
                ("networks", thousands(*networks as u64)),
                ("trainings", thousands(*trainings as u64)),
            ];
            self::table(&["table", ""], rows.map(|(name, value)| [name.to_owned(), value]))
        })
    }
}

pub(super) fn text_of(progress: &Progress) -> String {
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    match progress {
        Progress::Downloading { bytes, total: Some(total) } => {
            format!("downloading, {:.0} of {:.0} MB", megabytes(*bytes), megabytes(*total))
        }
        Progress::Downloading { bytes, total: None } => format!("downloading, {:.0} MB", megabytes(*bytes)),
        Progress::Unpacking { file } => format!("unpacking {file}"),
        Progress::Reading { done, total } => format!("reading pictures, {done} of {total}"),
        Progress::Writing { records } => format!("writing {records} records"),
    }
}

fn text(summary: &Summary) -> String {
    let image = summary.image;
    let rows = [
        ("name", summary.name.clone()),
        ("folder", summary.folder.display().to_string()),
        ("images", format!("{}×{}×{}", image.channels, image.height, image.width)),
        ("classes", summary.classes.join(", ")),
        ("training records", thousands(summary.train as u64)),
        ("validation records", thousands(summary.validation as u64)),
        ("test records", thousands(summary.test as u64)),
        ("fingerprint", summary.fingerprint.clone()),
    ];
    table(&["data set", ""], rows.map(|(name, value)| [name.to_owned(), value]))
}
