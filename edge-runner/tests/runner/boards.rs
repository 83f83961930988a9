//! Boards as their `/proc`, `/sys` and `vcgencmd` show them. The trees are written after the kernel's and the
//! boards' documentation.

use std::fs;

use edge_runner::board;
use edge_runner::system::SystemTree;
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
    let conditions = board::conditions(&tree, Some(3));
    assert_eq!(conditions.governor.as_deref(), Some("ondemand"));
    assert_eq!(conditions.frequency_khz.zip(conditions.maximum_frequency_khz), Some((1_500_000, 1_800_000)));
    assert_eq!(conditions.temperature_celsius, Some(51.0));
    assert_eq!(conditions.throttle_bits, Some(0x50000));
    assert_eq!(board::conditions(&tree, Some(0)).governor, None);
}

#[test]
fn the_kernel_tells_throttle_bits_without_vcgencmd() {
    let (_folder, tree) = tree(&[("sys/devices/platform/soc/soc:firmware/get_throttled", "80008\n")]);
    assert_eq!(board::conditions(&tree, None).throttle_bits, Some(0x80008));
}

#[test]
fn a_machine_that_says_nothing() {
    let (_folder, tree) = tree(&[]);
    let board = board::facts(&tree);
    assert_eq!((board.name.as_str(), board.cores, board.memory_bytes), ("unknown", 0, None));
    assert!(!board.emulated);
    assert_eq!(board::conditions(&tree, None), mfactor::measurement::Conditions::default());
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
