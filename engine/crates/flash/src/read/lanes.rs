//! Reads through N lanes: threads that each have one read in flight. Works wherever `pread` does, Android apps included.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use super::Disk;
use super::pages::{Ended, PageDone, PageRead, PageTray};
use super::run::{Chunk, Shared, locked};
use crate::{FlashError, PAGE, Shaper, sys};

enum Job {
    Chunk(Chunk),
    Pages(PageRead),
}

struct Queue {
    jobs: VecDeque<Job>,
    stop: bool,
}

struct Work {
    queue: Mutex<Queue>,
    arrived: Condvar,
    tray: PageTray,
}

pub(crate) struct Lanes {
    work: Arc<Work>,
    threads: Vec<JoinHandle<()>>,
}

impl Lanes {
    /// `pin[i]`, where given, is the CPU of lane i.
    pub fn new(
        shared: &Arc<Shared>,
        disk: &Arc<dyn Disk>,
        lanes: usize,
        pin: &[usize],
        shaper: Option<&Arc<Shaper>>,
    ) -> Result<Self, FlashError> {
        let queue = Queue {
            jobs: VecDeque::new(),
            stop: false,
        };
        let mut this = Self {
            work: Arc::new(Work {
                queue: Mutex::new(queue),
                arrived: Condvar::new(),
                tray: PageTray::default(),
            }),
            threads: Vec::with_capacity(lanes),
        };
        for lane in 0..lanes {
            let (work, shared, disk) = (Arc::clone(&this.work), Arc::clone(shared), Arc::clone(disk));
            let shaper = shaper.cloned();
            let cpu = pin.get(lane).copied();
            let begin = std::thread::Builder::new().name(format!("lane-{lane}"));
            let (pinned, is_pinned) = mpsc::channel();
            let thread = begin.spawn(move || {
                // The opener waits for this answer, so it cannot have gone.
                drop(pinned.send(cpu.map_or(Ok(()), sys::pin_to)));
                sys::sleep_exactly();
                serve(&work, &shared, &*disk, shaper.as_deref(), lane);
            });
            match thread {
                Ok(thread) => this.threads.push(thread),
                Err(error) => return Err(FlashError::input(format!("cannot start lane {lane} of {lanes}: {error}"))),
            }
            if let Ok(Err(error)) = is_pinned.recv() {
                let cpu = cpu.unwrap_or(0);
                return Err(FlashError::input(format!("cannot pin lane {lane} to cpu {cpu}: {error}")));
            }
        }
        Ok(this)
    }

    pub fn enqueue(&self, chunks: Vec<Chunk>) {
        let count = chunks.len();
        self.add(count, chunks.into_iter().map(Job::Chunk));
    }

    /// Page reads; their ends go to the tray.
    pub fn read_pages(&self, reads: &[PageRead]) {
        self.work.tray.expect(reads.len());
        self.add(reads.len(), reads.iter().copied().map(Job::Pages));
    }

    fn add(&self, count: usize, jobs: impl Iterator<Item = Job>) {
        locked(&self.work.queue).jobs.extend(jobs);
        if count == 1 {
            self.work.arrived.notify_one();
        } else {
            self.work.arrived.notify_all();
        }
    }

    /// Where the ends of page reads lie.
    pub fn tray(&self) -> &PageTray {
        &self.work.tray
    }

    /// Drops what has not begun; each such request completes as cancelled.
    pub fn cancel(&self) {
        let dropped = std::mem::take(&mut locked(&self.work.queue).jobs);
        for job in dropped {
            if let Job::Pages(read) = job {
                self.work.tray.put(Ended::refused(read, FlashError::Cancelled).done);
            }
        }
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        locked(&self.work.queue).stop = true;
        self.work.arrived.notify_all();
        for thread in self.threads.drain(..) {
            // A lane that panicked has nothing more to say; its requests ended with their chunks.
            drop(thread.join());
        }
        self.cancel();
    }
}

fn next(work: &Work) -> Option<Job> {
    let mut queue = locked(&work.queue);
    loop {
        if queue.stop {
            return None;
        }
        if let Some(job) = queue.jobs.pop_front() {
            return Some(job);
        }
        queue = work.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
}

fn serve(work: &Work, shared: &Shared, disk: &dyn Disk, shaper: Option<&Shaper>, lane: usize) {
    while let Some(job) = next(work) {
        let started = Instant::now();
        let (offset, bytes, second_phase) = match &job {
            Job::Chunk(chunk) => (chunk.offset(), chunk.bytes(), chunk.is_second_phase()),
            Job::Pages(read) => (read.offset, read.bytes as usize, read.second_phase),
        };
        shared.counters.begins(started);
        let due = shaper.map(|shaper| shaper.begin(offset, bytes as u64, second_phase, started));
        let memory = match &job {
            Job::Chunk(chunk) => chunk.begin(started),
            Job::Pages(read) => read.into,
        };
        // SAFETY: `begin` hands out memory of this length for this chunk alone, and whoever submits a page read promises the
        // same; both are initialised.
        let buffer = unsafe { std::slice::from_raw_parts_mut(memory, bytes) };
        let outcome = read_whole(shared.file.path(), disk, buffer, offset);
        if let (Some(shaper), Some(due)) = (shaper, due) {
            shaper.hold(due);
        }
        let took = started.elapsed();
        shared.counters.busy(lane, took);
        shared.counters.ends(started + took);
        if outcome.is_ok() {
            shared.counters.read(bytes as u64, took);
        }
        match job {
            Job::Chunk(chunk) => chunk.finish(outcome, lane as u32),
            Job::Pages(read) => {
                let done = PageDone {
                    tag: read.tag,
                    lane: lane as u32,
                    started,
                    finished: started + took,
                    outcome,
                };
                work.tray.put(Ended { read, done }.verified(shared));
            }
        }
    }
}

/// Fills `buffer` or says at which offset and length it failed. An interrupted call is repeated; a read that ended on a
/// page goes on from there; any other end is the file's, which is shorter than its index says.
pub(super) fn read_whole(path: &Path, disk: &dyn Disk, buffer: &mut [u8], offset: u64) -> Result<(), FlashError> {
    let wanted = buffer.len() as u64;
    let mut got = 0;
    while got < buffer.len() {
        match disk.read_at(&mut buffer[got..], offset + got as u64) {
            Ok(count) => {
                got += count;
                if got < buffer.len() && (count == 0 || !(got as u64).is_multiple_of(PAGE)) {
                    return Err(FlashError::ShortRead {
                        path: path.to_path_buf(),
                        offset,
                        wanted,
                        got: got as u64,
                    });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FlashError::io("read", path, offset, wanted, &error)),
        }
    }
    Ok(())
}
