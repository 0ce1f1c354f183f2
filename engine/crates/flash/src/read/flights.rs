//! Reads on their way through a ring: what both users of io_uring do alike. A read is given to the kernel, goes on where the kernel ended it
//! on a page, is held back until a modelled device would have delivered it, and lands with its outcome.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Instant;

use super::Disk;
use super::ring::Ring;
use super::run::Shared;
use crate::{FlashError, PAGE, Shaper, sys};

/// A contiguous read that somebody wants.
pub(super) trait Wanted {
    /// Place in the file, in bytes.
    fn offset(&self) -> u64;
    /// Length in bytes; what the kernel reads at once is less than 4 GiB.
    fn bytes(&self) -> u32;
    /// Whether pages just read lie before these: what a modelled device prices differently.
    fn is_second_phase(&self) -> bool;
    /// Says that the read begins, and where its bytes go: `bytes` of them, for this read alone until it has landed.
    fn begin(&self, now: Instant) -> *mut u8;
}

struct Flight<W> {
    wanted: W,
    memory: *mut u8,
    got: u32,
    started: Instant,
    due: Option<Instant>,
    outcome: Result<(), FlashError>,
}

// SAFETY: the address points into memory that the read's owner keeps until it has landed; only the kernel writes there meanwhile.
unsafe impl<W: Send> Send for Flight<W> {}

/// A read that is over.
pub(super) struct Landed<W> {
    pub wanted: W,
    /// When it was given to the kernel, and when it was seen to be over.
    pub started: Instant,
    pub finished: Instant,
    pub outcome: Result<(), FlashError>,
}

/// At most so many reads at once through one ring. Used by one thread at a time.
pub(super) struct Flights<W> {
    ring: Ring,
    descriptor: RawFd,
    /// Keeps the descriptor open.
    _disk: Arc<dyn Disk>,
    shared: Arc<Shared>,
    shaper: Option<Arc<Shaper>>,
    slots: Vec<Option<Flight<W>>>,
    free: Vec<u32>,
    in_kernel: usize,
    /// Read, and held back until the modelled device would have delivered them.
    held: BinaryHeap<Reverse<(Instant, u32)>>,
    landed: Vec<Landed<W>>,
    busy_since: Option<Instant>,
}

impl<W: Wanted> Flights<W> {
    /// Room for `depth` reads, and in the ring for `others` that their owner enters. Fails with the reason where the kernel refuses
    /// io_uring.
    pub fn new(
        shared: &Arc<Shared>,
        disk: &Arc<dyn Disk>,
        depth: u32,
        others: u32,
        shaper: Option<&Arc<Shaper>>,
    ) -> Result<Self, String> {
        let descriptor = disk.descriptor().ok_or("the disk has no descriptor for the kernel")?;
        let ring = Ring::new((depth + others).next_power_of_two()).map_err(|error| format!("io_uring refused: {error}"))?;
        Ok(Self {
            ring,
            descriptor,
            _disk: Arc::clone(disk),
            shared: Arc::clone(shared),
            shaper: shaper.cloned(),
            slots: (0..depth).map(|_| None).collect(),
            free: (0..depth).rev().collect(),
            in_kernel: 0,
            held: BinaryHeap::new(),
            landed: Vec::new(),
            busy_since: None,
        })
    }

    /// The ring, for who waits for it or enters something of its own.
    pub fn ring(&mut self) -> &mut Ring {
        &mut self.ring
    }

    /// The ring's descriptor once more, to wait on beside whoever uses the ring.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.ring.descriptor()
    }

    /// Reads that can begin now.
    pub fn room(&self) -> usize {
        self.free.len()
    }

    /// Whether the kernel may still write to somebody's memory.
    pub fn is_in_kernel(&self) -> bool {
        self.in_kernel > 0
    }

    /// Whether no read is on its way.
    pub fn is_empty(&self) -> bool {
        self.in_kernel == 0 && self.held.is_empty()
    }

    /// When the first of the reads that are held back lands.
    pub fn next_due(&self) -> Option<Instant> {
        self.held.peek().map(|Reverse((due, _))| *due)
    }

    /// What has landed since the last time.
    pub fn take_landed(&mut self) -> std::vec::Drain<'_, Landed<W>> {
        self.landed.drain(..)
    }

    /// Begins a read. There must be room.
    pub fn begin(&mut self, wanted: W) -> io::Result<()> {
        let now = Instant::now();
        self.busy_since.get_or_insert(now);
        self.shared.counters.begins(now);
        let shaper = self.shaper.as_deref();
        let due = shaper.map(|shaper| shaper.begin(wanted.offset(), u64::from(wanted.bytes()), wanted.is_second_phase(), now));
        let memory = wanted.begin(now);
        let slot = self.free.pop().expect("no more reads begin than there is room for");
        self.slots[slot as usize] = Some(Flight {
            wanted,
            memory,
            got: 0,
            started: now,
            due,
            outcome: Ok(()),
        });
        self.push(slot)
    }

    /// Gives the rest of a read to the kernel.
    fn push(&mut self, slot: u32) -> io::Result<()> {
        let Some(flight) = &self.slots[slot as usize] else {
            return Ok(());
        };
        let offset = flight.wanted.offset() + u64::from(flight.got);
        let bytes = flight.wanted.bytes() - flight.got;
        // SAFETY: `got` is below the read's length, so the address stays inside its memory.
        let address = unsafe { flight.memory.add(flight.got as usize) };
        self.in_kernel += 1;
        self.ring.push(self.descriptor, offset, address, bytes, u64::from(slot))
    }

    /// The kernel has ended the read of a slot, with what its call returned.
    pub fn arrived(&mut self, slot: u64, result: i32) -> io::Result<()> {
        self.in_kernel -= 1;
        let slot = slot as u32;
        let Some(flight) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) else {
            return Ok(());
        };
        if result == -sys::EINTR || result == -sys::EAGAIN {
            return self.push(slot);
        }
        let (offset, wanted) = (flight.wanted.offset(), flight.wanted.bytes());
        let path = self.shared.file.path();
        if result < 0 {
            let error = io::Error::from_raw_os_error(-result);
            flight.outcome = Err(FlashError::io("read", path, offset, u64::from(wanted), &error));
        } else {
            flight.got += result as u32;
            if flight.got < wanted {
                if result > 0 && u64::from(flight.got).is_multiple_of(PAGE) {
                    return self.push(slot);
                }
                flight.outcome = Err(FlashError::ShortRead {
                    path: path.to_path_buf(),
                    offset,
                    wanted: u64::from(wanted),
                    got: u64::from(flight.got),
                });
            }
        }
        match (&self.shaper, flight.due) {
            (Some(shaper), Some(due)) if shaper.is_early(due, Instant::now()) => self.held.push(Reverse((due, slot))),
            _ => self.land(slot),
        }
        Ok(())
    }

    /// Lands what the shaper held back and is due.
    pub fn release(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((due, slot))) = self.held.peek().copied() {
            if due > now {
                break;
            }
            self.held.pop();
            self.land(slot);
        }
    }

    fn land(&mut self, slot: u32) {
        let Some(flight) = self.slots[slot as usize].take() else {
            return;
        };
        self.free.push(slot);
        let finished = Instant::now();
        let counters = &self.shared.counters;
        counters.ends(finished);
        if flight.outcome.is_ok() {
            counters.read(u64::from(flight.wanted.bytes()), finished - flight.started);
        }
        if self.free.len() == self.slots.len()
            && let Some(since) = self.busy_since.take()
        {
            counters.busy(0, finished - since);
        }
        self.landed.push(Landed {
            wanted: flight.wanted,
            started: flight.started,
            finished,
            outcome: flight.outcome,
        });
    }

    /// The ring itself failed: all reads land with this error. The kernel may still write to their memory.
    pub fn abandon(&mut self, error: &FlashError) {
        for slot in 0..self.slots.len() as u32 {
            if let Some(flight) = &mut self.slots[slot as usize] {
                flight.outcome = Err(error.clone());
                self.land(slot);
            }
        }
        self.held.clear();
        self.in_kernel = 0;
    }
}
