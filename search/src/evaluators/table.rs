//! Accuracies from a file: architectures that were trained before, or a benchmark.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mfactor::protocol::{Evaluation, Job};
use mfactor::{Architecture, Error, Result, SearchSpace, files};
use serde::Deserialize;

use super::{Evaluator, Failure, Report, Verdict};

/// Answers a job with the accuracy that the table has for its architecture; an architecture that is not in
/// the table fails its trial.
#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    /// Accuracy, and the line it stands in.
    accuracies: HashMap<Architecture, (f64, usize)>,
}

/// One row, before it is believed.
#[derive(Deserialize)]
struct Row {
    architecture: Architecture,
    accuracy: f64,
}

impl Table {
    /// Reads a table: comma-separated with a header that names the columns `architecture` and `accuracy`, or
    /// one JSON object a line with these keys. Other columns and keys are passed over, and so are empty lines.
    /// An architecture belongs to `space` and is there once; errors name the file and the line.
    pub fn load(path: &Path, space: &SearchSpace) -> Result<Self> {
        let text = files::read_text(path)?;
        let mut table = Self { path: path.to_owned(), accuracies: HashMap::new() };
        let mut columns = None;
        for (line, number) in text.lines().map(str::trim).zip(1..) {
            let refuse = |problem: String| Error::input(format!("{}:{number}", path.display()), problem);
            let row = if line.is_empty() {
                continue;
            } else if line.starts_with('{') {
                serde_json::from_str(line).map_err(|error| refuse(error.to_string()))?
            } else if let Some(columns) = columns {
                parse_row(line, columns).map_err(refuse)?
            } else {
                columns = Some(parse_header(line).map_err(refuse)?);
                continue;
            };
            table.insert(row, number, space).map_err(refuse)?;
        }
        if table.accuracies.is_empty() {
            return Err(Error::file(path, "the table has no rows"));
        }
        Ok(table)
    }

    fn insert(&mut self, row: Row, number: usize, space: &SearchSpace) -> Result<(), String> {
        space.check(&row.architecture).map_err(|error| error.to_string())?;
        if !(0.0..=1.0).contains(&row.accuracy) {
            return Err(format!("accuracy is {}; it must be from 0 to 1", row.accuracy));
        }
        match self.accuracies.entry(row.architecture) {
            Entry::Occupied(entry) => {
                Err(format!("{} stands in line {} already", entry.key(), entry.get().1))
            }
            Entry::Vacant(entry) => {
                entry.insert((row.accuracy, number));
                Ok(())
            }
        }
    }
}

impl Evaluator for Arc<Table> {
    fn evaluate(
        &mut self,
        job: &Job,
        _: &mut dyn FnMut(Report) -> Result<Verdict>,
        _: &AtomicBool,
    ) -> Result<Evaluation, Failure> {
        match self.accuracies.get(&job.architecture) {
            Some((accuracy, _)) => Ok(Evaluation { accuracy: *accuracy, seconds: 0.0, images: 0 }),
            None => {
                Err(Failure::Trial(format!("{} has no row in {}", job.architecture, self.path.display())))
            }
        }
    }
}

/// Positions of the columns `architecture` and `accuracy`.
fn parse_header(line: &str) -> Result<(usize, usize), String> {
    let position = |name: &str| {
        line.split(',')
            .position(|column| column.trim() == name)
            .ok_or_else(|| format!("the header is {line:?}; it needs the columns architecture and accuracy"))
    };
    Ok((position("architecture")?, position("accuracy")?))
}

fn parse_row(line: &str, (architecture, accuracy): (usize, usize)) -> Result<Row, String> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let field = |column: usize| {
        fields.get(column).ok_or_else(|| format!("has {} columns; the header names more", fields.len()))
    };
    let accuracy = field(accuracy)?;
    Ok(Row {
        architecture: field(architecture)?.parse().map_err(|error: Error| error.to_string())?,
        accuracy: accuracy.parse().map_err(|_| format!("accuracy is {accuracy:?}, which is not a number"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Table> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table");
        std::fs::write(&path, text).unwrap();
        Table::load(&path, &SearchSpace::paper())
    }

    #[test]
    fn both_forms_say_the_same() {
        let csv =
            load("trial, architecture, accuracy\r\n0,333-333-333,0.75\r\n\r\n1,357-333-377,0.5\n").unwrap();
        let lines = load(
            "{\"architecture\":\"333-333-333\",\"accuracy\":0.75,\"macs\":1}\n\
             {\"architecture\":\"357-333-377\",\"accuracy\":0.5}\n",
        )
        .unwrap();
        for table in [csv, lines] {
            let accuracy =
                |id: &str| table.accuracies.get(&id.parse().unwrap()).map(|(accuracy, _)| *accuracy);
            assert_eq!(accuracy("333-333-333"), Some(0.75));
            assert_eq!(accuracy("357-333-377"), Some(0.5));
            assert_eq!(accuracy("777-777-777"), None);
        }
    }

    #[test]
    fn errors_name_the_file_and_the_line() {
        let header = "architecture,accuracy\n";
        for (text, place, problem) in [
            ("333-333-333,0.75\n".to_owned(), "table:1", "needs the columns"),
            (format!("{header}333-333-333\n"), "table:2", "columns"),
            (format!("{header}\n333-333-333,good\n"), "table:3", "\"good\""),
            (format!("{header}333-333-333,nan\n"), "table:2", "from 0 to 1"),
            (format!("{header}333-333-333,75\n"), "table:2", "from 0 to 1"),
            (format!("{header}333-333-339,0.5\n"), "table:2", "333-333-339"),
            (format!("{header}333-333-333,0.5\n333-333-333,0.6\n"), "table:3", "line 2 already"),
            ("{\"architecture\":\"333-333-333\"}\n".to_owned(), "table:1", "accuracy"),
            (header.to_owned(), "table", "no rows"),
        ] {
            let error = load(&text).unwrap_err();
            assert_eq!(error.exit_code(), mfactor::exit::INPUT);
            let message = error.to_string();
            assert!(message.contains(place) && message.contains(problem), "{message}");
        }
    }
}
