//! What each compute thread and each read did, and when: the spans of a real run.
//!
//! - [`Tracer`] is handed to whatever works. One that is off reads no clock and takes no lock: `begin` and `end` are a test of an
//!   empty option.
//! - [`Track`] is one thread's list. A thread takes it once for many spans (a layer's stages), so no span costs a lock; the few
//!   spans of all threads together ([`Tracer::together`]) and of streams lock theirs one by one.
//! - [`Tracer::collect`] moves everything out between two forward passes.
//!
//! Memory is bounded: a track holds [`MOST_OF_A_TRACK`] spans between two collections, and counts what comes after that as lost.
//!
//! May import: std.
#![warn(missing_docs)]

mod activity;
mod span;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use activity::Activity;
pub use span::Span;

/// Whose time a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// One compute thread.
    Thread(u16),
    /// All compute threads, on one thing together.
    Together,
    /// A read, from its start to its end; many are under way at once.
    Read,
}

/// Spans that a track holds between two collections.
pub const MOST_OF_A_TRACK: usize = 1 << 16;

/// A stage that is under way; nothing where the tracer is off.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Begun(Option<Instant>);

#[derive(Default)]
struct Recorded {
    spans: Vec<Span>,
    lost: u64,
}

struct Shared {
    epoch: Instant,
    /// One for each thread, and one for what they do together.
    tracks: Vec<Mutex<Recorded>>,
}

impl Shared {
    fn since(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.epoch).as_nanos() as u64
    }
}

/// Records spans, or nothing. Clones record to the same place.
#[derive(Clone, Default)]
pub struct Tracer(Option<Arc<Shared>>);

impl Tracer {
    /// Records nothing.
    pub const fn off() -> Self {
        Self(None)
    }

    /// Records the work of so many threads from now on.
    pub fn new(threads: usize) -> Self {
        let tracks = (0..=threads).map(|_| Mutex::default()).collect();
        Self(Some(Arc::new(Shared {
            epoch: Instant::now(),
            tracks,
        })))
    }

    /// Whether anything is recorded.
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Nanoseconds from the tracer's beginning to `at`; 0 where it is off.
    pub fn since(&self, at: Instant) -> u64 {
        self.0.as_ref().map_or(0, |shared| shared.since(at))
    }

    /// The track of thread `index` (0 is the calling thread of a pool), for as long as the result lives. A thread that the tracer
    /// was not made for records nothing.
    pub fn thread(&self, index: usize) -> Track<'_> {
        let shared = self.0.as_deref().filter(|shared| index + 1 < shared.tracks.len());
        Track(shared.map(|shared| Recording {
            shared,
            recorded: shared.tracks[index].lock().unwrap_or_else(PoisonError::into_inner),
            lane: Lane::Thread(index as u16),
            last: None,
        }))
    }

    /// Begins something that all threads do together.
    #[inline]
    pub fn begin(&self) -> Begun {
        Begun(self.0.as_ref().map(|_| Instant::now()))
    }

    /// Ends it.
    #[inline]
    pub fn together(&self, begun: Begun, what: Activity, layer: Option<usize>) {
        if let (Some(shared), Begun(Some(started))) = (&self.0, begun) {
            shared.put(Lane::Together, what, layer, started, Instant::now());
        }
    }

    /// A read that was waited for by all threads together.
    #[inline]
    pub fn read(&self, what: Activity, layer: usize, started: Instant, finished: Instant) {
        if let Some(shared) = &self.0 {
            shared.put(Lane::Read, what, Some(layer), started, finished);
        }
    }

    /// Moves all spans so far to `into`, those of a thread in the order of their ends, and returns how many were lost for want of
    /// room. No thread may hold its track.
    pub fn collect(&self, into: &mut Vec<Span>) -> u64 {
        let Some(shared) = &self.0 else { return 0 };
        let mut lost = 0;
        for track in &shared.tracks {
            let mut track = track.lock().unwrap_or_else(PoisonError::into_inner);
            into.append(&mut track.spans);
            lost += std::mem::take(&mut track.lost);
        }
        lost
    }
}

impl Shared {
    fn put(&self, lane: Lane, what: Activity, layer: Option<usize>, started: Instant, finished: Instant) {
        let together = &self.tracks[self.tracks.len() - 1];
        together
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .put(self, lane, what, layer, started, finished);
    }
}

impl Recorded {
    fn put(&mut self, shared: &Shared, lane: Lane, what: Activity, layer: Option<usize>, started: Instant, finished: Instant) {
        let (mut start, end) = (shared.since(started), shared.since(finished));
        loop {
            if self.spans.len() >= MOST_OF_A_TRACK {
                self.lost += 1;
                return;
            }
            let span = Span::new(start, end, lane, layer, what);
            self.spans.push(span);
            // What takes longer than a span can say goes on in the next.
            start = span.end();
            if start >= end {
                return;
            }
        }
    }
}

/// One thread's spans, while it holds them.
pub struct Track<'a>(Option<Recording<'a>>);

struct Recording<'a> {
    shared: &'a Shared,
    recorded: MutexGuard<'a, Recorded>,
    lane: Lane,
    /// When the last stage ended.
    last: Option<Instant>,
}

/// What lies between two stages and is shorter than this is no span of its own: the timeline would be twice as long for it.
const SHORT: Duration = Duration::from_micros(1);

impl Track<'_> {
    /// Begins a stage.
    #[inline]
    pub fn begin(&self) -> Begun {
        Begun(self.0.as_ref().map(|_| Instant::now()))
    }

    /// Ends it. What this thread did since its last stage, while it held the track, is [`Activity::Cache`].
    #[inline]
    pub fn end(&mut self, begun: Begun, what: Activity, layer: u32) {
        if let (Some(recording), Begun(Some(started))) = (&mut self.0, begun) {
            let (now, layer) = (Instant::now(), Some(layer as usize));
            if let Some(last) = recording.last.replace(now)
                && started.saturating_duration_since(last) >= SHORT
            {
                recording.put(recording.lane, Activity::Cache, layer, last, started);
            }
            recording.put(recording.lane, what, layer, started, now);
        }
    }

    /// A read that this thread saw the end of.
    #[inline]
    pub fn read(&mut self, what: Activity, layer: u32, started: Instant, finished: Instant) {
        if let Some(recording) = &mut self.0 {
            recording.put(Lane::Read, what, Some(layer as usize), started, finished);
        }
    }
}

impl Recording<'_> {
    fn put(&mut self, lane: Lane, what: Activity, layer: Option<usize>, started: Instant, finished: Instant) {
        self.recorded.put(self.shared, lane, what, layer, started, finished);
    }
}
