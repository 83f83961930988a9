//! Keeping a measurement on one core.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::board::is_frequency;
use crate::system::SystemTree;

/// A thread's core, and the cores it was allowed before.
#[derive(Debug, Clone)]
pub struct Pinned {
    /// The core that it keeps to.
    pub core: usize,
    others: CpuSet,
}

impl Pinned {
    /// Moves the calling thread away from that core, where there are others.
    pub fn leave(&self) {
        if self.others.count() > 0 {
            // Refused, the thread shares the core, as it would have anyway.
            let _ = sched_setaffinity(None, &self.others);
        }
    }
}

/// Pins the calling thread, and the threads it starts from now on, to the fastest core it may use: the last one
/// among equals, since the first ones serve most interrupts. `None` if that is refused.
pub fn pin_to_one_core(tree: &SystemTree) -> Option<Pinned> {
    let allowed = sched_getaffinity(None).ok()?;
    let cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    let core = cores.max_by_key(|core| maximum_frequency(tree, *core))?;
    let mut only = CpuSet::new();
    only.set(core);
    sched_setaffinity(None, &only).ok()?;
    let mut others = allowed;
    others.unset(core);
    Some(Pinned { core, others })
}

/// What the core can do at most, in kHz; 0 where it does not say, or says what cannot be. Cores of one chip differ
/// (big.LITTLE).
fn maximum_frequency(tree: &SystemTree, core: usize) -> u64 {
    let told = tree.read_number(&format!("/sys/devices/system/cpu/cpu{core}/cpufreq/cpuinfo_max_freq"));
    told.filter(is_frequency).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_stays_on_its_core() {
        std::thread::spawn(|| {
            let before = sched_getaffinity(None).unwrap();
            let pinned =
                pin_to_one_core(&SystemTree::live()).expect("a thread may always narrow its own cores");
            let allowed = sched_getaffinity(None).unwrap();
            assert!(allowed.is_set(pinned.core) && allowed.count() == 1);
            assert_eq!(pin_to_one_core(&SystemTree::live()).map(|again| again.core), Some(pinned.core));
            pinned.leave();
            let left = sched_getaffinity(None).unwrap();
            assert!(before.count() == 1 || left.count() == before.count() - 1 && !left.is_set(pinned.core));
        })
        .join()
        .unwrap();
    }

    #[test]
    fn the_fastest_core_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sys/devices/system/cpu/cpu0/cpufreq");
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("cpuinfo_max_freq"), "2400000\n").unwrap();
        let tree = SystemTree::recorded(folder.path());
        std::thread::spawn(move || assert_eq!(pin_to_one_core(&tree).map(|pinned| pinned.core), Some(0)))
            .join()
            .unwrap();
    }
}
