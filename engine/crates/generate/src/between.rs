//! What happens between two tokens that are generated: storage that is made slower from some token on, and a plan that adapts to what was
//! measured.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use flash::{FlashError, FlashReader, Shaper, Slowdown};
use model::BATCH;
use offload::{AdaptSetting, Adapting, Decision, LayerCounters, Offload, Rates, ReadCost, Window};

use crate::GenerateError;
use crate::options::Options;
use crate::reading::gap_worth_reading;

/// Adapting while running.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaptOptions {
    /// Tokens of a window.
    pub every: u32,
    /// What the profile says of the storage.
    pub rates: Rates,
    /// What the profile says of the time around a read.
    pub cost: ReadCost,
}

/// Storage that becomes slower.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowStorage {
    /// Tokens generated before it does, beside the one that is chosen from the prompt.
    pub token: u64,
    /// How.
    pub slowdown: Slowdown,
}

/// Decisions, handed to whoever asks while the session runs, and after it.
#[derive(Clone, Default)]
pub(crate) struct Decisions(Arc<Mutex<Vec<Decision>>>);

impl Decisions {
    pub fn so_far(&self) -> Vec<Decision> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Counters at the beginning of a window.
struct Mark {
    token: u64,
    at: Instant,
    waited: Duration,
    counters: LayerCounters,
    reads: u64,
    bytes: u64,
    reading_ns: u64,
}

impl Mark {
    fn now(token: u64, offload: &Offload) -> Self {
        let statistics = offload.reader().statistics();
        Self {
            token,
            at: Instant::now(),
            waited: offload.waited(),
            counters: offload.totals(),
            reads: statistics.reads,
            bytes: statistics.bytes,
            reading_ns: statistics.reading_ns,
        }
    }

    /// What happened between `before` and this, to `threads` of them.
    fn since(&self, before: &Self, threads: usize) -> Window {
        let (now, then) = (&self.counters, &before.counters);
        let count = |now: u64, then: u64| (now - then) as f64;
        Window {
            tokens: count(self.token, before.token),
            wall_ns: (self.at - before.at).as_nanos() as f64,
            waited_ns: (self.waited - before.waited).as_nanos() as f64 / threads.max(1) as f64,
            reading_ns: self.reading_ns.saturating_sub(before.reading_ns) as f64,
            reads: count(self.reads, before.reads),
            bytes: count(self.bytes, before.bytes),
            look_ups: count(now.gate_look_ups + now.look_ups, then.gate_look_ups + then.look_ups),
            clusters: count(now.gate_misses, then.gate_misses),
            units: count(now.misses, then.misses),
            beside: count(now.beside, then.beside),
        }
    }
}

/// Kept by who runs the passes, and asked before each.
pub(crate) struct Between {
    slow: Option<(SlowStorage, Arc<Shaper>)>,
    adapting: Option<Adapting>,
    threads: usize,
    /// Tokens generated.
    decoded: u64,
    /// Passes of one token that belong to the prompt.
    of_prompt: u32,
    mark: Option<Mark>,
    decisions: Decisions,
}

impl Between {
    /// `prompt`: tokens of the prompt, of which each batch is a pass. None where nothing is to happen. Errors: slower storage without a
    /// modelled one; adapting what cannot change.
    pub fn of(
        options: &Options,
        prompt: usize,
        shaper: Option<Arc<Shaper>>,
        reader: &dyn FlashReader,
        offload: Option<&Offload>,
        decisions: &Decisions,
    ) -> Result<Option<Self>, GenerateError> {
        let slow = match (options.slow, shaper) {
            (None, _) => None,
            (Some(_), None) => {
                return Err(GenerateError::Input {
                    name: "slow-storage",
                    what: "makes a modelled storage slower, and reads go to this disk as it is; name a device with --shape-flash"
                        .to_owned(),
                });
            }
            (Some(slow), Some(shaper)) => Some((slow, shaper)),
        };
        let adapting = match (options.adapt, offload) {
            (None, _) => None,
            (Some(_), None) => {
                return Err(GenerateError::Unsupported {
                    what: "under a predictor rows are read one by one as it names them, and nothing of that can change between tokens"
                        .to_owned(),
                    wanted: "leave out --adapt, or --predictor".to_owned(),
                });
            }
            (Some(adapt), Some(offload)) => {
                let (gates, unit) = offload.ways(adapt.cost, options.threads, gap_worth_reading(reader.file()));
                let setting = AdaptSetting {
                    every: adapt.every,
                    rates: adapt.rates,
                    choices: offload.gate_choices(),
                    gates,
                    unit,
                };
                Some(Adapting::new(setting, offload.gate_reads()))
            }
        };
        Ok((slow.is_some() || adapting.is_some()).then(|| Self {
            slow,
            adapting,
            threads: options.threads,
            decoded: 0,
            of_prompt: u32::from(prompt % BATCH == 1),
            mark: None,
            decisions: decisions.clone(),
        }))
    }

    /// Before a pass over so many tokens. `offload`: the FFNs, where they can change.
    pub fn begin(&mut self, tokens: usize, offload: Option<&mut Offload>) -> Result<(), FlashError> {
        if tokens > 1 {
            return Ok(());
        }
        if self.of_prompt > 0 {
            self.of_prompt -= 1;
            return Ok(());
        }
        if let Some((slow, shaper)) = self.slow.as_ref().filter(|(slow, _)| slow.token == self.decoded) {
            shaper.slow_down(slow.slowdown)?;
        }
        if let (Some(adapting), Some(offload)) = (&mut self.adapting, offload) {
            let every = u64::from(adapting.every());
            let is_over = |mark: &Mark| self.decoded - mark.token >= every;
            if self.mark.as_ref().is_none_or(is_over) {
                let now = Mark::now(self.decoded, offload);
                if let Some(before) = self.mark.take()
                    && let Some(decision) = adapting.adapt(&now.since(&before, self.threads), self.decoded)
                {
                    if adapting.gates() != offload.gate_reads() {
                        offload.read_gates(adapting.gates());
                    }
                    self.decisions.0.lock().unwrap_or_else(PoisonError::into_inner).push(decision);
                }
                self.mark = Some(now);
            }
        }
        self.decoded += 1;
        Ok(())
    }
}
