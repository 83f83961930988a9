//! Memory of this process, as the kernel counts it.

use crate::system::SystemTree;

/// Memory at one moment, in bytes; what could not be read is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Resident now (VmRSS).
    pub resident: Option<u64>,
    /// Most that was ever resident (VmHWM).
    pub peak_resident: Option<u64>,
    /// Private and written to: what would be free if this process ended (smaps_rollup).
    pub private_dirty: Option<u64>,
}

/// Memory now.
pub fn now(tree: &SystemTree) -> Memory {
    let status = tree.read("/proc/self/status").unwrap_or_default();
    let rollup = tree.read("/proc/self/smaps_rollup").unwrap_or_default();
    Memory {
        resident: kilobytes(&status, "VmRSS:"),
        peak_resident: kilobytes(&status, "VmHWM:"),
        private_dirty: kilobytes(&rollup, "Private_Dirty:"),
    }
}

/// The bytes of a line such as `VmRSS:  1234 kB`.
pub(crate) fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory() {
        let memory = now(&SystemTree::live());
        assert!(memory.peak_resident >= memory.resident && memory.resident > Some(100_000), "{memory:?}");
        assert!(memory.private_dirty > Some(4096), "{memory:?}");
    }

    #[test]
    fn a_tree_without_proc_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(now(&SystemTree::recorded(folder.path())), Memory::default());
    }
}
