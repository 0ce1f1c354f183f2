//! What a reader counted: bytes, requests, merging, latencies, and how long each lane was busy.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Four buckets for every doubling, up to about 18 minutes: a quantile is known to within 25 %.
const BUCKETS: usize = 160;

/// Latencies of physical reads, counted by size class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
}

fn bucket_of(ns: u64) -> usize {
    let ns = ns.max(4);
    let exponent = ns.ilog2();
    let quarter = (ns >> (exponent - 2)) & 3;
    (4 * exponent as usize + quarter as usize).min(BUCKETS - 1)
}

impl Histogram {
    /// Reads counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// An upper bound, at most 25 % high, of the time within which the share `quantile` (0 to 1) of reads came back, in
    /// nanoseconds; 0 if there were none.
    pub fn quantile_ns(&self, quantile: f64) -> u64 {
        let wanted = (self.count() as f64 * quantile.clamp(0.0, 1.0)).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                let (exponent, quarter) = (bucket / 4, (bucket % 4) as u64);
                return if exponent < 2 {
                    4
                } else {
                    (4 + quarter + 1) << (exponent - 2)
                };
            }
        }
        0
    }

    /// Those counted after `before`, an earlier state of this.
    pub fn since(&self, before: &Self) -> Self {
        let pairs = self.counts.iter().zip(&before.counts);
        Self {
            counts: pairs.map(|(now, then)| now.saturating_sub(*then)).collect(),
        }
    }

    /// Upper bound of each bucket in use, in nanoseconds, with its count.
    pub fn buckets(&self) -> Vec<(u64, u64)> {
        let bound = |bucket: usize| (4 + (bucket % 4) as u64 + 1) << (bucket / 4).saturating_sub(2);
        self.counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(|(bucket, count)| (bound(bucket), *count))
            .collect()
    }
}

/// Counters of a reader since it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Bytes read from the disk, in whole pages.
    pub bytes: u64,
    /// Requests submitted.
    pub requests: u64,
    /// Contiguous ranges that the requests asked for.
    pub ranges: u64,
    /// Of these, ranges that shared a read with their neighbour.
    pub merged: u64,
    /// Reads given to the operating system.
    pub reads: u64,
    /// Pages whose checksum was compared.
    pub verified: u64,
    /// Time from a read's start to its end, for each read.
    pub latency: Histogram,
    /// Nanoseconds that each lane spent in reads; for io_uring one number, the time with at least one read in flight.
    pub busy_ns: Vec<u64>,
    /// Nanoseconds with at least one read under way, whatever serves it.
    pub reading_ns: u64,
    /// The most bytes of buffers that were lent out at once.
    pub peak_buffer_bytes: u64,
}

/// Reads under way at once, over all lanes and rings.
#[derive(Default)]
struct UnderWay {
    count: usize,
    since: Option<Instant>,
    total: Duration,
}

pub(crate) struct Counters {
    pub bytes: AtomicU64,
    pub requests: AtomicU64,
    pub ranges: AtomicU64,
    pub merged: AtomicU64,
    pub reads: AtomicU64,
    pub verified: AtomicU64,
    latency: Vec<AtomicU64>,
    busy: Vec<AtomicU64>,
    under_way: Mutex<UnderWay>,
}

impl Counters {
    pub fn new(lanes: usize) -> Self {
        let zeros = |count: usize| (0..count).map(|_| AtomicU64::new(0)).collect();
        Self {
            bytes: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            ranges: AtomicU64::new(0),
            merged: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            verified: AtomicU64::new(0),
            latency: zeros(BUCKETS),
            busy: zeros(lanes),
            under_way: Mutex::default(),
        }
    }

    /// A read is given to the operating system.
    pub fn begins(&self, now: Instant) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.count += 1;
        under_way.since.get_or_insert(now);
    }

    /// It is over.
    pub fn ends(&self, now: Instant) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.count = under_way.count.saturating_sub(1);
        if under_way.count == 0
            && let Some(since) = under_way.since.take()
        {
            under_way.total += now.saturating_duration_since(since);
        }
    }

    /// Time with a read under way, up to now.
    fn reading(&self) -> Duration {
        let under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.total + under_way.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub fn read(&self, bytes: u64, took: Duration) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.latency[bucket_of(took.as_nanos() as u64)].fetch_add(1, Ordering::Relaxed);
    }

    pub fn busy(&self, lane: usize, time: Duration) {
        self.busy[lane].fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    pub fn snapshot(&self, peak_buffer_bytes: u64) -> Statistics {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Statistics {
            bytes: get(&self.bytes),
            requests: get(&self.requests),
            ranges: get(&self.ranges),
            merged: get(&self.merged),
            reads: get(&self.reads),
            verified: get(&self.verified),
            latency: Histogram {
                counts: self.latency.iter().map(get).collect(),
            },
            busy_ns: self.busy.iter().map(get).collect(),
            reading_ns: self.reading().as_nanos() as u64,
            peak_buffer_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_upper_bounds_within_a_quarter() {
        let counters = Counters::new(1);
        for ns in [10_000u64, 20_000, 30_000, 40_000, 1_000_000] {
            counters.read(1, Duration::from_nanos(ns));
        }
        let latency = counters.snapshot(0).latency;
        assert_eq!(latency.count(), 5);
        for (quantile, ns) in [
            (0.2, 10_000u64),
            (0.4, 20_000),
            (0.6, 30_000),
            (0.8, 40_000),
            (1.0, 1_000_000),
        ] {
            let bound = latency.quantile_ns(quantile);
            assert!(
                bound >= ns && bound <= ns + ns / 4 + 1,
                "quantile {quantile}: {bound} for {ns}"
            );
        }
    }

    #[test]
    fn reads_that_overlap_are_time_once() {
        let counters = Counters::new(4);
        let at = |ms| Instant::now() - Duration::from_secs(1) + Duration::from_millis(ms);
        let (first, second) = (at(0), at(10));
        counters.begins(first);
        counters.begins(second);
        counters.ends(first + Duration::from_millis(30));
        counters.ends(first + Duration::from_millis(50));
        counters.begins(first + Duration::from_millis(100));
        counters.ends(first + Duration::from_millis(105));
        assert_eq!(counters.snapshot(0).reading_ns, 55_000_000);
    }

    #[test]
    fn times_from_zero_to_hours_fall_into_a_bucket() {
        assert_eq!(bucket_of(0), bucket_of(4));
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        for ns in 5..100_000u64 {
            assert!(bucket_of(ns) >= bucket_of(ns - 1));
        }
    }
}
