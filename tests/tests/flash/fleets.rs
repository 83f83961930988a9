//! Several boards side by side.

use mfactor::exit;
use serde_json::Value;
use tests::loopback::HOST;

use crate::place::Place;

#[test]
#[ignore = "needs OpenSSH's server: scripts/test"]
fn the_rest_goes_on_when_one_fails_and_the_exit_code_says_so() {
    let place = Place::new();
    let inventory = format!(
        "schema = 1\n[[board]]\nname = \"kitchen\"\nhost = \"{HOST}-1\"\nfolder = \"kitchen\"\n\
         [[board]]\nname = \"roof\"\nhost = \"nowhere.invalid\"\n\
         [[board]]\nname = \"cellar\"\nhost = \"{HOST}-2\"\ntarget = \"host\"\nfolder = \"cellar\"\n"
    );
    place.work.write("boards.toml", inventory);
    let mut arguments = place.arguments("new");
    let host = arguments.iter().position(|argument| argument == "--host").expect("a host is named");
    arguments[host] = "--inventory".to_owned();
    arguments[host + 1] = "boards.toml".to_owned();
    arguments.retain(|argument| argument != "--no-measure");
    arguments.extend(["--preset", "quick", "--json"].map(str::to_owned));
    let (text, stderr) = place.flash_with(arguments, exit::BOARD);
    assert!(stderr.contains("1 of 3 boards failed") && stderr.contains("nowhere.invalid"), "{stderr}");
    let result: Value = serde_json::from_str(&text).expect("JSON");
    let names: Vec<&str> = (0..3).filter_map(|place| result[place]["board"].as_str()).collect();
    assert_eq!(names, ["kitchen", "roof", "cellar"], "in the order of the inventory");
    assert_eq!(result[1]["failed"]["exit_code"], exit::BOARD);
    for name in ["kitchen", "cellar"] {
        assert!(place.board.path("home").join(name).join("current/edge-runner").is_file(), "{name}");
        let record = place.work.path(&format!("new/measurements/{name}/3.tract.json"));
        let bytes = std::fs::read(record).expect("the record is filed");
        mfactor::Measurement::parse(&bytes, name).expect("a measurement");
    }
    let comparison = place.work.json("compare new");
    let benches = comparison["benches"].as_array().expect("benches");
    assert_eq!(benches.len(), 2, "a column a board: {comparison}");
    for (bench, name) in benches.iter().zip(["cellar", "kitchen"]) {
        assert!(bench["bench"].as_str().is_some_and(|label| label.contains(name)), "{bench}");
    }
}
