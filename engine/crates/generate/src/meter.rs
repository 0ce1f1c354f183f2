//! What a session spends: its counters, read at moments.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flash::{BackendUsed, FlashReader};
use offload::LayerCounters;

use crate::between::Decisions;
use crate::report::{FlashUse, Phase};
use crate::watch::Watch;

/// Reads the counters of a run.
pub(crate) struct Meter {
    pub watch: Watch,
    pub reader: Option<Arc<dyn FlashReader>>,
    pub decisions: Decisions,
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
        let statistics = self.reader.as_ref().map(|reader| reader.statistics());
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
        let reader = self.reader.as_ref()?;
        let statistics = reader.statistics();
        let quantile = |share| Duration::from_nanos(statistics.latency.quantile_ns(share));
        let used: &BackendUsed = reader.backend_used();
        Some(FlashUse {
            backend: used.to_string(),
            reads: statistics.reads,
            p50: quantile(0.5),
            p99: quantile(0.99),
            peak_buffer_bytes: statistics.peak_buffer_bytes,
            shaped: reader.shaped(),
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
