//! The page in a headless Chromium, and what it is made of.

use std::collections::HashSet;
use std::path::PathBuf;

use report::{Filed, compare, page};
use tempfile::TempDir;

use crate::browser::Browser;
use crate::sample::Sample;

/// Writes the page of a sample; the folder goes with the value.
fn written(sample: &Sample) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.html");
    let input = sample.input();
    let html = page(&input, &compare(&input).unwrap());
    std::fs::write(&path, html).unwrap();
    (folder, path)
}

/// A column of the table of trials, from the top.
fn column(browser: &mut Browser, key: &str) -> Vec<String> {
    let script = format!(
        "(() => {{ const table = document.getElementById('trials');
            const index = [...table.querySelectorAll('thead button')].findIndex(b => b.dataset.key === '{key}');
            return [...table.tBodies[0].rows].filter(r => !r.hidden).map(r => r.cells[index].textContent); }})()"
    );
    let values = browser.evaluate(&script);
    values.as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect()
}

fn numbers(texts: &[String]) -> Vec<f64> {
    texts.iter().filter_map(|text| text.replace(',', "").parse().ok()).collect()
}

#[test]
#[ignore = "needs Chromium: scripts/test"]
fn it_renders_on_a_desk_and_on_a_phone_without_a_complaint() {
    let (_folder, path) = written(&Sample::new(20).repeated(5).with_int8());
    for width in [1280, 390] {
        let mut browser = Browser::start();
        browser.open(&path, width);
        assert_eq!(browser.evaluate("document.querySelector('h1').textContent"), "synthetic-sample");
        let sticks_out = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.evaluate(sticks_out), 0);
        // 4 panels twice, 3 figures of cost, 2 of the seeds, and 9 of each of the three benches, one of which
        // has energy as well; and a front of each of 4 exact costs and of 3 that each bench has measured, or 4.
        assert_eq!(
            browser.evaluate("document.querySelectorAll('figure svg.chart').length"),
            4 + 4 + 3 + 2 + 3 * 9 + 1 + 4 + 3 * 3 + 1
        );
        browser
            .evaluate("document.querySelectorAll('.choice').forEach(article => { article.hidden = false; })");
        let outside = "[...document.querySelectorAll('svg.chart')].flatMap(svg => {
            const box = svg.getBoundingClientRect();
            return [...svg.querySelectorAll('text')].filter(text => {
                const own = text.getBoundingClientRect();
                return own.left < box.left - 1 || own.right > box.right + 1 || own.top < box.top - 1
                    || own.bottom > box.bottom + 1;
            }).map(text => text.textContent); })";
        assert_eq!(browser.evaluate(outside), serde_json::json!([]), "texts that are cut off");
        let smallest = "Math.min(...[...document.querySelectorAll('svg.chart text')].map(text =>
            text.getBoundingClientRect().height))";
        assert!(browser.evaluate(smallest).as_f64().unwrap() >= 9.0, "text that is too small to read");
        let hover = "(() => { const mark = document.querySelector('.mark[data-trial]');
            mark.dispatchEvent(new PointerEvent('pointerover', { bubbles: true }));
            const tip = document.getElementById('tip');
            return !tip.hidden && tip.textContent.includes(`trial ${mark.dataset.trial},`)
                && document.querySelector(`#trials tr.lit`).dataset.trial === mark.dataset.trial; })()";
        assert_eq!(browser.evaluate(hover), true, "exact values, and the row in the table");
        assert_eq!(browser.complaints(&path), Vec::<String>::new());
    }
}

#[test]
#[ignore = "needs Chromium: scripts/test"]
fn a_page_with_little_to_show_is_whole() {
    let mut browser = Browser::start();
    let mut sample = Sample::new(2);
    sample.measurements.truncate(1);
    for _ in 0..3 {
        let (_folder, path) = written(&sample);
        browser.events.clear();
        browser.open(&path, 390);
        let broken = browser.evaluate("document.body.innerHTML.includes('NaN')");
        assert_eq!(broken, false);
        assert_eq!(browser.complaints(&path), Vec::<String>::new());
        // Next without measurements, then without trials.
        if sample.measurements.is_empty() {
            sample.trials.clear();
        }
        sample.measurements.clear();
    }
}

#[test]
#[ignore = "needs Chromium: scripts/test"]
fn a_heading_sorts_and_the_filters_filter() {
    let mut browser = Browser::start();
    let (_folder, path) = written(&Sample::new(20));
    browser.open(&path, 1280);
    let click = "document.querySelector('#trials [data-key=parameters]').click()";
    for falling in [false, true] {
        browser.evaluate(click);
        let parameters = numbers(&column(&mut browser, "parameters"));
        assert_eq!(parameters.len(), 81);
        assert!(parameters.is_sorted_by(|a, b| if falling { a >= b } else { a <= b }));
        let direction =
            browser.evaluate("document.querySelector('#trials th:has([data-key=parameters])').ariaSort");
        assert_eq!(direction, if falling { "descending" } else { "ascending" });
    }
    browser.evaluate("document.querySelector('#trials [data-key=trial]').focus()");
    browser.press(" ", 32, 1);
    assert!(numbers(&column(&mut browser, "trial")).is_sorted(), "the keyboard sorts as well");
    browser.evaluate(
        "(() => { const filter = document.getElementById('filter');
            filter.value = 'tpe 333'; filter.dispatchEvent(new Event('input')); })()",
    );
    let shown = column(&mut browser, "strategy");
    assert!(!shown.is_empty() && shown.iter().all(|strategy| strategy == "tpe"));
    assert!(column(&mut browser, "architecture").iter().all(|id| id.contains("333")));
    browser.evaluate("navigator.clipboard.writeText = async text => { window.copied = text; }");
    browser.evaluate("document.getElementById('copy-csv').click()");
    let csv = browser.evaluate("window.copied");
    let lines: Vec<&str> = csv.as_str().unwrap().lines().collect();
    assert!(lines[0].starts_with("rank,architecture,strategy,trial,m_factor,accuracy"));
    assert_eq!(lines.len(), shown.len() + 1);
    assert_eq!(browser.complaints(&path), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium: scripts/test"]
fn the_slider_ranks_anew_by_the_formula_of_the_library() {
    let mut browser = Browser::start();
    let sample = Sample::new(20);
    let (_folder, path) = written(&sample);
    browser.open(&path, 1280);
    let before = column(&mut browser, "trial");
    // Hundredths of the decimal logarithm, from 0: 10^0.4 and 10^-0.8, to three digits.
    for (presses, key, code, alpha) in [(40, "ArrowRight", 39, 2.51), (120, "ArrowLeft", 37, 0.158)] {
        browser.evaluate("document.getElementById('alpha').focus()");
        browser.press(key, code, presses);
        let objective = sample.objective.at_alpha(alpha).unwrap();
        let mut expected: Vec<(f64, u64)> = sample
            .trials
            .iter()
            .filter_map(|trial| Some((objective.score(&trial.values())?, trial.id)))
            .collect();
        expected.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let trials: Vec<String> = expected.iter().map(|(_, id)| id.to_string()).collect();
        assert_eq!(column(&mut browser, "trial")[..trials.len()], trials[..]);
        let shown: Vec<String> = expected.iter().map(|(m, _)| format!("{m:.4}")).collect();
        assert_eq!(column(&mut browser, "m_factor")[..shown.len()], shown[..]);
    }
    assert_ne!(column(&mut browser, "trial"), before);
    browser.evaluate("document.getElementById('alpha-reset').click()");
    assert_eq!(column(&mut browser, "trial"), before);
    assert_eq!(browser.complaints(&path), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium: scripts/test"]
fn a_dragged_budget_picks_as_the_library_does() {
    let mut browser = Browser::start();
    let sample = Sample::new(20).with_int8();
    let (_folder, path) = written(&sample);
    browser.open(&path, 1280);
    let fronts = compare(&sample.input()).unwrap().cost_fronts;
    let mut picked = HashSet::new();
    for (index, front) in fronts.iter().enumerate() {
        for step in [0, 137, 400, 610, 863, 1000] {
            let text = browser.evaluate(&format!(
                "(() => {{ const cost = document.getElementById('cost');
                    cost.value = {index}; cost.dispatchEvent(new Event('input'));
                    const [shown, more] = [...document.querySelectorAll('.choice')].filter(one => !one.hidden);
                    const slider = shown.querySelector('input');
                    slider.value = {step}; slider.dispatchEvent(new Event('input'));
                    return more ? 'two are shown' : shown.querySelector('.picked').textContent; }})()"
            ));
            let text = text.as_str().unwrap();
            let command = text.split("--budget ").nth(1).unwrap();
            let (quantity, amount) = command.split(" --on").next().unwrap().split_once('=').unwrap();
            assert_eq!(quantity, front.quantity.name());
            let pick = front.pick(front.quantity.amount(amount).unwrap());
            match &pick.model {
                None => assert!(text.starts_with("Nothing keeps to"), "{text}"),
                Some(model) => {
                    let named = format!(": {} (trial {}), ", model.architecture, model.trial);
                    assert!(text.contains(&named), "{text}, not {named}");
                    assert!(
                        front.on.as_ref().is_none_or(|on| text.ends_with(&format!(" --on '{on}'"))),
                        "{text}"
                    );
                    picked.insert((index, model.trial));
                }
            }
            let down = pick.step_down.map(|down| format!("One step down, {},", down.model.architecture));
            assert_eq!(text.contains("One step down"), down.is_some(), "{text}");
            assert!(down.is_none_or(|down| text.contains(&down)), "{text}");
        }
    }
    assert!(picked.len() > 2 * fronts.len(), "budgets make a difference");
    let is_in_order = "[...document.querySelectorAll('.choice')].filter(one => !one.hidden).every(shown => {
        const [caption, drawing, slider, text] = ['figcaption', 'svg', 'input', '.picked']
            .map(part => shown.querySelector(part).getBoundingClientRect());
        const end = document.getElementById('truth').getBoundingClientRect();
        return caption.bottom <= drawing.top && drawing.bottom <= slider.top && slider.bottom <= text.top
            && text.bottom <= end.top; })";
    assert_eq!(browser.evaluate(is_in_order), true, "nothing lies upon another");
    let dragged =
        "(() => { const [shown] = [...document.querySelectorAll('.choice')].filter(one => !one.hidden);
        const drawing = shown.querySelector('svg');
        const box = drawing.getBoundingClientRect();
        const at = { clientX: box.left + box.width / 2, clientY: box.top + 50, buttons: 1, bubbles: true };
        drawing.dispatchEvent(new PointerEvent('pointermove', at));
        return Number(shown.querySelector('input').value); })()";
    let middle = browser.evaluate(dragged).as_f64().unwrap();
    assert!((400.0..600.0).contains(&middle), "the line follows the pointer: {middle}");
    assert_eq!(browser.complaints(&path), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium: scripts/test"]
fn hostile_names_stay_text() {
    let hostile = "</script></title><img src=x onerror=alert(1)><script>alert(2)</script>\"'{{study}}\u{1b}]0;T\u{7}\u{9b}31m\u{202e}";
    let mut sample = Sample::new(12);
    for Filed { measurement, .. } in &mut sample.measurements {
        measurement.board.name = hostile.to_owned();
    }
    for trial in &mut sample.trials {
        trial.proposer = trial.proposer.name().replace("tpe", hostile).into();
        trial.failure = trial.failure.as_ref().map(|_| hostile.to_owned());
    }
    let input = report::Input { study: hostile, ..sample.input() };
    let html = page(&input, &compare(&input).unwrap());
    assert_eq!(html.matches("<script").count(), 2, "the data and the script of the page");
    assert!(!html.contains("<img"));
    assert!(
        html.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'),
        "nothing hides on the page"
    );
    let mut browser = Browser::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.html");
    std::fs::write(&path, html).unwrap();
    browser.open(&path, 1280);
    assert_eq!(
        browser.evaluate("document.querySelector('h1').textContent"),
        *mfactor::text::visible(hostile)
    );
    assert_eq!(browser.evaluate("document.querySelectorAll('img').length"), 0);
    assert_eq!(browser.complaints(&path), Vec::<String>::new());
}

#[test]
fn every_mark_has_its_exact_values_in_a_title_and_nothing_points_outside() {
    let sample = Sample::new(12);
    let input = sample.input();
    let html = page(&input, &compare(&input).unwrap());
    for outside in ["http:", "https:", "src=", "url(", "@import", "{{"] {
        assert!(!html.contains(outside), "{outside}");
    }
    let best = &compare(&input).unwrap().benches[0].models[0];
    assert!(html.contains(&format!("M {:.4}, accuracy", best.model.m_factor)));
    assert!(html.contains("prefers-color-scheme: dark") && html.contains("@media print"));
}
