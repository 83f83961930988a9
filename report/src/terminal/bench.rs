//! What one bench says: whether the ranking by M holds, at other values of α too, which pairs it orders wrongly, and what a
//! cost table had told.

use mfactor::AccuracyKind;
use mfactor::columns::{Style, Table};
use mfactor::numbers::{counted, thousands};

use crate::agreement::{Agreement, TopOverlap, Verdict};
use crate::compare::BenchComparison;
use crate::inversions::PairCount;
use crate::measured::{Measured, Ranking};
use crate::text::Text;

/// Wrong pairs that are listed of one quantity.
const LISTED_PAIRS: usize = 2;
/// How many of the best are looked at for their overlap.
const TOP: usize = 3;

pub(super) fn agreement(text: &mut Text, bench: &BenchComparison) {
    text.heading(&format!("Does the ranking by M hold on {}?", bench.bench));
    let of = |ranking| bench.agreement.iter().filter(move |agreement| agreement.ranking == ranking);
    let headings = ["measured", ">n", ">tau-b", ">95 % interval", ">p", ">rho", "M's ranking"];
    let mut table = Table::new(&headings);
    for row in of(Ranking::MFactor) {
        let style = verdict_style(row.verdict);
        let tau = row.kendall.as_ref();
        table.row([
            (Style::Plain, row.quantity.label().to_owned()),
            (Style::Plain, row.n.to_string()),
            (style, coefficient(row)),
            (Style::Plain, tau.and_then(|tau| tau.interval).map_or_else(String::new, interval)),
            (Style::Plain, tau.and_then(|tau| tau.p_value).map_or_else(String::new, p_value)),
            (Style::Plain, signed(row.spearman.as_ref().map(|rho| rho.value))),
            (style, row.verdict.words(row.n)),
        ]);
    }
    text.table(&table);
    text.paragraph(Style::Quiet, "Positive: the better model ranks higher. The same beside other rankings:");
    let mut table = Table::new(&["measured", ">M", ">NetScore", ">parameters", ">MACs", ">accuracy"]);
    for row in of(Ranking::MFactor) {
        let others = Ranking::ALL.into_iter().map(|ranking| {
            let cell = of(ranking).find(|other| other.quantity == row.quantity);
            cell.map_or_else(String::new, coefficient)
        });
        table.plain_row([row.quantity.label().to_owned()].into_iter().chain(others));
    }
    text.table(&table);
    let top: Vec<&TopOverlap> = bench.top.iter().filter(|top| top.k == TOP).collect();
    if let Some(first) = top.first() {
        let counts: Vec<String> =
            top.iter().map(|top| format!("{} in {}", fraction(top.overlap), top.quantity.label())).collect();
        text.paragraph(
            Style::Plain,
            &format!(
                "Of the {TOP} best by M, so many are among the {TOP} best measured: {} ({} by chance).",
                counts.join(", "),
                fraction(first.by_chance)
            ),
        );
    }
}

/// M's agreement with each quantity at five values of α, from the first to the last of the sweep.
pub(super) fn sweep(text: &mut Text, bench: &BenchComparison, alphas: &[f64]) {
    let shown: Vec<usize> = (0..5).map(|step| step * (alphas.len() - 1) / 4).collect();
    let names: Vec<String> =
        shown.iter().map(|index| format!(">α = {}", short_alpha(alphas[*index]))).collect();
    let headings: Vec<&str> =
        std::iter::once("M's tau-b at").chain(names.iter().map(String::as_str)).collect();
    let mut table = Table::new(&headings);
    for sweep in &bench.sweep {
        let values = shown.iter().map(|index| signed(sweep.kendall[*index]));
        table.plain_row(std::iter::once(sweep.quantity.label().to_owned()).chain(values));
    }
    text.out.push('\n');
    text.table(&table);
}

/// Two significant digits, as many as a column needs.
fn short_alpha(alpha: f64) -> String {
    if alpha < 1.0 { format!("{alpha:.2}") } else { format!("{alpha:.1}") }
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}

/// What was told of the models before they were measured.
pub(super) fn told(text: &mut Text, bench: &BenchComparison) {
    if !bench.told.is_empty() {
        text.heading(&format!("What the cost table had told of {}", bench.bench));
        bench.told.iter().for_each(|told| text.paragraph(Style::Plain, &told.words()));
    }
}

fn verdict_style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Agrees => Style::Good,
        Verdict::Contradicts => Style::Bad,
        Verdict::TooFew | Verdict::NothingToRank | Verdict::Undecided => Style::Plain,
    }
}

fn coefficient(agreement: &Agreement) -> String {
    signed(agreement.kendall.map(|tau| tau.value))
}

pub(super) fn signed(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:+.2}"))
}

fn interval([low, high]: [f64; 2]) -> String {
    format!("{low:+.2} to {high:+.2}")
}

pub(super) fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}

fn fraction(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

pub(super) fn pairs(text: &mut Text, bench: &BenchComparison, kind: AccuracyKind) {
    // Both percentiles of the latency tell much the same; one of them is enough here.
    let wrong = |pairs: &&PairCount| pairs.inverted > 0 && pairs.quantity != Measured::LatencyP90;
    let wrong: Vec<&PairCount> = bench.pairs.iter().filter(wrong).collect();
    if wrong.is_empty() {
        return;
    }
    text.heading("Where M orders a pair wrongly");
    for pairs in wrong {
        text.paragraph(
            Style::Plain,
            &format!(
                "{}: {} of {}, {} within what chance gives.",
                pairs.quantity.label(),
                thousands(pairs.inverted as u64),
                counted(pairs.pairs, "pair"),
                thousands(pairs.within_noise as u64)
            ),
        );
        // Memory and file size follow the parameters: what is wrong there needs no example.
        if matches!(pairs.quantity, Measured::PeakMemory | Measured::ModelBytes | Measured::Energy) {
            continue;
        }
        for pair in pairs.worst.iter().take(LISTED_PAIRS) {
            let [preferred, better] = pair.values.map(|value| pairs.quantity.format(value));
            let (first, second) = (&pair.preferred, &pair.better);
            text.item(&format!("{first} ({preferred}) before {second} ({better}): {}", pair.why(kind)));
        }
    }
}
