//! What each way of reading gate rows takes for one cluster: the reads that a reader makes of it. As `gateReads` of
//! `sim/inference/gated/cut.ts`.

use flash::{FlashFile, ReaderOptions};

use super::decision::Work;
use crate::Offload;

/// Compute threads' time around one read, in nanoseconds: of their own, and of one that is handed to another thread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReadCost {
    /// A read of the threads' own.
    pub own_ns: f64,
    /// A read that is handed over.
    pub handed_ns: f64,
}

/// Groups of neurons whose gate pages, `gate` bytes each, lie `rest` bytes of up and down apart.
struct Groups {
    count: u64,
    gate: u64,
    rest: u64,
}

impl Groups {
    /// Reads and bytes of all gate pages, joined over gaps of up to `largest_gap`.
    fn joined(&self, largest_gap: u64) -> (u64, u64) {
        let most = ReaderOptions::default().largest_merge;
        if self.rest > largest_gap {
            return (self.count * self.gate.div_ceil(most), self.count * self.gate);
        }
        let each = most.saturating_sub(self.gate) / (self.gate + self.rest) + 1;
        let runs = self.count.div_ceil(each);
        (
            runs * self.gate.div_ceil(most),
            self.count * self.gate + (self.count - runs) * self.rest,
        )
    }

    /// The same of all that lies there.
    fn whole(&self) -> (u64, u64) {
        let bytes = self.count * (self.gate + self.rest);
        (bytes.div_ceil(ReaderOptions::default().largest_merge), bytes)
    }
}

impl Offload {
    /// What each way, in the order of `GateReads::ALL`, reads for one cluster whose gate rows are missing, and what a unit of up and down
    /// takes that is read by itself. `threads` share the time around reads; `largest_gap` is the reader's.
    pub fn ways(&self, cost: ReadCost, threads: usize, largest_gap: u64) -> ([Work; 3], Work) {
        let (groups, unit) = (self.groups(&self.ground.file), self.ground.units.unit);
        let work = |(reads, bytes): (u64, u64), each_ns: f64| Work {
            reads: reads as f64,
            bytes: bytes as f64,
            cpu_ns: reads as f64 * each_ns / threads.max(1) as f64,
        };
        let gates = [
            work((groups.count, groups.count * groups.gate), cost.own_ns),
            work(groups.joined(largest_gap), cost.handed_ns),
            work(groups.whole(), cost.handed_ns),
        ];
        let pages = u64::from(unit.div_ceil(self.ground.units.group)) * groups.rest;
        (gates, work((1, pages), cost.own_ns))
    }

    fn groups(&self, file: &FlashFile) -> Groups {
        let units = &self.ground.units;
        let bytes = |part| file.layers().first().map_or(0, |layout| layout.part_span(0, part).bytes);
        Groups {
            count: u64::from(units.cluster.min(units.neurons).div_ceil(units.group)),
            gate: bytes(0),
            rest: bytes(1),
        }
    }
}
