//! Facts about the machine, and its state at one moment.

use mfactor::measurement::{Board, Conditions};

use mfactor::text;

use crate::memory;
use crate::sensors::Sensors;
use crate::system::{LONGEST_NAME, SystemTree};

/// Set to any text, this says that the processor is emulated where nothing else gives it away.
pub const EMULATED_VARIABLE: &str = "MFACTOR_EMULATED";

/// Facts that do not change while the machine runs.
pub fn facts(tree: &SystemTree) -> Board {
    let cpuinfo = CpuInfo::read(tree);
    let name = tree
        .read_name("/proc/device-tree/model")
        .or_else(|| cpuinfo.field("Model"))
        .or_else(|| cpuinfo.field("model name"))
        .unwrap_or_else(|| "unknown".to_owned());
    let architecture = std::env::consts::ARCH;
    let is_declared = std::env::var_os(EMULATED_VARIABLE).is_some_and(|value| !value.is_empty());
    Board {
        name,
        architecture: architecture.to_owned(),
        processor: cpuinfo.processor(),
        kernel: tree.read_name("/proc/sys/kernel/osrelease"),
        cores: cpuinfo.processors(),
        memory_bytes: meminfo_total(tree),
        emulated: is_declared || is_emulated(tree, &cpuinfo, architecture),
    }
}

/// State at this moment; frequencies are those of `core`, or of core 0.
pub fn conditions(tree: &SystemTree, sensors: &Sensors, core: Option<usize>) -> Conditions {
    let folder = format!("/sys/devices/system/cpu/cpu{}/cpufreq", core.unwrap_or(0));
    let frequency = |name: &str| tree.read_number(&format!("{folder}/{name}")).filter(is_frequency);
    Conditions {
        governor: tree.read_name(&format!("{folder}/scaling_governor")),
        frequency_khz: frequency("scaling_cur_freq"),
        maximum_frequency_khz: frequency("scaling_max_freq"),
        temperature_celsius: sensors.thermometer.as_ref().and_then(|thermometer| thermometer.celsius(tree)),
        temperature_sensor: sensors.thermometer.as_ref().map(|thermometer| thermometer.name.clone()),
        throttle_bits: sensors.throttle_bits(tree),
    }
}

/// Whether a processor can run at so many kHz: files of virtual machines and of old drivers tell 0, or anything.
pub(crate) fn is_frequency(khz: &u64) -> bool {
    (10_000..=10_000_000).contains(khz)
}

fn meminfo_total(tree: &SystemTree) -> Option<u64> {
    memory::kilobytes(&tree.read("/proc/meminfo")?, "MemTotal:")
}

/// Whether the processor that this program was built for is not the one that is there. Emulators of one
/// program (qemu-user) let the host's `/proc` shine through; QEMU's `virt` board names itself.
fn is_emulated(tree: &SystemTree, cpuinfo: &CpuInfo, architecture: &str) -> bool {
    let ours = family(architecture);
    let kernel = tree.read("/proc/sys/kernel/arch");
    let is_foreign = |other: &str| !ours.is_empty() && !other.is_empty() && other != ours;
    let is_virtual_board = tree
        .read("/proc/device-tree/compatible")
        .is_some_and(|c| c.contains("dummy-virt"))
        || ours == "arm" && tree.read("/sys/class/dmi/id/sys_vendor").is_some_and(|vendor| vendor == "QEMU");
    is_foreign(kernel.as_deref().map_or("", family)) || is_foreign(cpuinfo.family()) || is_virtual_board
}

/// Processors that run each other's programs; empty for one that is not known here.
fn family(architecture: &str) -> &'static str {
    match architecture {
        "x86_64" | "x86" | "i686" | "i386" => "x86",
        "aarch64" | "arm64" => "arm",
        other if other.starts_with("arm") => "arm",
        other if other.starts_with("riscv") => "riscv",
        _ => "",
    }
}

/// `/proc/cpuinfo`.
struct CpuInfo(String);

impl CpuInfo {
    fn read(tree: &SystemTree) -> Self {
        Self(tree.read("/proc/cpuinfo").unwrap_or_default())
    }

    /// The first value of a field.
    fn field(&self, name: &str) -> Option<String> {
        let fields = self.0.lines().filter_map(|line| line.split_once(':'));
        fields
            .filter(|(key, _)| key.trim() == name)
            .map(|(_, value)| text::quoted(value.trim(), LONGEST_NAME))
            .next()
    }

    fn processors(&self) -> usize {
        self.0
            .lines()
            .filter(|line| line.split_once(':').is_some_and(|(key, _)| key.trim() == "processor"))
            .count()
    }

    fn processor(&self) -> Option<String> {
        let part = self.field("CPU implementer").zip(self.field("CPU part"));
        part.map(|(implementer, part)| format!("{implementer}/{part}")).or_else(|| self.field("model name"))
    }

    fn family(&self) -> &'static str {
        if self.field("CPU implementer").is_some() {
            "arm"
        } else if self.field("vendor_id").is_some() {
            "x86"
        } else {
            ""
        }
    }
}
