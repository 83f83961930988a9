//! Tests of the commands that a build starts, and of its errors.

use super::*;
use crate::boards;
use crate::machine::CrossCompiler;

fn machine() -> Machine {
    let glibc = Some(Glibc { major: 2, minor: 27 });
    Machine {
        has_cargo: true,
        zigbuild: Some("/v/bin/cargo-zigbuild".into()),
        distribution: Some("/usr/bin/rustc".into()),
        compiler: Some(CrossCompiler { command: "aarch64-linux-gnu-gcc".to_owned(), glibc }),
        ..Machine::default()
    }
}

fn line(way: WayName, target: &str) -> String {
    let target = boards::load(target).unwrap();
    Invocation::new(way, &target, &machine(), Path::new("/t")).to_string()
}

#[test]
fn each_way_starts_its_own_command() {
    let package = "--locked --profile board --package edge-runner --bin edge-runner";
    assert_eq!(line(WayName::Host, "host"), format!("cargo build {package}"));
    let triple = "aarch64-unknown-linux-gnu";
    assert_eq!(
        line(WayName::StdZigbuild, "rpi5"),
        format!(
            "/v/bin/cargo-zigbuild zigbuild {package} --target {triple}.2.28 --target-dir /t/boards/{triple}.2.28-std-zigbuild"
        )
    );
    let distribution = line(WayName::DistributionZigbuild, "jetson-nano");
    assert!(
        distribution.starts_with("RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 /v/bin/cargo-zigbuild"),
        "{distribution}"
    );
    assert!(distribution.contains(&format!("{triple}.2.27 ")), "{distribution}");
    assert!(distribution.ends_with("-Z build-std=std,panic_abort"), "{distribution}");
    let gcc = line(WayName::StdGcc, "rpi4");
    assert!(gcc.starts_with("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc"), "{gcc}");
    assert!(gcc.contains("CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc cargo build"), "{gcc}");
    assert!(line(WayName::Cross, "rpi4").starts_with("cross build"));
}

#[test]
fn without_a_way_the_commands_that_make_one_are_told() {
    let target = boards::load("rpi4").unwrap();
    let error = choose(&target, &judge(&target, &Machine::default())).unwrap_err();
    assert_eq!(error.exit_code(), mfactor::exit::MISSING);
    let text = error.to_string();
    for part in ["rpi4", "rustup target add aarch64-unknown-linux-gnu", "scripts/setup-cross", "podman"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_failing_command_gives_its_lines_and_its_error() {
    let invocation = Invocation {
        program: "cargo".into(),
        arguments: ["build", "--package", "no-such-package"].map(str::to_owned).to_vec(),
        variables: vec![],
        product: PathBuf::new(),
    };
    let workspace = find_workspace(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let mut lines = vec![];
    let error = invocation.run(&workspace, &mut |line| lines.push(line)).unwrap_err();
    assert!(error.to_string().contains("no-such-package"), "{error}");
    assert!(lines.iter().any(|line| line.starts_with("error")), "{lines:?}");
}

#[test]
fn a_folder_that_is_not_this_project_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = BuildOptions { workspace: folder.path().to_owned() };
    let error = build(&boards::load("host").unwrap(), &options, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
}
