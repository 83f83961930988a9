//! Measurements of one machine as people read them, on the board and beside it: a table, how they were taken, and which
//! model to ship. The units are those of every table of this project.

use mfactor::Measurement;
use mfactor::columns::table;
use mfactor::measurement::{Preset, Verdict};
use mfactor::numbers::{bytes, counted, millijoules, milliseconds, percent};
use mfactor::text::visible;

use crate::advice;

/// What is shown of each measurement: a heading, and the cell below it.
type Column = (&'static str, fn(&Measurement) -> String);

const COLUMNS: [Column; 8] = [
    ("model", |measured| measured.model.file.trim_end_matches(".onnx").to_owned()),
    ("engine", |measured| measured.engine.name.clone()),
    (">accuracy", |measured| or_dash(measured.accuracy.map(|accuracy| percent(accuracy.accuracy)))),
    (">p50", |measured| milliseconds(measured.latency.p50_ms)),
    (">p90", |measured| milliseconds(measured.latency.p90_ms)),
    (">memory", |measured| or_dash(measured.memory.peak_rss_bytes.map(bytes))),
    (">file", |measured| bytes(measured.model.model_bytes)),
    ("verdict", |measured| verdict(measured).to_owned()),
];
/// On a board with a sensor for it.
const ENERGY: Column = (">energy", |measured| or_dash(measured.inference_mj().map(millijoules)));

/// The measurements as text.
pub fn text(measurements: &[Measurement]) -> String {
    let mut columns = COLUMNS.to_vec();
    if measurements.iter().any(|measured| measured.inference_mj().is_some()) {
        columns.insert(COLUMNS.len() - 1, ENERGY);
    }
    let headings: Vec<&str> = columns.iter().map(|(heading, _)| *heading).collect();
    let row = |measured| columns.iter().map(move |(_, cell)| cell(measured)).collect::<Vec<String>>();
    let mut text = table(&headings, measurements.iter().map(row));
    if let Some(first) = measurements.first() {
        text += &format!("\n{}\n", visible(&taken(first)));
    }
    let advice = advice::advise(measurements);
    if !advice.is_empty() {
        text += &format!("\n{}", advice::text(&advice));
    }
    text
}

/// How they were taken, one as the others.
fn taken(measured: &Measurement) -> String {
    let threads = counted(measured.engine.threads, "thread");
    let preset = match measured.preset {
        Preset::Full => "full".to_owned(),
        preset => format!("{}: a first look only", preset.name()),
    };
    format!("{}, {threads}, batch 1, preset {preset}", measured.board.name)
}

fn verdict(measured: &Measurement) -> &'static str {
    match (&measured.verdict, measured.board.emulated) {
        (Verdict::Invalid { .. }, _) => "invalid",
        (Verdict::Valid, true) => "emulated",
        (Verdict::Valid, false) => "valid",
    }
}

fn or_dash(cell: Option<String>) -> String {
    cell.unwrap_or_else(|| "-".to_owned())
}
