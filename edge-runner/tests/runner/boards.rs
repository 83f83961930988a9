//! Boards as their `/proc`, `/sys` and `vcgencmd` show them. The trees are written after the kernel's and the
//! boards' documentation.

use std::fs;

use edge_runner::sensors::Sensors;
use edge_runner::system::SystemTree;
use edge_runner::thermal::Thermometer;
use edge_runner::{affinity, board};
use mfactor::measurement::Conditions;
use release::SensorChoice;
use tempfile::TempDir;

const RASPBERRY_PI_4: &[(&str, &str)] = &[
    ("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0"),
    ("proc/device-tree/compatible", "raspberrypi,4-model-b\0brcm,bcm2711\0"),
    (
        "proc/cpuinfo",
        "processor\t: 0\nBogoMIPS\t: 108.00\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n\n\
         processor\t: 1\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n\n\
         processor\t: 2\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n\n\
         processor\t: 3\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n\nModel\t: Raspberry Pi 4 Model B Rev 1.4\n",
    ),
    ("proc/meminfo", "MemTotal:        3884632 kB\nMemFree:          100 kB\n"),
    ("proc/sys/kernel/osrelease", "6.6.20+rpt-rpi-v8\n"),
    ("sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", "ondemand\n"),
    ("sys/devices/system/cpu/cpu3/cpufreq/scaling_cur_freq", "1500000\n"),
    ("sys/devices/system/cpu/cpu3/cpufreq/scaling_max_freq", "1800000\n"),
    ("sys/class/thermal/thermal_zone0/temp", "48212\n"),
    ("sys/class/thermal/thermal_zone1/temp", "51000\n"),
    ("commands/vcgencmd get_throttled", "throttled=0x50000\n"),
];

pub fn tree(files: &[(&str, &str)]) -> (TempDir, SystemTree) {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let tree = SystemTree::recorded(folder.path());
    (folder, tree)
}

fn state(tree: &SystemTree, core: Option<usize>) -> Conditions {
    board::conditions(tree, &Sensors::find(tree, &SensorChoice::default()), core)
}

/// Whether the processor of this test is of the ARM family, as that of the trees.
const IS_ARM: bool = cfg!(any(target_arch = "aarch64", target_arch = "arm"));

#[test]
fn a_raspberry_pi_4() {
    let (_folder, tree) = tree(RASPBERRY_PI_4);
    let board = board::facts(&tree);
    assert_eq!(board.name, "Raspberry Pi 4 Model B Rev 1.4");
    assert_eq!(board.processor.as_deref(), Some("0x41/0xd08"));
    assert_eq!((board.cores, board.memory_bytes), (4, Some(3_884_632 * 1024)));
    assert_eq!(board.kernel.as_deref(), Some("6.6.20+rpt-rpi-v8"));
    assert_eq!(board.emulated, !IS_ARM, "a processor of another family than ours can only be emulated");
    let conditions = state(&tree, Some(3));
    assert_eq!(conditions.governor.as_deref(), Some("ondemand"));
    assert_eq!(conditions.frequency_khz.zip(conditions.maximum_frequency_khz), Some((1_500_000, 1_800_000)));
    assert_eq!(conditions.temperature_celsius, Some(51.0));
    assert_eq!(conditions.throttle_bits, Some(0x50000));
    assert_eq!(state(&tree, Some(0)).governor, None);
}

#[test]
fn the_kernel_tells_throttle_bits_without_vcgencmd() {
    let (_folder, tree) = tree(&[("sys/devices/platform/soc/soc:firmware/get_throttled", "80008\n")]);
    assert_eq!(state(&tree, None).throttle_bits, Some(0x80008));
}

#[test]
fn a_machine_that_says_nothing() {
    let (_folder, tree) = tree(&[]);
    let board = board::facts(&tree);
    assert_eq!((board.name.as_str(), board.cores, board.memory_bytes), ("unknown", 0, None));
    assert!(!board.emulated);
    assert_eq!(state(&tree, None), mfactor::measurement::Conditions::default());
}

#[test]
fn emulators_give_themselves_away() {
    let foreign = if IS_ARM { "x86_64\n" } else { "aarch64\n" };
    let own = if IS_ARM { "aarch64\n" } else { "x86_64\n" };
    for (files, emulated) in [
        (&[("proc/sys/kernel/arch", foreign)], true),
        (&[("proc/sys/kernel/arch", own)], false),
        (&[("proc/device-tree/compatible", "linux,dummy-virt\0")], true),
    ] {
        let (_folder, tree) = tree(files);
        assert_eq!(board::facts(&tree).emulated, emulated, "{files:?}");
    }
}

#[test]
fn this_machine_has_a_name_and_cores() {
    let board = board::facts(&SystemTree::live());
    assert!(board.cores > 0 && board.memory_bytes > Some(1 << 24), "{board:?}");
    assert_eq!(board.architecture, std::env::consts::ARCH);
}

/// A machine whose thermal zones are of these types and tell this.
fn zones(zones: &[(&str, &str)]) -> (TempDir, SystemTree) {
    let files: Vec<(String, &str)> = zones
        .iter()
        .enumerate()
        .flat_map(|(number, (name, temp))| {
            let zone = format!("sys/class/thermal/thermal_zone{number}");
            [(format!("{zone}/type"), *name), (format!("{zone}/temp"), *temp)]
        })
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    tree(&files)
}

#[test]
fn the_processors_own_sensor_is_read_and_those_of_other_parts_are_not() {
    let nano = [
        ("AO-therm", "41000"),
        ("CPU-therm", "33500"),
        ("GPU-therm", "32500"),
        ("PLL-therm", "32000"),
        ("PMIC-Die", "100000"),
        ("thermal-fan-est", "33000"),
    ];
    for (sensors, celsius, name) in [
        (&nano[..], Some(33.5), Some("CPU-therm")),
        (&[("cpu0-thermal", "40000"), ("cpu1-thermal", "44000"), ("battery", "50000")][..], Some(44.0), None),
        (&[("soc-thermal", "40000"), ("acpitz", "90000")][..], Some(40.0), Some("soc-thermal")),
        (&[("acpitz", "27800"), ("iwlwifi_1", "60000")][..], Some(27.8), Some("acpitz")),
        (&[("PMIC-Die", "100000"), ("battery", "30000")][..], None, None),
        (&[("cpu-thermal", "45")][..], Some(45.0), None),
        (&[("cpu-thermal", "-5000")][..], Some(-5.0), None),
        // What cannot be: the best sensor that is left is read.
        (&[("cpu-thermal", "-256000"), ("soc-thermal", "41000")][..], Some(41.0), Some("soc-thermal")),
        (&[("cpu-thermal", "0"), ("soc-thermal", "41000")][..], Some(41.0), None),
        (&[("cpu-thermal", "0x1234")][..], None, None),
        (&[("cpu-thermal", "-256")][..], None, None),
        (&[("cpu-thermal", "126000")][..], None, None),
        (&[("cpu-thermal", "45000000")][..], None, None),
        (&[("cpu-thermal", "nan")][..], None, None),
        (&[("cpu-thermal", "inf")][..], None, None),
        (&[("cpu-thermal", "")][..], None, None),
    ] {
        let (_folder, tree) = zones(sensors);
        let conditions = state(&tree, None);
        assert_eq!(conditions.temperature_celsius, celsius, "{sensors:?}");
        if let Some(name) = name {
            assert_eq!(conditions.temperature_sensor.as_deref(), Some(name), "{sensors:?}");
        }
    }
}

#[test]
fn a_pc_without_a_zone_of_its_processor_has_a_monitor() {
    let (_folder, tree) = tree(&[
        ("sys/class/thermal/thermal_zone0/type", "acpitz"),
        ("sys/class/thermal/thermal_zone0/temp", "16800"),
        ("sys/class/hwmon/hwmon0/name", "nvme"),
        ("sys/class/hwmon/hwmon0/temp1_input", "70000"),
        ("sys/class/hwmon/hwmon1/name", "k10temp"),
        ("sys/class/hwmon/hwmon1/temp1_input", "48250"),
    ]);
    let conditions = state(&tree, None);
    assert_eq!(conditions.temperature_celsius, Some(48.25));
    assert_eq!(conditions.temperature_sensor.as_deref(), Some("k10temp"));
}

#[test]
fn a_measurement_keeps_to_the_sensor_it_began_with() {
    let (folder, tree) = zones(&[("cpu-thermal", "40000"), ("soc-thermal", "60000")]);
    let thermometer = Thermometer::find(&tree).unwrap();
    let zone = folder.path().join("sys/class/thermal/thermal_zone0/temp");
    fs::write(&zone, "85000").unwrap();
    assert_eq!(thermometer.celsius(&tree), Some(85.0));
    fs::write(&zone, "-256000").unwrap();
    assert_eq!(thermometer.celsius(&tree), None, "another part's temperature is no substitute");
}

#[test]
fn a_sensor_that_the_boards_description_names_is_read() {
    let (_folder, tree) = zones(&[("cpu-thermal", "40000"), ("PMIC-Die", "70000")]);
    let find = |temperature: &str| {
        let choice = SensorChoice { temperature: Some(temperature.to_owned()), ..SensorChoice::default() };
        board::conditions(&tree, &Sensors::find(&tree, &choice), None).temperature_celsius
    };
    assert_eq!(find("/sys/class/thermal/thermal_zone1/temp"), Some(70.0));
    assert_eq!(find("/sys/class/thermal/thermal_zone*/temp"), Some(40.0), "the processor's, of several");
    assert_eq!(find("/sys/class/thermal/thermal_zone9/temp"), Some(40.0), "not on this kernel");
    assert_eq!(find("/sys/../../../etc/hostname"), Some(40.0));
}

#[test]
fn throttle_bits_that_mean_nothing_are_not_told() {
    for (text, bits) in [
        ("throttled=0x0", Some(0)),
        ("throttled=0xf000f", Some(0xf_000f)),
        ("throttled=0xffffffff", None),
        ("throttled=0x10", None),
        ("error=1 error_msg=\"Command not registered\"", None),
        ("", None),
    ] {
        let (_folder, tree) = tree(&[("commands/vcgencmd get_throttled", text)]);
        assert_eq!(state(&tree, None).throttle_bits, bits, "{text}");
    }
}

#[test]
fn frequencies_that_cannot_be_are_not_told() {
    for (text, khz) in [
        ("1500000", Some(1_500_000)),
        ("0", None),
        ("4294967295", None),
        ("-1", None),
        ("<unsupported>", None),
        ("18446744073709551615", None),
    ] {
        let (_folder, tree) = tree(&[
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", text),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq", text),
        ]);
        let conditions = state(&tree, None);
        assert_eq!((conditions.frequency_khz, conditions.maximum_frequency_khz), (khz, khz), "{text}");
    }
}

#[test]
fn what_a_board_calls_itself_is_fit_to_be_shown() {
    let model = "Pi\u{1b}[2J ".to_owned() + &"x".repeat(100_000) + "\0";
    let (_folder, tree) = tree(&[("proc/device-tree/model", &model)]);
    let name = board::facts(&tree).name;
    assert!(name.starts_with("Pi\\u{1b}[2J xxx") && name.chars().count() == 200, "{name}");
}

#[test]
fn pipes_devices_and_floods_in_the_place_of_sensors_are_not_waited_for() {
    let (folder, tree) = tree(&[("sys/class/thermal/thermal_zone0/type", "cpu-thermal")]);
    let fifos = [
        "sys/class/thermal/thermal_zone0/temp",
        "proc/cpuinfo",
        "commands/vcgencmd get_throttled",
        "proc/self/clear_refs",
    ];
    for fifo in fifos {
        let path = folder.path().join(fifo);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    }
    std::os::unix::fs::symlink("/dev/zero", folder.path().join("proc/meminfo")).unwrap();
    let huge = fs::File::create(folder.path().join("proc/endless")).unwrap();
    huge.set_len(1 << 40).unwrap();
    assert_eq!(state(&tree, None), Conditions::default());
    assert_eq!((board::facts(&tree).cores, board::facts(&tree).memory_bytes), (0, None));
    assert_eq!(tree.read("/proc/endless"), None);
    assert!(!tree.write("/proc/self/clear_refs", "5"));
    affinity::pin_to_one_core(&tree);
}
