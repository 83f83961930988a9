//! The comparison as one self-contained HTML page: it opens offline, in light and dark, on a phone and on
//! paper, and asks the network for nothing.

mod across;
mod bench_figures;
mod by_class;
mod chart;
mod choices;
mod choose;
mod element;
mod look;
mod network;
mod rows;
mod scale;
mod search_figures;
mod sections;
mod trial_table;
mod view;

use mfactor::numbers::{counted, thousands};
use mfactor::text::visible_json;
use serde::Serialize;
use serde_json::Value;

use crate::compare::{Comparison, Input};
use element::{Element, escape};
use view::View;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = concat!(include_str!("page.js"), include_str!("choose.js"));

/// The data of the page, as JSON inside it.
#[derive(Serialize)]
struct Data<'a> {
    columns: &'a [trial_table::Column],
    rows: &'a [trial_table::Row],
    comparison: Value,
}

/// The page of a comparison and the input it came from.
pub fn page(input: &Input<'_>, comparison: &Comparison) -> String {
    let view = View::new(input, comparison);
    let columns = trial_table::columns(&view);
    let rows = trial_table::rows(&view);
    let data =
        serde_json::to_string(&Data { columns: &columns, rows: &rows, comparison: comparison.with_words() })
            .expect("plain data without maps of odd keys serialises");
    let title = format!("{}: which model to ship", comparison.study);
    let list = |parts: Vec<Element>| parts.iter().map(ToString::to_string).collect::<String>();
    let words = |texts: &[String]| list(texts.iter().map(|text| Element::new("li").text(text)).collect());
    let recommendations = comparison.recommendations.iter();
    let cost_figures = vec![
        search_figures::accuracy_against_parameters(&view),
        search_figures::accuracy_against_macs(&view),
        search_figures::options(&view),
    ];
    fill(
        TEMPLATE,
        &[
            ("title", escape(&title)),
            ("style", STYLE.to_owned()),
            ("script", SCRIPT.to_owned()),
            ("data", inside_script(&data)),
            ("study", escape(&comparison.study)),
            ("about", escape(&about(comparison))),
            ("size-score", escape(&view.objective.words())),
            ("alpha", comparison.alpha.to_string()),
            ("log-alpha", slider_position(comparison.alpha).to_string()),
            ("recommendations", list(recommendations.map(|r| sections::recommendation(&view, r)).collect())),
            ("headline", words(&comparison.headline())),
            ("matrix", list(across::matrix(&view))),
            ("by-class", list(by_class::by_class(&view))),
            ("accuracy", escape(view.objective.accuracy().label())),
            ("notes", words(&comparison.notes())),
            ("choose", list(choose::choose(&view))),
            ("side-by-side", list(across::side_by_side(&view))),
            ("seeds", list(across::seeds(&view))),
            ("benches", list(sections::benches(&view))),
            ("strategies", sections::strategies(&view).to_string()),
            ("strategy-words", words(&comparison.strategy_words())),
            ("legend", sections::strategy_legend(&view).to_string()),
            ("progress-words", list(search_figures::progress_words(&view).to_vec())),
            ("progress", list(search_figures::progress(&view))),
            ("best-fifths", list(search_figures::best_fifths(&view))),
            ("best-fifth-legend", search_figures::best_fifth_legend().to_string()),
            ("cost-figures", list(cost_figures)),
            ("best-by-alpha", sections::best_by_alpha(&view).to_string()),
            ("trials", trial_table::table(&columns, &rows).to_string()),
            ("left-out", sections::left_out(&view).to_string()),
        ],
    )
}

fn about(comparison: &Comparison) -> String {
    format!(
        "{}, {} complete; search space {}, smallest architecture {} parameters; α = {}; mfactor {}",
        counted(comparison.trials, "trial"),
        thousands(comparison.complete as u64),
        comparison.space,
        thousands(comparison.minimum_parameters),
        comparison.alpha,
        comparison.tool_version
    )
}

/// The slider moves in hundredths of the decimal logarithm of α.
fn slider_position(alpha: f64) -> f64 {
    (100.0 * alpha.log10()).round().clamp(-100.0, 100.0)
}

/// JSON that cannot end the script element it stands in.
fn inside_script(json: &str) -> String {
    visible_json(json).replace('<', "\\u003c")
}

/// The template with every `{{name}}` replaced, in one pass: what is filled in is never looked at again.
fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut pieces = template.split("{{");
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").expect("the template that ships closes every name");
        let (_, value) =
            values.iter().find(|(key, _)| *key == name).expect("the template that ships names known values");
        filled.push_str(value);
        filled.push_str(rest);
    }
    filled
}
