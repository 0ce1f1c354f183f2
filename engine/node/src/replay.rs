//! Traces of keys through the cache's policies, nothing read.

use std::ops::ControlFlow;

use cache::{CacheError, MOST_KEYS, Outcome, PolicyKind, Replayed, Setting, replay_told};
use generate::{Blame, available};
use measure::thread_cpu_ns;
use napi::bindgen_prelude::{AsyncTask, Float64Array, Uint8Array, Uint32Array};
use napi_derive::napi;
use synth::Progress;

use crate::cancel::Cancel;
use crate::failure::{Failure, MemoryPart, among, whole};
use crate::synth::{Steps, teller};

/// One trace, and the caches that it goes through: each policy with each number of slots.
#[napi(object)]
pub struct ReplayRequest {
    /// By the names of `PolicyKind`.
    pub policies: Vec<String>,
    /// Things that may be resident at a time.
    pub slots: Vec<f64>,
    /// Keys of the trace are below this.
    pub keys: f64,
    /// Keys, and `cache::END_TOKEN` where a token ends.
    pub trace: Uint32Array,
    /// How often each key is wanted, for `static-hot`; absent: not known.
    pub heat: Option<Float64Array>,
    /// Tokens that `window` covers.
    pub window_tokens: f64,
    /// Whether what became of each place of the trace is reported.
    pub outcomes: bool,
}

/// What one policy with one number of slots came to.
#[napi(object)]
pub struct ReplayRow {
    /// Which policy.
    pub policy: String,
    /// How many slots.
    pub slots: f64,
    /// As `cache::Replayed` has them.
    pub hits: f64,
    /// See `hits`.
    pub misses: f64,
    /// See `hits`.
    pub evictions: f64,
    /// See `hits`.
    pub declined: f64,
    /// On the processor, from the first request to the last.
    pub seconds: f64,
    /// On the processor before that: tables made, heat sorted, the future foreseen.
    pub preparation_seconds: f64,
    /// For each place of the trace a number of `cache::Outcome`.
    pub outcomes: Option<Uint8Array>,
}

/// What all of them came to: policies in the order of the request, and each with the slots in their order.
#[napi(object)]
pub struct ReplayDone {
    /// See above.
    pub rows: Vec<ReplayRow>,
}

/// The work; arrays are its own.
pub struct ReplayTask {
    policies: Vec<String>,
    slots: Vec<f64>,
    keys: f64,
    trace: Vec<u32>,
    heat: Vec<f64>,
    window_tokens: f64,
    outcomes: bool,
    cancel: Cancel,
    steps: Steps,
}

impl From<CacheError> for Failure {
    fn from(error: CacheError) -> Self {
        let argument = match &error {
            CacheError::KeyOutOfRange { .. } => "trace",
            CacheError::TooManyKeys { .. } => "keys",
            CacheError::HeatCount { .. } | CacheError::HeatNotFinite { .. } => "heat",
            _ => return Self::new(Blame::Fault, error.to_string()),
        };
        Self::argument(argument, error.to_string())
    }
}

/// Of keys, and of slots and tokens as well.
const MOST: u64 = MOST_KEYS as u64;

impl ReplayTask {
    fn work(&self) -> Result<ReplayDone, Failure> {
        let keys = whole("keys", self.keys, 1, MOST)? as u32;
        let window_tokens = whole("windowTokens", self.window_tokens, 0, MOST)? as u32;
        let kinds: Vec<PolicyKind> = self
            .policies
            .iter()
            .map(|name| among("policies", name, &PolicyKind::ALL, PolicyKind::name))
            .collect::<Result<_, _>>()?;
        let slots: Vec<u32> = self
            .slots
            .iter()
            .map(|&slots| Ok(whole("slots", slots, 0, MOST)? as u32))
            .collect::<Result<_, Failure>>()?;
        let setting = Setting {
            keys,
            slots: 0,
            heat: &self.heat,
            window_tokens,
            future: &[],
        };
        // A mistake that concerns the last policy is told before the first one has run for minutes.
        kinds.iter().try_for_each(|kind| kind.check(&setting))?;
        self.room_for(keys, &kinds)?;
        let cells = || kinds.iter().flat_map(|&kind| slots.iter().map(move |&slots| (kind, slots)));
        let total = (cells().count() * self.trace.len()) as u64;
        let mut tell = teller(&self.cancel, &self.steps);
        let mut rows = Vec::new();
        for (number, (kind, slots)) in cells().enumerate() {
            let before = (number * self.trace.len()) as u64;
            let told = &mut |done| {
                tell(Progress {
                    done: before + done as u64,
                    total,
                })
            };
            rows.push(self.row(kind, &Setting { slots, ..setting }, told)?);
        }
        Ok(ReplayDone { rows })
    }

    fn row(
        &self,
        kind: PolicyKind,
        setting: &Setting<'_>,
        told: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<ReplayRow, Failure> {
        let mut noted = self.outcomes.then(|| vec![Outcome::Miss; self.trace.len()]);
        let begun = thread_cpu_ns();
        let mut prepared = begun;
        let mut told = |done| {
            if done == 0 {
                prepared = thread_cpu_ns();
            }
            told(done)
        };
        let replayed = replay_told(kind, setting, &self.trace, noted.as_deref_mut(), &mut told)?;
        let seconds = (thread_cpu_ns() - prepared) / 1e9;
        let Some(Replayed {
            hits,
            misses,
            evictions,
            declined,
        }) = replayed
        else {
            return Err(Failure::new(Blame::Cancelled, "cancelled"));
        };
        Ok(ReplayRow {
            policy: kind.name().to_owned(),
            slots: f64::from(setting.slots),
            hits: hits as f64,
            misses: misses as f64,
            evictions: evictions as f64,
            declined: declined as f64,
            seconds,
            preparation_seconds: (prepared - begun) / 1e9,
            outcomes: noted.map(|noted| noted.into_iter().map(|outcome| outcome as u8).collect::<Vec<u8>>().into()),
        })
    }

    /// Whether the system has the memory that this takes: asking it for more would end the process.
    fn room_for(&self, keys: u32, kinds: &[PolicyKind]) -> Result<(), Failure> {
        let requests = self.trace.len() as u64;
        let tables = kinds
            .iter()
            .map(|kind| kind.most_bookkeeping_bytes(u64::from(keys), requests))
            .max();
        let tables = tables.unwrap_or(0);
        let rows = (kinds.len() * self.slots.len()) as u64;
        let noted = if self.outcomes { requests.saturating_mul(rows + 1) } else { 0 };
        let needed = tables.saturating_add(noted);
        let allowed = available().unwrap_or(u64::MAX);
        if needed <= allowed {
            return Ok(());
        }
        let part = |part: &str, bytes: u64| MemoryPart {
            part: part.to_owned(),
            bytes: bytes as f64,
        };
        Err(Failure {
            needed: Some(needed as f64),
            allowed: Some(allowed as f64),
            parts: vec![part("tables of a policy", tables), part("outcomes", noted)],
            ..Failure::new(Blame::DoesNotFit, "fewer keys or a shorter trace take less")
        })
    }
}

task!(ReplayTask, ReplayDone, ReplayOutcome);

/// Replays; `steps` hears of places of the trace, all rows together.
#[napi]
pub fn replay(request: ReplayRequest, cancel: &Cancel, steps: Steps) -> AsyncTask<ReplayTask> {
    // The caller may write into its arrays while another thread would read them: they are copied here, on its own.
    AsyncTask::new(ReplayTask {
        policies: request.policies,
        slots: request.slots,
        keys: request.keys,
        trace: request.trace.to_vec(),
        heat: request.heat.map_or_else(Vec::new, |heat| heat.to_vec()),
        window_tokens: request.window_tokens,
        outcomes: request.outcomes,
        cancel: cancel.clone(),
        steps,
    })
}
