//! Page reads through an io_uring of their own, which the calling threads drive: who wants bytes submits the reads and collects
//! them, and no thread between has to be woken twice for every read.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::Disk;
use super::flights::{Flights, Landed, Wanted};
use super::pages::{Ended, PageDone, PageRead};
use super::ring::Ring;
use super::run::{Shared, locked};
use crate::{FlashError, Shaper};

impl Wanted for PageRead {
    fn offset(&self) -> u64 {
        self.offset
    }

    fn bytes(&self) -> u32 {
        self.bytes
    }

    fn is_second_phase(&self) -> bool {
        self.second_phase
    }

    fn begin(&self, _now: Instant) -> *mut u8 {
        self.into
    }
}

pub(super) struct PageRing {
    inner: Mutex<Inner>,
    /// Of the ring, to wait on while others submit.
    wait_on: OwnedFd,
    shared: Arc<Shared>,
}

struct Inner {
    flights: Flights<PageRead>,
    shared: Arc<Shared>,
    backlog: VecDeque<PageRead>,
    done: Vec<Ended>,
    /// Somebody sleeps until the next completion: others must not take it away from under them.
    waited_for: bool,
    broken: Option<FlashError>,
}

impl PageRing {
    /// Fails with the reason where the kernel refuses io_uring.
    pub fn new(shared: &Arc<Shared>, disk: &Arc<dyn Disk>, depth: u32, shaper: Option<&Arc<Shaper>>) -> Result<Self, String> {
        let flights = Flights::new(shared, disk, depth, 0, shaper)?;
        let wait_on = flights.descriptor().map_err(|error| format!("io_uring refused: {error}"))?;
        Ok(Self {
            inner: Mutex::new(Inner {
                flights,
                shared: Arc::clone(shared),
                backlog: VecDeque::new(),
                done: Vec::new(),
                waited_for: false,
                broken: None,
            }),
            wait_on,
            shared: Arc::clone(shared),
        })
    }

    /// Begins the reads, as many at once as the depth allows.
    pub fn submit(&self, reads: &[PageRead]) -> Result<(), FlashError> {
        let mut inner = locked(&self.inner);
        if let Some(error) = &inner.broken {
            return Err(error.clone());
        }
        inner.backlog.extend(reads);
        inner.drive();
        Ok(())
    }

    /// Moves what has been read to `done`.
    pub fn take(&self, done: &mut Vec<PageDone>) {
        let mut inner = locked(&self.inner);
        if !inner.waited_for {
            inner.drive();
            let ended = std::mem::take(&mut inner.done);
            drop(inner);
            self.tell(ended, done);
        }
    }

    /// The same, after waiting for at least one while any is on its way, at most until `until`.
    pub fn wait(&self, done: &mut Vec<PageDone>, until: Option<Instant>) {
        let mut inner = locked(&self.inner);
        loop {
            inner.drive();
            let is_late = until.is_some_and(|until| until <= Instant::now());
            if !inner.done.is_empty() || inner.is_idle() || is_late {
                let ended = std::mem::take(&mut inner.done);
                drop(inner);
                return self.tell(ended, done);
            }
            let due = inner.flights.next_due();
            let until = due.into_iter().chain(until).min();
            inner.waited_for = true;
            drop(inner);
            // A failure here is seen again, and kept, by the next `drive`.
            drop(Ring::wait(&self.wait_on, until));
            inner = locked(&self.inner);
            inner.waited_for = false;
        }
    }

    /// Verified by who takes them, while others go on with the ring.
    fn tell(&self, ended: Vec<Ended>, done: &mut Vec<PageDone>) {
        done.extend(ended.into_iter().map(|ended| ended.verified(&self.shared)));
    }

    /// Drops what has not begun; its end is told as cancelled.
    pub fn cancel(&self) {
        locked(&self.inner).refuse(&FlashError::Cancelled);
    }
}

impl Drop for PageRing {
    /// The kernel writes to the callers' memory until the last read is over.
    fn drop(&mut self) {
        self.cancel();
        loop {
            let mut inner = locked(&self.inner);
            inner.drive();
            if !inner.flights.is_in_kernel() || inner.broken.is_some() {
                return;
            }
            drop(inner);
            drop(Ring::wait(&self.wait_on, None));
        }
    }
}

impl Inner {
    fn is_idle(&self) -> bool {
        self.backlog.is_empty() && self.flights.is_empty()
    }

    /// Collects what the kernel has finished and gives it as much new work as fits.
    fn drive(&mut self) {
        if self.broken.is_some() {
            return;
        }
        if let Err(error) = self.collect().and_then(|()| self.feed()) {
            // The ring itself failed, which no read can cause. What the kernel may still write to stays with the caller, whose
            // memory must outlive the reader then; all reads fail.
            let error = FlashError::io("use io_uring on", self.shared.file.path(), 0, 0, &error);
            self.flights.abandon(&error);
            self.land();
            self.refuse(&error);
            self.broken = Some(error);
        }
    }

    fn refuse(&mut self, error: &FlashError) {
        let refused = self.backlog.drain(..).map(|read| Ended::refused(read, error.clone()));
        self.done.extend(refused);
    }

    fn collect(&mut self) -> io::Result<()> {
        while let Some((slot, result)) = self.flights.ring().pop()? {
            self.flights.arrived(slot, result)?;
        }
        self.flights.release();
        self.land();
        Ok(())
    }

    fn land(&mut self) {
        let ended = |landed: Landed<PageRead>| Ended {
            read: landed.wanted,
            done: PageDone {
                tag: landed.wanted.tag,
                lane: 0,
                started: landed.started,
                finished: landed.finished,
                outcome: landed.outcome,
            },
        };
        self.done.extend(self.flights.take_landed().map(ended));
    }

    fn feed(&mut self) -> io::Result<()> {
        while self.flights.room() > 0
            && let Some(read) = self.backlog.pop_front()
        {
            self.flights.begin(read)?;
        }
        self.flights.ring().submit()
    }
}
