//! `mfactor paper`: Table 1 of the paper, recomputed.

use clap::Args;
use mfactor::paper::{RecomputedRow, recompute};

use crate::output::{Output, table, thousands, wrapped};

/// Recompute Table 1 of the paper, and say where the print differs
#[derive(Args)]
#[command(after_help = "Example:\n  mfactor paper")]
pub struct Paper {}

impl Paper {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        let rows = recompute();
        output.result(&rows, || text(&rows))
    }
}

fn text(rows: &[RecomputedRow]) -> String {
    let cells = rows.iter().map(|row| {
        [
            row.printed.strategy.to_owned(),
            format!("{:.4}", row.printed.accuracy),
            thousands(row.printed.parameters),
            format!("{:.4}", row.size_score),
            format!("{:.4}", row.m_factor),
            format!("{:.2}", row.printed.m_factor),
            if row.agrees { "yes".to_owned() } else { "no".to_owned() },
        ]
    });
    let headers = ["strategy", ">accuracy", ">parameters", ">S'", ">M", ">printed", "agrees"];
    let mut text = table(&headers, cells);
    text.push('\n');
    text += &wrapped(
        "",
        "The paper cuts M to two digits (0.8494 is printed as 0.84), and its P_min is 272,474.",
        0,
    );
    for row in rows.iter().filter(|row| !row.agrees) {
        let printed = row.printed;
        let other = row
            .gives_the_print_of
            .map_or(String::new(), |other| format!(", and {other} has what this row gives"));
        let sentence = format!(
            "accuracy {} and {} parameters give {:.4}, not {:.2}{other}.",
            printed.accuracy,
            thousands(printed.parameters),
            row.m_factor,
            printed.m_factor,
        );
        text += &wrapped(&format!("{}: ", printed.strategy), &sentence, 2);
    }
    text
}
