//! Page reads through an io_uring of their own, which the calling threads drive: who wants bytes submits the reads and collects
//! them, and no thread between has to be woken twice for every read.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::Disk;
use super::pages::{Ended, PageDone, PageRead};
use super::ring::Ring;
use super::run::{Shared, locked};
use crate::{FlashError, PAGE, Shaper, sys};

struct Flight {
    read: PageRead,
    got: u32,
    started: Instant,
    due: Option<Instant>,
    outcome: Result<(), FlashError>,
}

pub(super) struct PageRing {
    inner: Mutex<Inner>,
    /// Of the ring, to wait on while others submit.
    wait_on: OwnedFd,
    shared: Arc<Shared>,
}

struct Inner {
    ring: Ring,
    descriptor: RawFd,
    /// Keeps the descriptor open.
    _disk: Arc<dyn Disk>,
    shared: Arc<Shared>,
    shaper: Option<Arc<Shaper>>,
    flights: Vec<Option<Flight>>,
    free: Vec<u32>,
    backlog: VecDeque<PageRead>,
    /// Read, and held back until the modelled device would have delivered them.
    held: BinaryHeap<Reverse<(Instant, u32)>>,
    done: Vec<Ended>,
    in_kernel: usize,
    /// Somebody sleeps until the next completion: others must not take it away from under them.
    waited_for: bool,
    busy_since: Option<Instant>,
    broken: Option<FlashError>,
}

impl PageRing {
    /// Fails with the reason where the kernel refuses io_uring.
    pub fn new(shared: &Arc<Shared>, disk: &Arc<dyn Disk>, depth: u32, shaper: Option<&Arc<Shaper>>) -> Result<Self, String> {
        let descriptor = disk.descriptor().ok_or("the disk has no descriptor for the kernel")?;
        let ring = Ring::new(depth.next_power_of_two()).map_err(|error| format!("io_uring refused: {error}"))?;
        let wait_on = ring.descriptor().map_err(|error| format!("io_uring refused: {error}"))?;
        Ok(Self {
            inner: Mutex::new(Inner {
                ring,
                descriptor,
                _disk: Arc::clone(disk),
                shared: Arc::clone(shared),
                shaper: shaper.cloned(),
                flights: (0..depth).map(|_| None).collect(),
                free: (0..depth).rev().collect(),
                backlog: VecDeque::new(),
                held: BinaryHeap::new(),
                done: Vec::new(),
                in_kernel: 0,
                waited_for: false,
                busy_since: None,
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

    /// Verified by who takes them, while others go on with the ring.
    fn tell(&self, ended: Vec<Ended>, done: &mut Vec<PageDone>) {
        done.extend(ended.into_iter().map(|ended| ended.verified(&self.shared)));
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
            let due = inner.held.peek().map(|Reverse((due, _))| *due);
            let until = due.into_iter().chain(until).min();
            inner.waited_for = true;
            drop(inner);
            // A failure here is seen again, and kept, by the next `drive`.
            drop(Ring::wait(&self.wait_on, until));
            inner = locked(&self.inner);
            inner.waited_for = false;
        }
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
            if inner.in_kernel == 0 || inner.broken.is_some() {
                return;
            }
            drop(inner);
            drop(Ring::wait(&self.wait_on, None));
        }
    }
}

impl Inner {
    fn is_idle(&self) -> bool {
        self.backlog.is_empty() && self.in_kernel == 0 && self.held.is_empty()
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
            for slot in 0..self.flights.len() as u32 {
                if let Some(flight) = &mut self.flights[slot as usize] {
                    flight.outcome = Err(error.clone());
                    self.deliver(slot);
                }
            }
            self.refuse(&error);
            self.held.clear();
            self.in_kernel = 0;
            self.broken = Some(error);
        }
    }

    fn refuse(&mut self, error: &FlashError) {
        let refused = self.backlog.drain(..).map(|read| Ended::refused(read, error.clone()));
        self.done.extend(refused);
    }

    fn collect(&mut self) -> io::Result<()> {
        while let Some((slot, result)) = self.ring.pop()? {
            self.in_kernel -= 1;
            self.arrived(slot as u32, result)?;
        }
        let now = Instant::now();
        while let Some(Reverse((due, slot))) = self.held.peek().copied() {
            if due > now {
                break;
            }
            self.held.pop();
            self.deliver(slot);
        }
        Ok(())
    }

    fn feed(&mut self) -> io::Result<()> {
        if !self.backlog.is_empty() && !self.free.is_empty() {
            let now = Instant::now();
            self.busy_since.get_or_insert(now);
            while let Some(slot) = self.free.pop() {
                let Some(read) = self.backlog.pop_front() else {
                    self.free.push(slot);
                    break;
                };
                let shaper = self.shaper.as_deref();
                let due = shaper.map(|shaper| shaper.begin(read.offset, u64::from(read.bytes), read.second_phase, now));
                self.flights[slot as usize] = Some(Flight {
                    read,
                    got: 0,
                    started: now,
                    due,
                    outcome: Ok(()),
                });
                self.push(slot)?;
            }
        }
        self.ring.submit()
    }

    /// Gives the rest of a read to the kernel.
    fn push(&mut self, slot: u32) -> io::Result<()> {
        let Some(Flight { read, got, .. }) = &self.flights[slot as usize] else {
            return Ok(());
        };
        // SAFETY: `got` is below the read's length, so the address stays inside its memory.
        let address = unsafe { read.into.add(*got as usize) };
        self.in_kernel += 1;
        self.ring.push(
            self.descriptor,
            read.offset + u64::from(*got),
            address,
            read.bytes - got,
            u64::from(slot),
        )
    }

    fn arrived(&mut self, slot: u32, result: i32) -> io::Result<()> {
        let Some(flight) = self.flights.get_mut(slot as usize).and_then(Option::as_mut) else {
            return Ok(());
        };
        if result == -sys::EINTR || result == -sys::EAGAIN {
            return self.push(slot);
        }
        let PageRead { offset, bytes, .. } = flight.read;
        let path = self.shared.file.path();
        if result < 0 {
            let error = io::Error::from_raw_os_error(-result);
            flight.outcome = Err(FlashError::io("read", path, offset, u64::from(bytes), &error));
        } else {
            flight.got += result as u32;
            if flight.got < bytes {
                if result > 0 && u64::from(flight.got).is_multiple_of(PAGE) {
                    return self.push(slot);
                }
                flight.outcome = Err(FlashError::ShortRead {
                    path: path.to_path_buf(),
                    offset,
                    wanted: u64::from(bytes),
                    got: u64::from(flight.got),
                });
            }
        }
        match (&self.shaper, flight.due) {
            (Some(shaper), Some(due)) if shaper.is_early(due, Instant::now()) => self.held.push(Reverse((due, slot))),
            _ => self.deliver(slot),
        }
        Ok(())
    }

    fn deliver(&mut self, slot: u32) {
        let Some(flight) = self.flights[slot as usize].take() else {
            return;
        };
        self.free.push(slot);
        let finished = Instant::now();
        if flight.outcome.is_ok() {
            let bytes = u64::from(flight.read.bytes);
            self.shared.counters.read(bytes, finished - flight.started);
        }
        self.done.push(Ended {
            read: flight.read,
            done: PageDone {
                tag: flight.read.tag,
                lane: 0,
                started: flight.started,
                finished,
                outcome: flight.outcome,
            },
        });
        if self.free.len() == self.flights.len()
            && let Some(since) = self.busy_since.take()
        {
            self.shared.counters.busy(0, finished - since);
        }
    }
}
