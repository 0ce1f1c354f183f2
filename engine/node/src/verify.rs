//! What the engine sees of a model that was made up, beside what was planted.

use std::path::Path;
use std::time::Instant;

use generate::{Blame, available};
use napi::bindgen_prelude::AsyncTask;
use napi_derive::napi;
use synth::{TOLERANCE, VerifyOptions, verify_told};

use crate::cancel::Cancel;
use crate::failure::{Failure, threads, whole};
use crate::synth::{Steps, teller};

/// What to verify.
#[napi(object)]
pub struct VerifyRequest {
    /// A GGUF file that was made up.
    pub model: String,
    /// Tokens to run; absent: as many as `VerifyOptions` says.
    pub tokens: Option<f64>,
    /// Of the tokens.
    pub seed: f64,
    /// Threads; absent: one for each core.
    pub threads: Option<f64>,
}

/// One statistic.
#[napi(object)]
pub struct PlantedRow {
    /// Which.
    pub what: String,
    /// As the file says.
    pub planted: f64,
    /// Mean over layers; absent where nothing was measured.
    pub measured: Option<f64>,
    /// The least and the greatest layer, where it was measured by layer.
    pub low: Option<f64>,
    /// See `low`.
    pub high: Option<f64>,
    /// How far measured may lie from planted.
    pub tolerance: f64,
    /// Whether it lies as near: every layer or the mean, as `synth::Row` says.
    pub holds: bool,
}

/// What was planted and no run shows.
#[napi(object)]
pub struct UnverifiedRow {
    /// Which.
    pub what: String,
    /// As the file says.
    pub planted: f64,
}

/// What the engine saw.
#[napi(object)]
pub struct VerifyDone {
    /// Tokens run.
    pub tokens: u32,
    /// What was planted; empty in a file in which nothing was.
    pub rows: Vec<PlantedRow>,
    /// What was planted and no run shows.
    pub unverified: Vec<UnverifiedRow>,
    /// Seconds.
    pub seconds: f64,
}

/// The work of verifying.
pub struct VerifyTask {
    request: VerifyRequest,
    cancel: Cancel,
    steps: Steps,
}

impl VerifyTask {
    fn work(&self) -> Result<VerifyDone, Failure> {
        let options = VerifyOptions {
            tokens: match self.request.tokens {
                Some(tokens) => Some(whole("verify-tokens", tokens, 2, 1 << 20)? as usize),
                None => None,
            },
            seed: whole("seed", self.request.seed, 0, 1 << 52)?,
            threads: threads(self.request.threads)?,
            memory: available(),
        };
        if !Path::new(&self.request.model).exists() {
            return Err(Failure::new(Blame::Input, "there is no such file"));
        }
        let begun = Instant::now();
        let report = verify_told(
            Path::new(&self.request.model),
            &options,
            &mut teller(&self.cancel, &self.steps),
        )?;
        let rows = report.rows(&TOLERANCE).into_iter().map(|row| PlantedRow {
            holds: row.holds(),
            planted: row.planted,
            measured: row.measured.is_finite().then_some(row.measured),
            low: row.layers.map(|layers| layers.0),
            high: row.layers.map(|layers| layers.1),
            tolerance: row.tolerance,
            what: row.what,
        });
        let unverified = report.unverified().into_iter().map(|(what, planted)| UnverifiedRow {
            what: what.to_owned(),
            planted: planted as f64,
        });
        Ok(VerifyDone {
            tokens: report.measured.tokens as u32,
            rows: rows.collect(),
            unverified: unverified.collect(),
            seconds: begun.elapsed().as_secs_f64(),
        })
    }
}

task!(VerifyTask, VerifyDone, VerifyOutcome);

/// Runs one and sets what was seen beside what was planted; `steps` hears of tokens.
#[napi]
pub fn verify(request: VerifyRequest, cancel: &Cancel, steps: Steps) -> AsyncTask<VerifyTask> {
    AsyncTask::new(VerifyTask {
        request,
        cancel: cancel.clone(),
        steps,
    })
}
