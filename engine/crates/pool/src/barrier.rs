//! A barrier for the threads of one dispatch, which a panic opens.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::wait::spin_until;

/// How long a thread sleeps between looks once spinning and yielding have not helped.
const NAP: Duration = Duration::from_micros(50);
/// Yields before the first nap.
const YIELDS: u32 = 200;

/// Threads wait until all have come. When a thread of the dispatch panics, those that wait (now or later) panic too instead
/// of waiting for ever.
pub(crate) struct Barrier {
    threads: usize,
    waiting: AtomicUsize,
    /// Counts the times the barrier has opened.
    round: AtomicUsize,
    broken: AtomicBool,
}

impl Barrier {
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            threads,
            waiting: AtomicUsize::new(0),
            round: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
        }
    }

    /// Makes the barrier whole again. Only when no thread is at it.
    pub(crate) fn reset(&self) {
        self.waiting.store(0, Ordering::Relaxed);
        self.broken.store(false, Ordering::Relaxed);
    }

    /// Opens the barrier for good: a thread of this dispatch will never come.
    pub(crate) fn break_open(&self) {
        self.broken.store(true, Ordering::Release);
    }

    pub(crate) fn wait(&self, spin: Duration) {
        let round = self.round.load(Ordering::Acquire);
        if self.waiting.fetch_add(1, Ordering::AcqRel) + 1 == self.threads {
            self.waiting.store(0, Ordering::Relaxed);
            self.round.store(round.wrapping_add(1), Ordering::Release);
            return;
        }
        let open = || self.round.load(Ordering::Acquire) != round;
        let over = || open() || self.broken.load(Ordering::Acquire);
        let mut tries = 0;
        let mut done = spin_until(spin, over);
        while !done {
            if tries < YIELDS {
                std::thread::yield_now();
            } else {
                std::thread::sleep(NAP);
            }
            tries += 1;
            done = over();
        }
        assert!(open(), "another thread of this dispatch panicked");
    }
}
