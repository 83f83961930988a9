//! The report page of a real study in a headless Chromium, beside what the command line says.

use std::fmt::Write;

use mfactor::{SearchSpace, exit};
use serde_json::Value;
use tests::Workplace;

use crate::browser::Browser;

/// A study without training in which accuracy rises with the kernels, so that α decides who wins.
fn searched() -> Workplace {
    let place = Workplace::new();
    let mut table = "architecture,accuracy\n".to_owned();
    for (number, architecture) in SearchSpace::paper().architectures().enumerate() {
        let kernels: u32 = architecture.kernels().map(u32::from).sum();
        let accuracy = 0.6 + 0.004 * f64::from(kernels) + 0.0001 * (number * 7919 % 97) as f64;
        writeln!(table, "{architecture},{accuracy:.4}").expect("a string takes all");
    }
    place.write("table.csv", table);
    place.run("search --evaluator table:table.csv --trials 12 --seed 3 --out study", exit::DONE);
    place
}

/// Ids of the complete trials from the top of the page's table.
const SHOWN: &str =
    "[...document.querySelectorAll('#trials tbody tr')].map(line => Number(line.dataset.trial))";

#[test]
#[ignore = "needs Chromium: scripts/test"]
fn the_slider_ranks_as_the_command_line_does() {
    let place = searched();
    place.run("compare study", exit::DONE);
    let mut browser = Browser::start();
    let page = place.path("study/report/index.html");
    browser.open(&page, 1280);
    let mut winners = Vec::new();
    // To the accurate end by keyboard, then towards the small one.
    browser.evaluate("document.getElementById('alpha').focus()");
    for (key, code, times) in
        [("Home", 36, 1), ("ArrowRight", 39, 39), ("ArrowRight", 39, 24), ("End", 35, 1)]
    {
        browser.press(key, code, times);
        let alpha = browser.evaluate("document.getElementById('alpha-value').textContent");
        let alpha = alpha.as_str().expect("a text").to_owned();
        let trials = place.json(&format!("trials study --alpha {alpha}"));
        let expected: Vec<&Value> =
            trials.as_array().expect("a list").iter().map(|trial| &trial["id"]).collect();
        let shown = browser.evaluate(SHOWN);
        assert_eq!(shown.as_array().expect("a list").iter().collect::<Vec<_>>(), expected, "α = {alpha}");
        winners.push(expected[0].clone());
    }
    winners.dedup();
    assert!(winners.len() > 2, "α decides who wins: {winners:?}");
    assert_eq!(browser.complaints(&page), Vec::<String>::new());
}
