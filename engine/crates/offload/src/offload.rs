//! The FFNs of a packed file: what they hold, and the seam to the forward pass.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache::{PolicyKind, SegmentShape, SegmentedCache, Setting, Shape};
use flash::{FlashFile, FlashReader};
use model::{FeedForward, FfnBatch, FfnCounters, Lossless, ModelError, Route};
use neuron::{Gating, Kernels};
use pool::Pool;
use spans::Tracer;

use crate::counters::LayerCounters;
use crate::error::OffloadError;
use crate::layer_run::{Lists, Predicting, Scratch, StageMemory};
use crate::needs::{Needs, SLOT_ALIGN, needs_of};
use crate::options::{GateReads, OffloadOptions};
use crate::phase::Phase;
use crate::prefill::PrefillScratch;
use crate::token::Announced;
use crate::units::Units;

/// What every run of a layer stands on, and none changes.
pub(crate) struct Ground {
    pub file: Arc<FlashFile>,
    pub reader: Arc<dyn FlashReader>,
    pub kernels: Kernels,
    pub gating: Gating,
    pub options: OffloadOptions,
    /// Of the options, as far as it is open to this file.
    pub gates: GateReads,
    pub units: Units,
    pub tracer: Tracer,
}

/// The FFNs of a packed file under a memory budget.
pub struct Offload {
    pub(crate) ground: Ground,
    pub(crate) cache: SegmentedCache,
    pub(crate) lists: Lists,
    pub(crate) scratch: Vec<Mutex<Scratch>>,
    pub(crate) stages: Option<StageMemory>,
    pub(crate) prefill: PrefillScratch,
    pub(crate) partials: Vec<f32>,
    pub(crate) totals: LayerCounters,
    /// Time in which compute threads waited for reads or for each other in decode, summed over them.
    pub(crate) waited: Duration,
    pub(crate) by_layer: FfnCounters,
    pub(crate) labels: &'static [&'static str],
    /// What decides which neurons are computed; none where every gate does.
    pub(crate) predicting: Option<Predicting>,
    /// A layer whose reads have begun before its turn.
    pub(crate) announced: Option<Announced>,
    /// What memory is divided for.
    pub(crate) phase: Phase,
    pub(crate) needs: Needs,
}

impl Offload {
    /// Segments as large as the options say for a prompt, nothing in them yet. `experts_used` is how many experts a token takes.
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
        let [hot_slots, cold_slots] = Phase::Prefill.slots(&options, &units, &needs);
        let most_bytes = [Phase::Prefill, Phase::Decode].map(|phase| {
            let [hot, cold] = phase.slots(&options, &units, &needs);
            hot as usize * needs.hot_slot + cold as usize * needs.cold_slot
        });
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
            budget_bytes: most_bytes[0].max(most_bytes[1]) + bookkeeping,
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
            by_layer: FfnCounters::new(units.layers as usize),
            ground: Ground {
                reader,
                kernels,
                gating,
                gates: options.gates.open_to(&file, &options),
                options,
                units,
                tracer: Tracer::off(),
                file,
            },
            cache,
            lists: Lists::default(),
            scratch: Vec::new(),
            stages,
            prefill: PrefillScratch::default(),
            partials: Vec::new(),
            totals: LayerCounters::default(),
            waited: Duration::ZERO,
            labels,
            predicting: None,
            announced: None,
            phase: Phase::Prefill,
            needs,
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
        &self.ground.reader
    }

    /// Time in which compute threads waited in decode so far, for reads or for each other: summed over them.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Everything counted so far.
    pub fn totals(&self) -> LayerCounters {
        self.totals
    }

    /// Errors on a layer or expert that the file does not have, or a buffer of another length.
    pub(crate) fn check(&self, layer: usize, routes: &[Route], length: usize, tokens: usize) -> Result<(), OffloadError> {
        let wrong = |what: String| Err(OffloadError::Input { what });
        if layer >= self.ground.units.layers as usize {
            return wrong(format!("no layer {layer}; the packed file has {}", self.ground.units.layers));
        }
        if let Some(route) = routes.iter().find(|route| route.expert >= self.ground.units.experts) {
            return wrong(format!(
                "no expert {}; the packed file has {}",
                route.expert, self.ground.units.experts
            ));
        }
        let wanted = self.ground.units.width as usize * tokens;
        if length != wanted {
            return wrong(format!("an output of {length} numbers; {wanted} ({tokens} tokens)"));
        }
        Ok(())
    }
}

impl Lossless for Offload {}

impl FeedForward for Offload {
    fn begin_pass(&mut self, tokens: usize) -> Result<(), ModelError> {
        self.enter(Phase::of(tokens)).map_err(ModelError::other)
    }

    fn prepare_to_decode(&mut self) -> Result<(), ModelError> {
        self.enter(Phase::Decode).map_err(ModelError::other)
    }

    fn announce(&mut self, layer: usize, routes: &[Route], tokens: usize) -> Result<(), ModelError> {
        // A batch streams its experts whole, and which gates a predictor names is known only when it has its input.
        if tokens == 1 && self.predicting.is_none() {
            self.begin_early(layer, routes).map_err(ModelError::other)?;
        }
        Ok(())
    }

    fn forward(&mut self, pool: &mut Pool, layer: usize, batch: &FfnBatch<'_>, out: &mut [f32]) -> Result<(), ModelError> {
        let counted = if batch.tokens == 1 {
            self.token(pool, layer, batch.routes, batch.activations, batch.stream, out)
        } else {
            self.prefill(pool, layer, batch.routes, batch.experts_used, batch.input, out)
        };
        let counters = counted.map_err(ModelError::other)?;
        let seen = batch.routes.len() as u64 * u64::from(self.ground.units.neurons);
        self.by_layer.add(layer, seen, counters.fired);
        Ok(())
    }

    fn trace(&mut self, tracer: &Tracer) {
        self.ground.tracer = tracer.clone();
    }

    fn counters(&self) -> Option<&FfnCounters> {
        Some(&self.by_layer)
    }

    fn labels(&self) -> &[&'static str] {
        self.labels
    }
}
