//! The FFN of a model larger than its memory: part of the neurons in a segmented cache, the rest on flash, and a pipeline of
//! neuron clusters that computes while it reads. Lossless: the gate of every neuron of the chosen experts is computed, and up
//! and down only where it fired.
//!
//! Results are the same bits for any cache size, number of threads and lanes, depth, read backend and eviction policy.
//!
//! May import: `cache`, `flash`, `model` (the seam [`FeedForward`]), `neuron`, `pool`. Files: `options` (what the plan decides), `units` (how the file is cut),
//! `layer_run/` (decode: one token, one layer), `predicted` (the FFN in which a predictor decides), `prefill` (many tokens, layers streamed), `keep` (what stays of that), `counters`, `error`.
#![warn(missing_docs)]

mod counters;
mod error;
mod keep;
mod layer_run;
mod options;
mod predicted;
mod prefill;
mod units;

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use cache::{PolicyKind, SegmentShape, SegmentedCache, Setting, Shape};
use flash::{FlashFile, FlashReader};
use model::{FeedForward, FfnBatch, FfnCounters, Lossless, ModelError, Route, SumExperts, add_partial};
use neuron::{Activations, Gating, Kernels};
use pool::Pool;
use spans::{Activity, Tracer};

pub use counters::LayerCounters;
pub use error::OffloadError;
use layer_run::{LayerRun, Lists, MOST_REQUESTED_BYTES, Partials, Predicting, Scratch, StageMemory, State};
pub use options::{Granularity, OffloadOptions, Overlap};
pub use predicted::PredictedOffload;
use prefill::PrefillScratch;
use units::Units;

/// Slots begin with a cache line. Rows are copied into them out of the pages that were read, whose padding would take a fifth of
/// the memory.
const SLOT_ALIGN: usize = 64;

/// How large the segments can usefully be, and how small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Bytes for all gate rows in the hot segment.
    pub all_hot: usize,
    /// Bytes for all of up and down in the cold segment.
    pub all_cold: usize,
    /// Bytes of one slot of the hot segment, and of the cold one.
    pub hot_slot: usize,
    /// See `hot_slot`.
    pub cold_slot: usize,
    /// Slots of each that hold all that one layer uses for a token.
    pub layer_hot: usize,
    /// See `layer_hot`.
    pub layer_cold: usize,
    /// Bytes of buffers for what is being read in decoding.
    pub reading: usize,
    /// Whether the hot segment is worth filling before the cold one: where every gate is computed and few neurons fire. Else both
    /// hold the rows of the same neurons.
    pub hot_first: bool,
    /// Bytes that a layer may hold beside the segments when these are smaller than what it uses.
    pub beside: usize,
}

/// The FFNs of a packed file under a memory budget.
pub struct Offload {
    file: Arc<FlashFile>,
    reader: Arc<dyn FlashReader>,
    kernels: Kernels,
    gating: Gating,
    options: OffloadOptions,
    units: Units,
    cache: SegmentedCache,
    lists: Lists,
    scratch: Vec<Mutex<Scratch>>,
    stages: Option<StageMemory>,
    prefill: PrefillScratch,
    partials: Vec<f32>,
    totals: LayerCounters,
    by_layer: FfnCounters,
    labels: &'static [&'static str],
    /// What decides which neurons are computed; none where every gate does.
    predicting: Option<Predicting>,
    tracer: Tracer,
}

impl Offload {
    /// Segments as large as the options say, nothing in them yet. `experts_used` is how many experts a token takes.
    ///
    /// Errors: a packed file that cannot be run from flash; memory that the system does not give.
    pub fn new(
        reader: Arc<dyn FlashReader>,
        kernels: Kernels,
        gating: Gating,
        experts_used: u32,
        options: OffloadOptions,
    ) -> Result<Self, OffloadError> {
        let file = Arc::clone(reader.file());
        let units = Units::of(&file, &options)?;
        let needs = needs_of(&file, &units, experts_used, &options);
        let slots = |bytes: usize, slot: usize, keys: u32| u32::try_from(bytes / slot).unwrap_or(u32::MAX).min(keys);
        let hot_slots = slots(options.hot_bytes, needs.hot_slot, units.gate_keys());
        let cold_slots = slots(options.cold_bytes, needs.cold_slot, units.up_down_keys());
        // Where every token takes every expert, the gates are a cyclic scan: recency would find nothing. A fixed part of each
        // layer stays, so that every layer has something to compute while it reads.
        let heat: Vec<f64> = (0..units.gate_keys()).map(|key| -f64::from(key % units.gate_units)).collect();
        let hot_policy = if options.predicted {
            options.policy
        } else if experts_used >= units.experts {
            PolicyKind::StaticHot
        } else {
            PolicyKind::Lru
        };
        // With every neuron wanted each time, up and down are a scan as well.
        let cold_policy = if options.every_neuron && experts_used >= units.experts {
            PolicyKind::StaticHot
        } else {
            options.policy
        };
        // Bookkeeping lies outside the segments' own sizes: tables of a few words a key.
        let bookkeeping = 64 * (units.gate_keys() as usize + units.up_down_keys() as usize) + (1 << 20);
        let up_down_heat: Vec<f64> = (0..units.up_down_keys()).map(|key| -f64::from(key % units.units)).collect();
        let cache = SegmentedCache::new(&Shape {
            budget_bytes: hot_slots as usize * needs.hot_slot + cold_slots as usize * needs.cold_slot + bookkeeping,
            fixed_bytes: 0,
            huge_pages: true,
            segments: vec![
                SegmentShape {
                    name: "hot",
                    entry_bytes: units.gate_bytes(),
                    align_bytes: SLOT_ALIGN,
                    policy: hot_policy,
                    setting: Setting {
                        keys: units.gate_keys(),
                        slots: hot_slots,
                        heat: &heat,
                        ..Setting::default()
                    },
                },
                SegmentShape {
                    name: "cold",
                    entry_bytes: units.up_down_bytes(),
                    align_bytes: SLOT_ALIGN,
                    policy: cold_policy,
                    setting: Setting {
                        keys: units.up_down_keys(),
                        slots: cold_slots,
                        heat: &up_down_heat,
                        window_tokens: 5,
                        ..Setting::default()
                    },
                },
            ],
        })?;
        let stages = file
            .layers()
            .first()
            .and_then(|layout| StageMemory::new(layout, &units, options.granularity));
        let labels: &[&str] = if file.is_requantised() { &["requantised"] } else { &[] };
        Ok(Self {
            file,
            reader,
            kernels,
            gating,
            options,
            units,
            cache,
            lists: Lists::default(),
            scratch: Vec::new(),
            stages,
            prefill: PrefillScratch::default(),
            partials: Vec::new(),
            totals: LayerCounters::default(),
            by_layer: FfnCounters::new(units.layers as usize),
            labels,
            predicting: None,
            tracer: Tracer::off(),
        })
    }

    /// Sizes that matter for choosing segments of this file. `experts_used` is how many experts a token takes.
    pub fn needs(file: &FlashFile, experts_used: u32, options: &OffloadOptions) -> Result<Needs, OffloadError> {
        Ok(needs_of(file, &Units::of(file, options)?, experts_used, options))
    }

    /// The cache, to look at.
    pub fn cache(&self) -> &SegmentedCache {
        &self.cache
    }

    /// The reader.
    pub fn reader(&self) -> &Arc<dyn FlashReader> {
        &self.reader
    }

    /// Everything counted so far.
    pub fn totals(&self) -> LayerCounters {
        self.totals
    }

    /// The FFN of one layer for one token. `x` holds the token's normed activations; `routes` its experts, ascending. `out`
    /// is overwritten with the weighted sum of the experts' outputs.
    ///
    /// Errors leave the cache usable: reads in flight are waited for, slots of failed ones are free again.
    pub fn decode(
        &mut self,
        pool: &mut Pool,
        layer: usize,
        routes: &[Route],
        x: &Activations,
        out: &mut [f32],
    ) -> Result<LayerCounters, OffloadError> {
        self.token(pool, layer, routes, x, &[], out)
    }

    /// The same for either kind. `stream` is the residual stream before the norm, for predictors that read it.
    fn token(
        &mut self,
        pool: &mut Pool,
        layer: usize,
        routes: &[Route],
        x: &Activations,
        stream: &[f32],
        out: &mut [f32],
    ) -> Result<LayerCounters, OffloadError> {
        self.check(layer, routes, out.len(), 1)?;
        let width = self.units.width as usize;
        let blocks = routes.len() * self.units.blocks as usize;
        self.partials.resize((blocks * width).max(self.partials.len()), 0.0);
        while self.scratch.len() < pool.threads() {
            self.scratch.push(Mutex::new(Scratch::default()));
        }
        let experts: Vec<u32> = routes.iter().map(|route| route.expert).collect();
        let stages = self.stages.as_mut().map(StageMemory::stages);
        if let Some(predicting) = &mut self.predicting {
            let begun = self.tracer.begin();
            predicting.prepare(self.kernels, pool, layer, &experts, x, stream)?;
            self.tracer.together(begun, Activity::Predictor, Some(layer));
        }
        let scores = self
            .predicting
            .as_ref()
            .map(|predicting| predicting.scores(layer, &experts, self.file.order()))
            .transpose()?;
        let lists = std::mem::take(&mut self.lists);
        let run = LayerRun {
            kernels: self.kernels,
            units: &self.units,
            layout: &self.file.layers()[layer],
            reader: &*self.reader,
            layer: layer as u32,
            experts: &experts,
            x,
            gating: self.gating,
            overlap: self.options.overlap,
            granularity: self.options.granularity,
            depth: self.options.depth,
            state: Mutex::new(State::new(
                &mut self.cache,
                lists,
                &self.units,
                routes.len() as u32,
                stages.map_or(0, |stages| stages.count),
            )),
            changed: Condvar::new(),
            partials: Partials {
                first: self.partials.as_mut_ptr(),
                width,
                blocks,
            },
            stages,
            predicting: scores,
            tracer: &self.tracer,
        };
        run.begin();
        let scratch = &self.scratch;
        pool.run(|worker| {
            let index = worker.index();
            run.work(index, &mut scratch[index].lock().unwrap_or_else(PoisonError::into_inner));
        });
        let state = run.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let summed: Vec<bool> = state.summed().collect();
        let (lists, counters, error) = state.finish();
        self.lists = lists;
        if layer + 1 == self.units.layers as usize {
            self.cache.segments_mut().iter_mut().for_each(cache::Segment::end_token);
        }
        self.totals += counters;
        if let Some(error) = error {
            return Err(error);
        }
        let (partials, per_expert) = (&self.partials, self.units.blocks as usize);
        pool.run_split(out, 64, |first, part| {
            add_experts(routes, &summed, partials, per_expert, width, first, part);
        });
        Ok(counters)
    }

    /// Errors on a layer or expert that the file does not have, or a buffer of another length.
    fn check(&self, layer: usize, routes: &[Route], length: usize, tokens: usize) -> Result<(), OffloadError> {
        let wrong = |what: String| Err(OffloadError::Input { what });
        if layer >= self.units.layers as usize {
            return wrong(format!("no layer {layer}; the packed file has {}", self.units.layers));
        }
        if let Some(route) = routes.iter().find(|route| route.expert >= self.units.experts) {
            return wrong(format!(
                "no expert {}; the packed file has {}",
                route.expert, self.units.experts
            ));
        }
        let wanted = self.units.width as usize * tokens;
        if length != wanted {
            return wrong(format!("an output of {length} numbers; {wanted} ({tokens} tokens)"));
        }
        Ok(())
    }
}

fn needs_of(file: &FlashFile, units: &Units, experts_used: u32, options: &OffloadOptions) -> Needs {
    let slot = |bytes: usize| bytes.next_multiple_of(SLOT_ALIGN);
    let (hot_slot, cold_slot) = (slot(units.gate_bytes()), slot(units.up_down_bytes()));
    let used = experts_used.min(units.experts) as usize;
    let (layer_hot, layer_cold) = (used * units.gate_units as usize, used * units.units as usize);
    let stages = file
        .layers()
        .first()
        .map_or(0, |layout| StageMemory::bytes(layout, units, options.granularity));
    // One cluster more may be asked for before the most is reached.
    let asked =
        MOST_REQUESTED_BYTES + units.gates_in_flight + units.cluster as usize / units.unit as usize * units.up_down_bytes();
    Needs {
        all_hot: hot_slot * units.gate_keys() as usize,
        all_cold: cold_slot * units.up_down_keys() as usize,
        hot_slot,
        cold_slot,
        layer_hot,
        layer_cold,
        reading: stages + asked,
        hot_first: !options.predicted && !options.every_neuron,
        beside: layer_hot * units.gate_bytes() + layer_cold * units.up_down_bytes(),
    }
}

/// The fixed order of the last sums (see [`FeedForward`]), for the columns from `first` on.
fn add_experts(
    routes: &[Route],
    summed: &[bool],
    partials: &[f32],
    per_expert: usize,
    width: usize,
    first: usize,
    out: &mut [f32],
) {
    let mut of_expert = [0.0f32; 64];
    for (chunk, out) in out.chunks_mut(of_expert.len()).enumerate() {
        let column = first + chunk * of_expert.len();
        let of_expert = &mut of_expert[..out.len()];
        let mut experts = SumExperts::new(out);
        for (place, route) in routes.iter().enumerate() {
            of_expert.fill(0.0);
            for block in place * per_expert..(place + 1) * per_expert {
                if summed[block] {
                    add_partial(&partials[block * width + column..][..of_expert.len()], of_expert);
                }
            }
            experts.add(route.weight, of_expert);
        }
        experts.finish();
    }
}

impl Lossless for Offload {}

impl FeedForward for Offload {
    fn announce(&mut self, _layer: usize, _routes: &[Route], _tokens: usize) -> Result<(), ModelError> {
        Ok(())
    }

    fn forward(&mut self, pool: &mut Pool, layer: usize, batch: &FfnBatch<'_>, out: &mut [f32]) -> Result<(), ModelError> {
        let counted = if batch.tokens == 1 {
            self.token(pool, layer, batch.routes, batch.activations, batch.stream, out)
        } else {
            self.prefill(pool, layer, batch.routes, batch.experts_used, batch.input, out)
        };
        let counters = counted.map_err(ModelError::other)?;
        let seen = batch.routes.len() as u64 * u64::from(self.units.neurons);
        self.by_layer.add(layer, seen, counters.fired);
        Ok(())
    }

    fn trace(&mut self, tracer: &Tracer) {
        self.tracer = tracer.clone();
    }

    fn counters(&self) -> Option<&FfnCounters> {
        Some(&self.by_layer)
    }

    fn labels(&self) -> &[&'static str] {
        self.labels
    }
}
