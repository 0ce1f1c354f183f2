//! Progress with an estimate of the time left, and the end that a caller may ask for between two cells.

use std::ops::ControlFlow;
use std::time::Instant;

use crate::error::MeasureError;
use crate::options::Part;

/// How far a measurement is.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// What is being measured.
    pub part: Part,
    /// Seconds done, of the `total` that were planned.
    pub done: f64,
    /// See `done`.
    pub total: f64,
    /// Seconds that are probably left.
    pub left: f64,
}

/// Hears of every cell; `Break` ends the measurement.
pub type Tell<'a> = &'a mut dyn FnMut(&Step) -> ControlFlow<()>;

pub(crate) struct Ticker<'a> {
    tell: Tell<'a>,
    begun: Instant,
    done: f64,
    total: f64,
}

impl<'a> Ticker<'a> {
    /// `total` seconds are planned.
    pub fn new(tell: Tell<'a>, total: f64) -> Self {
        Self {
            tell,
            begun: Instant::now(),
            done: 0.0,
            total,
        }
    }

    /// So many of the planned seconds are behind us. What is left is scaled by how long those really took.
    pub fn tick(&mut self, part: Part, seconds: f64) -> Result<(), MeasureError> {
        self.done = (self.done + seconds).min(self.total);
        let pace = self.begun.elapsed().as_secs_f64() / self.done.max(1e-9);
        let step = Step {
            part,
            done: self.done,
            total: self.total,
            left: pace * (self.total - self.done),
        };
        match (self.tell)(&step) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(MeasureError::Cancelled),
        }
    }
}
