//! What stands in a terminal: 80 columns, colour only where it is wanted, progress that moves.

use std::process::{Command, Stdio};

use mfactor::exit;
use tests::{Workplace, program};

const WIDTH: usize = 80;

fn searched() -> Workplace {
    let place = Workplace::new();
    place.run("search --evaluator constant:0.75 --trials 6 --out study", exit::DONE);
    place.run("search --evaluator constant:0.75 --trials 6 --seed 1 --out again", exit::DONE);
    place
}

/// Lines that are too long; one that is a single word, a path say, may be.
fn too_long(text: &str) -> Vec<&str> {
    let blanks = |line: &str| line.trim().contains(' ');
    text.lines().filter(|line| line.chars().count() > WIDTH && blanks(line)).collect()
}

#[test]
fn eighty_columns_hold_everything() {
    let place = searched();
    let commands = [
        ("trials study", exit::DONE),
        ("trials study --pareto --top 3", exit::DONE),
        ("compare study --with again", exit::DONE),
        ("space", exit::DONE),
        ("space 357-333-377", exit::DONE),
        ("score --accuracy 0.7637 --params 284762 --macs 45000000", exit::DONE),
        ("paper", exit::DONE),
        ("targets list", exit::DONE),
        ("targets show rpi4", exit::DONE),
        ("targets show jetson-nano", exit::DONE),
    ];
    for (command, code) in commands {
        let (stdout, _) = place.run(command, code);
        assert_eq!(too_long(&stdout), [""; 0], "{command}");
        assert!(!stdout.contains('\u{1b}'), "{command} has colours though nobody looks");
    }
    // What is installed decides the exit code.
    let output = place.mfactor(["doctor"]).output().expect("mfactor runs");
    assert_eq!(too_long(&String::from_utf8_lossy(&output.stdout)), [""; 0], "doctor");
}

/// What a command writes to a terminal of 80 columns.
fn in_a_terminal(place: &Workplace, arguments: &str, no_color: &str) -> String {
    let line = format!("stty cols 80 rows 24; '{}' {arguments}", program("mfactor").display());
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .current_dir(place.path("."))
        .env("NO_COLOR", no_color)
        .env("TERM", "xterm-256color")
        .stdin(Stdio::null())
        .output()
        .expect("script, of util-linux, runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

/// Text without its control sequences, a line for each that stood on the screen at some time.
fn without_controls(text: &str) -> Vec<String> {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\u{1b}' {
            plain.push(character);
            continue;
        }
        // A control sequence goes on to its first letter, and may begin a line anew.
        let end = characters.find(|character| character.is_ascii_alphabetic());
        if end != Some('m') {
            plain.push('\n');
        }
    }
    // A moving line is filled up to the width, and the next one follows without a break.
    let line = |line: &str| -> Vec<String> {
        let characters: Vec<char> = line.chars().collect();
        let filled = characters.len() > WIDTH && characters.len().is_multiple_of(WIDTH);
        let width = if filled { WIDTH } else { characters.len().max(1) };
        characters.chunks(width).map(|part| part.iter().collect()).collect()
    };
    plain.split(['\n', '\r']).flat_map(line).collect()
}

#[test]
fn colours_are_for_terminals_and_no_color_takes_them_away() {
    let place = searched();
    let coloured = in_a_terminal(&place, "compare study", "");
    assert!(coloured.contains("\u{1b}[1m"), "headings are bold:\n{coloured}");
    let plain = in_a_terminal(&place, "compare study", "1");
    assert!(!plain.contains('\u{1b}'), "{plain}");
    let strip = |text: &str| text.replace("\u{1b}[0m", "").replace("\u{1b}[1m", "").replace("\u{1b}[2m", "");
    assert_eq!(strip(&coloured), plain);
}

#[test]
#[ignore = "needs the trainer: scripts/test"]
fn a_search_shows_where_it_is() {
    let place = Workplace::new();
    place.prepare();
    place.write(
        "study.toml",
        "schema = 1\nname = \"study\"\ntrials = 2\n\n[recipe]\nepochs = 3\nbatch_size = 32\n",
    );
    let search = "search --study study.toml --data tiny --space small.toml --strategy tpe --out study";
    let lines = without_controls(&in_a_terminal(&place, search, ""));
    let long: Vec<&String> = lines.iter().filter(|line| line.chars().count() > WIDTH).collect();
    assert_eq!(long, [""; 0]);
    let shown = |parts: &[&str]| lines.iter().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(shown(&["tpe", "2/2", "epoch 2/3", "M 0.", "best 0.", "images/s"]), "{lines:#?}");
    assert!(shown(&["of 3 trials", "best M 0.", "left"]), "{lines:#?}");
    assert!(shown(&["tpe", "1/2", "A 0.", "M 0.", "best 0."]), "what lasts");
}
