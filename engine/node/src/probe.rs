//! This device, measured.

use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use generate::Blame;
use measure::{Depth, MeasureError, Options, Part, measure, profile};
use napi::bindgen_prelude::AsyncTask;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;

use crate::cancel::Cancel;
use crate::failure::{Failure, among, whole};

/// What to measure, and how thoroughly.
#[napi(object)]
pub struct ProbeRequest {
    /// `quick`, `full` or `trial`.
    pub depth: String,
    /// Folder of the scratch file.
    pub dir: String,
    /// Bytes of the scratch file; absent: what the depth asks for.
    pub scratch: Option<f64>,
    /// `kernels`, `threads`, `memory` or `flash`; absent: all.
    pub only: Option<String>,
    /// Of the profile.
    pub name: String,
    /// What was typed, for the sources of the numbers.
    pub command: String,
}

/// Where it is.
#[napi(object)]
pub struct ProbeStep {
    /// The part, as in `only`.
    pub part: String,
    /// Seconds done, of so many that were planned.
    pub done: f64,
    /// See `done`.
    pub total: f64,
    /// Seconds that are probably left.
    pub left: f64,
}

/// What was measured.
#[napi(object)]
pub struct ProbeDone {
    /// JSON: a device profile, or the tables alone where only a part was measured.
    pub profile: String,
    /// What disturbed it.
    pub notes: Vec<String>,
    /// Seconds.
    pub seconds: f64,
}

type Steps = ThreadsafeFunction<ProbeStep, (), ProbeStep, napi::Status, false>;

/// The work.
pub struct ProbeTask {
    request: ProbeRequest,
    cancel: Cancel,
    steps: Steps,
}

impl From<MeasureError> for Failure {
    fn from(error: MeasureError) -> Self {
        let message = error.to_string();
        match error {
            MeasureError::Input { option, what } => Self::argument(option, what),
            // A folder that is not there, or not the user's, is named by mistake; a full or broken disk is nobody's.
            MeasureError::Scratch { source, .. } => match source.kind() {
                ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::NotADirectory => Self::argument("dir", message),
                _ => Self::new(Blame::Disk, message),
            },
            MeasureError::Read(_) => Self::new(Blame::Disk, message),
            MeasureError::System(_) => Self::new(Blame::Unsupported, message),
            MeasureError::Cancelled => Self::new(Blame::Cancelled, message),
        }
    }
}

impl ProbeTask {
    fn work(&self) -> Result<ProbeDone, Failure> {
        let request = &self.request;
        let depth = among(
            "depth",
            &request.depth,
            &[Depth::Quick, Depth::Full, Depth::Trial],
            Depth::name,
        )?;
        let scratch_bytes = match request.scratch {
            Some(bytes) => Some(whole("scratch", bytes, 1, 1 << 50)?),
            None => None,
        };
        let only = match &request.only {
            Some(part) => Some(among("only", part, &Part::ALL, Part::name)?),
            None => None,
        };
        let options = Options {
            scratch_bytes,
            only,
            name: request.name.clone(),
            command: request.command.clone(),
            ..Options::new(depth, PathBuf::from(&request.dir))
        };
        let begun = Instant::now();
        let measured = measure(&options, &mut |step| {
            if self.cancel.is_set() {
                return ControlFlow::Break(());
            }
            let step = ProbeStep {
                part: step.part.name().to_owned(),
                done: step.done,
                total: step.total,
                left: step.left,
            };
            // A caller that is gone hears nothing, and that is no fault.
            let _ = self.steps.call(step, ThreadsafeFunctionCallMode::NonBlocking);
            ControlFlow::Continue(())
        })?;
        Ok(ProbeDone {
            profile: profile(&measured, &options.name).to_string(),
            notes: measured.notes,
            seconds: begun.elapsed().as_secs_f64(),
        })
    }
}

task!(ProbeTask, ProbeDone, ProbeOutcome);

/// Measures; `steps` hears of every cell.
#[napi]
pub fn probe(request: ProbeRequest, cancel: &Cancel, steps: Steps) -> AsyncTask<ProbeTask> {
    AsyncTask::new(ProbeTask {
        request,
        cancel: cancel.clone(),
        steps,
    })
}
