//! Reads through io_uring: one thread that keeps up to `depth` reads in the kernel.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use super::Disk;
use super::ring::Ring;
use super::run::{Chunk, Shared, locked};
use crate::{FlashError, PAGE, Shaper, sys};

/// Marks the completion of the read on the event descriptor.
const EVENT: u64 = u64::MAX;

struct Queue {
    chunks: VecDeque<Chunk>,
    stop: bool,
}

pub(crate) struct Uring {
    queue: Arc<Mutex<Queue>>,
    event: File,
    thread: Option<JoinHandle<()>>,
}

impl Uring {
    /// Fails with the reason where the kernel refuses io_uring; the reader then falls back to lanes.
    pub fn new(
        shared: &Arc<Shared>,
        disk: &Arc<dyn Disk>,
        depth: u32,
        pin: Option<usize>,
        shaper: Option<&Arc<Shaper>>,
    ) -> Result<Self, String> {
        let descriptor = disk.descriptor().ok_or("the disk has no descriptor for the kernel")?;
        // One more entry for the event.
        let ring = Ring::new((depth + 1).next_power_of_two()).map_err(|error| format!("io_uring refused: {error}"))?;
        let event = sys::event().map_err(|error| format!("no event descriptor: {error}"))?;
        let own_event = event.try_clone().map_err(|error| format!("no event descriptor: {error}"))?;
        let queue = Arc::new(Mutex::new(Queue {
            chunks: VecDeque::new(),
            stop: false,
        }));
        let engine = Engine {
            ring,
            descriptor,
            _disk: Arc::clone(disk),
            shared: Arc::clone(shared),
            shaper: shaper.cloned(),
            queue: Arc::clone(&queue),
            event: own_event,
            event_value: Box::new(0),
            armed: false,
            slots: (0..depth).map(|_| None).collect(),
            free: (0..depth).rev().collect(),
            in_kernel: 0,
            held: BinaryHeap::new(),
            busy_since: None,
        };
        let (pinned, is_pinned) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("uring".to_string())
            .spawn(move || {
                // The opener waits for this answer, so it cannot have gone.
                drop(pinned.send(pin.map_or(Ok(()), sys::pin_to)));
                sys::sleep_exactly();
                engine.serve();
            })
            .map_err(|error| format!("cannot start the io_uring thread: {error}"))?;
        let this = Self {
            queue,
            event,
            thread: Some(thread),
        };
        match is_pinned.recv() {
            Ok(Err(error)) => Err(format!("cannot pin the io_uring thread: {error}")),
            _ => Ok(this),
        }
    }

    pub fn enqueue(&self, chunks: Vec<Chunk>) {
        locked(&self.queue).chunks.extend(chunks);
        self.wake();
    }

    /// Drops what has not begun.
    pub fn cancel(&self) {
        let dropped = std::mem::take(&mut locked(&self.queue).chunks);
        drop(dropped);
    }

    fn wake(&self) {
        // The counter of an event cannot overflow here, so a write of 8 bytes always succeeds.
        drop((&self.event).write_all(&1u64.to_ne_bytes()));
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        locked(&self.queue).stop = true;
        self.wake();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
        self.cancel();
    }
}

struct InFlight {
    chunk: Chunk,
    memory: *mut u8,
    got: usize,
    started: Instant,
    due: Option<Instant>,
    outcome: Result<(), FlashError>,
}

/// What the thread owns.
struct Engine {
    ring: Ring,
    descriptor: RawFd,
    /// Keeps the descriptor open.
    _disk: Arc<dyn Disk>,
    shared: Arc<Shared>,
    shaper: Option<Arc<Shaper>>,
    queue: Arc<Mutex<Queue>>,
    event: File,
    event_value: Box<u64>,
    armed: bool,
    slots: Vec<Option<InFlight>>,
    free: Vec<u32>,
    in_kernel: usize,
    held: BinaryHeap<Reverse<(Instant, u32)>>,
    busy_since: Option<Instant>,
}

// SAFETY: the raw addresses inside point into buffers that their chunks keep alive; the engine moves to its thread once,
// before any read begins.
unsafe impl Send for Engine {}

impl Engine {
    fn serve(mut self) {
        if let Err(error) = self.run() {
            // The ring itself failed, which no read can cause: fail all that waits, and whatever comes later.
            let error = FlashError::io("use io_uring on", self.shared.file.path(), 0, 0, &error);
            self.abandon(error);
        }
    }

    fn run(&mut self) -> io::Result<()> {
        loop {
            let stop = self.take_work()?;
            if stop && self.in_kernel == 0 && self.held.is_empty() && !self.armed {
                return Ok(());
            }
            let due = self.held.peek().map(|Reverse((due, _))| *due);
            self.ring.enter(true, due)?;
            while let Some((user, result)) = self.ring.pop()? {
                if user == EVENT {
                    self.armed = false;
                } else {
                    self.in_kernel -= 1;
                    self.arrived(user as u32, result)?;
                }
            }
            self.release();
        }
    }

    /// Moves queued chunks into the kernel while there are free slots, and arms the event.
    fn take_work(&mut self) -> io::Result<bool> {
        let (taken, stop) = {
            let mut queue = locked(&self.queue);
            let count = self.free.len().min(queue.chunks.len());
            let taken: Vec<Chunk> = if queue.stop {
                Vec::new()
            } else {
                queue.chunks.drain(..count).collect()
            };
            (taken, queue.stop)
        };
        for chunk in taken {
            let now = Instant::now();
            self.busy_since.get_or_insert(now);
            let shaper = self.shaper.as_deref();
            let due = shaper.map(|shaper| shaper.begin(chunk.offset(), chunk.bytes() as u64, chunk.is_second_phase(), now));
            let memory = chunk.begin(now);
            let slot = self.free.pop().expect("no more chunks were taken than there are free slots");
            self.slots[slot as usize] = Some(InFlight {
                chunk,
                memory,
                got: 0,
                started: now,
                due,
                outcome: Ok(()),
            });
            self.push(slot)?;
        }
        if !self.armed && !stop {
            let address = std::ptr::from_mut(&mut *self.event_value).cast();
            self.ring.push(self.event.as_raw_fd(), 0, address, 8, EVENT)?;
            self.armed = true;
        }
        Ok(stop)
    }

    /// Gives the rest of a slot's chunk to the kernel.
    fn push(&mut self, slot: u32) -> io::Result<()> {
        let Some(flight) = &self.slots[slot as usize] else {
            return Ok(());
        };
        let offset = flight.chunk.offset() + flight.got as u64;
        let bytes = (flight.chunk.bytes() - flight.got) as u32;
        // SAFETY: `got` is below the chunk's length, so the address stays inside its memory.
        let address = unsafe { flight.memory.add(flight.got) };
        self.in_kernel += 1;
        self.ring.push(self.descriptor, offset, address, bytes, u64::from(slot))
    }

    fn arrived(&mut self, slot: u32, result: i32) -> io::Result<()> {
        let Some(flight) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) else {
            return Ok(());
        };
        let (offset, wanted) = (flight.chunk.offset(), flight.chunk.bytes());
        let path = self.shared.file.path();
        if result == -sys::EINTR || result == -sys::EAGAIN {
            return self.push(slot);
        }
        if result < 0 {
            let error = io::Error::from_raw_os_error(-result);
            flight.outcome = Err(FlashError::io("read", path, offset, wanted as u64, &error));
        } else {
            flight.got += result as usize;
            if flight.got < wanted {
                if result > 0 && (flight.got as u64).is_multiple_of(PAGE) {
                    return self.push(slot);
                }
                let (wanted, got) = (wanted as u64, flight.got as u64);
                flight.outcome = Err(FlashError::ShortRead {
                    path: path.to_path_buf(),
                    offset,
                    wanted,
                    got,
                });
            }
        }
        let due = flight.due;
        match (&self.shaper, due) {
            (Some(shaper), Some(due)) if shaper.is_early(due, Instant::now()) => self.held.push(Reverse((due, slot))),
            _ => self.deliver(slot),
        }
        Ok(())
    }

    /// Delivers what the shaper held back and is due.
    fn release(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((due, slot))) = self.held.peek().copied() {
            if due > now {
                break;
            }
            self.held.pop();
            self.deliver(slot);
        }
    }

    fn deliver(&mut self, slot: u32) {
        let Some(flight) = self.slots[slot as usize].take() else {
            return;
        };
        self.free.push(slot);
        if flight.outcome.is_ok() {
            self.shared
                .counters
                .read(flight.chunk.bytes() as u64, flight.started.elapsed());
        }
        if self.free.len() == self.slots.len()
            && let Some(since) = self.busy_since.take()
        {
            self.shared.counters.busy(0, since.elapsed());
        }
        flight.chunk.finish(flight.outcome, 0);
    }

    /// Fails everything. Buffers that the kernel may still write to are never given back: a leak is the lesser harm.
    fn abandon(&mut self, error: FlashError) {
        for flight in self.slots.iter_mut().filter_map(Option::take) {
            std::mem::forget(flight.chunk.keep_memory());
            flight.chunk.finish(Err(error.clone()), 0);
        }
        loop {
            let (chunks, stop) = {
                let mut queue = locked(&self.queue);
                (std::mem::take(&mut queue.chunks), queue.stop)
            };
            for chunk in chunks {
                chunk.finish(Err(error.clone()), 0);
            }
            if stop {
                return;
            }
            // The event may still be read by the broken ring, so it cannot be waited for here.
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
