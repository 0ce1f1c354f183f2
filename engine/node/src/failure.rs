//! Failures as values, and panics as failures.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use generate::{Blame, GenerateError};
use napi_derive::napi;

/// What went wrong.
#[napi(object)]
#[derive(Clone)]
pub struct Failure {
    /// `input`, `doesNotFit`, `unsupported`, `disk`, `cancelled` or `fault`.
    pub kind: String,
    /// The argument that is wrong, where it is one.
    pub argument: Option<String>,
    /// What is wrong and what would be right.
    pub message: String,
    /// Bytes that would work, where too few were allowed.
    pub needed: Option<f64>,
    /// Bytes that were allowed.
    pub allowed: Option<f64>,
    /// What needs them.
    pub parts: Vec<MemoryPart>,
}

/// Something that needs memory.
#[napi(object)]
#[derive(Clone)]
pub struct MemoryPart {
    /// What.
    pub part: String,
    /// How much.
    pub bytes: f64,
}

pub(crate) fn parts(of: &[generate::Part]) -> Vec<MemoryPart> {
    of.iter()
        .map(|part| MemoryPart {
            part: part.name.to_owned(),
            bytes: part.bytes as f64,
        })
        .collect()
}

const fn kind(blame: Blame) -> &'static str {
    match blame {
        Blame::Input => "input",
        Blame::DoesNotFit => "doesNotFit",
        Blame::Unsupported => "unsupported",
        Blame::Disk => "disk",
        Blame::Cancelled => "cancelled",
        Blame::Fault => "fault",
    }
}

impl Failure {
    pub fn new(blame: Blame, message: impl Into<String>) -> Self {
        Self {
            kind: kind(blame).to_owned(),
            argument: None,
            message: message.into(),
            needed: None,
            allowed: None,
            parts: Vec::new(),
        }
    }

    /// One wrong argument.
    pub fn argument(name: &str, what: impl Into<String>) -> Self {
        Self {
            argument: Some(name.to_owned()),
            ..Self::new(Blame::Input, what)
        }
    }
}

impl From<GenerateError> for Failure {
    fn from(error: GenerateError) -> Self {
        let failure = Self::new(error.blame(), error.to_string());
        match error {
            GenerateError::Input { name, what } => Self::argument(name, what),
            GenerateError::Predictor(_) => Self {
                argument: Some("predictor".to_owned()),
                ..failure
            },
            GenerateError::DoesNotFit {
                needed,
                allowed,
                parts: of,
                advice,
            } => Self {
                message: advice.to_owned(),
                needed: Some(needed as f64),
                allowed: Some(allowed as f64),
                parts: parts(&of),
                ..failure
            },
            _ => failure,
        }
    }
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// Runs `work`; a panic in it comes back as a failure of ours.
pub(crate) fn guarded<A>(work: impl FnOnce() -> Result<A, Failure>) -> Result<A, Failure> {
    // What the closure held is dropped with it: nobody sees it half changed.
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(Failure::new(Blame::Fault, format!("the engine panicked: {}", said(&*panic)))))
}

/// Threads asked for, or as many as there are cores.
pub(crate) fn threads(asked: Option<f64>) -> Result<usize, Failure> {
    match asked {
        Some(count) => Ok(whole("threads", count, 1, 1024)? as usize),
        None => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
    }
}

/// A whole number that crossed the border as a double.
pub(crate) fn whole(name: &str, value: f64, low: u64, high: u64) -> Result<u64, Failure> {
    if value.fract() == 0.0 && value >= low as f64 && value <= high as f64 {
        return Ok(value as u64);
    }
    Err(Failure::argument(
        name,
        format!("should be a whole number between {low} and {high}, got {value}"),
    ))
}

/// One of a few things by its name.
pub(crate) fn among<A: Copy>(argument: &str, name: &str, all: &[A], name_of: impl Fn(A) -> &'static str) -> Result<A, Failure> {
    all.iter().copied().find(|&one| name_of(one) == name).ok_or_else(|| {
        let known: Vec<&str> = all.iter().map(|&one| name_of(one)).collect();
        Failure::argument(argument, format!("should be one of {}, got {name}", known.join(", ")))
    })
}
