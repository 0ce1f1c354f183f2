//! What the workers of a layer's run change together, under one lock.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cache::SegmentedCache;
use flash::Request;
use neuron::SUM_BLOCK;

use crate::counters::LayerCounters;
use crate::error::OffloadError;
use crate::units::Units;

/// The hot segment (gate rows by cluster) and the cold one (up and down by unit) in the cache.
pub(crate) const HOT: usize = 0;
pub(crate) const COLD: usize = 1;

pub(super) const SUM: u32 = SUM_BLOCK as u32;
/// Bit of a tag that tells up and down from gates.
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
    pub(super) fired: Vec<Fired>,
}

/// Lists that one layer's run fills and the next one reuses.
#[derive(Default)]
pub(crate) struct Lists {
    pub(super) gates: Vec<Gate>,
    pub(super) units: Vec<Unit>,
    pub(super) blocks: Vec<Block>,
    pub(super) ready_gates: VecDeque<u32>,
    pub(super) ready_blocks: VecDeque<u32>,
    pub(super) pinned: Vec<(usize, u32)>,
    pub(super) transient: Vec<Box<[u8]>>,
    pub(super) requests: Vec<Request>,
}

pub(super) struct Gate {
    pub(super) place: Place,
    /// Computed, and waiting for its turn to look up.
    pub(super) fired: Option<Vec<Fired>>,
    /// Reads of up and down that its look-ups began and that have not arrived.
    pub(super) reads: u32,
    pub(super) spare: Vec<Fired>,
}

pub(super) struct Unit {
    pub(super) place: Place,
    pub(super) asked: bool,
    /// Reserved slot of the cold segment that the read is to fill.
    pub(super) reserved: bool,
    /// The cluster that began the read, and the blocks that wait for it.
    pub(super) cluster: u32,
    pub(super) waiting: Vec<u32>,
}

pub(super) struct Block {
    /// Clusters of it that have not looked up, units of it that have not arrived.
    pub(super) clusters: u32,
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
    pub(super) next_look_up: u32,
    pub(super) in_flight: u32,
    pub(super) blocks_left: u32,
    pub(super) reads_left: u32,
    pub(super) listening: bool,
    pub(super) error: Option<OffloadError>,
}

pub(super) fn locked<'m, 'a>(state: &'m Mutex<State<'a>>) -> MutexGuard<'m, State<'a>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> State<'a> {
    /// The state at the layer's beginning. `experts` of them are in use.
    pub fn new(cache: &'a mut SegmentedCache, mut lists: Lists, units: &Units, experts: u32) -> Self {
        let (gates, parts, blocks) = (experts * units.clusters, experts * units.units, experts * units.blocks);
        lists.gates.resize_with(gates as usize, || Gate {
            place: NOWHERE,
            fired: None,
            reads: 0,
            spare: Vec::new(),
        });
        lists.units.resize_with(parts as usize, || Unit {
            place: NOWHERE,
            asked: false,
            reserved: false,
            cluster: 0,
            waiting: Vec::new(),
        });
        lists.blocks.resize_with(blocks as usize, || Block {
            clusters: 0,
            reads: 0,
            fired: Vec::new(),
            summed: false,
        });
        for gate in &mut lists.gates {
            gate.place = NOWHERE;
            gate.fired = None;
            gate.reads = 0;
        }
        for unit in &mut lists.units {
            unit.place = NOWHERE;
            unit.asked = false;
            unit.reserved = false;
            unit.waiting.clear();
        }
        for (index, block) in lists.blocks.iter_mut().enumerate() {
            // Clusters are whole numbers of blocks: each block belongs to one.
            *block = Block {
                clusters: 1,
                reads: 0,
                fired: std::mem::take(&mut block.fired),
                summed: false,
            };
            block.fired.clear();
            debug_assert!(index as u32 / units.blocks < experts);
        }
        lists.ready_gates.clear();
        lists.ready_blocks.clear();
        Self {
            cache,
            lists,
            counters: LayerCounters::default(),
            next_look_up: 0,
            in_flight: 0,
            blocks_left: blocks,
            reads_left: 0,
            listening: false,
            error: None,
        }
    }

    /// Gives pinned slots and buffers back. Called once all workers are done.
    pub fn finish(mut self) -> (Lists, LayerCounters, Option<OffloadError>) {
        let mut error = self.error;
        for (segment, key) in self.lists.pinned.drain(..) {
            let unpinned = self.cache.segments_mut()[segment].unpin(key);
            error = error.or(unpinned.err().map(OffloadError::from));
        }
        self.lists.transient.clear();
        (self.lists, self.counters, error)
    }

    /// Blocks of the experts in use whose partial sums hold something, by place.
    pub fn summed(&self) -> impl Iterator<Item = bool> {
        self.lists.blocks.iter().map(|block| block.summed)
    }
}
