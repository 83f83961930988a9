//! Ctrl-C, a request to end (SIGTERM) and a terminal that is gone (SIGHUP): all three end a command in the same way.
//!
//! A command that can stop in order takes the flag of [`stop_flag`] and looks at it; the second signal does not wait for
//! that. Any other ends at once, with exit code 130, after what was made with [`undone_at_end`] is undone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use mfactor::exit;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// What a signal has to do.
#[derive(Default)]
struct Plan {
    stop: Option<Arc<AtomicBool>>,
    at_end: Vec<Box<dyn FnOnce() + Send>>,
}

static PLAN: Mutex<Plan> = Mutex::new(Plan { stop: None, at_end: vec![] });

/// From now on signals do what this file says.
///
/// # Errors
/// If the system refuses.
pub fn listen() -> std::io::Result<()> {
    let mut signals = vec![SIGINT, SIGTERM];
    // nohup has the program ignore a terminal that is gone, and it shall.
    if !is_ignored(SIGHUP) {
        signals.push(SIGHUP);
    }
    let mut signals = Signals::new(signals)?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || signals.forever().for_each(heed))?;
    Ok(())
}

/// A flag that the first signal sets.
pub fn stop_flag() -> Arc<AtomicBool> {
    Arc::clone(plan().stop.get_or_insert_default())
}

/// Makes something together with what undoes it before a signal ends the program, such as a temporary folder and its
/// removal. No signal is heeded in between.
pub fn undone_at_end<T, E, F>(make: impl FnOnce() -> Result<(T, F), E>) -> Result<T, E>
where
    F: FnOnce() + Send + 'static,
{
    let mut plan = plan();
    let (made, undo) = make()?;
    plan.at_end.push(Box::new(undo));
    Ok(made)
}

fn plan() -> MutexGuard<'static, Plan> {
    PLAN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn heed(_: i32) {
    let mut plan = plan();
    let is_first = plan.stop.as_ref().is_some_and(|stop| !stop.swap(true, Ordering::SeqCst));
    if !is_first {
        plan.at_end.drain(..).for_each(|action| action());
        end_children();
        std::process::exit(i32::from(exit::INTERRUPTED));
    }
}

/// Ends what this program started: it has nobody to answer to any more.
fn end_children() {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = tasks.map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default());
    let children = lists.collect::<String>();
    for child in children.split_whitespace().filter_map(|id| Pid::from_raw(id.parse().ok()?)) {
        // Of two ways the first is for those that lead a group of their own.
        let _ = kill_process_group(child, Signal::KILL);
        let _ = kill_process(child, Signal::KILL);
    }
}

/// Whether the system keeps a signal from this process; `false` where it does not say.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask >> (signal - 1) & 1 == 1
}
