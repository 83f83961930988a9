//! Accuracies from a file: architectures that were trained before, or a benchmark.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mfactor::protocol::{Evaluation, FailureKind, Job};
use mfactor::{Architecture, Error, Result, SearchSpace, files};
use serde::Deserialize;

use super::{Ended, Evaluator, Report, Verdict};

/// Answers a job with the accuracy that the table has for its architecture; an architecture that is not in
/// the table fails its trial. Where it was trained with several seeds, the job's seed draws one of them.
#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    /// For each seed the accuracy, and the line it stands in.
    accuracies: HashMap<Architecture, BTreeMap<Option<u64>, (f64, usize)>>,
}

/// One row, before it is believed. `accuracy` must be named, and is missing where a trial was not completed.
#[derive(Deserialize)]
struct Row {
    architecture: Architecture,
    #[serde(default)]
    seed: Option<u64>,
    #[serde(deserialize_with = "Option::deserialize")]
    accuracy: Option<f64>,
}

impl Table {
    /// Reads a table: comma-separated values (RFC 4180) whose header names the columns `architecture` and `accuracy`,
    /// or one JSON object a line with these keys: what `mfactor trials --format csv` and `jsonl` write. There may be `seed`,
    /// that of the training. Other columns and keys are passed over, and so are rows without an accuracy. An architecture
    /// belongs to `space` and has one accuracy for each seed; errors name the file and the line.
    pub fn load(path: &Path, space: &SearchSpace) -> Result<Self> {
        Self::parse(&files::read_text(path)?, path, space)
    }

    /// [`Table::load`] of a file whose text was read already; errors name `path`.
    pub fn parse(text: &str, path: &Path, space: &SearchSpace) -> Result<Self> {
        let mut table = Self { path: path.to_owned(), accuracies: HashMap::new() };
        if text.trim_start().starts_with('{') {
            table.add_json_lines(text, space)?;
        } else {
            table.add_csv(text, space)?;
        }
        if table.accuracies.is_empty() {
            return Err(Error::file(path, "the table has no row with an accuracy"));
        }
        Ok(table)
    }

    fn add_json_lines(&mut self, text: &str, space: &SearchSpace) -> Result<()> {
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let row = serde_json::from_str(line).map_err(|error| self.refuse(number, error.to_string()))?;
            self.insert(row, number, space)?;
        }
        Ok(())
    }

    fn add_csv(&mut self, text: &str, space: &SearchSpace) -> Result<()> {
        let mut reader =
            csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text.as_bytes());
        let headers = reader.headers().map_err(|error| self.refuse(1, error.to_string()))?.clone();
        let position = |name: &str| {
            let found: Vec<&str> = headers.iter().collect();
            let missing =
                || format!("the header is {found:?}; it needs the columns architecture and accuracy");
            headers.iter().position(|column| column == name).ok_or_else(|| self.refuse(1, missing()))
        };
        let seed = headers.iter().position(|column| column == "seed");
        let columns =
            Columns { architecture: position("architecture")?, accuracy: position("accuracy")?, seed };
        let mut lines = Lines { bytes: text.as_bytes(), at: 0, number: 1 };
        let mut record = csv::StringRecord::new();
        loop {
            let more = reader.read_record(&mut record);
            let number = lines.number(record.position().map_or(0, csv::Position::byte));
            if !more.map_err(|error| self.refuse(number, error.to_string()))? {
                return Ok(());
            }
            let row = parse_row(&record, &columns).map_err(|problem| self.refuse(number, problem))?;
            self.insert(row, number, space)?;
        }
    }

    /// The architectures that have an accuracy, in no order.
    pub fn architectures(&self) -> impl Iterator<Item = &Architecture> {
        self.accuracies.keys()
    }

    /// One of the accuracies that an architecture reached, drawn by `seed`; `None` if it is not in the table.
    pub fn accuracy(&self, architecture: &Architecture, seed: u64) -> Option<f64> {
        let of_seeds = self.accuracies.get(architecture)?;
        let drawn = seed % of_seeds.len() as u64;
        of_seeds.values().nth(drawn as usize).map(|(accuracy, _)| *accuracy)
    }

    /// The mean over all seeds of what an architecture reached; `None` if it is not in the table.
    pub fn mean_accuracy(&self, architecture: &Architecture) -> Option<f64> {
        let of_seeds = self.accuracies.get(architecture)?;
        Some(of_seeds.values().map(|(accuracy, _)| accuracy).sum::<f64>() / of_seeds.len() as f64)
    }

    fn refuse(&self, line: usize, problem: String) -> Error {
        Error::input(format!("{}:{line}", self.path.display()), problem)
    }

    fn insert(&mut self, row: Row, line: usize, space: &SearchSpace) -> Result<()> {
        let Some(accuracy) = row.accuracy else { return Ok(()) };
        space.check(&row.architecture).map_err(|error| self.refuse(line, error.to_string()))?;
        if !(0.0..=1.0).contains(&accuracy) {
            return Err(self.refuse(line, format!("accuracy is {accuracy}; it must be from 0 to 1")));
        }
        let of_seeds = self.accuracies.entry(row.architecture.clone()).or_default();
        let (known, first) = *of_seeds.entry(row.seed).or_insert((accuracy, line));
        if known != accuracy {
            let problem =
                format!("{} has accuracy {accuracy} here and {known} in line {first}", row.architecture);
            return Err(self.refuse(line, problem + "; keep one of both rows"));
        }
        Ok(())
    }
}

impl Evaluator for Arc<Table> {
    fn evaluate(
        &mut self,
        job: &Job,
        _: &mut dyn FnMut(Report) -> Result<Verdict>,
        _: &AtomicBool,
    ) -> Result<Ended> {
        Ok(match self.accuracy(&job.architecture, job.seed) {
            Some(accuracy) => Ended::Complete(Evaluation { accuracy, seconds: 0.0, images: 0 }),
            None => {
                let reason = format!("{} has no row in {}", job.architecture, self.path.display());
                Ended::failed(FailureKind::Job, reason)
            }
        })
    }
}

/// Positions of the columns that are read.
struct Columns {
    architecture: usize,
    accuracy: usize,
    seed: Option<usize>,
}

fn parse_row(record: &csv::StringRecord, columns: &Columns) -> Result<Row, String> {
    let field = |column: usize| {
        record.get(column).ok_or_else(|| format!("has {} columns; the header names more", record.len()))
    };
    let accuracy = match field(columns.accuracy)? {
        "" => None,
        text => Some(text.parse().map_err(|_| format!("accuracy is {text:?}, which is not a number"))?),
    };
    Ok(Row {
        seed: match columns.seed.map(field).transpose()? {
            None | Some("") => None,
            Some(text) => {
                Some(text.parse().map_err(|_| format!("seed is {text:?}, which is not a whole number"))?)
            }
        },
        architecture: field(columns.architecture)?.parse().map_err(|error: Error| error.to_string())?,
        accuracy,
    })
}

/// Numbers of lines, for places in ascending order: a cell may hold line breaks, and empty lines are no records.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    number: usize,
}

impl Lines<'_> {
    /// The line of the record that is looked for from `byte` on.
    fn number(&mut self, byte: u64) -> usize {
        let rest = &self.bytes[self.at..];
        let from = (byte as usize).saturating_sub(self.at).min(rest.len());
        let breaks = rest[from..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.number += rest[..from + breaks].iter().filter(|byte| **byte == b'\n').count();
        self.at += from + breaks;
        self.number
    }
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
            load("trial, architecture, accuracy\r\n\"a\n,\",333-333-333,0.75\r\n\r\n1,357-333-377,0.5\n2,333-333-333,0.75\n3,777-777-777,\n").unwrap();
        let lines = load(
            "{\"architecture\":\"333-333-333\",\"accuracy\":0.75,\"macs\":1}\n\
             \n{\"architecture\":\"357-333-377\",\"accuracy\":0.5}\n\
             {\"architecture\":\"777-777-777\",\"accuracy\":null}\n",
        )
        .unwrap();
        for table in [csv, lines] {
            let accuracy = |id: &str| table.accuracy(&id.parse().unwrap(), 7);
            assert_eq!(accuracy("333-333-333"), Some(0.75));
            assert_eq!(accuracy("357-333-377"), Some(0.5));
            assert_eq!(accuracy("777-777-777"), None);
        }
    }

    #[test]
    fn a_seed_draws_among_several_trainings() {
        let table = load(
            "architecture,seed,accuracy\n333-333-333,0,0.5\n333-333-333,1,0.6\n333-333-333,2,0.7\n333-333-335,,0.4\n",
        )
        .unwrap();
        let id = "333-333-333".parse().unwrap();
        let drawn: Vec<f64> = (3..6).map(|seed| table.accuracy(&id, seed).unwrap()).collect();
        assert_eq!(drawn, [0.5, 0.6, 0.7]);
        assert!((table.mean_accuracy(&id).unwrap() - 0.6).abs() < 1e-12);
        assert_eq!(table.accuracy(&"333-333-335".parse().unwrap(), 99), Some(0.4));
        assert_eq!(table.accuracy(&"333-333-337".parse().unwrap(), 0), None);
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
            (format!("{header}333-333-333,0.5\n333-333-333,0.6\n"), "table:3", "0.5 in line 2"),
            ("{\"architecture\":\"333-333-333\"}\n".to_owned(), "table:1", "accuracy"),
            ("architecture,accuracy,seed\n333-333-333,0.5,x\n".to_owned(), "table:2", "seed is \"x\""),
            (
                "architecture,accuracy,seed\n333-333-333,0.5,4\n333-333-333,0.6,4\n".to_owned(),
                "table:3",
                "0.5 in line 2",
            ),
            (header.to_owned(), "table", "no row"),
            (format!("{header}333-333-333,\n"), "table", "no row"),
        ] {
            let error = load(&text).unwrap_err();
            assert_eq!(error.exit_code(), mfactor::exit::INPUT);
            let message = error.to_string();
            assert!(message.contains(place) && message.contains(problem), "{message}");
        }
    }
}
