//! What the workers of a layer's run change together, under one lock.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cache::SegmentedCache;
use flash::{Data, PageDone, PageRead, Request};
use neuron::SUM_BLOCK;

use crate::counters::LayerCounters;
use crate::error::OffloadError;
use crate::options::GateReads;
use crate::units::Units;

/// The hot segment (gate rows by cluster) and the cold one (up and down by unit) in the cache.
pub(crate) const HOT: usize = 0;
pub(crate) const COLD: usize = 1;

pub(super) const SUM: u32 = SUM_BLOCK as u32;
/// Bit of a page read's tag that tells gate rows from up and down.
pub(super) const GATE_TAG: u32 = 1 << 31;
/// Bit of a request's tag that tells up and down from gates.
pub(super) const UP_DOWN_TAG: u64 = 1 << 32;

/// A neuron that fired: its position in its expert, and its gate value.
#[derive(Clone, Copy)]
pub(super) struct Fired {
    pub(super) position: u32,
    pub(super) gate: f32,
}

/// Where bytes are that a stage reads: a pinned slot, or a buffer that lives until the layer's end.
#[derive(Clone, Copy)]
pub(super) struct Place(pub(super) *const u8);
// SAFETY: an address only; whoever reads through it says why the bytes stay.
unsafe impl Send for Place {}

pub(super) const NOWHERE: Place = Place(std::ptr::null());

/// What a worker needs of its own between layers: no allocation per token once it has grown.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(super) values: Vec<f32>,
    pub(super) gates: Vec<f32>,
    pub(super) fired: Vec<Fired>,
    pub(super) places: Vec<Place>,
    pub(super) done: Vec<PageDone>,
}

/// Lists that one layer's run fills and the next one reuses.
#[derive(Default)]
pub(crate) struct Lists {
    pub(super) gates: Vec<Gate>,
    pub(super) units: Vec<Unit>,
    /// The same for gate rows, where a predictor says which to compute or groups are read apart.
    pub(super) gate_units: Vec<Unit>,
    /// Number of the run: what a unit says of an earlier one means nothing.
    pub(super) run: u64,
    pub(super) blocks: Vec<Block>,
    /// Clusters to be predicted, clusters whose gates are all here, blocks that are all here.
    pub(super) ready_predictions: VecDeque<u32>,
    pub(super) ready_gates: VecDeque<u32>,
    pub(super) ready_blocks: VecDeque<u32>,
    pub(super) pinned: Vec<(usize, u32)>,
    /// Rows of this layer that have no slot.
    pub(super) transient: Vec<Box<[u8]>>,
    /// Buffers of earlier layers, for the next that need one: memory that the system gave once is not asked of it again and again.
    pub(super) spare_buffers: Vec<Box<[u8]>>,
    pub(super) requests: Vec<Request>,
    /// Units whose pages are to be read, by tag, in their order.
    pub(super) wanted: VecDeque<u32>,
    /// The same for gate rows that are read apart: after those, which are of clusters whose turn it was.
    pub(super) wanted_gates: VecDeque<u32>,
    pub(super) reads: Vec<PageRead>,
    /// Free places for pages that are being read.
    pub(super) free_stages: Vec<u32>,
}

pub(super) struct Gate {
    pub(super) place: Place,
    /// Positions that are predicted to fire: waiting for their turn to look up, then for their gate rows.
    pub(super) predicted: Option<Vec<u32>>,
    pub(super) chosen: Vec<u32>,
    /// Reads of gate rows that its look-ups began and that have not arrived.
    pub(super) gate_reads: u32,
    /// Whether its gate rows were not in memory.
    pub(super) missed: bool,
    /// Where gate rows that are read apart come together: a reserved slot, or a buffer.
    pub(super) reserved: bool,
    pub(super) buffer: Option<Box<[u8]>>,
    /// What was read with its gate rows, until it is known which of them fire.
    pub(super) bundles: Option<Data>,
    /// Computed, and waiting for its turn to look up.
    pub(super) fired: Option<Vec<Fired>>,
    /// Reads of up and down that its look-ups began and that have not arrived.
    pub(super) reads: u32,
    pub(super) spare: Vec<Fired>,
}

#[derive(Clone, Copy)]
pub(super) struct Unit {
    /// The run that the other fields are of.
    run: u64,
    pub(super) place: Place,
    pub(super) asked: bool,
    /// Reserved slot of the cold segment that the read is to fill.
    pub(super) reserved: bool,
    /// The cluster that began the read.
    pub(super) cluster: u32,
    /// Where its pages arrive, when they are read by themselves.
    pub(super) stage: u32,
}

const NEW: Unit = Unit {
    run: 0,
    place: NOWHERE,
    asked: false,
    reserved: false,
    cluster: 0,
    stage: 0,
};

impl Lists {
    /// A buffer of so many bytes, whatever is in them.
    pub(super) fn buffer(&mut self, bytes: usize) -> Box<[u8]> {
        match self.spare_buffers.iter().rposition(|spare| spare.len() == bytes) {
            Some(place) => self.spare_buffers.swap_remove(place),
            None => vec![0u8; bytes].into_boxed_slice(),
        }
    }

    /// Gives the memory of buffers back that no layer uses now.
    pub(crate) fn free_spare_buffers(&mut self) {
        self.spare_buffers = Vec::new();
    }

    /// The unit of gate rows as it is in this run.
    pub(super) fn gate_unit(&mut self, index: u32) -> &mut Unit {
        let unit = &mut self.gate_units[index as usize];
        if unit.run != self.run {
            *unit = Unit { run: self.run, ..NEW };
        }
        unit
    }

    /// The next unit whose pages are to be read.
    pub(super) fn next_wanted(&mut self) -> Option<u32> {
        self.wanted.pop_front().or_else(|| self.wanted_gates.pop_front())
    }

    /// The unit as it is in this run.
    pub(super) fn unit(&mut self, index: u32) -> &mut Unit {
        let unit = &mut self.units[index as usize];
        if unit.run != self.run {
            *unit = Unit { run: self.run, ..NEW };
        }
        unit
    }
}

pub(super) struct Block {
    /// Whether its cluster has looked up.
    pub(super) dealt: bool,
    /// Units of it that have not arrived.
    pub(super) reads: u32,
    pub(super) fired: Vec<Fired>,
    pub(super) summed: bool,
}

/// One partial sum of `width` numbers for every block of every expert in use.
#[derive(Clone, Copy)]
pub(crate) struct Partials {
    pub first: *mut f32,
    pub width: usize,
    pub blocks: usize,
}
// SAFETY: workers write disjoint blocks, each handed out once under the state's lock.
unsafe impl Sync for Partials {}
// SAFETY: as above.
unsafe impl Send for Partials {}

pub(crate) struct State<'a> {
    pub cache: &'a mut SegmentedCache,
    pub lists: Lists,
    pub counters: LayerCounters,
    /// The next cluster to be asked for, and those whose predicted gates, and whose neurons, are looked up next.
    pub(super) next_ask: u32,
    pub(super) next_gate_look_up: u32,
    pub(super) next_look_up: u32,
    /// Bytes of requests that have not been answered.
    pub(super) requested_bytes: usize,
    /// Of those that are in flight, clusters that were looked up and wait for reads.
    pub(super) reading: u32,
    pub(super) in_flight: u32,
    pub(super) blocks_left: u32,
    /// Requests that have not been answered, and reads of pages that have not.
    pub(super) requests_left: u32,
    pub(super) pages_left: u32,
    pub(super) listening: bool,
    /// Workers that wait to be told of a change.
    pub(super) asleep: u32,
    /// Time that workers waited, summed over them.
    pub waited: Duration,
    pub(super) error: Option<OffloadError>,
}

/// A layer that has asked for its first reads, and computed nothing: no single pages are on their way yet.
pub(crate) struct Begun {
    lists: Lists,
    pub counters: LayerCounters,
    next_ask: u32,
    requested_bytes: usize,
    requests_left: u32,
    error: Option<OffloadError>,
}

pub(super) fn locked<'m, 'a>(state: &'m Mutex<State<'a>>) -> MutexGuard<'m, State<'a>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> State<'a> {
    /// The state at the layer's beginning. `experts` of them are in use; pages can arrive in `stages` places at once.
    pub fn new(
        cache: &'a mut SegmentedCache,
        mut lists: Lists,
        units: &Units,
        gates: GateReads,
        experts: u32,
        stages: u32,
    ) -> Self {
        let (clusters, parts, blocks) = (experts * units.clusters, experts * units.units, experts * units.blocks);
        lists.gates.resize_with(clusters as usize, || Gate {
            place: NOWHERE,
            predicted: None,
            chosen: Vec::new(),
            gate_reads: 0,
            missed: false,
            reserved: false,
            buffer: None,
            bundles: None,
            fired: None,
            reads: 0,
            spare: Vec::new(),
        });
        for gate in &mut lists.gates {
            gate.place = NOWHERE;
            gate.predicted = None;
            gate.gate_reads = 0;
            gate.missed = false;
            gate.reserved = false;
            gate.buffer = None;
            gate.bundles = None;
            gate.fired = None;
            gate.reads = 0;
        }
        lists.run += 1;
        lists.units.resize(parts as usize, NEW);
        let gate_parts = if gates == GateReads::Apart {
            units.units
        } else {
            units.gate_units
        };
        lists.gate_units.resize((experts * gate_parts) as usize, NEW);
        lists.blocks.resize_with(blocks as usize, || Block {
            dealt: false,
            reads: 0,
            fired: Vec::new(),
            summed: false,
        });
        for block in &mut lists.blocks {
            block.dealt = false;
            block.reads = 0;
            block.summed = false;
            block.fired.clear();
        }
        lists.ready_predictions.clear();
        lists.ready_gates.clear();
        lists.ready_blocks.clear();
        lists.wanted.clear();
        lists.wanted_gates.clear();
        lists.free_stages.clear();
        lists.free_stages.extend((0..stages).rev());
        Self {
            cache,
            lists,
            counters: LayerCounters::default(),
            next_ask: 0,
            next_gate_look_up: 0,
            next_look_up: 0,
            requested_bytes: 0,
            in_flight: 0,
            reading: 0,
            blocks_left: blocks,
            requests_left: 0,
            pages_left: 0,
            listening: false,
            asleep: 0,
            waited: Duration::ZERO,
            error: None,
        }
    }

    /// What is left of it between the announcement of a layer and its turn.
    pub fn pause(self) -> Begun {
        Begun {
            lists: self.lists,
            counters: self.counters,
            next_ask: self.next_ask,
            requested_bytes: self.requested_bytes,
            requests_left: self.requests_left,
            error: self.error,
        }
    }

    /// The state as it was when it paused; reads have gone on meanwhile.
    pub fn resume(cache: &'a mut SegmentedCache, begun: Begun) -> Self {
        Self {
            cache,
            blocks_left: begun.lists.blocks.len() as u32,
            lists: begun.lists,
            counters: begun.counters,
            next_ask: begun.next_ask,
            next_gate_look_up: 0,
            next_look_up: 0,
            requested_bytes: begun.requested_bytes,
            in_flight: 0,
            reading: 0,
            requests_left: begun.requests_left,
            pages_left: 0,
            listening: false,
            asleep: 0,
            waited: Duration::ZERO,
            error: begun.error,
        }
    }

    /// Whether anything is still to arrive.
    pub(super) fn is_reading(&self) -> bool {
        self.requests_left + self.pages_left > 0
    }

    /// Gives pinned slots and buffers back. Called once all workers are done.
    pub fn finish(mut self) -> (Lists, LayerCounters, Option<OffloadError>) {
        let mut error = self.error;
        for (segment, key) in self.lists.pinned.drain(..) {
            let unpinned = self.cache.segments_mut()[segment].unpin(key);
            error = error.or(unpinned.err().map(OffloadError::from));
        }
        self.lists.spare_buffers.append(&mut self.lists.transient);
        for gate in &mut self.lists.gates {
            gate.buffer = None;
            gate.bundles = None;
        }
        (self.lists, self.counters, error)
    }

    /// Blocks of the experts in use whose partial sums hold something, by place.
    pub fn summed(&self) -> impl Iterator<Item = bool> {
        self.lists.blocks.iter().map(|block| block.summed)
    }
}
