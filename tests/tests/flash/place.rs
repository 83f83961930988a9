//! A study with two models, a key, a runner, and a board: what every test here begins with.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use prost::Message;
use serde_json::Value;
use tests::loopback::{HOST, LoopbackBoard};
use tests::{Workplace, expect, program};

use crate::model;

/// Everything that a flash needs. Release `old` has one model, release `new` another.
pub struct Place {
    pub work: Workplace,
    pub board: LoopbackBoard,
    runner: PathBuf,
    target: String,
}

impl Place {
    /// With the runner of this machine.
    pub fn new() -> Self {
        let work = Workplace::new();
        let runner = work.path("edge-runner");
        // Without its symbols it is a third of the size, and every fault sends it.
        let mut strip = Command::new("strip");
        let stripped = strip.arg("-o").arg(&runner).arg(program("edge-runner")).status();
        if !stripped.is_ok_and(|status| status.success()) {
            fs::copy(program("edge-runner"), &runner).expect("a runner");
        }
        Self::with_runner(work, runner, "host")
    }

    /// With another runner, for another target.
    pub fn with_runner(work: Workplace, runner: PathBuf, target: &str) -> Self {
        work.write("space.toml", model::space_text());
        for (study, logit) in [("old", 0.25), ("new", 0.75)] {
            let search =
                "search --evaluator constant:0.75 --strategy random --trials 1 --space space.toml --out";
            work.run(&format!("{search} {study}"), mfactor::exit::DONE);
            let mut metadata = model::metadata();
            metadata.study = study.to_owned();
            metadata.test_accuracy = logit;
            fs::create_dir_all(work.path(&format!("{study}/models"))).expect("a folder");
            work.write(&format!("{study}/models/3.onnx"), model::model(&metadata).encode_to_vec());
        }
        work.run("targets keygen --key flash.key", mfactor::exit::DONE);
        Self { work, board: LoopbackBoard::new(), runner, target: target.to_owned() }
    }

    /// The board holds `old`, and this state is kept.
    pub fn with_old() -> Self {
        let place = Self::new();
        place.flash("old", 0);
        place.board.keep();
        place
    }

    /// The runner that is flashed.
    pub fn runner(&self) -> &std::path::Path {
        &self.runner
    }

    /// The arguments of a flash, without measuring.
    pub fn arguments(&self, study: &str) -> Vec<String> {
        let (runner, config) = (self.runner.display().to_string(), self.board.ssh_config());
        let arguments = [
            "flash",
            study,
            "--target",
            &self.target,
            "--host",
            HOST,
            "--runner",
            &runner,
            "--ssh-config",
            &config,
            "--key",
            "flash.key",
            "--no-measure",
        ];
        arguments.iter().map(ToString::to_string).collect()
    }

    /// Flashes a study and expects this exit code. Returns what was said on stderr.
    pub fn flash(&self, study: &str, code: u8) -> String {
        self.flash_with(self.arguments(study), code).1
    }

    /// Flashes with these arguments. Returns stdout and stderr.
    pub fn flash_with(&self, arguments: Vec<String>, code: u8) -> (String, String) {
        let output = self.work.mfactor(&arguments).output().expect("mfactor runs");
        expect(&arguments.join(" "), &output, code)
    }

    /// Flashes and takes any end; returns whether it succeeded.
    pub fn try_flash(&self, study: &str) -> bool {
        self.start(study).wait().expect("mfactor ends").success()
    }

    /// Starts a flash.
    pub fn start(&self, study: &str) -> Child {
        let mut command = self.work.mfactor(self.arguments(study));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.env("TMPDIR", self.temporary());
        command.spawn().expect("mfactor runs")
    }

    /// Where the flashes of [`Place::start`] put their temporary files.
    pub fn temporary(&self) -> PathBuf {
        let folder = self.work.path("tmp");
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    /// The arguments of a flash with a quick measurement.
    pub fn measuring(&self, study: &str) -> Vec<String> {
        let mut arguments = self.arguments(study);
        arguments.retain(|argument| argument != "--no-measure");
        arguments.extend(["--preset", "quick"].map(str::to_owned));
        arguments
    }

    /// `mfactor board …`, which ends with this code. Returns what was said on stderr.
    pub fn ask(&self, action: &str, code: u8) -> String {
        let reach = format!("--host {HOST} --ssh-config {}", self.board.ssh_config());
        self.work.run(&format!("board {action} {reach}"), code).1
    }

    /// `mfactor board …` as JSON.
    pub fn board_json(&self, action: &str) -> Value {
        self.work.json(&format!("board {action} --host {HOST} --ssh-config {}", self.board.ssh_config()))
    }

    /// The study whose release the board holds as its current one, checked in every way.
    pub fn study_on_board(&self) -> String {
        let id = self.board.whole();
        let text = fs::read(self.board.held("releases").join(id).join("manifest.json")).expect("a manifest");
        release::Manifest::parse(&text, "manifest").expect("a manifest").study
    }

    /// What every fault must leave: one whole release, old or new; and the next flash brings the new one, with nothing
    /// damaged. Returns which it was.
    pub fn recovers(&self, what: &str) -> String {
        self.board.calm();
        let held = self.study_on_board();
        assert!(held == "old" || held == "new", "{what}");
        self.flash("new", 0);
        assert_eq!(self.study_on_board(), "new", "{what}");
        held
    }
}
