//! Reads through io_uring: one thread that keeps up to `depth` reads in the kernel.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use super::Disk;
use super::flights::{Flights, Wanted};
use super::run::{Chunk, Shared, locked};
use crate::{FlashError, Shaper, sys};

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
        // One more entry for the event.
        let flights = Flights::new(shared, disk, depth, 1, shaper)?;
        let event = sys::event().map_err(|error| format!("no event descriptor: {error}"))?;
        let own_event = event.try_clone().map_err(|error| format!("no event descriptor: {error}"))?;
        let queue = Arc::new(Mutex::new(Queue {
            chunks: VecDeque::new(),
            stop: false,
        }));
        let engine = Engine {
            flights,
            shared: Arc::clone(shared),
            queue: Arc::clone(&queue),
            event: own_event,
            event_value: Box::new(0),
            armed: false,
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

impl Wanted for Chunk {
    fn offset(&self) -> u64 {
        Self::offset(self)
    }

    fn bytes(&self) -> u32 {
        // At most the largest read, which is at most 1 GiB.
        Self::bytes(self) as u32
    }

    fn is_second_phase(&self) -> bool {
        Self::is_second_phase(self)
    }

    fn begin(&self, now: Instant) -> *mut u8 {
        Self::begin(self, now)
    }
}

/// What the thread owns.
struct Engine {
    flights: Flights<Chunk>,
    shared: Arc<Shared>,
    queue: Arc<Mutex<Queue>>,
    event: File,
    event_value: Box<u64>,
    armed: bool,
}

impl Engine {
    fn serve(mut self) {
        if let Err(error) = self.run() {
            // The ring itself failed, which no read can cause: fail all that waits, and whatever comes later.
            let error = FlashError::io("use io_uring on", self.shared.file.path(), 0, 0, &error);
            self.abandon(&error);
        }
    }

    fn run(&mut self) -> io::Result<()> {
        loop {
            let stop = self.take_work()?;
            if stop && self.flights.is_empty() && !self.armed {
                return Ok(());
            }
            let due = self.flights.next_due();
            self.flights.ring().enter(true, due)?;
            while let Some((user, result)) = self.flights.ring().pop()? {
                if user == EVENT {
                    self.armed = false;
                } else {
                    self.flights.arrived(user, result)?;
                }
            }
            self.flights.release();
            for landed in self.flights.take_landed() {
                landed.wanted.finish(landed.outcome, 0);
            }
        }
    }

    /// Moves queued chunks into the kernel while there is room, and arms the event.
    fn take_work(&mut self) -> io::Result<bool> {
        let (taken, stop) = {
            let mut queue = locked(&self.queue);
            let count = self.flights.room().min(queue.chunks.len());
            let taken: Vec<Chunk> = if queue.stop {
                Vec::new()
            } else {
                queue.chunks.drain(..count).collect()
            };
            (taken, queue.stop)
        };
        for chunk in taken {
            self.flights.begin(chunk)?;
        }
        if !self.armed && !stop {
            let address = std::ptr::from_mut(&mut *self.event_value).cast();
            let event = self.event.as_raw_fd();
            self.flights.ring().push(event, 0, address, 8, EVENT)?;
            self.armed = true;
        }
        Ok(stop)
    }

    /// Fails everything. Buffers that the kernel may still write to are never given back: a leak is the lesser harm.
    fn abandon(&mut self, error: &FlashError) {
        self.flights.abandon(error);
        for landed in self.flights.take_landed() {
            std::mem::forget(landed.wanted.keep_memory());
            landed.wanted.finish(landed.outcome, 0);
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
