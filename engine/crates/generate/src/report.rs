//! What a run was and what it cost.

use std::time::Duration;

use flash::ShaperReport;
use model::{PredictedCounters, Stop, TokenRow};
use offload::{Decision, LayerCounters};

use crate::ModelShape;
use crate::budget::Budget;
use crate::timeline::Timeline;

/// Everything to be known of a finished run. Times are of the wall clock.
#[derive(Clone, Debug)]
pub struct Report {
    /// What `general.architecture` says.
    pub architecture: &'static str,
    /// Its sizes.
    pub shape: ModelShape,
    /// `gguf` or `packed`.
    pub file: &'static str,
    /// Where and how FFNs were computed: `dense in memory`, `sparse in memory`, `predicted in memory` or `from flash`.
    pub ffn: &'static str,
    /// `lossless`, or what departs from the source's numbers: `requantised`, `predicted`.
    pub labels: Vec<&'static str>,
    /// The kernels' name.
    pub kernels: &'static str,
    /// Compute threads.
    pub threads: usize,
    /// Loading, up to the first token of the prompt.
    pub load: Duration,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Reading the prompt.
    pub prompt: Phase,
    /// What was generated. The first row's time is that of a choice alone: its logits are the prompt's.
    pub rows: Vec<TokenRow>,
    /// Generating.
    pub decode: Phase,
    /// The text.
    pub text: String,
    /// Why it ended.
    pub stop: Stop,
    /// Share of neurons that fired in generated tokens, where that is counted.
    pub fired: Option<f64>,
    /// What predicting came to, where a predictor decided.
    pub predicted: Option<Predicted>,
    /// How reads went, where FFNs are on flash.
    pub flash: Option<FlashUse>,
    /// The division of memory.
    pub budget: Budget,
    /// The most the process ever held (bytes), where the system says.
    pub peak_resident: Option<u64>,
    /// Seed of the draws.
    pub seed: u64,
    /// What was decided while it ran, where that was asked for.
    pub adaptation: Option<Vec<Decision>>,
    /// What happened when, of a run that was traced.
    pub timeline: Option<Timeline>,
}

/// One of the two phases.
#[derive(Clone, Copy, Debug, Default)]
pub struct Phase {
    /// All of it.
    pub took: Duration,
    /// The part inside the FFNs, reads that were waited for included.
    pub ffn: Duration,
    /// What FFNs on flash counted.
    pub counters: LayerCounters,
    /// Bytes read from the disk.
    pub disk_bytes: u64,
    /// Time that lanes spent in reads: the mean over lanes.
    pub disk_busy: Duration,
}

impl Phase {
    /// Adds another's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.counters += other.counters;
        self.took += other.took;
        self.ffn += other.ffn;
        self.disk_bytes += other.disk_bytes;
        self.disk_busy += other.disk_busy;
    }
}

/// What predicting came to in generated tokens; a prompt is computed with its true gates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Predicted {
    /// Share of the neurons that were predicted to be active, and computed.
    pub share: f64,
    /// Share of the neurons that would have fired that were computed, where that was audited and some would have.
    pub recall: Option<f64>,
}

/// Reads that filled the neuron cache before the first token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preloaded {
    /// Reads given to the system.
    pub reads: u64,
    /// Bytes read from the disk.
    pub bytes: u64,
}

/// How reads went, from the first token on.
#[derive(Clone, Debug)]
pub struct FlashUse {
    /// What served them, with the reason where it is not what was asked for.
    pub backend: String,
    /// Reads given to the system.
    pub reads: u64,
    /// Half of them took at most so long.
    pub p50: Duration,
    /// 99 % of them took at most so long.
    pub p99: Duration,
    /// The most bytes of buffers that reads held at once.
    pub peak_buffer_bytes: u64,
    /// What was read before, where the cache was to be filled.
    pub preloaded: Option<Preloaded>,
    /// What a modelled device did to them, where one was given.
    pub shaped: Option<ShaperReport>,
}

impl Report {
    /// Tokens of the prompt a second.
    pub fn prompt_rate(&self) -> f64 {
        rate(self.prompt_tokens, self.prompt.took)
    }

    /// Forward passes a second while generating; `None` where there was none.
    pub fn decode_rate(&self) -> Option<f64> {
        let passes = self.rows.len().checked_sub(1).filter(|&passes| passes > 0)?;
        Some(rate(passes, self.rows[1..].iter().map(|row| row.took).sum()))
    }
}

fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(1e-9)
}

impl Predicted {
    /// `None` where nothing was predicted.
    pub(crate) fn of(counters: &PredictedCounters, audited: bool) -> Option<Self> {
        Some(Self {
            share: counters.share_predicted()?,
            recall: counters.recall().filter(|_| audited),
        })
    }
}
