//! What the tests in `tests/` share: running the programs as a user would, in a folder of their own, on a data set
//! that is made here. The tests are of what crosses rooms; each room tests itself.
//!
//! | module | holds |
//! |---|---|
//! | [`site`] | a user's machine of a study that many work at |
//! | [`postgres`], [`bucket`], [`slurm`] | servers of a test's own: a database, a store of objects, a cluster |
//! | [`loopback`] | a board on this machine, behind ssh |

pub mod bucket;
pub mod loopback;
pub mod postgres;
pub mod site;
pub mod slurm;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mfactor::cost_table::{self, Agreement, CostTable, Entry, Line};
use mfactor::dataset::{MANIFEST_FILE, Manifest, RecordFile, SCHEMA};
use mfactor::measurement::{Board, EngineFacts};
use mfactor::parts::Part;
use mfactor::space::ImageShape;
use mfactor::{Quantity, SearchSpace};
use tempfile::TempDir;

/// A space of 96 networks with few parts.
pub const FEW_NETWORKS: &str = r#"
schema = 2
name = "few"
classes = 4
image = { channels = 3, height = 16, width = 16 }
[stem]
kernel = 3
width = [4, 8]
[[stage]]
depth = [1, 2]
width = [4, 8]
stride = 1
block = [{ kind = "basic", kernel = [3, 5] }]
[[stage]]
depth = 1
width = [8, 12]
stride = 2
block = [{ kind = "basic", kernel = [3, 5] }]
"#;

/// The cost table of a board on which a million of multiply-accumulates takes a millisecond.
pub fn made_up_table(space: &SearchSpace) -> CostTable {
    let entry = |part: &Part| {
        let (space, network) = space.network_of(part).expect("a part of the space");
        let macs = space.cost(&network).macs;
        let ms = macs as f64 / 1e6;
        Entry { macs, latency_p50: ms, interval: [ms, ms], latency_p90: ms, peak_memory: None, energy: None }
    };
    let test = Agreement {
        networks: 30,
        median_error: 0.02,
        p90_error: 0.05,
        tau: Some(0.97),
        tau_interval: Some([0.93, 0.99]),
    };
    CostTable {
        schema: cost_table::SCHEMA,
        tool_version: mfactor::version(),
        unix_seconds: 1,
        target: "host".to_owned(),
        space: space.name().to_owned(),
        precision: "f32".to_owned(),
        engine: EngineFacts {
            name: "tract".to_owned(),
            version: "1".to_owned(),
            threads: 1,
            knobs: BTreeMap::new(),
            kernels: None,
        },
        board: Board {
            name: "a board".to_owned(),
            architecture: "x86_64".to_owned(),
            processor: None,
            kernel: None,
            cores: 1,
            memory_bytes: None,
            emulated: false,
        },
        lines: BTreeMap::from([(
            Quantity::LatencyP50,
            Line { intercept: 0.0, slope: 1.0, per_parameter: 0.0, test },
        )]),
        parts: space.parts().iter().map(|part| (part.to_string(), entry(part))).collect(),
        networks: vec![],
    }
}

/// Path of a program of this workspace, built with the profile of the running test.
///
/// # Panics
/// If it is not built: cargo builds programs only for the tests of their own package.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let path = test.ancestors().nth(2).expect("tests lie in target/PROFILE/deps").join(name);
    assert!(path.is_file(), "{} is missing; to build it, run: cargo build --bins", path.display());
    path
}

/// A Python that has Optuna: `$MFACTOR_PYTHON`, or that of the project's own environment.
///
/// # Panics
/// If it is not there.
pub fn python() -> PathBuf {
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/python");
    let python = std::env::var_os("MFACTOR_PYTHON").map_or_else(own, PathBuf::from);
    assert!(
        python.exists(),
        "{} is not there; to make it, run: scripts/venv; or set MFACTOR_PYTHON to a Python with Optuna",
        python.display()
    );
    python
}

/// A program as root: by sudo, which asks nothing, where the tests do not run as root.
///
/// # Panics
/// If the system has no `/proc`.
pub fn as_root(program: &str) -> Command {
    use std::os::unix::fs::MetadataExt;
    if std::fs::metadata("/proc/self").expect("Linux has it").uid() == 0 {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["-n", program]);
    command
}

/// A folder in which commands run, and the commands.
pub struct Workplace {
    folder: TempDir,
}

impl Workplace {
    /// A new, empty folder, removed in the end.
    ///
    /// # Panics
    /// If the system refuses one.
    #[expect(clippy::new_without_default, reason = "making a folder is no default")]
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `mfactor` with arguments, ready to run in the folder.
    pub fn mfactor<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(program("mfactor"));
        command.args(arguments).current_dir(self.folder.path()).env("NO_COLOR", "1");
        command
    }

    /// Runs `mfactor`, arguments separated by blanks, and expects this exit code. Returns stdout and stderr.
    ///
    /// # Panics
    /// If it ends otherwise.
    pub fn run(&self, arguments: &str, code: u8) -> (String, String) {
        let output = self.mfactor(arguments.split_whitespace()).output().expect("mfactor runs");
        expect(arguments, &output, code)
    }

    /// Runs `mfactor … --json` and parses what it prints.
    ///
    /// # Panics
    /// If it fails, or prints anything but JSON.
    pub fn json(&self, arguments: &str) -> serde_json::Value {
        let (stdout, _) = self.run(&format!("{arguments} --json"), mfactor::exit::DONE);
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{arguments}: {error}\n{stdout}"))
    }

    /// Writes a file in the folder.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), contents).expect("a file can be written");
    }

    /// Makes the data set `tiny` and the space `small.toml`, with which a trial takes seconds.
    pub fn prepare(&self) {
        make_data(&self.path("tiny"));
        self.write("small.toml", SMALL_SPACE);
    }
}

/// Checks an exit code, with all that was said in the message. Returns stdout and stderr.
///
/// # Panics
/// If it is another.
pub fn expect(what: &str, output: &Output, code: u8) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(i32::from(code)), "{what}\nstdout: {stdout}\nstderr: {stderr}");
    (stdout, stderr)
}

/// A space of 3^4 = 81 small networks for the images of [`make_data`].
pub const SMALL_SPACE: &str = r#"
schema = 1
name = "small"
classes = 4

[image]
channels = 3
height = 16
width = 16

[stem]
kernel = 3
width = 8

[[stage]]
blocks = 2
width = 8
stride = 1
kernels = [3, 5, 7]

[[stage]]
blocks = 2
width = 16
stride = 2
kernels = [3, 5, 7]
"#;

/// Writes a data set of 4 classes that a network can learn: a bright quarter on noise says the class.
///
/// # Panics
/// If the system refuses to write.
pub fn make_data(folder: &Path) {
    let image = ImageShape { channels: 3, height: 16, width: 16 };
    let manifest = Manifest {
        schema: SCHEMA,
        name: "tiny".to_owned(),
        classes: ["upper left", "upper right", "lower left", "lower right"].map(str::to_owned).to_vec(),
        validation: 96,
        held_out: mfactor::dataset::HeldOut::Drawn,
        image,
        train: vec![RecordFile { file: "train.bin".to_owned(), records: 480 }],
        test: vec![RecordFile { file: "test.bin".to_owned(), records: 64 }],
    };
    std::fs::create_dir_all(folder).expect("a folder can be made");
    let write = |name: &str, bytes: Vec<u8>| std::fs::write(folder.join(name), bytes).expect("writable");
    write(MANIFEST_FILE, toml::to_string(&manifest).expect("a manifest is TOML").into_bytes());
    let mut noise = Noise(1);
    write("train.bin", (0..480).flat_map(|number| record(number, image, &mut noise)).collect());
    write("test.bin", (0..64).flat_map(|number| record(number, image, &mut noise)).collect());
}

fn record(number: usize, image: ImageShape, noise: &mut Noise) -> Vec<u8> {
    let class = number % 4;
    let mut bytes = vec![class as u8];
    for _ in 0..image.channels {
        for row in 0..image.height {
            for column in 0..image.width {
                let quarter = 2 * (row / (image.height / 2)) + column / (image.width / 2);
                let light = if quarter == class { 70 } else { 0 };
                bytes.push(light + noise.next() % 150);
            }
        }
    }
    bytes
}

/// A linear congruential generator (Knuth's MMIX constants): the data must be the same everywhere, not good.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u8 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 56) as u8
    }
}
