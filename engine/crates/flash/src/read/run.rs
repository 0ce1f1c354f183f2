//! One contiguous read on its way: which requests wait for it, where its bytes go, and how its end is told.
//!
//! Requests ask for spans; neighbouring spans are merged into runs; a run has one buffer and is read in chunks, the units
//! that backends see. A request is complete when all runs that hold its spans are.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::buffer::{BufferPool, PooledBuffer};
use super::data::{Completion, Data, Piece};
use super::statistics::Counters;
use crate::file::FlashFile;
use crate::{FlashError, Span};

pub(crate) struct Pending {
    tag: u64,
    left: AtomicUsize,
    submitted: Instant,
    state: Mutex<PendingState>,
}

struct PendingState {
    pieces: Vec<Piece>,
    error: Option<FlashError>,
    started: Option<Instant>,
}

impl Pending {
    pub fn new(tag: u64, spans: usize, submitted: Instant) -> Arc<Self> {
        let state = PendingState {
            pieces: Vec::with_capacity(spans),
            error: None,
            started: None,
        };
        Arc::new(Self {
            tag,
            left: AtomicUsize::new(spans),
            submitted,
            state: Mutex::new(state),
        })
    }
}

/// A request's span inside a run.
pub(crate) struct Member {
    pub pending: Arc<Pending>,
    pub span: Span,
}

/// What all parts of a reader share.
pub(crate) struct Shared {
    pub file: Arc<FlashFile>,
    pub pool: Arc<BufferPool>,
    pub counters: Counters,
    pub verify: bool,
    ready: Mutex<Ready>,
    arrived: Condvar,
}

struct Ready {
    queue: VecDeque<Completion>,
    in_flight: usize,
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn new(file: Arc<FlashFile>, pool: Arc<BufferPool>, lanes: usize, verify: bool) -> Arc<Self> {
        let ready = Mutex::new(Ready {
            queue: VecDeque::new(),
            in_flight: 0,
        });
        Arc::new(Self {
            file,
            pool,
            counters: Counters::new(lanes),
            verify,
            ready,
            arrived: Condvar::new(),
        })
    }

    pub fn expect(&self, requests: usize) {
        locked(&self.ready).in_flight += requests;
    }

    pub fn poll(&self) -> Option<Completion> {
        locked(&self.ready).queue.pop_front()
    }

    /// The first completion that `wanted` accepts; `None` once nothing is in flight that could bring one.
    pub fn wait(&self, wanted: impl Fn(&Completion) -> bool) -> Option<Completion> {
        let mut ready = locked(&self.ready);
        loop {
            if let Some(index) = ready.queue.iter().position(&wanted) {
                return ready.queue.remove(index);
            }
            if ready.in_flight == 0 {
                return None;
            }
            ready = self.arrived.wait(ready).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends a request that asked for no byte.
    pub fn complete_empty(&self, pending: &Pending) {
        self.complete(completion_of(pending, pending.submitted, 0));
    }

    fn complete(&self, completion: Completion) {
        let mut ready = locked(&self.ready);
        ready.in_flight -= 1;
        ready.queue.push_back(completion);
        drop(ready);
        self.arrived.notify_all();
    }
}

pub(crate) struct Run {
    shared: Arc<Shared>,
    span: Span,
    second_phase: bool,
    members: Vec<Member>,
    left: AtomicUsize,
    state: Mutex<RunState>,
}

#[derive(Default)]
struct RunState {
    buffer: Option<Arc<PooledBuffer>>,
    /// The first failure in the file, with its place in the run: which one is told does not depend on timing.
    error: Option<(usize, FlashError)>,
    started: Option<Instant>,
}

impl Run {
    /// A run of whole pages, cut into chunks of at most `most` bytes (a multiple of a page).
    pub fn chunks(shared: &Arc<Shared>, span: Span, second_phase: bool, members: Vec<Member>, most: u64) -> Vec<Chunk> {
        let count = span.bytes.div_ceil(most);
        let run = Arc::new(Self {
            shared: Arc::clone(shared),
            span,
            second_phase,
            members,
            left: AtomicUsize::new(count as usize),
            state: Mutex::new(RunState::default()),
        });
        let cut = |index: u64| {
            let start = index * most;
            Chunk {
                run: Arc::clone(&run),
                start: start as usize,
                bytes: (span.bytes - start).min(most) as usize,
            }
        };
        (0..count).map(cut).collect()
    }

    fn finish(&self, lane: u32) {
        let now = Instant::now();
        let (buffer, error, started) = {
            let mut state = locked(&self.state);
            (
                state.buffer.take(),
                state.error.take().map(|(_, error)| error),
                state.started.unwrap_or(now),
            )
        };
        for member in &self.members {
            let mut state = locked(&member.pending.state);
            state.started = Some(state.started.map_or(started, |first| first.min(started)));
            match (&error, &buffer) {
                (None, Some(buffer)) => {
                    let from = (member.span.offset - self.span.offset) as usize;
                    let range = from..from + member.span.bytes as usize;
                    state.pieces.push(Piece {
                        offset: member.span.offset,
                        buffer: Arc::clone(buffer),
                        range,
                    });
                }
                (error, _) => state.error = state.error.take().or(error.clone()).or(Some(FlashError::Cancelled)),
            }
        }
        // Before anybody hears of it: who drops the last piece then returns the buffer to its pool.
        drop(buffer);
        for member in &self.members {
            if member.pending.left.fetch_sub(1, Ordering::AcqRel) == 1 {
                self.shared.complete(completion_of(&member.pending, now, lane));
            }
        }
    }
}

fn completion_of(pending: &Pending, finished: Instant, lane: u32) -> Completion {
    let mut state = locked(&pending.state);
    let mut pieces = std::mem::take(&mut state.pieces);
    pieces.sort_unstable_by_key(|piece| piece.offset);
    let outcome = match state.error.take() {
        Some(error) => Err(error),
        None => Ok(Data { pieces }),
    };
    let started = state.started.unwrap_or(finished);
    Completion {
        tag: pending.tag,
        outcome,
        submitted: pending.submitted,
        started,
        finished,
        lane,
    }
}

/// A part of a run that is read with one call (or several, where the disk brings less). Dropping one unfinished fails its
/// requests as cancelled, so that nobody waits for what cannot come.
pub(crate) struct Chunk {
    run: Arc<Run>,
    start: usize,
    bytes: usize,
}

impl Chunk {
    pub fn offset(&self) -> u64 {
        self.run.span.offset + self.start as u64
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn is_second_phase(&self) -> bool {
        self.run.second_phase
    }

    /// Marks the chunk as begun and says where its bytes go: `self.bytes()` bytes that belong to this chunk alone and stay
    /// valid until it is finished or dropped.
    pub fn begin(&self, now: Instant) -> *mut u8 {
        let mut state = locked(&self.run.state);
        state.started.get_or_insert(now);
        let buffer = state
            .buffer
            .get_or_insert_with(|| Arc::new(self.run.shared.pool.take(self.run.span.bytes as usize)));
        // SAFETY: the chunk lies inside its run, and the buffer is as long as the run.
        unsafe { buffer.address().as_ptr().add(self.start) }
    }

    /// The run's buffer, for who must keep it from being reused.
    pub fn keep_memory(&self) -> Option<Arc<PooledBuffer>> {
        locked(&self.run.state).buffer.clone()
    }

    /// Compares what was read and somebody asked for with its checksums. Pages between members are read for nothing, and not looked at.
    fn verify(&self) -> Result<(), FlashError> {
        let Some(buffer) = self.run.shared.verify.then(|| self.keep_memory()).flatten() else {
            return Ok(());
        };
        let from = self.run.span.offset;
        let (mut at, end) = (self.offset(), self.offset() + self.bytes as u64);
        let mut pages = 0;
        for Member { span, .. } in &self.run.members {
            let (first, last) = (at.max(span.offset), end.min(span.end()));
            if first < last {
                // SAFETY: inside this chunk, whose bytes have arrived and are nobody else's before it is finished.
                let bytes = unsafe {
                    let first_byte = buffer.address().as_ptr().add((first - from) as usize);
                    std::slice::from_raw_parts(first_byte, (last - first) as usize)
                };
                pages += self.run.shared.file.verify_pages(first, bytes)?;
                at = last;
            }
        }
        self.run.shared.counters.verified.fetch_add(pages, Ordering::Relaxed);
        Ok(())
    }

    /// The chunk was read, or was not; a whole one is verified here, on the thread that read it.
    pub fn finish(self, outcome: Result<(), FlashError>, lane: u32) {
        if let Err(error) = outcome.and_then(|()| self.verify()) {
            self.fail(error);
        }
        self.end(lane);
        // The drop below is for chunks that nobody finished.
        let run = {
            let mut this = std::mem::ManuallyDrop::new(self);
            // SAFETY: `this` is never used or dropped again, so its only field with a destructor is moved out once.
            unsafe { std::ptr::read(&raw mut this.run) }
        };
        drop(run);
    }

    fn fail(&self, error: FlashError) {
        let mut state = locked(&self.run.state);
        if state.error.as_ref().is_none_or(|(start, _)| self.start < *start) {
            state.error = Some((self.start, error));
        }
    }

    fn end(&self, lane: u32) {
        if self.run.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.run.finish(lane);
        }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.fail(FlashError::Cancelled);
        self.end(0);
    }
}
