//! One token through one layer's FFN: clusters go through the stages GIO → GC → UDIO → UDC (lossless: no predictor), on compute threads
//! that take whatever is ready, while the lanes read. (PowerInfer-2, section 4.3; Figure 6)
//!
//! What may be timed differently from run to run is only *when* a stage runs. Look-ups in the cache are made in the order of
//! clusters, whatever order their gates were computed in, and nothing that this layer uses leaves the cache before its end:
//! hits, misses and evictions are the same for any number of threads and lanes. Sums are taken block by block in ascending
//! order at the end, so the result is the same bits.
//!
//! This file is the order of things; `schedule` what is next, `state` what is shared, `ask` and `arrive` the two ends of a read (`apart`: of gate rows that are read group by group), `compute` the arithmetic.

mod apart;
mod arrive;
mod ask;
mod compute;
mod predict;
mod schedule;
mod stages;
mod state;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flash::{FlashReader, LayerLayout};
use neuron::{Activations, Gating, Kernels};
use pool::Worker;
use spans::{Activity, Tracer, Track};

use crate::error::OffloadError;
use crate::offload::Ground;
use crate::options::{GateReads, Granularity, Overlap};
use crate::units::Units;
pub(crate) use ask::MOST_REQUESTED_BYTES;
pub(crate) use predict::{Predicting, Scores};
use schedule::Stage;
pub(crate) use stages::{StageMemory, Stages};
use state::locked;
pub(crate) use state::{Begun, COLD, HOT, Lists, Partials, Scratch, State};

/// What all workers share while the layer runs. It can read before there is anything to compute with.
pub(crate) struct LayerRun<'a> {
    pub units: &'a Units,
    pub layout: &'a LayerLayout,
    pub reader: &'a dyn FlashReader,
    pub layer: u32,
    pub experts: &'a [u32],
    pub overlap: Overlap,
    pub granularity: Granularity,
    pub gates: GateReads,
    pub depth: u32,
    /// Whether a predictor says which neurons are computed, and not every gate.
    pub is_predicted: bool,
    pub state: Mutex<State<'a>>,
    pub changed: Condvar,
    /// How often those who wait had to be told of a change. Written under the lock, read by who spins without it.
    pub changes: AtomicU32,
    /// Where the pages of single units arrive; none where units are read as requests.
    pub stages: Option<Stages>,
    pub tracer: &'a Tracer,
}

/// What the stages that compute need besides: the token's.
pub(crate) struct Inputs<'a> {
    pub kernels: Kernels,
    pub x: &'a Activations,
    pub gating: Gating,
    pub partials: Partials,
    /// What a predictor makes of the token, for each expert in use; none where every gate decides.
    pub scores: Vec<Scores<'a>>,
}

/// With requests under way as well as pages, each kind of wait is kept short for the sake of the other.
const TURN: Duration = Duration::from_micros(200);

impl<'a> LayerRun<'a> {
    /// The run of one layer for these experts, ascending.
    pub fn new(ground: &'a Ground, layer: usize, experts: &'a [u32], stages: Option<Stages>, state: State<'a>) -> Self {
        Self {
            units: &ground.units,
            layout: &ground.file.layers()[layer],
            reader: &*ground.reader,
            layer: layer as u32,
            experts,
            overlap: ground.options.overlap,
            granularity: ground.options.granularity,
            gates: ground.gates,
            depth: ground.options.depth,
            is_predicted: ground.options.predicted,
            state: Mutex::new(state),
            changed: Condvar::new(),
            changes: AtomicU32::new(0),
            stages,
            tracer: &ground.tracer,
        }
    }

    /// Asks for the first of what is missing, before any thread works; for more of it where the layer was announced.
    pub fn begin(&self) {
        let mut state = locked(&self.state);
        if state.error.is_some() {
            return;
        }
        let asked = self.ask_on(&mut state);
        self.note(&mut state, asked);
        let submitted = self.submit(&mut state);
        self.note(&mut state, submitted);
    }

    /// Takes the answers to all requests, for a layer that has begun and will not be computed.
    pub fn settle(&self) {
        let track = &mut self.tracer.thread(0);
        let mut state = locked(&self.state);
        while state.requests_left > 0
            && let Some(completion) = self.reader.wait()
        {
            self.take(&mut state, completion, track);
        }
    }

    /// The part of one thread of the layer. Returns when nothing is left to do, or after an error when no read is in flight.
    pub fn work(&self, worker: &Worker<'_>, inputs: &Inputs<'_>, scratch: &mut Scratch) {
        let track = &mut self.tracer.thread(worker.index());
        let mut state = locked(&self.state);
        self.take_early(&mut state, track);
        loop {
            if state.pages_left > 0 && !state.listening {
                self.reader.pages_done(&mut scratch.done);
                self.take_pages(&mut state, &mut scratch.done, track);
            }
            match self.next(&mut state) {
                Stage::Over => break,
                Stage::Wait => {
                    let (begun, since) = (track.begin(), Instant::now());
                    state = self.await_change(state, worker);
                    track.end(begun, Activity::Wait, self.layer);
                    state.waited += since.elapsed();
                }
                Stage::Listen => state = self.listen(state, scratch, track),
                Stage::Predict(index) => {
                    state.in_flight += 1;
                    let mut chosen = std::mem::take(&mut state.lists.gates[index as usize].chosen);
                    drop(state);
                    let begun = track.begin();
                    let done = self.predict(index, inputs, scratch, &mut chosen);
                    track.end(begun, Activity::Predictor, self.layer);
                    state = locked(&self.state);
                    self.note(&mut state, done);
                    state.lists.gates[index as usize].predicted = Some(chosen);
                    let looked_up = self.look_up_gates_in_order(&mut state);
                    self.note(&mut state, looked_up);
                    self.tell(&state);
                }
                Stage::Gate(index, place) => {
                    let mut fired = std::mem::take(&mut state.lists.gates[index as usize].spare);
                    let done = if self.is_predicted {
                        let chosen = std::mem::take(&mut state.lists.gates[index as usize].chosen);
                        self.places_of_gates(&mut state, index, &chosen, &mut scratch.places);
                        drop(state);
                        let begun = track.begin();
                        let done = self.compute_chosen_gates(inputs, &chosen, scratch, &mut fired);
                        track.end(begun, Activity::Gate, self.layer);
                        state = locked(&self.state);
                        state.lists.gates[index as usize].chosen = chosen;
                        done
                    } else {
                        state.in_flight += 1;
                        drop(state);
                        let begun = track.begin();
                        let done = self.compute_gate(inputs, index, place, scratch, &mut fired);
                        track.end(begun, Activity::Gate, self.layer);
                        state = locked(&self.state);
                        done
                    };
                    self.note(&mut state, done);
                    state.lists.gates[index as usize].fired = Some(fired);
                    let looked_up = self.look_up_in_order(&mut state);
                    self.note(&mut state, looked_up);
                    self.tell(&state);
                }
                Stage::Block(index) => {
                    std::mem::swap(&mut scratch.fired, &mut state.lists.blocks[index as usize].fired);
                    scratch.places.clear();
                    for fired in &scratch.fired {
                        scratch.places.push(self.place_of(&mut state, index, fired.position));
                    }
                    drop(state);
                    let begun = track.begin();
                    let done = self.compute_block(inputs, index, scratch);
                    track.end(begun, Activity::UpDown, self.layer);
                    state = locked(&self.state);
                    let block = &mut state.lists.blocks[index as usize];
                    std::mem::swap(&mut scratch.fired, &mut block.fired);
                    block.summed = matches!(done, Ok(count) if count > 0);
                    state.blocks_left -= 1;
                    let done = done.map(|count| state.counters.fired += count as u64);
                    self.note(&mut state, done);
                    if state.blocks_left == 0 || state.error.is_some() {
                        self.tell(&state);
                    }
                }
            }
        }
        self.tell(&state);
    }

    /// Takes what was asked for before the layer's turn and has arrived since, and asks for more in its place.
    fn take_early(&self, state: &mut State<'_>, track: &mut Track<'_>) {
        if state.requests_left == 0 || state.listening {
            return;
        }
        while let Some(completion) = self.reader.poll() {
            self.take(state, completion, track);
        }
        if state.error.is_none() {
            let asked = self.ask_on(state).and_then(|()| self.submit(state));
            self.note(state, asked);
        }
    }

    /// Waits for a read to end, while the other threads compute.
    fn listen<'g>(
        &'g self,
        mut state: MutexGuard<'g, State<'a>>,
        scratch: &mut Scratch,
        track: &mut Track<'_>,
    ) -> MutexGuard<'g, State<'a>> {
        state.listening = true;
        let (requests, pages) = (state.requests_left > 0, state.pages_left > 0);
        drop(state);
        let mut answered = None;
        let (begun, since) = (track.begin(), Instant::now());
        if pages {
            let until = requests.then(|| Instant::now() + TURN);
            self.reader.wait_pages(&mut scratch.done, until);
        } else {
            answered = self.reader.wait();
        }
        track.end(begun, Activity::Wait, self.layer);
        let waited = since.elapsed();
        let mut state = locked(&self.state);
        state.waited += waited;
        state.listening = false;
        self.take_pages(&mut state, &mut scratch.done, track);
        answered = answered.or_else(|| self.reader.poll());
        while let Some(completion) = answered {
            self.take(&mut state, completion, track);
            answered = self.reader.poll();
        }
        if state.error.is_none() {
            let asked = self.ask_on(&mut state).and_then(|()| self.submit(&mut state));
            self.note(&mut state, asked);
        }
        self.tell(&state);
        state
    }

    /// Waits until another thread tells of a change. What others compute is mostly over within microseconds, and waking a thread takes some
    /// fifty: it spins as long as threads of the pool do between layers, and then sleeps. Reads take longer, and the system needs a core to
    /// make them: while any is under way it sleeps at once.
    fn await_change<'g>(&'g self, state: MutexGuard<'g, State<'a>>, worker: &Worker<'_>) -> MutexGuard<'g, State<'a>> {
        let seen = self.changes.load(Ordering::Relaxed);
        let mut state = if state.is_reading() {
            state
        } else {
            drop(state);
            worker.spin_until(|| self.changes.load(Ordering::Relaxed) != seen);
            locked(&self.state)
        };
        if self.changes.load(Ordering::Relaxed) == seen {
            state.asleep += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.asleep -= 1;
        }
        state
    }

    /// Tells those who wait that something has changed.
    fn tell(&self, state: &State<'_>) {
        self.changes.fetch_add(1, Ordering::Relaxed);
        if state.asleep > 0 {
            self.changed.notify_all();
        }
    }

    fn note(&self, state: &mut State<'_>, outcome: Result<(), OffloadError>) {
        if let Err(error) = outcome {
            state.error.get_or_insert(error);
        }
    }
}
