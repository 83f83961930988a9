//! A study as Optuna's own dashboard shows it, in a headless Chromium.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mfactor::exit;
use tests::Workplace;

use crate::browser::Browser;

/// Small batches: six networks learn in seconds.
const STUDY: &str = "\
schema = 1
name = \"study\"
trials = 6
seed = 5
strategies = [\"tpe\"]

[recipe]
epochs = 2
batch_size = 32
";

/// The dashboard of one journal; it ends with the value.
struct Dashboard {
    process: Child,
    address: String,
}

impl Dashboard {
    /// Starts it.
    fn start(journal: &Path) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/optuna-dashboard");
        assert!(program.is_file(), "there is no optuna-dashboard; to install it, run: scripts/venv");
        let port = free_port();
        let process = Command::new(program)
            .args(["--quiet", "--server", "wsgiref", "--port", &port.to_string()])
            .arg(journal)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the dashboard starts");
        let mut dashboard = Self { process, address: format!("127.0.0.1:{port}") };
        while TcpStream::connect(&dashboard.address).is_err() {
            assert!(dashboard.process.try_wait().expect("a child").is_none(), "the dashboard ended");
            std::thread::sleep(Duration::from_millis(100));
        }
        dashboard
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Goes to a page of the dashboard and waits until all these texts stand on it; names those that do not come.
fn expect_texts(browser: &mut Browser, url: &str, texts: &[&str]) {
    browser.visit(url);
    let missing = browser.evaluate(&format!(
        "new Promise(done => {{ let looks = 0; const look = () => {{
            const page = document.body.textContent;
            const missing = {texts:?}.filter(text => !page.includes(text));
            if (missing.length === 0 || ++looks > 300) done(missing); else setTimeout(look, 200); }};
            look(); }})"
    ));
    assert_eq!(missing, serde_json::json!([]), "{url}");
}

#[test]
#[ignore = "needs the trainer, Optuna and Chromium: scripts/test"]
fn optunas_dashboard_shows_a_study() {
    let place = Workplace::new();
    place.prepare();
    place.write("study.toml", STUDY);
    place.run("search --study study.toml --data tiny --space small.toml --out study", exit::DONE);
    let trials = place.json("trials study --strategy tpe");
    let best = &trials[0];
    let dashboard = Dashboard::start(&place.path("study/journal.log"));
    let mut browser = Browser::start();
    let studies = format!("http://{}/dashboard", dashboard.address);
    expect_texts(&mut browser, &studies, &["study-baseline", "study-tpe"]);

    // The baseline is Optuna's study 0, TPE 1.
    let study = format!("{studies}/studies/1");
    let importance = ["Hyperparameter Importance", "stage1.block1.kernel", "stage2.block2.kernel"];
    expect_texts(&mut browser, &study, &["study-tpe", "History", "M-factor", "Intermediate values"]);
    expect_texts(&mut browser, &study, &importance);
    let best_m = best["m_factor"].to_string();
    expect_texts(
        &mut browser,
        &study,
        &["Best Trial", &best_m[..10], "Study User Attributes", "alpha", "recipe"],
    );
    // What the plots hold: a point a trial in the history, a curve of two epochs a trial in the other.
    let points = |browser: &mut Browser, holds: &str| {
        browser.evaluate(&format!(
            "[...document.querySelectorAll('.js-plotly-plot')].some(plot => {{ const data = plot.data; return {holds}; }})"
        ))
    };
    assert_eq!(points(&mut browser, "data.some(series => series.x && series.x.length === 6)"), true);
    let curves = "data.length === 6 && data.every(series => series.x && series.x.length === 2)";
    assert_eq!(points(&mut browser, curves), true);

    let architecture = best["architecture"].as_str().expect("a text");
    let attributes = ["architecture", architecture, "parameters", "macs", "size_score", "accuracy"];
    let number = best["number"].to_string();
    expect_texts(&mut browser, &format!("{study}/trials?numbers={number}"), &attributes);
}
