//! Memory of this process, as the kernel and the program's own allocator count it, phase by phase.

use mfactor::measurement::MemoryUse;

use crate::allocator;
use crate::system::SystemTree;

/// Written to `clear_refs`, this sets VmHWM to what is resident now (Linux 4.0; man 5 proc).
const RESET_PEAK: (&str, &str) = ("/proc/self/clear_refs", "5");

/// The memory of a measurement under way.
pub struct Phases<'a> {
    tree: &'a SystemTree,
    found: MemoryUse,
    held: Option<usize>,
    /// Whether the kernel lets peaks be taken phase by phase.
    is_reset: bool,
}

impl<'a> Phases<'a> {
    /// Before the model is read.
    pub fn start(tree: &'a SystemTree) -> Self {
        let status = tree.read("/proc/self/status").unwrap_or_default();
        let found = MemoryUse {
            baseline_rss_bytes: kilobytes(&status, "VmRSS:"),
            baseline_private_dirty_bytes: private_dirty(tree),
            peak_rss_bytes: kilobytes(&status, "VmHWM:"),
            ..MemoryUse::default()
        };
        allocator::reset_peak();
        let is_reset = tree.write(RESET_PEAK.0, RESET_PEAK.1);
        Self { tree, found, held: allocator::held(), is_reset }
    }

    /// The model is loaded and optimised.
    pub fn loaded(&mut self) {
        self.found.load_peak_rss_bytes = self.peak();
        self.is_reset = self.is_reset && self.tree.write(RESET_PEAK.0, RESET_PEAK.1);
    }

    /// First inference and warm-up are over: by now the engine holds all that it ever holds. `is_counted` says that it
    /// uses the program's allocator.
    pub fn warm(&mut self, is_counted: bool) {
        let last = self.peak();
        self.found.inference_peak_rss_bytes = last.filter(|_| self.is_reset);
        self.found.peak_rss_bytes = self.found.peak_rss_bytes.max(self.found.load_peak_rss_bytes).max(last);
        self.found.private_dirty_bytes = private_dirty(self.tree);
        let beyond = allocator::peak().zip(self.held).map(|(peak, held)| peak.saturating_sub(held) as u64);
        self.found.allocator_peak_bytes = beyond.filter(|_| is_counted);
    }

    /// What was found so far.
    pub fn found(&self) -> MemoryUse {
        self.found
    }

    fn peak(&self) -> Option<u64> {
        kilobytes(&self.tree.read("/proc/self/status")?, "VmHWM:")
    }
}

fn private_dirty(tree: &SystemTree) -> Option<u64> {
    kilobytes(&tree.read("/proc/self/smaps_rollup")?, "Private_Dirty:")
}

/// The bytes of a line such as `VmRSS:  1234 kB`.
pub(crate) fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    fn a_phase_that_takes_memory_shows_it() {
        let tree = SystemTree::live();
        let mut phases = Phases::start(&tree);
        drop(black_box(vec![1u8; 64 << 20]));
        phases.loaded();
        phases.warm(false);
        let memory = phases.found();
        let grown = memory.load_peak_rss_bytes.unwrap() - memory.baseline_rss_bytes.unwrap();
        assert!(grown > 60 << 20, "{memory:?}");
        assert!(
            memory.inference_peak_rss_bytes < memory.load_peak_rss_bytes,
            "the peak was reset: {memory:?}"
        );
        assert!(memory.peak_rss_bytes >= memory.load_peak_rss_bytes, "{memory:?}");
        assert!(memory.private_dirty_bytes > Some(4096), "{memory:?}");
        assert_eq!(memory.allocator_peak_bytes, None, "the engine has an allocator of its own");
    }

    #[test]
    fn a_tree_without_proc_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let tree = SystemTree::recorded(folder.path());
        let mut phases = Phases::start(&tree);
        phases.loaded();
        phases.warm(false);
        assert_eq!(phases.found(), MemoryUse::default());
    }
}
