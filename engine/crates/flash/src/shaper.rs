//! Makes this disk behave like a phone's flash: each read is held back until the modelled device would have delivered it.
//!
//! The model is one device clock shared by all lanes. A read takes its device time from the curve, one after the other, and
//! completes when the device has served it, but not before the command's latency has passed: few lanes are limited by
//! latency, many by the device. The shaper can only slow down. Where the real disk was later than the model, the read is
//! delivered as it comes and counted: a run with many such reads says nothing about the phone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{FlashCurve, FlashError};

/// A read that begins where one of the last so many ended goes on with it: sequential streams may be interleaved.
const STREAMS: usize = 16;

/// Counters of a shaper.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShaperReport {
    /// Reads that passed.
    pub reads: u64,
    /// Of these, reads for which the real disk took longer than the model.
    pub late: u64,
    /// Reads that were taken as sequential.
    pub sequential: u64,
    /// Nanoseconds by which late reads were later than modelled, together.
    pub late_ns: u64,
    /// Nanoseconds of device time in the model, together.
    pub device_ns: u64,
}

impl ShaperReport {
    /// What passed after `before`, an earlier report of the same shaper.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            reads: self.reads - before.reads,
            late: self.late - before.late,
            sequential: self.sequential - before.sequential,
            late_ns: self.late_ns - before.late_ns,
            device_ns: self.device_ns - before.device_ns,
        }
    }

    /// Share of reads for which the real disk was slower than the model, 0 to 1.
    pub fn late_share(&self) -> f64 {
        if self.reads == 0 {
            0.0
        } else {
            self.late as f64 / self.reads as f64
        }
    }
}

/// How much slower than its curve a device has become, by what of it has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Slowdown {
    /// Every read, and its latency, takes so many times as long: the device is shared, or its clocks are down.
    All(f64),
    /// Every byte takes so many times as long on its way, and commands what they did: a link in a lower gear, a limit on bandwidth.
    Bytes(f64),
    /// Every command takes so many times as long, and bytes what they did: a limit on reads a second.
    Reads(f64),
}

impl Slowdown {
    /// The factor, 1 for a device as its curve says.
    pub const fn factor(self) -> f64 {
        match self {
            Self::All(factor) | Self::Bytes(factor) | Self::Reads(factor) => factor,
        }
    }

    /// Device time of a read of `bytes` that took `plain_ns`. `rates`: [`FlashCurve::command_and_byte_ns`].
    fn slowed(self, plain_ns: f64, bytes: u64, (command_ns, byte_ns): (f64, f64)) -> f64 {
        match self {
            Self::All(factor) => plain_ns * factor,
            Self::Bytes(factor) => plain_ns + (factor - 1.0) * byte_ns * bytes as f64,
            Self::Reads(factor) => plain_ns + (factor - 1.0) * command_ns,
        }
    }
}

struct Clock {
    free_at: Option<Instant>,
    slowdown: Slowdown,
    ends: [u64; STREAMS],
    next_end: usize,
    /// Device times by (block, sequential, second phase): curves are read off once per size.
    known: HashMap<(u64, bool, bool), f64>,
}

/// Holds reads back. Shared by all lanes of a reader.
pub struct Shaper {
    curve: FlashCurve,
    range_bytes: u64,
    submitters: u32,
    core_ratio: f64,
    /// Time of a command and of a byte, in nanoseconds.
    rates: (f64, f64),
    clock: Mutex<Clock>,
    reads: AtomicU64,
    late: AtomicU64,
    sequential: AtomicU64,
    late_ns: AtomicU64,
    device_ns: AtomicU64,
}

impl Shaper {
    /// `range_bytes`: the address range at work between one change of the device's map and the next (an expert's region,
    /// not the whole file). `submitters`: cores that issue reads. `core_ratio`: their rate relative to the best core's.
    pub fn new(curve: FlashCurve, range_bytes: u64, submitters: u32, core_ratio: f64) -> Result<Self, FlashError> {
        curve.check()?;
        if !(core_ratio > 0.0 && core_ratio <= 1.0) {
            return Err(FlashError::input(format!("core ratio: {core_ratio}; above 0, at most 1")));
        }
        let clock = Clock {
            free_at: None,
            slowdown: Slowdown::All(1.0),
            ends: [u64::MAX; STREAMS],
            next_end: 0,
            known: HashMap::new(),
        };
        let zero = || AtomicU64::new(0);
        Ok(Self {
            rates: curve.command_and_byte_ns(range_bytes),
            curve,
            range_bytes,
            submitters,
            core_ratio,
            clock: Mutex::new(clock),
            reads: zero(),
            late: zero(),
            sequential: zero(),
            late_ns: zero(),
            device_ns: zero(),
        })
    }

    /// From now on every read takes `scale` times the curve's time (2 is half the speed): a device that gets hot, or is
    /// shared.
    pub fn set_scale(&self, scale: f64) -> Result<(), FlashError> {
        self.slow_down(Slowdown::All(scale))
    }

    /// The same for a part of what a read takes; replaces what was set before.
    pub fn slow_down(&self, slowdown: Slowdown) -> Result<(), FlashError> {
        let scale = slowdown.factor();
        if !(scale.is_finite() && scale > 0.0) {
            return Err(FlashError::input(format!("scale of the shaper: {scale}; a number above 0")));
        }
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).slowdown = slowdown;
        Ok(())
    }

    /// Device time of a read in nanoseconds, without scale.
    pub fn read_ns(&self, bytes: u64, sequential: bool, second_phase: bool) -> f64 {
        if sequential {
            return bytes as f64 * 1e9 / self.curve.sequential_rate(bytes);
        }
        let ratio = if second_phase { self.curve.second_phase_ratio } else { 1.0 };
        ratio
            * self
                .curve
                .random_read_ns(bytes, self.range_bytes, self.core_ratio, self.submitters)
    }

    /// Enters a read that is submitted at `now`; returns when the modelled device delivers it.
    pub fn begin(&self, offset: u64, bytes: u64, second_phase: bool, now: Instant) -> Instant {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let stream = clock.ends.iter().position(|end| *end == offset);
        let slot = stream.unwrap_or_else(|| {
            clock.next_end = (clock.next_end + 1) % STREAMS;
            clock.next_end
        });
        clock.ends[slot] = offset + bytes;
        // A second phase follows its gate's pages; that is a known price of its own, not a stream.
        let sequential = stream.is_some() && !second_phase;
        let key = (bytes, sequential, second_phase);
        let plain_ns = *clock
            .known
            .entry(key)
            .or_insert_with(|| self.read_ns(bytes, sequential, second_phase));
        let device_ns = clock.slowdown.slowed(plain_ns, bytes, self.rates);
        let served = clock.free_at.map_or(now, |free| free.max(now)) + Duration::from_nanos(device_ns as u64);
        clock.free_at = Some(served);
        let latency_scale = if let Slowdown::All(factor) = clock.slowdown {
            factor
        } else {
            1.0
        };
        let latency = Duration::from_nanos((self.curve.latency_ns * latency_scale) as u64);
        drop(clock);
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.sequential.fetch_add(u64::from(sequential), Ordering::Relaxed);
        self.device_ns.fetch_add(device_ns as u64, Ordering::Relaxed);
        served.max(now + latency)
    }

    /// Counts a read that the disk has delivered at `now`; true if the model wants it held back.
    pub(crate) fn is_early(&self, due: Instant, now: Instant) -> bool {
        if now > due {
            self.late.fetch_add(1, Ordering::Relaxed);
            self.late_ns.fetch_add((now - due).as_nanos() as u64, Ordering::Relaxed);
        }
        now < due
    }

    /// Sleeps until a delivered read is due.
    pub(crate) fn hold(&self, due: Instant) {
        let now = Instant::now();
        if self.is_early(due, now) {
            std::thread::sleep(due - now);
        }
    }

    /// Counters so far.
    pub fn report(&self) -> ShaperReport {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ShaperReport {
            reads: get(&self.reads),
            late: get(&self.late),
            sequential: get(&self.sequential),
            late_ns: get(&self.late_ns),
            device_ns: get(&self.device_ns),
        }
    }
}
