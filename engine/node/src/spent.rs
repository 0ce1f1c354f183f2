//! What a phase of a run cost, and how its reads went. Shared by all that run a model.

use std::time::Duration;

use generate::{FlashUse, Preloaded};
use napi_derive::napi;

use crate::shape::{ShapedDone, shaped};

/// Reading the prompt, or generating. Times in nanoseconds.
#[napi(object)]
pub struct PhaseDone {
    /// All of it.
    pub ns: f64,
    /// The part inside the FFNs.
    pub ffn_ns: f64,
    /// Time in reads, the mean over lanes.
    pub disk_ns: f64,
    /// Bytes read from the disk.
    pub disk_bytes: f64,
    /// Clusters of gate rows looked for and missed, units of up and down looked for and missed.
    pub gate_look_ups: f64,
    /// See `gate_look_ups`.
    pub gate_misses: f64,
    /// Of the gates missed, those on their way before attention.
    pub gates_announced: f64,
    /// See `gate_look_ups`.
    pub look_ups: f64,
    /// See `gate_look_ups`.
    pub misses: f64,
}

/// Reads that filled the neuron cache before the first token.
#[napi(object)]
pub struct PreloadedDone {
    /// How many.
    pub count: f64,
    /// Of the disk.
    pub bytes: f64,
}

/// How reads went, from the first token on. Times in nanoseconds.
#[napi(object)]
pub struct ReadsDone {
    /// What served them.
    pub backend: String,
    /// How many.
    pub count: f64,
    /// Half took at most so long.
    pub p50_ns: f64,
    /// 99 % took at most so long.
    pub p99_ns: f64,
    /// The most bytes of buffers that reads held at once.
    pub peak_buffer_bytes: f64,
    /// What was read before, where the cache was to be filled.
    pub preloaded: Option<PreloadedDone>,
    /// What a modelled device did to them.
    pub shaped: Option<ShapedDone>,
}

pub(crate) fn ns(time: Duration) -> f64 {
    time.as_nanos() as f64
}

pub(crate) fn phase(of: &generate::Phase) -> PhaseDone {
    PhaseDone {
        ns: ns(of.took),
        ffn_ns: ns(of.ffn),
        disk_ns: ns(of.disk_busy),
        disk_bytes: of.disk_bytes as f64,
        gate_look_ups: of.counters.gate_look_ups as f64,
        gate_misses: of.counters.gate_misses as f64,
        gates_announced: of.counters.gates_announced as f64,
        look_ups: of.counters.look_ups as f64,
        misses: of.counters.misses as f64,
    }
}

pub(crate) fn reads(of: FlashUse) -> ReadsDone {
    ReadsDone {
        backend: of.backend,
        count: of.reads as f64,
        p50_ns: ns(of.p50),
        p99_ns: ns(of.p99),
        peak_buffer_bytes: of.peak_buffer_bytes as f64,
        preloaded: of.preloaded.map(|Preloaded { reads, bytes }| PreloadedDone {
            count: reads as f64,
            bytes: bytes as f64,
        }),
        shaped: of.shaped.map(shaped),
    }
}
