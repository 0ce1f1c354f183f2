//! Reads a list of targets in order, some blocks ahead of who consumes them: prefill streams layers through this.

use std::collections::VecDeque;
use std::time::Instant;

use super::{Data, FlashReader};
use crate::file::FlashFile;
use crate::{Arrangement, FlashError, Matrix, PAGE, Part, Request, Span, Target};

/// Keeps `ahead` targets in flight and hands them out in order. While one is used, the next are on their way: 2 is double
/// buffering. The stream's tags begin at `first_tag`; the reader may serve other requests with other tags meanwhile.
pub struct Stream<'a> {
    reader: &'a dyn FlashReader,
    targets: VecDeque<Target>,
    in_flight: VecDeque<(u64, Target)>,
    next_tag: u64,
    ahead: usize,
    last_read: Option<(Instant, Instant)>,
}

impl<'a> Stream<'a> {
    /// Begins at once to read the first `ahead` (at least 1) of `targets`.
    pub fn new(reader: &'a dyn FlashReader, targets: Vec<Target>, ahead: usize, first_tag: u64) -> Result<Self, FlashError> {
        let ahead = ahead.max(1);
        let mut stream = Self {
            reader,
            targets: targets.into(),
            in_flight: VecDeque::new(),
            next_tag: first_tag,
            ahead,
            last_read: None,
        };
        stream.fill()?;
        Ok(stream)
    }

    fn fill(&mut self) -> Result<(), FlashError> {
        while self.in_flight.len() < self.ahead {
            let Some(target) = self.targets.pop_front() else { break };
            self.reader.submit(&[Request {
                tag: self.next_tag,
                target: target.clone(),
            }])?;
            self.in_flight.push_back((self.next_tag, target));
            self.next_tag += 1;
        }
        Ok(())
    }

    /// The next target and its bytes, in the order given; `None` after the last. After an error the stream is at its end.
    #[allow(
        clippy::should_implement_trait,
        reason = "a stream is drained by hand between other requests of its reader"
    )]
    pub fn next(&mut self) -> Option<Result<(Target, Data), FlashError>> {
        let (tag, target) = self.in_flight.pop_front()?;
        let outcome = match self.reader.wait_for(tag) {
            Some(completion) => {
                self.last_read = Some((completion.started, completion.finished));
                completion.outcome
            }
            // Somebody else took the completion of this tag.
            None => Err(FlashError::input(format!(
                "completion {tag} of a stream was taken by another; tags must not overlap"
            ))),
        };
        let outcome = outcome.and_then(|data| self.fill().map(|()| (target, data)));
        if outcome.is_err() {
            self.targets.clear();
        }
        Some(outcome)
    }

    /// When the first read of the target handed out last began, and when its last one ended.
    pub fn last_read(&self) -> Option<(Instant, Instant)> {
        self.last_read
    }
}

impl Drop for Stream<'_> {
    /// Takes what is still in flight, so that no completion is left for others to stumble over.
    fn drop(&mut self) {
        for (tag, _) in self.in_flight.drain(..) {
            drop(self.reader.wait_for(tag));
        }
    }
}

impl FlashFile {
    /// Targets that cover one expert in ascending order, each of about `block_bytes` and holding whole rows (or tiles):
    /// clusters of whole bundles, or pages of one matrix.
    pub fn stream_of_expert(&self, layer: u32, expert: u32, block_bytes: u64) -> Result<Vec<Target>, FlashError> {
        Target::Expert { layer, expert }.spans(self)?;
        let layout = &self.layers()[layer as usize];
        match layout.arrangement() {
            Arrangement::Bundles => {
                let bundle = layout.expert_bytes() / u64::from(layout.groups());
                let step = u32::try_from((block_bytes / bundle).max(1)).unwrap_or(u32::MAX);
                let starts = (0..layout.groups()).step_by(step as usize);
                let cluster = |start: u32| {
                    let groups = start..start.saturating_add(step).min(layout.groups());
                    Target::Cluster {
                        layer,
                        expert,
                        part: Part::Whole,
                        groups,
                    }
                };
                Ok(starts.map(cluster).collect())
            }
            Arrangement::Matrices => {
                let mut targets = Vec::new();
                for matrix in [Matrix::Gate, Matrix::Up, Matrix::Down] {
                    let (unit, neurons) = match matrix {
                        Matrix::Gate => (layout.gate_row_bytes(), 1),
                        Matrix::Up => (layout.up_row_bytes(), 1),
                        Matrix::Down => (layout.down_unit_bytes(), layout.down_unit_neurons()),
                    };
                    let begin = layout.part_span(expert, matrix as u64).offset;
                    let units = u64::from(layout.shape().neurons / neurons);
                    let step = (block_bytes.max(PAGE) / unit).max(1);
                    for first in (0..units).step_by(step as usize) {
                        let count = step.min(units - first);
                        targets.push(Target::Pages(
                            Span {
                                offset: begin + first * unit,
                                bytes: count * unit,
                            }
                            .pages(),
                        ));
                    }
                }
                Ok(targets)
            }
        }
    }
}
