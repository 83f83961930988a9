//! Threads that work through a pass side by side. They live as long as the program and stay awake for a moment after each pass, for the
//! next one mostly follows at once: to start or to wake a thread takes as long as a small layer does.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a thread looks for the next pass before it sleeps.
const AWAKE: Duration = Duration::from_micros(200);

/// How often it looks before it lets others have its core, such as the threads of another library.
const LOOKS: usize = 32;

static TEAM: Team = Team::new();

/// Does all of `work`, each piece in a thread of its own as far as threads are awake.
pub(super) fn side_by_side<W: Send, R: Send>(
    work: impl Iterator<Item = W>,
    run: impl Fn(W) -> R + Sync,
) -> Vec<R> {
    let pieces: Vec<_> = work.map(|piece| Mutex::new((Some(piece), None))).collect();
    let next = AtomicUsize::new(0);
    let work_through = || {
        while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            let work = locked(piece).0.take().expect("each number is given out once");
            let result = run(work);
            locked(piece).1 = Some(result);
        }
    };
    TEAM.run(pieces.len().saturating_sub(1), &work_through);
    let result = |piece: Mutex<(_, Option<R>)>| piece.into_inner().unwrap_or_else(PoisonError::into_inner).1;
    pieces.into_iter().map(|piece| result(piece).expect("a pass over images does not panic")).collect()
}

/// What all threads do that take part in a pass.
struct Pass<'a>(&'a (dyn Fn() + Sync));

/// The threads beside the one that begins a pass.
struct Team {
    /// How many there are. Whoever holds it runs a pass.
    helpers: Mutex<usize>,
    /// How often passes have begun and ended: odd while one is under way.
    turn: AtomicUsize,
    /// Valid while one is under way, and until no helper is in it any more.
    pass: AtomicPtr<Pass<'static>>,
    /// Helpers that take part, or are about to look whether they may.
    inside: AtomicUsize,
    asleep: AtomicUsize,
    bed: Mutex<()>,
    call: Condvar,
}

impl Team {
    const fn new() -> Self {
        Self {
            helpers: Mutex::new(0),
            turn: AtomicUsize::new(0),
            pass: AtomicPtr::new(std::ptr::null_mut()),
            inside: AtomicUsize::new(0),
            asleep: AtomicUsize::new(0),
            bed: Mutex::new(()),
            call: Condvar::new(),
        }
    }

    /// Has `run` called by this thread, and by so many helpers or more, or fewer if they come too late. While another pass is under way this
    /// thread is alone.
    fn run(&'static self, helpers: usize, run: &(dyn Fn() + Sync)) {
        let mut started = match self.helpers.try_lock() {
            Ok(started) if helpers > 0 => started,
            Err(TryLockError::Poisoned(poisoned)) if helpers > 0 => poisoned.into_inner(),
            _ => return run(),
        };
        while *started < helpers && self.start_helper() {
            *started += 1;
        }
        let pass = Pass(run);
        self.pass.store((&raw const pass).cast_mut().cast(), Ordering::SeqCst);
        self.turn.fetch_add(1, Ordering::SeqCst);
        let _end = End(self);
        if self.asleep.load(Ordering::SeqCst) > 0 {
            // Whoever counts as asleep and still holds the bed has looked for this pass in vain and is not waiting yet.
            drop(locked(&self.bed));
            self.call.notify_all();
        }
        run();
    }

    /// Whether the system gives another thread.
    fn start_helper(&'static self) -> bool {
        thread::Builder::new().name("kernels".to_owned()).spawn(|| self.help()).is_ok()
    }

    /// Takes part in one pass after another.
    fn help(&self) {
        let mut turn = 0;
        loop {
            turn = self.next_turn(turn);
            self.inside.fetch_add(1, Ordering::SeqCst);
            let _leave = Leave(self);
            if self.turn.load(Ordering::SeqCst) == turn {
                // SAFETY: the pass is under way, and ends only when this thread has left.
                let pass = unsafe { &*self.pass.load(Ordering::SeqCst) };
                (pass.0)();
            }
        }
    }

    /// Waits until a pass is under way, other than that of the turn before.
    fn next_turn(&self, before: usize) -> usize {
        let next = || Some(self.turn.load(Ordering::SeqCst)).filter(|turn| turn % 2 == 1 && *turn != before);
        let begin = Instant::now();
        while begin.elapsed() < AWAKE {
            for _ in 0..LOOKS {
                if let Some(turn) = next() {
                    return turn;
                }
                spin_loop();
            }
            thread::yield_now();
        }
        let mut bed = locked(&self.bed);
        self.asleep.fetch_add(1, Ordering::SeqCst);
        let turn = loop {
            if let Some(turn) = next() {
                break turn;
            }
            bed = self.call.wait(bed).unwrap_or_else(PoisonError::into_inner);
        };
        self.asleep.fetch_sub(1, Ordering::SeqCst);
        turn
    }
}

/// Ends a pass when dropped: no helper is in it afterwards.
struct End<'a>(&'a Team);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.turn.fetch_add(1, Ordering::SeqCst);
        let mut looks = 0;
        while self.0.inside.load(Ordering::SeqCst) > 0 {
            spin_loop();
            looks += 1;
            if looks % LOOKS == 0 {
                thread::yield_now();
            }
        }
    }
}

/// A helper's way out of a pass, also of one that panicked.
struct Leave<'a>(&'a Team);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn results_come_in_order_whoever_does_the_work_and_however_many_callers_there_are() {
        thread::scope(|scope| {
            for caller in 0..3 {
                scope.spawn(move || {
                    for pieces in 0..40 {
                        let results = side_by_side(0..pieces, |piece| 100 * caller + piece);
                        assert_eq!(
                            results,
                            (0..pieces).map(|piece| 100 * caller + piece).collect::<Vec<_>>()
                        );
                    }
                });
            }
        });
    }

    #[test]
    fn a_helper_that_sleeps_is_woken() {
        let team: &Team = Box::leak(Box::new(Team::new()));
        for _ in 0..3 {
            // Nobody passes it alone.
            let meeting = Barrier::new(2);
            team.run(1, &|| {
                meeting.wait();
            });
            while team.asleep.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
        }
    }

    #[test]
    fn a_pass_that_panics_ends_and_others_follow() {
        let sum = |piece: u32| if piece == 3 { panic!("as it should") } else { piece };
        let result = std::panic::catch_unwind(|| side_by_side(0..4, sum));
        assert!(result.is_err());
        assert_eq!(side_by_side(0..3, sum), [0, 1, 2]);
    }
}
