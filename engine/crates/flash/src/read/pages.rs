//! Reads of whole pages straight into the caller's memory: the small reads of the second phase, thousands a token, for which a
//! request with buffers of its own would cost as much as the read.

use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::run::{Shared, locked};
use crate::FlashError;

/// One contiguous read. Neither joined with others nor cut.
#[derive(Clone, Copy, Debug)]
pub struct PageRead {
    /// Chosen by the caller; comes back with [`PageDone`].
    pub tag: u32,
    /// Length in bytes, a multiple of a page.
    pub bytes: u32,
    /// Place in the file in bytes, a multiple of a page.
    pub offset: u64,
    /// Where the bytes go, on a page.
    pub into: *mut u8,
    /// Whether pages just read lie before these: what a modelled device prices differently.
    pub second_phase: bool,
}

// SAFETY: an address and numbers; whoever submits it vouches for the memory.
unsafe impl Send for PageRead {}

/// The end of a [`PageRead`].
#[derive(Debug)]
pub struct PageDone {
    /// The read's tag.
    pub tag: u32,
    /// Lane that read it; 0 for io_uring.
    pub lane: u32,
    /// When it was given to the operating system.
    pub started: Instant,
    /// When it was seen to be over.
    pub finished: Instant,
    /// Why its memory holds nothing.
    pub outcome: Result<(), FlashError>,
}

/// A read that has ended, and its end as it will be told.
pub(super) struct Ended {
    pub read: PageRead,
    pub done: PageDone,
}

impl Ended {
    /// A read that was never begun.
    pub fn refused(read: PageRead, error: FlashError) -> Self {
        let now = Instant::now();
        Self {
            read,
            done: PageDone {
                tag: read.tag,
                lane: 0,
                started: now,
                finished: now,
                outcome: Err(error),
            },
        }
    }

    /// Compares what was read whole with its checksums.
    pub fn verified(mut self, shared: &Shared) -> PageDone {
        if shared.verify && self.done.outcome.is_ok() {
            // SAFETY: the read is over and was whole, and nobody else touches its memory before the caller hears of it.
            let bytes = unsafe { std::slice::from_raw_parts(self.read.into, self.read.bytes as usize) };
            self.done.outcome = shared.file.verify_pages(self.read.offset, bytes).map(|pages| {
                shared.counters.verified.fetch_add(pages, Ordering::Relaxed);
            });
        }
        self.done
    }
}

#[derive(Default)]
struct Lying {
    done: Vec<PageDone>,
    in_flight: usize,
}

/// What lanes have read, until it is taken.
#[derive(Default)]
pub(super) struct PageTray {
    ended: Mutex<Lying>,
    arrived: Condvar,
}

impl PageTray {
    pub fn expect(&self, reads: usize) {
        locked(&self.ended).in_flight += reads;
    }

    pub fn put(&self, done: PageDone) {
        let mut ended = locked(&self.ended);
        ended.in_flight -= 1;
        ended.done.push(done);
        drop(ended);
        self.arrived.notify_all();
    }

    /// Moves what is there to `done`.
    pub fn take(&self, done: &mut Vec<PageDone>) {
        done.append(&mut locked(&self.ended).done);
    }

    /// The same, after waiting for at least one while any is in flight, at most until `until`.
    pub fn wait(&self, done: &mut Vec<PageDone>, until: Option<Instant>) {
        let mut ended = locked(&self.ended);
        while ended.done.is_empty() && ended.in_flight > 0 {
            ended = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => break,
                Some(left) => {
                    let waited = self.arrived.wait_timeout(ended, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.arrived.wait(ended).unwrap_or_else(PoisonError::into_inner),
            };
        }
        done.append(&mut ended.done);
    }
}
