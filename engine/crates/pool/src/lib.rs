//! Compute threads: as many as the plan says, pinned where the plan says, woken in about a microsecond.
//!
//! [`Pool::run`] hands one closure to every thread; the calling thread is thread 0 and works too. Waiting threads spin for a
//! bounded time ([`Options::spin`]) and then park, so that idle compute threads leave their cores to the I/O lanes. A dispatch
//! allocates nothing. A panic in any thread comes out of `run` on the calling thread, after all threads have finished.
#![warn(missing_docs)]

mod affinity;
mod barrier;
mod pool;
mod split;
mod wait;

pub use affinity::pin_current_thread;
pub use pool::{Options, Pool, PoolError, Worker};
pub use split::share;
