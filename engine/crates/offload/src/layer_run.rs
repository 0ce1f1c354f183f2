//! One token through one layer's FFN: clusters go through Pred-less lossless stages GIO → GC → UDIO → UDC, on compute threads
//! that take whatever is ready, while the lanes read. (PowerInfer-2, section 4.3; Figure 6)
//!
//! What may be timed differently from run to run is only *when* a stage runs. Look-ups in the cache are made in the order of
//! clusters, whatever order their gates were computed in, and nothing that this layer uses leaves the cache before its end:
//! hits, misses and evictions are the same for any number of threads and lanes. Sums are taken block by block in ascending
//! order at the end, so the result is the same bits.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use cache::{Lookup, Reserve, SegmentedCache};
use flash::{Completion, Data, FlashReader, LayerLayout, Part, Request};
use neuron::{Activations, Gating, Kernels, Matrix, SUM_BLOCK};

use crate::counters::LayerCounters;
use crate::error::OffloadError;
use crate::options::{Granularity, Overlap};
use crate::units::{Rows, Units, copy_rows};

/// The hot segment (gate rows by cluster) and the cold one (up and down by unit) in the cache.
pub(crate) const HOT: usize = 0;
pub(crate) const COLD: usize = 1;

const SUM: u32 = SUM_BLOCK as u32;
/// Bit of a tag that tells up and down from gates.
const UP_DOWN_TAG: u64 = 1 << 32;

/// A neuron that fired: its position in its expert, and its gate value.
#[derive(Clone, Copy)]
struct Fired {
    position: u32,
    gate: f32,
}

/// Where bytes are that a stage reads: a pinned slot, or a buffer that lives until the layer's end.
#[derive(Clone, Copy)]
struct Place(*const u8);
// SAFETY: an address only; whoever reads through it says why the bytes stay.
unsafe impl Send for Place {}

const NOWHERE: Place = Place(std::ptr::null());

/// What a worker needs of its own between layers: no allocation per token once it has grown.
#[derive(Default)]
pub(crate) struct Scratch {
    values: Vec<f32>,
    fired: Vec<Fired>,
}

/// Lists that one layer's run fills and the next one reuses.
#[derive(Default)]
pub(crate) struct Lists {
    gates: Vec<Gate>,
    units: Vec<Unit>,
    blocks: Vec<Block>,
    ready_gates: VecDeque<u32>,
    ready_blocks: VecDeque<u32>,
    pinned: Vec<(usize, u32)>,
    transient: Vec<Box<[u8]>>,
    requests: Vec<Request>,
}

struct Gate {
    place: Place,
    /// Computed, and waiting for its turn to look up.
    fired: Option<Vec<Fired>>,
    /// Reads of up and down that its look-ups began and that have not arrived.
    reads: u32,
    spare: Vec<Fired>,
}

struct Unit {
    place: Place,
    asked: bool,
    /// Reserved slot of the cold segment that the read is to fill.
    reserved: bool,
    /// The cluster that began the read, and the blocks that wait for it.
    cluster: u32,
    waiting: Vec<u32>,
}

struct Block {
    /// Clusters of it that have not looked up, units of it that have not arrived.
    clusters: u32,
    reads: u32,
    fired: Vec<Fired>,
    summed: bool,
}

/// What all workers share while the layer runs.
pub(crate) struct LayerRun<'a> {
    pub kernels: Kernels,
    pub units: &'a Units,
    pub layout: &'a LayerLayout,
    pub reader: &'a dyn FlashReader,
    pub layer: u32,
    pub experts: &'a [u32],
    pub x: &'a Activations,
    pub gating: Gating,
    pub overlap: Overlap,
    pub granularity: Granularity,
    pub depth: u32,
    pub state: Mutex<State<'a>>,
    pub changed: Condvar,
    pub partials: Partials,
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
    next_look_up: u32,
    in_flight: u32,
    blocks_left: u32,
    reads_left: u32,
    listening: bool,
    error: Option<OffloadError>,
}

fn locked<'m, 'a>(state: &'m Mutex<State<'a>>) -> MutexGuard<'m, State<'a>> {
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

/// A stage that is ready to run.
enum Stage {
    Gate(u32, Place),
    Block(u32, Vec<Fired>),
    Listen,
    Wait,
    Over,
}

impl LayerRun<'_> {
    /// Asks for what is missing of the gates (and, in one phase, of everything), before any thread works.
    pub fn begin(&self) {
        let mut state = locked(&self.state);
        let asked = self.ask_first(&mut state);
        self.note(&mut state, asked);
        let requests = std::mem::take(&mut state.lists.requests);
        let submitted = self.submit(&mut state, requests);
        self.note(&mut state, submitted);
    }

    fn ask_first(&self, state: &mut State<'_>) -> Result<(), OffloadError> {
        for route in 0..self.experts.len() as u32 {
            let expert = self.experts[route as usize];
            for cluster in 0..self.units.clusters {
                self.ask_gate(state, route, expert, cluster)?;
                if self.granularity.is_one_phase() {
                    let index = route * self.units.clusters + cluster;
                    self.ask_units(state, route, index, self.units.of_cluster(cluster))?;
                }
            }
        }
        if self.granularity == Granularity::Tensor {
            self.load_bystanders(state);
        }
        Ok(())
    }

    fn submit(&self, state: &mut State<'_>, mut requests: Vec<Request>) -> Result<(), OffloadError> {
        let submitted = if requests.is_empty() {
            Ok(())
        } else {
            self.reader.submit(&requests)
        };
        match submitted {
            Ok(()) => state.reads_left += requests.len() as u32,
            Err(_) => requests.iter().for_each(|request| self.give_up(state, request.tag)),
        }
        requests.clear();
        state.lists.requests = requests;
        Ok(submitted?)
    }

    fn ask_gate(&self, state: &mut State<'_>, route: u32, expert: u32, cluster: u32) -> Result<(), OffloadError> {
        let index = route * self.units.clusters + cluster;
        let key = self.units.gate_key(self.layer, expert, cluster);
        state.counters.gate_look_ups += 1;
        let segment = &mut state.cache.segments_mut()[HOT];
        if let Lookup::Hit(slot) = segment.lookup(key)? {
            segment.pin(key)?;
            state.lists.gates[index as usize].place = Place(segment.address(slot));
            state.lists.pinned.push((HOT, key));
            state.lists.ready_gates.push_back(index);
            return Ok(());
        }
        state.counters.gate_misses += 1;
        let reserved = matches!(segment.reserve(key)?, Reserve::Slot { .. });
        // The tag says where its bytes go: into the slot, or into a buffer.
        let tag = u64::from(index) | if reserved { 1 << 33 } else { 0 };
        let target = self
            .units
            .target(self.layer, expert, Part::Gate, self.units.of_cluster(cluster));
        state.lists.requests.push(Request { tag, target });
        Ok(())
    }

    /// Looks up the units of up and down that hold `positions`, and asks for those that are missing.
    fn ask_units(
        &self,
        state: &mut State<'_>,
        route: u32,
        cluster: u32,
        positions: std::ops::Range<u32>,
    ) -> Result<(), OffloadError> {
        for unit in positions.start / self.units.unit..positions.end.div_ceil(self.units.unit) {
            self.ask_unit(state, route, cluster, unit)?;
        }
        Ok(())
    }

    fn ask_unit(&self, state: &mut State<'_>, route: u32, cluster: u32, unit: u32) -> Result<(), OffloadError> {
        let index = route * self.units.units + unit;
        let entry = &mut state.lists.units[index as usize];
        if entry.asked {
            return Ok(());
        }
        entry.asked = true;
        let expert = self.experts[route as usize];
        let key = self.units.up_down_key(self.layer, expert, unit);
        let segment = &mut state.cache.segments_mut()[COLD];
        state.counters.look_ups += 1;
        if let Lookup::Hit(slot) = segment.lookup(key)? {
            segment.pin(key)?;
            entry.place = Place(segment.address(slot));
            state.lists.pinned.push((COLD, key));
            return Ok(());
        }
        state.counters.misses += 1;
        entry.reserved = matches!(segment.reserve(key)?, Reserve::Slot { .. });
        entry.cluster = cluster;
        state.lists.gates[cluster as usize].reads += 1;
        let target = self.units.target(self.layer, expert, Part::UpDown, self.units.of_unit(unit));
        state.lists.requests.push(Request {
            tag: u64::from(index) | UP_DOWN_TAG,
            target,
        });
        Ok(())
    }

    /// Whole tensors bring experts that nobody asked for; they are read and go where there is room.
    fn load_bystanders(&self, state: &mut State<'_>) {
        let bystanders = (0..self.units.experts).filter(|expert| !self.experts.contains(expert));
        for expert in bystanders {
            let gate = state.cache.segments()[HOT].is_resident(self.units.gate_key(self.layer, expert, 0));
            let rest = state.cache.segments()[COLD].is_resident(self.units.up_down_key(self.layer, expert, 0));
            let part = match (gate, rest) {
                (true, true) => continue,
                (true, false) => Part::UpDown,
                (false, true) => Part::Gate,
                (false, false) => Part::Whole,
            };
            let target = self.units.target(self.layer, expert, part, 0..self.units.neurons);
            state.lists.requests.push(Request { tag: u64::MAX, target });
        }
    }

    /// One thread's part of the layer. Returns when nothing is left to do, or after an error when no read is in flight.
    pub fn work(&self, scratch: &mut Scratch) {
        let mut state = locked(&self.state);
        loop {
            match self.next(&mut state) {
                Stage::Over => break,
                Stage::Wait => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Stage::Listen => {
                    state.listening = true;
                    drop(state);
                    let arrived = self.reader.wait();
                    state = locked(&self.state);
                    state.listening = false;
                    if let Some(completion) = arrived {
                        self.take(&mut state, completion);
                    }
                    while let Some(completion) = self.reader.poll() {
                        self.take(&mut state, completion);
                    }
                    self.changed.notify_all();
                }
                Stage::Gate(index, place) => {
                    state.in_flight += 1;
                    let mut fired = std::mem::take(&mut state.lists.gates[index as usize].spare);
                    drop(state);
                    let done = self.compute_gate(index, place, scratch, &mut fired);
                    state = locked(&self.state);
                    self.note(&mut state, done);
                    state.lists.gates[index as usize].fired = Some(fired);
                    let looked_up = self.look_up_in_order(&mut state);
                    self.note(&mut state, looked_up);
                    self.changed.notify_all();
                }
                Stage::Block(index, fired) => {
                    let places: Vec<Place> = fired
                        .iter()
                        .map(|fired| self.place_of(&state, index, fired.position))
                        .collect();
                    drop(state);
                    scratch.fired = fired;
                    let done = self.compute_block(index, &places, scratch);
                    state = locked(&self.state);
                    let block = &mut state.lists.blocks[index as usize];
                    block.fired = std::mem::take(&mut scratch.fired);
                    block.summed = matches!(done, Ok(count) if count > 0);
                    state.blocks_left -= 1;
                    let done = done.map(|count| state.counters.fired += count as u64);
                    self.note(&mut state, done);
                    if state.blocks_left == 0 || state.error.is_some() {
                        self.changed.notify_all();
                    }
                }
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    fn note(&self, state: &mut State<'_>, outcome: Result<(), OffloadError>) {
        if let Err(error) = outcome {
            state.error.get_or_insert(error);
        }
    }

    /// What this thread should do now. Gates come before sums, so that reads begin early; at most `depth` clusters are in flight.
    fn next(&self, state: &mut State<'_>) -> Stage {
        let listen_or = |state: &State<'_>, otherwise| {
            if state.reads_left > 0 && !state.listening {
                Stage::Listen
            } else {
                otherwise
            }
        };
        if state.error.is_some() {
            return if state.reads_left == 0 {
                Stage::Over
            } else {
                listen_or(state, Stage::Wait)
            };
        }
        if state.blocks_left == 0 && state.reads_left == 0 {
            return Stage::Over;
        }
        let may_compute = self.overlap != Overlap::Nothing || state.reads_left == 0;
        if may_compute {
            if let Some(index) = self.next_gate(state) {
                return Stage::Gate(index, state.lists.gates[index as usize].place);
            }
            if let Some(index) = state.lists.ready_blocks.pop_front() {
                return Stage::Block(index, std::mem::take(&mut state.lists.blocks[index as usize].fired));
            }
        }
        listen_or(state, Stage::Wait)
    }

    /// The first cluster whose gate can be computed, if the pipeline has room. The one that all others wait for to look up always
    /// has: clusters whose reads came back earlier may fill the depth before it.
    fn next_gate(&self, state: &mut State<'_>) -> Option<u32> {
        let (place, &first) = state.lists.ready_gates.iter().enumerate().min_by_key(|(_, index)| **index)?;
        // Without a pipeline all gates are computed before any look-up: there is no depth to keep to.
        let is_full = self.overlap == Overlap::Cluster && state.in_flight >= self.depth.max(1);
        if is_full && first != state.next_look_up {
            return None;
        }
        state.lists.ready_gates.swap_remove_back(place)
    }

    /// Look-ups of the clusters whose turn it is.
    fn look_up_in_order(&self, state: &mut State<'_>) -> Result<(), OffloadError> {
        let clusters = state.lists.gates.len() as u32;
        if self.overlap != Overlap::Cluster
            && state.lists.gates[state.next_look_up as usize..]
                .iter()
                .any(|gate| gate.fired.is_none())
        {
            return Ok(());
        }
        while state.next_look_up < clusters {
            let index = state.next_look_up;
            let Some(fired) = state.lists.gates[index as usize].fired.take() else {
                break;
            };
            state.next_look_up += 1;
            let route = index / self.units.clusters;
            if !self.granularity.is_one_phase() {
                for neuron in &fired {
                    self.ask_unit(state, route, index, neuron.position / self.units.unit)?;
                }
            }
            self.deal_to_blocks(state, route, index, &fired);
            state.lists.gates[index as usize].spare = fired;
            if state.lists.gates[index as usize].reads == 0 {
                state.in_flight -= 1;
            }
        }
        let requests = std::mem::take(&mut state.lists.requests);
        self.submit(state, requests)
    }

    /// Hands the fired neurons of a cluster to its sum blocks; a block with all it needs becomes ready.
    fn deal_to_blocks(&self, state: &mut State<'_>, route: u32, cluster: u32, fired: &[Fired]) {
        let lists = &mut state.lists;
        let first_unit = route * self.units.units;
        let mut last_unit = None;
        for neuron in fired {
            let index = route * self.units.blocks + neuron.position / SUM;
            let block = &mut lists.blocks[index as usize];
            block.fired.push(*neuron);
            let unit = &mut lists.units[(first_unit + neuron.position / self.units.unit) as usize];
            let here = (index, neuron.position / self.units.unit);
            // Neurons come in ascending order: a block waits for a unit once.
            if unit.place.0.is_null() && last_unit != Some(here) {
                unit.waiting.push(index);
                block.reads += 1;
            }
            last_unit = Some(here);
        }
        let positions = self.units.of_cluster(cluster % self.units.clusters);
        for block in positions.start / SUM..positions.end.div_ceil(SUM) {
            let index = route * self.units.blocks + block;
            let block = &mut lists.blocks[index as usize];
            block.clusters -= 1;
            if block.clusters == 0 && block.reads == 0 {
                lists.ready_blocks.push_back(index);
            }
        }
    }

    /// A read has ended: its bytes go to their slot or buffer, and what waited for them becomes ready.
    fn take(&self, state: &mut State<'_>, completion: Completion) {
        state.reads_left -= 1;
        let tag = completion.tag;
        let outcome = match completion.outcome {
            Ok(data) if tag == u64::MAX => {
                state.counters.bytes += data.bytes();
                Ok(())
            }
            Ok(data) if tag & UP_DOWN_TAG != 0 => self.take_unit(state, tag as u32, &data),
            Ok(data) => self.take_gate(state, tag as u32, tag >> 33 == 1, &data),
            Err(error) => {
                self.give_up(state, tag);
                Err(error.into())
            }
        };
        self.note(state, outcome);
    }

    /// A failed read: its slot is free again.
    fn give_up(&self, state: &mut State<'_>, tag: u64) {
        let index = tag as u32;
        let (segment, key) = if tag == u64::MAX {
            return;
        } else if tag & UP_DOWN_TAG != 0 {
            if !state.lists.units[index as usize].reserved {
                return;
            }
            (
                COLD,
                self.units.up_down_key(
                    self.layer,
                    self.experts[(index / self.units.units) as usize],
                    index % self.units.units,
                ),
            )
        } else if tag >> 33 == 1 {
            (
                HOT,
                self.units.gate_key(
                    self.layer,
                    self.experts[(index / self.units.clusters) as usize],
                    index % self.units.clusters,
                ),
            )
        } else {
            return;
        };
        let aborted = state.cache.segments_mut()[segment].abort(key).map_err(OffloadError::from);
        self.note(state, aborted);
    }

    /// Fills the reserved slot of `key`, or a buffer, by `fill`; the bytes stay until the layer's end.
    fn store(
        &self,
        state: &mut State<'_>,
        segment: usize,
        key: u32,
        reserved: bool,
        bytes: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), OffloadError>,
    ) -> Result<Place, OffloadError> {
        if !reserved {
            let mut buffer = vec![0u8; bytes].into_boxed_slice();
            fill(&mut buffer)?;
            let place = Place(buffer.as_ptr());
            state.lists.transient.push(buffer);
            return Ok(place);
        }
        let part = &mut state.cache.segments_mut()[segment];
        // SAFETY: reads go to the reader's own buffers, never into slots: only this thread, which holds the lock, writes here.
        let slot = unsafe { part.loading_bytes(key) };
        let filled = match slot {
            Some(slot) => fill(slot),
            None => Err(OffloadError::Input {
                what: format!("{} {key} was not being read", part.name()),
            }),
        };
        if let Err(error) = filled {
            part.abort(key)?;
            return Err(error);
        }
        let slot = part.commit(key)?;
        part.pin(key)?;
        let place = Place(part.address(slot));
        state.lists.pinned.push((segment, key));
        Ok(place)
    }

    fn take_gate(&self, state: &mut State<'_>, index: u32, reserved: bool, data: &Data) -> Result<(), OffloadError> {
        let (expert, cluster) = (
            self.experts[(index / self.units.clusters) as usize],
            index % self.units.clusters,
        );
        state.counters.bytes += data.bytes();
        let positions = self.units.of_cluster(cluster);
        let key = self.units.gate_key(self.layer, expert, cluster);
        let place = self.store(state, HOT, key, reserved, self.units.gate_bytes(), |out| {
            copy_rows(self.layout, data, Rows::Gate, expert, positions, out).map(drop)
        })?;
        state.lists.gates[index as usize].place = place;
        state.lists.ready_gates.push_back(index);
        Ok(())
    }

    fn take_unit(&self, state: &mut State<'_>, index: u32, data: &Data) -> Result<(), OffloadError> {
        let (expert, unit) = (self.experts[(index / self.units.units) as usize], index % self.units.units);
        state.counters.bytes += data.bytes();
        let positions = self.units.of_unit(unit);
        let key = self.units.up_down_key(self.layer, expert, unit);
        let reserved = state.lists.units[index as usize].reserved;
        let place = self.store(state, COLD, key, reserved, self.units.up_down_bytes(), |out| {
            let after_up = copy_rows(self.layout, data, Rows::Up, expert, positions.clone(), out)?;
            copy_rows(self.layout, data, Rows::Down, expert, positions, &mut out[after_up..]).map(drop)
        })?;
        let lists = &mut state.lists;
        let entry = &mut lists.units[index as usize];
        entry.place = place;
        for &block in &entry.waiting {
            let waiting = &mut lists.blocks[block as usize];
            waiting.reads -= 1;
            if waiting.reads == 0 && waiting.clusters == 0 {
                lists.ready_blocks.push_back(block);
            }
        }
        let cluster = entry.cluster as usize;
        lists.gates[cluster].reads -= 1;
        // Looked up already, and this was its last read: the cluster is out of the pipeline.
        if lists.gates[cluster].reads == 0 && (cluster as u32) < state.next_look_up {
            state.in_flight -= 1;
        }
        Ok(())
    }

    fn place_of(&self, state: &State<'_>, block: u32, position: u32) -> Place {
        let route = block / self.units.blocks;
        state.lists.units[(route * self.units.units + position / self.units.unit) as usize].place
    }

    /// GC: the gate rows of a cluster, and which of its neurons fire.
    fn compute_gate(&self, index: u32, place: Place, scratch: &mut Scratch, fired: &mut Vec<Fired>) -> Result<(), OffloadError> {
        let positions = self.units.of_cluster(index % self.units.clusters);
        let rows = positions.len();
        // SAFETY: `place` is a pinned slot or a buffer of the layer, both hold all rows of the cluster, and nobody writes to either
        // before the layer's end.
        let bytes = unsafe { std::slice::from_raw_parts(place.0, rows * self.units.gate_row) };
        let matrix = Matrix::new(self.units.gate, rows, self.units.width as usize, bytes)?;
        scratch.values.resize(rows.max(scratch.values.len()), 0.0);
        let values = &mut scratch.values[..rows];
        self.kernels.gemv(&matrix, self.x, values)?;
        fired.clear();
        fired.extend(
            positions
                .zip(values.iter())
                .filter(|(_, gate)| **gate > 0.0)
                .map(|(position, &gate)| Fired { position, gate }),
        );
        Ok(())
    }

    /// UDC: up and down of a block's fired neurons, in ascending order, into the block's partial sum. Returns how many counted.
    fn compute_block(&self, index: u32, places: &[Place], scratch: &Scratch) -> Result<usize, OffloadError> {
        if scratch.fired.is_empty() {
            return Ok(0);
        }
        let (width, units) = (self.units.width as usize, self.units);
        // SAFETY: every block is handed out once, blocks do not overlap, and the buffer outlives the run.
        let partial = unsafe { std::slice::from_raw_parts_mut(self.partials.first.add(index as usize * width), width) };
        debug_assert!((index as usize) < self.partials.blocks && self.partials.width == width);
        partial.fill(0.0);
        let mut counted = 0;
        for (neuron, place) in scratch.fired.iter().zip(places) {
            let unit = units.of_unit(neuron.position / units.unit);
            let row = (neuron.position - unit.start) as usize;
            let downs = unit.len() * units.up_row;
            // SAFETY: as in `compute_gate`: the unit's up rows, then its down rows, stay until the layer's end.
            let (up, down) = unsafe {
                (
                    std::slice::from_raw_parts(place.0.add(row * units.up_row), units.up_row),
                    std::slice::from_raw_parts(place.0.add(downs + row * units.down_row), units.down_row),
                )
            };
            let mut value = [0.0];
            self.kernels.gemv(&Matrix::new(units.up, 1, width, up)?, self.x, &mut value)?;
            let mut gate = [neuron.gate];
            match self.gating {
                Gating::Relu => self.kernels.relu_mul(&mut gate, &value)?,
                Gating::DoubleRelu => {
                    self.kernels.drelu_mul(&mut gate, &value)?;
                    if gate[0] <= 0.0 {
                        continue;
                    }
                }
            }
            self.kernels.axpy(units.down, down, gate[0], partial)?;
            counted += 1;
        }
        Ok(counted)
    }
}
