//! What a session spends: its counters, read at moments.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flash::{BackendUsed, FlashReader, ShaperReport, Statistics};
use offload::LayerCounters;

use crate::between::Decisions;
use crate::report::{FlashUse, Phase, Preloaded};
use crate::watch::Watch;

/// Reads the counters of a run.
pub(crate) struct Meter {
    pub watch: Watch,
    pub reader: Option<MeteredReader>,
    pub decisions: Decisions,
}

/// A reader, and what it had counted when the first token was still to come.
pub(crate) struct MeteredReader {
    reader: Arc<dyn FlashReader>,
    before: Statistics,
    shaped_before: Option<ShaperReport>,
    preloads: bool,
}

impl MeteredReader {
    /// From now on. `preloads`: whether what was read before filled the neuron cache.
    pub fn new(reader: Arc<dyn FlashReader>, preloads: bool) -> Self {
        let (before, shaped_before) = (reader.statistics(), reader.shaped());
        Self {
            reader,
            before,
            shaped_before,
            preloads,
        }
    }
}

/// The counters at one moment.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    at: Instant,
    ffn: Duration,
    counters: LayerCounters,
    disk_bytes: u64,
    disk_busy: Duration,
}

impl Meter {
    pub fn now(&self) -> Reading {
        let seen = self.watch.seen();
        let statistics = self.reader.as_ref().map(|of| of.reader.statistics());
        let busy = statistics
            .as_ref()
            .map_or(0, |all| all.busy_ns.iter().sum::<u64>() / all.busy_ns.len().max(1) as u64);
        Reading {
            at: Instant::now(),
            ffn: seen.took,
            counters: seen.counters,
            disk_bytes: statistics.map_or(0, |all| all.bytes),
            disk_busy: Duration::from_nanos(busy),
        }
    }

    pub fn flash_use(&self) -> Option<FlashUse> {
        let MeteredReader {
            reader,
            before,
            shaped_before,
            preloads,
        } = self.reader.as_ref()?;
        let statistics = reader.statistics();
        let latency = statistics.latency.since(&before.latency);
        let quantile = |share| Duration::from_nanos(latency.quantile_ns(share));
        let used: &BackendUsed = reader.backend_used();
        let shaped = reader.shaped();
        Some(FlashUse {
            backend: used.to_string(),
            reads: statistics.reads - before.reads,
            p50: quantile(0.5),
            p99: quantile(0.99),
            peak_buffer_bytes: statistics.peak_buffer_bytes,
            preloaded: preloads.then_some(Preloaded {
                reads: before.reads,
                bytes: before.bytes,
            }),
            shaped: shaped.map(|now| shaped_before.as_ref().map_or(now, |then| now.since(then))),
        })
    }
}

impl Reading {
    /// What happened between `before` and this.
    pub fn since(&self, before: &Self) -> Phase {
        let (now, then) = (&self.counters, &before.counters);
        Phase {
            took: self.at - before.at,
            ffn: self.ffn.saturating_sub(before.ffn),
            counters: LayerCounters {
                predicted: now.predicted - then.predicted,
                gate_look_ups: now.gate_look_ups - then.gate_look_ups,
                gate_misses: now.gate_misses - then.gate_misses,
                gates_announced: now.gates_announced - then.gates_announced,
                look_ups: now.look_ups - then.look_ups,
                misses: now.misses - then.misses,
                beside: now.beside - then.beside,
                fired: now.fired - then.fired,
                bytes: now.bytes - then.bytes,
            },
            disk_bytes: self.disk_bytes - before.disk_bytes,
            disk_busy: self.disk_busy.saturating_sub(before.disk_busy),
        }
    }
}
