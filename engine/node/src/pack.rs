//! GGUF to packed file.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use flash::{Arrangement, DownChoice, DownForm, GroupChoice, PackOptions, Phase};
use generate::{Blame, blame_of_flash};
use napi::bindgen_prelude::AsyncTask;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;

use crate::cancel::Cancel;
use crate::failure::{Failure, threads, whole};

/// What to pack, and how.
#[napi(object)]
pub struct PackRequest {
    /// The GGUF file.
    pub model: String,
    /// The packed file.
    pub out: String,
    /// `auto`, `exact`, `q8_0`, `q4_0` or `f16`.
    pub down: String,
    /// Neurons of a group; absent: the group that costs least flash time.
    pub group: Option<f64>,
    /// `bundles` or `matrices`.
    pub arrangement: String,
    /// Threads that transpose and requantise; absent: one for each core.
    pub threads: Option<f64>,
}

/// Where packing is.
#[napi(object)]
pub struct PackStep {
    /// `dense`, `ffn` or `commit`.
    pub phase: String,
    /// Bytes written, of so many.
    pub done: f64,
    /// See `done`.
    pub total: f64,
}

/// What was packed.
#[napi(object)]
pub struct PackDone {
    /// Bytes of the packed file, of what lies outside the FFNs, of the FFNs, and of the weights in these.
    pub bytes: f64,
    /// See `bytes`.
    pub dense_bytes: f64,
    /// See `bytes`.
    pub ffn_bytes: f64,
    /// See `bytes`.
    pub payload_bytes: f64,
    /// Share of the FFNs that is padding.
    pub padding: f64,
    /// Layers.
    pub layers: u32,
    /// Neurons of a group.
    pub group: u32,
    /// `rows` or `tiles`.
    pub down_form: String,
    /// Format of down.
    pub down: String,
    /// Root mean square change of down relative to itself, where it was requantised.
    pub requantisation: Option<f64>,
    /// Of the packed file, 16 hexadecimal digits.
    pub fingerprint: String,
    /// Seconds.
    pub seconds: f64,
}

type Steps = ThreadsafeFunction<PackStep, (), PackStep, napi::Status, false>;

/// Steps are told no more often than a terminal is worth.
const BETWEEN_STEPS: Duration = Duration::from_millis(50);

/// The work.
pub struct PackTask {
    request: PackRequest,
    cancel: Cancel,
    steps: Steps,
}

fn choices(request: &PackRequest) -> Result<PackOptions, Failure> {
    let down = match request.down.as_str() {
        "auto" => DownChoice::Auto,
        "exact" => DownChoice::Exact,
        "q8_0" => DownChoice::TransposedQ8,
        "q4_0" => DownChoice::TransposedQ4,
        "f16" => DownChoice::TransposedF16,
        "f32" => DownChoice::TransposedF32,
        other => {
            return Err(Failure::argument(
                "down",
                format!("should be auto, exact, q8_0, q4_0, f16 or f32, got {other}"),
            ));
        }
    };
    let arrangement = match request.arrangement.as_str() {
        "bundles" => Arrangement::Bundles,
        "matrices" => Arrangement::Matrices,
        other => {
            return Err(Failure::argument(
                "arrangement",
                format!("should be bundles or matrices, got {other}"),
            ));
        }
    };
    let default = PackOptions::default();
    Ok(PackOptions {
        down,
        arrangement,
        group: match request.group {
            None => GroupChoice::Cheapest {
                activity: generate::activity(Path::new(&request.model)),
            },
            Some(group) => GroupChoice::Fixed(whole("group", group, 1, 1 << 20)? as u32),
        },
        threads: threads(request.threads)?,
        ..default
    })
}

impl PackTask {
    fn work(&self) -> Result<PackDone, Failure> {
        let options = choices(&self.request)?;
        if !Path::new(&self.request.model).exists() {
            return Err(Failure::new(Blame::Input, "there is no such file"));
        }
        let begun = Instant::now();
        let mut told = None;
        let report = flash::pack(
            Path::new(&self.request.model),
            Path::new(&self.request.out),
            &options,
            &mut |progress| {
                if self.cancel.is_set() {
                    return ControlFlow::Break(());
                }
                let due =
                    told.is_none_or(|(phase, at): (Phase, Instant)| phase != progress.phase || at.elapsed() >= BETWEEN_STEPS);
                if due {
                    told = Some((progress.phase, Instant::now()));
                    let phase = match progress.phase {
                        Phase::Dense => "dense",
                        Phase::Ffn => "ffn",
                        Phase::Commit => "commit",
                    };
                    let step = PackStep {
                        phase: phase.to_owned(),
                        done: progress.done as f64,
                        total: progress.total as f64,
                    };
                    // A caller that is gone hears nothing, and that is no fault.
                    let _ = self.steps.call(step, ThreadsafeFunctionCallMode::NonBlocking);
                }
                ControlFlow::Continue(())
            },
        );
        let report = report.map_err(|error| Failure::new(blame_of_flash(&error), error.to_string()))?;
        Ok(PackDone {
            bytes: report.bytes as f64,
            dense_bytes: report.dense_bytes as f64,
            ffn_bytes: report.ffn_bytes as f64,
            payload_bytes: report.payload_bytes as f64,
            padding: report.padding,
            layers: report.layers,
            group: report.group,
            down_form: match report.down_form {
                DownForm::Rows => "rows",
                _ => "tiles",
            }
            .to_owned(),
            down: report.down.name().to_owned(),
            requantisation: report.requantisation.map(|change| change.relative_rms),
            fingerprint: format!("{:016x}", report.fingerprint),
            seconds: begun.elapsed().as_secs_f64(),
        })
    }
}

task!(PackTask, PackDone, PackOutcome);

/// Packs; `steps` hears of progress.
#[napi]
pub fn pack(request: PackRequest, cancel: &Cancel, steps: Steps) -> AsyncTask<PackTask> {
    AsyncTask::new(PackTask {
        request,
        cancel: cancel.clone(),
        steps,
    })
}
