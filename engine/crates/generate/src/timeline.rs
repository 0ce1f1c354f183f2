//! What the spans of a run come to, pass by pass: collected between two forward passes, so that no pass pays for it.
//!
//! Sums cover every pass. Of the spans themselves those of the last passes are kept, as many whole passes as [`MOST_SPANS`] has room
//! for: a run that has settled says more than its beginning, where the cache is empty.

use std::collections::VecDeque;
use std::mem::size_of;
use std::time::Duration;

use spans::{Activity, Lane, MOST_OF_A_TRACK, Span, Tracer};

use crate::intervals::{covered, joined, shared};
use crate::meter::Reading;

/// Spans that are kept at most, besides those of the last pass.
pub const MOST_SPANS: usize = 1 << 18;

/// Memory of all this (bytes): what threads record, what is kept, what is being sorted.
pub(crate) fn most_bytes(threads: usize) -> u64 {
    (((threads + 1) * MOST_OF_A_TRACK + 2 * MOST_SPANS) * size_of::<Span>()) as u64
}

/// Where the time of some passes went. Nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Forward passes.
    pub passes: usize,
    /// All of them, by the wall clock.
    pub took: Duration,
    /// By activity, in the order of `Activity::ALL`: time of compute threads (what all do together counts once for each), or time of
    /// reads, of which many are under way at once.
    pub by_activity: [u64; Activity::ALL.len()],
    /// What each thread computed by itself.
    pub by_thread: Vec<u64>,
    /// What they computed together.
    pub together: u64,
    /// Wall time with at least one read under way.
    pub reading: u64,
    /// The part of it in which no thread computed.
    pub exposed: u64,
}

impl Spent {
    fn new(threads: usize) -> Self {
        Self {
            passes: 0,
            took: Duration::ZERO,
            by_activity: [0; Activity::ALL.len()],
            by_thread: vec![0; threads],
            together: 0,
            reading: 0,
            exposed: 0,
        }
    }

    fn add(&mut self, spans: &[Span], took: Duration) {
        self.passes += 1;
        self.took += took;
        let threads = self.by_thread.len() as u64;
        let (mut reads, mut computing) = (Vec::new(), Vec::new());
        for span in spans {
            let times = if span.lane() == Lane::Together { threads } else { 1 };
            self.by_activity[span.what() as usize] += times * span.took();
            if span.what().is_read() {
                reads.push((span.start(), span.end()));
            } else if span.what().is_compute() {
                computing.push((span.start(), span.end()));
                match span.lane() {
                    Lane::Thread(index) => self.by_thread[usize::from(index)] += span.took(),
                    _ => self.together += span.took(),
                }
            }
        }
        let (reads, computing) = (joined(reads), joined(computing));
        let reading = covered(&reads);
        self.reading += reading;
        self.exposed += reading - shared(&reads, &computing);
    }
}

/// A forward pass of generating.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassRow {
    /// All of it, with the choice of the token.
    pub took: Duration,
    /// Bytes read from the disk.
    pub bytes: u64,
    /// Units of up and down looked for in the cache, and those that were not there.
    pub look_ups: u64,
    /// See `look_ups`.
    pub misses: u64,
}

/// The spans of one pass, in the order of their lanes and times.
#[derive(Clone, Debug)]
pub struct PassSpans {
    /// Which pass of generating; `None` for one of the prompt.
    pub token: Option<u32>,
    /// What happened in it.
    pub spans: Vec<Span>,
}

/// What a traced run leaves.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// Of the prompt.
    pub prompt: Spent,
    /// Of generating.
    pub decode: Spent,
    /// Each pass of generating.
    pub rows: Vec<PassRow>,
    /// The last passes.
    pub kept: VecDeque<PassSpans>,
    /// Passes before those.
    pub forgotten: usize,
    /// Spans that had no room where they were recorded: their passes' sums are too small.
    pub lost: u64,
}

/// Makes a [`Timeline`] while a run goes on; does nothing for a run that is not traced.
pub(crate) struct Collector {
    tracer: Tracer,
    timeline: Timeline,
    kept: usize,
    last: Reading,
}

impl Collector {
    pub fn new(tracer: Tracer, threads: usize, now: Reading) -> Self {
        Self {
            tracer,
            timeline: Timeline {
                prompt: Spent::new(threads),
                decode: Spent::new(threads),
                rows: Vec::new(),
                kept: VecDeque::new(),
                forgotten: 0,
                lost: 0,
            },
            kept: 0,
            last: now,
        }
    }

    /// A part of the prompt was read.
    pub fn prompt(&mut self, read: impl FnOnce() -> Reading) {
        if self.tracer.is_on() {
            let now = read();
            let took = now.since(&self.last).took;
            self.last = now;
            self.pass(None, took);
        }
    }

    /// A token was made by a pass that took so long.
    pub fn token(&mut self, took: Duration, read: impl FnOnce() -> Reading) {
        if !self.tracer.is_on() {
            return;
        }
        let now = read();
        let spent = now.since(&self.last);
        self.last = now;
        self.pass(Some(self.timeline.rows.len() as u32), took);
        self.timeline.rows.push(PassRow {
            took,
            bytes: spent.disk_bytes,
            look_ups: spent.counters.look_ups,
            misses: spent.counters.misses,
        });
    }

    fn pass(&mut self, token: Option<u32>, took: Duration) {
        let timeline = &mut self.timeline;
        let mut spans = Vec::new();
        timeline.lost += self.tracer.collect(&mut spans);
        let spent = if token.is_some() {
            &mut timeline.decode
        } else {
            &mut timeline.prompt
        };
        spent.add(&spans, took);
        self.kept += spans.len();
        timeline.kept.push_back(PassSpans { token, spans });
        while self.kept > MOST_SPANS
            && timeline.kept.len() > 1
            && let Some(oldest) = timeline.kept.pop_front()
        {
            self.kept -= oldest.spans.len();
            timeline.forgotten += 1;
        }
    }

    pub fn finish(self) -> Option<Timeline> {
        self.tracer.is_on().then_some(self.timeline)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use spans::{Activity, MOST_OF_A_TRACK, Tracer};

    use super::{Collector, MOST_SPANS};
    use crate::between::Decisions;
    use crate::meter::Meter;
    use crate::watch::Watch;

    fn meter() -> Meter {
        Meter {
            watch: Watch::default(),
            reader: None,
            decisions: Decisions::default(),
        }
    }

    #[test]
    fn the_last_passes_are_kept_and_the_sums_are_of_all() {
        let (tracer, meter) = (Tracer::new(1), meter());
        let mut collector = Collector::new(tracer.clone(), 1, meter.now());
        let passes = MOST_SPANS / MOST_OF_A_TRACK + 3;
        let now = Instant::now();
        for pass in 0..passes {
            for _ in 0..MOST_OF_A_TRACK {
                tracer
                    .thread(0)
                    .read(Activity::ReadGate, pass as u32, now, now + Duration::from_nanos(10));
            }
            collector.token(Duration::from_millis(1), || meter.now());
        }
        let timeline = collector.finish().unwrap();
        assert_eq!((timeline.forgotten, timeline.kept.len()), (3, passes - 3));
        assert_eq!(timeline.kept[0].token, Some(3));
        assert_eq!(timeline.decode.passes, passes);
        assert_eq!(
            timeline.decode.by_activity[Activity::ReadGate as usize],
            10 * (passes * MOST_OF_A_TRACK) as u64
        );
        // They were all under way at one time, in each pass.
        assert_eq!(timeline.decode.reading, 10 * passes as u64);
        assert_eq!(timeline.decode.exposed, timeline.decode.reading);
    }

    #[test]
    fn a_run_that_is_not_traced_leaves_nothing() {
        let meter = meter();
        let mut collector = Collector::new(Tracer::off(), 2, meter.now());
        collector.prompt(|| unreachable!("no counter is read"));
        collector.token(Duration::ZERO, || unreachable!("no counter is read"));
        assert!(collector.finish().is_none());
    }
}
