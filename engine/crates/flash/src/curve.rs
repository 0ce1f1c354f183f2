//! A phone's flash as a curve: block size x address range x lanes x random or sequential. The meaning of every number is that
//! of `flash` in a DeviceProfile (`sim/hardware/flash.ts`): the two must decide alike, so this file follows that one.

use crate::{FlashError, PAGE};

/// Rate of sequential reads of a block size with a full queue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SequentialPoint {
    /// Block size in bytes.
    pub block: u64,
    /// Bytes per second.
    pub rate: f64,
}

/// Rate of random reads of a block size over an address range, by one deep-queued submitter on the best core.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomPoint {
    /// Block size in bytes.
    pub block: u64,
    /// Address range in bytes.
    pub range: u64,
    /// Bytes per second.
    pub rate: f64,
}

/// The `flash` part of a DeviceProfile, as numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct FlashCurve {
    /// Sequential points, ascending by block.
    pub sequential: Vec<SequentialPoint>,
    /// Random points; of each range ascending by block.
    pub random: Vec<RandomPoint>,
    /// Command queues (1 in UFS 4.0): submitters beyond them wait for each other.
    pub queues: u32,
    /// Share of one submitter's rate that `contention_submitters` submitters get together.
    pub contention_floor: f64,
    /// Submitters at which the floor is reached.
    pub contention_submitters: u32,
    /// No read completes sooner than this, in nanoseconds.
    pub latency_ns: f64,
    /// Time of a second-phase read (pages next to pages just read), relative to any other's.
    pub second_phase_ratio: f64,
}

/// Interpolates `log` of the value linearly in `log` of the place; `None` outside the points.
fn between(low: (f64, f64), high: (f64, f64), place: f64) -> f64 {
    let at = (place.ln() - low.0.ln()) / (high.0.ln() - low.0.ln());
    (low.1.ln() + at * (high.1.ln() - low.1.ln())).exp()
}

/// Below the smallest block a command costs what the smallest does; above the largest the rate has levelled off.
fn at_block(points: &[(f64, f64)], block: f64) -> f64 {
    let (first, last) = (points[0], points[points.len() - 1]);
    if block <= first.0 {
        return first.1 * block / first.0;
    }
    if block >= last.0 {
        return last.1;
    }
    let next = points.partition_point(|point| point.0 < block);
    between(points[next - 1], points[next], block)
}

impl FlashCurve {
    /// Refuses a curve that cannot be read off: no points, numbers that are not positive, blocks out of order.
    pub fn check(&self) -> Result<(), FlashError> {
        let positive = |what: &str, value: f64| {
            if value.is_finite() && value > 0.0 {
                Ok(())
            } else {
                Err(FlashError::input(format!(
                    "{what} of the flash curve: {value}; a number above 0"
                )))
            }
        };
        if self.sequential.is_empty() || self.random.is_empty() {
            return Err(FlashError::input(
                "flash curve without sequential or without random points; at least one of each",
            ));
        }
        if self.queues == 0 {
            return Err(FlashError::input("flash curve with 0 queues; at least 1"));
        }
        if self.contention_submitters < 2 {
            return Err(FlashError::input(format!(
                "contention submitters: {}; at least 2",
                self.contention_submitters
            )));
        }
        positive("contention floor", self.contention_floor)?;
        positive("second-phase ratio", self.second_phase_ratio)?;
        if !self.latency_ns.is_finite() || self.latency_ns < 0.0 {
            return Err(FlashError::input(format!(
                "latency of the flash curve: {} ns; 0 or more",
                self.latency_ns
            )));
        }
        let mut chains = vec![
            self.sequential
                .iter()
                .map(|point| (point.block as f64, point.rate))
                .collect::<Vec<_>>(),
        ];
        chains.extend(self.ranges().into_iter().map(|range| self.of_range(range)));
        for (range, chain) in chains.iter().enumerate() {
            for (block, rate) in chain {
                positive("block", *block)?;
                positive("rate", *rate)?;
            }
            if chain.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
                let which = if range == 0 { "sequential" } else { "random" };
                return Err(FlashError::input(format!("{which} points out of order; blocks ascend")));
            }
        }
        self.ranges().first().map_or(Ok(()), |first| positive("range", *first as f64))
    }

    fn ranges(&self) -> Vec<u64> {
        let mut ranges: Vec<u64> = self.random.iter().map(|point| point.range).collect();
        ranges.sort_unstable();
        ranges.dedup();
        ranges
    }

    fn of_range(&self, range: u64) -> Vec<(f64, f64)> {
        self.random
            .iter()
            .filter(|point| point.range == range)
            .map(|point| (point.block as f64, point.rate))
            .collect()
    }

    /// Sequential reads of `block` bytes with a full queue, bytes per second.
    pub fn sequential_rate(&self, block: u64) -> f64 {
        let points: Vec<_> = self.sequential.iter().map(|point| (point.block as f64, point.rate)).collect();
        at_block(&points, block as f64)
    }

    /// Random reads of `block` bytes over `range` bytes by one submitter on the best core, bytes per second.
    pub fn random_rate(&self, block: u64, range: u64) -> f64 {
        let ranges = self.ranges();
        let rate = |index: usize| at_block(&self.of_range(ranges[index]), block as f64);
        let next = ranges.partition_point(|known| *known < range);
        if next == 0 {
            return rate(0);
        }
        if next == ranges.len() {
            return rate(next - 1);
        }
        between(
            (ranges[next - 1] as f64, rate(next - 1)),
            (ranges[next] as f64, rate(next)),
            range as f64,
        )
    }

    /// What a read takes in two numbers: nanoseconds of a byte on the device's link, which is what the fastest stream shows, and of a
    /// command, which is what a random read of one page takes beside its bytes (none where that is no slower).
    pub fn command_and_byte_ns(&self, range: u64) -> (f64, f64) {
        let fastest = self.sequential.iter().map(|point| point.rate).fold(0.0, f64::max);
        let byte_ns = 1e9 / fastest;
        let page_ns = PAGE as f64 * 1e9 / self.random_rate(PAGE, range);
        ((page_ns - PAGE as f64 * byte_ns).max(0.0), byte_ns)
    }

    /// Rate that `submitters` get together, as a ratio of one submitter's.
    pub fn contention_ratio(&self, submitters: u32) -> f64 {
        let sharers = submitters.div_ceil(self.queues);
        if sharers <= 1 {
            return 1.0;
        }
        let step = (f64::from(sharers - 1) / f64::from(self.contention_submitters - 1)).min(1.0);
        1.0 - (1.0 - self.contention_floor) * step
    }

    /// Device time of one random read in nanoseconds. `core_ratio`: the issuing core's rate relative to the best core's; it
    /// weighs on the work per command and fades as the transfer takes over.
    pub fn random_read_ns(&self, block: u64, range: u64, core_ratio: f64, submitters: u32) -> f64 {
        let free_ns = block as f64 * 1e9 / self.random_rate(block, range);
        let command_ns = PAGE as f64 * 1e9 / self.random_rate(PAGE, range);
        let driver_ns = command_ns.min(free_ns) * (1.0 / core_ratio - 1.0);
        (free_ns + driver_ns) / self.contention_ratio(submitters)
    }
}
