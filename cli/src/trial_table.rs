//! Trials as a table in a file: CSV, Parquet, Markdown. All columns are listed once, here.

use std::sync::Arc;

use mfactor::text::visible;
use mfactor::{Error, Result, Trial, markdown};
use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};

/// What holds for all rows of a table.
pub struct Facts<'a> {
    /// Name of the study.
    pub study: &'a str,
    /// α of the column `m_factor`.
    pub alpha: f64,
}

/// The values of one column, a row each.
enum Values {
    Text(Vec<Option<String>>),
    Count(Vec<Option<u64>>),
    Number(Vec<Option<f64>>),
    Numbers(Vec<Vec<f64>>),
}

/// Every column, by the names that the fields have in JSON.
fn columns(trials: &[&Trial]) -> Vec<(&'static str, Values)> {
    let texts =
        |of: fn(&Trial) -> Option<String>| Values::Text(trials.iter().map(|trial| of(trial)).collect());
    let counts =
        |of: fn(&Trial) -> Option<u64>| Values::Count(trials.iter().map(|trial| of(trial)).collect());
    let numbers =
        |of: fn(&Trial) -> Option<f64>| Values::Number(trials.iter().map(|trial| of(trial)).collect());
    vec![
        ("id", counts(|trial| Some(trial.id))),
        ("strategy", texts(|trial| Some(trial.strategy.clone()))),
        ("number", counts(|trial| Some(trial.number))),
        ("architecture", texts(|trial| Some(trial.architecture.to_string()))),
        ("state", texts(|trial| serde_json::to_value(trial.state).ok()?.as_str().map(str::to_owned))),
        ("m_factor", numbers(|trial| trial.m_factor)),
        ("accuracy", numbers(|trial| trial.accuracy)),
        ("size_score", numbers(|trial| Some(trial.size_score))),
        ("parameters", counts(|trial| Some(trial.cost.parameters))),
        ("macs", counts(|trial| Some(trial.cost.macs))),
        ("model_bytes", counts(|trial| Some(trial.cost.model_bytes))),
        ("seed", counts(|trial| Some(trial.seed))),
        ("seconds", numbers(|trial| trial.seconds)),
        ("images", counts(|trial| trial.images)),
        ("reused", texts(|trial| Some(trial.reused.to_string()))),
        (
            "epoch_accuracies",
            Values::Numbers(trials.iter().map(|trial| trial.epoch_accuracies.clone()).collect()),
        ),
        ("failure", texts(|trial| trial.failure.clone())),
    ]
}

/// The table as comma-separated values (RFC 4180) with a line of headings; what is missing is empty, and the
/// accuracies of the epochs have blanks between them.
pub fn csv(trials: &[&Trial]) -> String {
    let columns = columns(trials);
    let line = |cells: Vec<String>| cells.join(",") + "\r\n";
    let headings = line(columns.iter().map(|(name, _)| (*name).to_owned()).collect());
    let row = |row: usize| line(columns.iter().map(|(_, values)| values.csv(row)).collect());
    std::iter::once(headings).chain((0..trials.len()).map(row)).collect()
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
    if cell.contains([',', '"', ';', '\'']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

impl Values {
    fn csv(&self, row: usize) -> String {
        match self {
            Self::Text(values) => values[row].as_deref().map(csv_text).unwrap_or_default(),
            Self::Count(values) => values[row].map(|value| value.to_string()).unwrap_or_default(),
            Self::Number(values) => values[row].map(|value| value.to_string()).unwrap_or_default(),
            Self::Numbers(values) => {
                values[row].iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
            }
        }
    }
}

/// A table in Markdown; columns whose header starts with '>' are aligned to the right.
pub fn markdown<const N: usize>(headers: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    markdown::table(headers, rows.into_iter().map(|row| row.map(|cell| markdown::text(&cell))))
}

/// The table as a Parquet file, uncompressed, with study and α in the file's metadata. Types: INT64 (unsigned),
/// DOUBLE, UTF-8, and a LIST of DOUBLE.
pub fn parquet(trials: &[&Trial], facts: &Facts<'_>) -> Result<Vec<u8>> {
    write(trials, facts).map_err(|error| Error::Defect(format!("a table of trials is no Parquet: {error}")))
}

fn write(trials: &[&Trial], facts: &Facts<'_>) -> std::result::Result<Vec<u8>, ParquetError> {
    let columns = columns(trials);
    let fields = columns
        .iter()
        .map(|(name, values)| values.parquet_type(name))
        .collect::<std::result::Result<_, _>>()?;
    let schema = Arc::new(Type::group_type_builder("trials").with_fields(fields).build()?);
    let entry = |key: &str, value: String| KeyValue::new(format!("mfactor.{key}"), value);
    let entries = vec![
        entry("study", facts.study.to_owned()),
        entry("alpha", facts.alpha.to_string()),
        entry("version", mfactor::version()),
    ];
    let properties = WriterProperties::builder().set_key_value_metadata(Some(entries)).build();
    let mut writer = SerializedFileWriter::new(vec![], schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    for (_, values) in &columns {
        if let Some(mut column) = group.next_column()? {
            values.write(&mut column)?;
            column.close()?;
        }
    }
    group.close()?;
    writer.into_inner()
}

impl Values {
    fn parquet_type(&self, name: &str) -> std::result::Result<TypePtr, ParquetError> {
        let optional = |physical, logical| {
            let built = Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
            built.with_logical_type(logical).build()
        };
        let built = match self {
            Self::Text(_) => optional(Physical::BYTE_ARRAY, Some(LogicalType::String))?,
            Self::Count(_) => optional(Physical::INT64, Some(LogicalType::integer(64, false)))?,
            Self::Number(_) => optional(Physical::DOUBLE, None)?,
            Self::Numbers(_) => {
                let element = Type::primitive_type_builder("element", Physical::DOUBLE)
                    .with_repetition(Repetition::REQUIRED)
                    .build()?;
                let list = Type::group_type_builder("list")
                    .with_repetition(Repetition::REPEATED)
                    .with_fields(vec![Arc::new(element)])
                    .build()?;
                Type::group_type_builder(name)
                    .with_repetition(Repetition::REQUIRED)
                    .with_converted_type(ConvertedType::LIST)
                    .with_logical_type(Some(LogicalType::List))
                    .with_fields(vec![Arc::new(list)])
                    .build()?
            }
        };
        Ok(Arc::new(built))
    }

    fn write(&self, column: &mut SerializedColumnWriter<'_>) -> std::result::Result<(), ParquetError> {
        match self {
            Self::Text(values) => {
                let (there, levels) = present(values);
                let there: Vec<ByteArray> = there.into_iter().map(|text| text.as_str().into()).collect();
                column.typed::<ByteArrayType>().write_batch(&there, Some(&levels), None)?;
            }
            Self::Count(values) => {
                let (there, levels) = present(values);
                // The logical type says that the bits are those of an unsigned number.
                let there: Vec<i64> = there.into_iter().map(|count| count.cast_signed()).collect();
                column.typed::<Int64Type>().write_batch(&there, Some(&levels), None)?;
            }
            Self::Number(values) => {
                let (there, levels) = present(values);
                column.typed::<DoubleType>().write_batch(&there, Some(&levels), None)?;
            }
            Self::Numbers(lists) => {
                let (values, defined, repeated) = flattened(lists);
                column.typed::<DoubleType>().write_batch(&values, Some(&defined), Some(&repeated))?;
            }
        }
        Ok(())
    }
}

/// The values that are there, and for each row whether one is: Parquet's definition levels.
fn present<T: Clone>(values: &[Option<T>]) -> (Vec<T>, Vec<i16>) {
    let levels = values.iter().map(|value| i16::from(value.is_some())).collect();
    (values.iter().flatten().cloned().collect(), levels)
}

/// All values of the lists, with Parquet's definition levels (0 for an empty list) and repetition levels (1 for
/// what goes on with the list before it).
fn flattened(lists: &[Vec<f64>]) -> (Vec<f64>, Vec<i16>, Vec<i16>) {
    let (mut defined, mut repeated) = (vec![], vec![]);
    for list in lists {
        for position in 0..list.len().max(1) {
            defined.push(i16::from(!list.is_empty()));
            repeated.push(i16::from(position > 0));
        }
    }
    (lists.concat(), defined, repeated)
}

#[cfg(test)]
mod tests {
    use mfactor::{Cost, SearchSpace, TrialState};
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    use super::*;

    fn trials() -> Vec<Trial> {
        let complete = Trial {
            id: 0,
            number: 0,
            strategy: "a, \"b\"\n|".to_owned(),
            architecture: SearchSpace::paper().smallest(),
            state: TrialState::Complete,
            seed: u64::MAX,
            cost: Cost { parameters: 272_474, macs: 40_813_184, model_bytes: 1 },
            size_score: 1.0,
            accuracy: Some(0.1 + 0.2),
            m_factor: Some(0.5),
            epoch_accuracies: vec![0.1, 0.3],
            seconds: Some(2.5),
            images: None,
            reused: false,
            failure: None,
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
        let text = csv(&trials.iter().collect::<Vec<_>>());
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!((lines.len(), lines[4]), (5, ""));
        assert!(lines[0].starts_with("id,strategy,number,architecture,state,m_factor,accuracy,"));
        let first = "0,\"a, \"\"b\"\"\\n|\",0,333-333-333,complete,0.5,0.30000000000000004,1,272474,40813184,1,\
                     18446744073709551615,2.5,,false,0.1 0.3,";
        assert_eq!(lines[1], first);
        assert!(lines[2].contains(",failed,,,") && lines[2].ends_with(",false,,why"));
    }

    #[test]
    fn csv_has_no_formulas_and_obeys_nothing() {
        let cells = [
            ("=cmd|' /C calc'!A0", "\"'=cmd|' /C calc'!A0\""),
            ("+1+1", "\"'+1+1\""),
            ("-2+3", "\"'-2+3\""),
            ("@SUM(1)", "\"'@SUM(1)\""),
            ("  =1", "\"'  =1\""),
            ("\t=1", "\\t=1"),
            ("\r=1", "\\r=1"),
            ("＝1", "\"'＝1\""),
            ("-0.5", "-0.5"),
            ("333-333-333", "333-333-333"),
            ("a\u{1b}[2J\u{202e}\nb", "a\\u{1b}[2J\\u{202e}\\nb"),
            ("a;b", "\"a;b\""),
        ];
        for (text, cell) in cells {
            assert_eq!(csv_text(text), cell);
        }
        assert_eq!(Values::Number(vec![Some(-0.5)]).csv(0), "-0.5", "numbers stay numbers");
    }

    #[test]
    fn parquet_reads_back() {
        let trials = trials();
        let facts = Facts { study: "s", alpha: 0.25 };
        let bytes = parquet(&trials.iter().collect::<Vec<_>>(), &facts).unwrap();
        let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
        let metadata = reader.metadata().file_metadata().key_value_metadata().unwrap().clone();
        assert!(metadata.contains(&KeyValue::new("mfactor.alpha".to_owned(), "0.25".to_owned())));
        let names: Vec<&str> = columns(&[]).iter().map(|(name, _)| *name).collect();
        let at = |name: &str| names.iter().position(|own| *own == name).unwrap();
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0].get_double(at("accuracy")).unwrap(), 0.1 + 0.2);
        assert_eq!(rows[0].get_ulong(at("seed")).unwrap(), u64::MAX);
        assert_eq!(rows[1].get_string(at("failure")).unwrap(), "why");
        assert!(rows[1].get_double(at("accuracy")).is_err() && rows[0].get_string(at("failure")).is_err());
        let lengths: Vec<usize> =
            rows.iter().map(|row| row.get_list(at("epoch_accuracies")).unwrap().len()).collect();
        assert_eq!(lengths, [2, 0, 2]);
    }

    #[test]
    fn markdown_keeps_its_columns() {
        let text = markdown(["name", ">count"], [["a|b".to_owned(), "1".to_owned()]]);
        assert_eq!(text, "| name | count |\n| --- | ---: |\n| a\\|b | 1 |\n");
    }
}
