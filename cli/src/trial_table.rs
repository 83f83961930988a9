//! Trials as a table in a file: CSV, JSON lines, Markdown. The columns of CSV are listed once, here.

use mfactor::text::visible;
use mfactor::{Error, Result, Trial, markdown};

/// A column's name and its cell in the row of a trial.
type Column = (&'static str, fn(&Trial) -> String);

/// Every column, by the name that the field has in JSON. What is missing is an empty cell, and the accuracies of the epochs
/// have blanks between them.
const COLUMNS: [Column; 18] = [
    ("id", |trial| trial.id.to_string()),
    ("strategy", |trial| trial.proposer.to_string()),
    ("number", |trial| trial.number.to_string()),
    ("architecture", |trial| trial.architecture.to_string()),
    ("state", |trial| trial.state.name().to_owned()),
    ("m_factor", |trial| cell(trial.m_factor)),
    ("accuracy", |trial| cell(trial.accuracy)),
    ("size_score", |trial| trial.size_score.to_string()),
    ("parameters", |trial| trial.cost.parameters.to_string()),
    ("macs", |trial| trial.cost.macs.to_string()),
    ("model_bytes", |trial| trial.cost.model_bytes.to_string()),
    ("peak_activations", |trial| trial.cost.peak_activations.to_string()),
    ("seed", |trial| trial.seed.to_string()),
    ("seconds", |trial| cell(trial.seconds)),
    ("images", |trial| cell(trial.images)),
    ("reused", |trial| trial.reused.to_string()),
    ("epoch_accuracies", |trial| {
        trial.epoch_accuracies.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }),
    ("failure", |trial| trial.failure.clone().unwrap_or_default()),
];

fn cell(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// A text as a cell: control characters are escaped, and what a spreadsheet would take for a formula gets an apostrophe,
/// which it shows as text.
fn csv_text(text: &str) -> String {
    let mut cell = visible(text).into_owned();
    let is_number = cell.parse::<f64>().is_ok();
    // Spreadsheets look past blanks, and some take the wide forms as well.
    if cell.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) && !is_number {
        cell.insert(0, '\'');
    }
    cell
}

/// The table as comma-separated values (RFC 4180) with a line of headings. `--evaluator table:FILE` reads it.
pub fn csv(trials: &[&Trial]) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        // Where a locale separates by semicolons, an unquoted text would come apart there.
        .quote_style(csv::QuoteStyle::NonNumeric)
        .from_writer(Vec::new());
    let defect =
        |error: &dyn std::fmt::Display| Error::Defect(format!("trials cannot be written as CSV: {error}"));
    writer.write_record(COLUMNS.map(|(name, _)| name)).map_err(|error| defect(&error))?;
    for trial in trials {
        writer
            .write_record(COLUMNS.map(|(_, cell)| csv_text(&cell(trial))))
            .map_err(|error| defect(&error))?;
    }
    writer.into_inner().map_err(|error| defect(&error))
}

/// The trials as JSON, one a line, the keys those of `--json`. `--evaluator table:FILE` reads them.
pub fn json_lines(trials: &[&Trial]) -> Result<Vec<u8>> {
    let mut bytes = vec![];
    for trial in trials {
        serde_json::to_writer(&mut bytes, trial)
            .map_err(|error| Error::Defect(format!("a trial cannot be written as JSON: {error}")))?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// A table in Markdown; columns whose header starts with '>' are aligned to the right.
pub fn markdown<const N: usize>(headers: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    markdown::table(headers, rows.into_iter().map(|row| row.map(|cell| markdown::text(&cell))))
}

#[cfg(test)]
mod tests {
    use mfactor::{Cost, SearchSpace, TrialState};

    use super::*;

    fn trials() -> Vec<Trial> {
        let complete = Trial {
            id: 0,
            number: 0,
            proposer: "a, \"b\"\n|".into(),
            architecture: SearchSpace::paper().smallest(),
            state: TrialState::Complete,
            seed: u64::MAX,
            cost: Cost {
                parameters: 272_474,
                macs: 40_813_184,
                model_bytes: 1,
                peak_activations: 1,
                predicted: mfactor::cost::BoardCosts::default(),
                measured: mfactor::cost::BoardCosts::default(),
            },
            size_score: 1.0,
            accuracy: Some(0.1 + 0.2),
            m_factor: Some(0.5),
            epoch_accuracies: vec![0.1, 0.3],
            seconds: Some(2.5),
            images: None,
            reused: false,
            failure: None,
            failure_kind: None,
        };
        let failed = Trial {
            id: 1,
            state: TrialState::Failed,
            accuracy: None,
            m_factor: None,
            epoch_accuracies: vec![],
            failure: Some("why".to_owned()),
            ..complete.clone()
        };
        vec![complete.clone(), failed, Trial { id: 2, ..complete }]
    }

    #[test]
    fn csv_quotes_what_would_break_it() {
        let trials = trials();
        let text = String::from_utf8(csv(&trials.iter().collect::<Vec<_>>()).unwrap()).unwrap();
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!((lines.len(), lines[4]), (5, ""));
        assert!(lines[0].starts_with("\"id\",\"strategy\",\"number\",\"architecture\",\"state\","));
        let first = "0,\"a, \"\"b\"\"\\n|\",0,\"333-333-333\",\"complete\",0.5,0.30000000000000004,1,272474,40813184,1,1,\
                     18446744073709551615,2.5,\"\",\"false\",\"0.1 0.3\",\"\"";
        assert_eq!(lines[1], first);
        assert!(lines[2].contains(",\"failed\",\"\",\"\",") && lines[2].ends_with(",\"false\",\"\",\"why\""));
    }

    #[test]
    fn csv_has_no_formulas_and_obeys_nothing() {
        let cells = [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+1+1", "'+1+1"),
            ("-2+3", "'-2+3"),
            ("@SUM(1)", "'@SUM(1)"),
            ("  =1", "'  =1"),
            ("\t=1", "\\t=1"),
            ("\r=1", "\\r=1"),
            ("＝1", "'＝1"),
            ("-0.5", "-0.5"),
            ("333-333-333", "333-333-333"),
            ("a\u{1b}[2J\u{202e}\nb", "a\\u{1b}[2J\\u{202e}\\nb"),
        ];
        for (text, cell) in cells {
            assert_eq!(csv_text(text), cell);
        }
    }

    #[test]
    fn csv_and_json_lines_read_back() {
        let trials = trials();
        let shown: Vec<&Trial> = trials.iter().collect();
        let lines = String::from_utf8(json_lines(&shown).unwrap()).unwrap();
        let read: Vec<Trial> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read, trials);
        let keys = serde_json::to_value(&trials[0]).unwrap();
        let bytes = csv(&shown).unwrap();
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let names: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
        assert!(names.iter().all(|name| keys.get(name).is_some()), "named as in JSON: {names:?}");
        assert_eq!(names.len(), keys.as_object().unwrap().len(), "every field has a column");
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        let at = |row: usize, name: &str| &rows[row][names.iter().position(|own| own == name).unwrap()];
        assert_eq!(at(0, "accuracy").parse::<f64>().unwrap(), 0.1 + 0.2);
        assert_eq!(at(0, "strategy"), csv_text(trials[0].proposer.name()));
        assert_eq!((at(1, "accuracy"), at(1, "failure"), rows.len()), ("", "why", 3));
    }

    #[test]
    fn markdown_keeps_its_columns() {
        let text = markdown(["name", ">count"], [["a|b".to_owned(), "1".to_owned()]]);
        assert_eq!(text, "| name | count |\n| --- | ---: |\n| a\\|b | 1 |\n");
    }
}
