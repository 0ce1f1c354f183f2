//! Waiting without burning a core for long.

use std::time::{Duration, Instant};

/// Looks at the clock once in so many spins.
const SPINS_PER_LOOK: u32 = 64;

/// Spins until `done` or until `limit` has passed. Returns whether it is done.
pub(crate) fn spin_until(limit: Duration, done: impl Fn() -> bool) -> bool {
    if done() {
        return true;
    }
    let start = Instant::now();
    loop {
        for _ in 0..SPINS_PER_LOOK {
            if done() {
                return true;
            }
            std::hint::spin_loop();
        }
        if start.elapsed() >= limit {
            return done();
        }
    }
}
