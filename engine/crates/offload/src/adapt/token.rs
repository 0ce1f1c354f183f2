//! The means of a window.

use super::decision::{Measured, Window};
use super::rates::Seen;

/// A window's means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) wall_ns: f64,
    pub(super) waited_ns: f64,
    pub(super) compute_ns: f64,
    pub(super) reading_ns: f64,
    pub(super) reads: f64,
    pub(super) bytes: f64,
    pub(super) clusters: f64,
    pub(super) units: f64,
    pub(super) beside: f64,
}

impl Token {
    pub(super) fn of(window: &Window) -> Self {
        let each = |sum: f64| sum / window.tokens;
        Self {
            wall_ns: each(window.wall_ns),
            waited_ns: each(window.waited_ns),
            compute_ns: each(window.wall_ns - window.waited_ns),
            reading_ns: each(window.reading_ns),
            reads: each(window.reads),
            bytes: each(window.bytes),
            clusters: each(window.clusters),
            units: each(window.units),
            beside: each(window.beside),
        }
    }

    pub(super) fn seen(&self) -> Seen {
        Seen {
            reads: self.reads,
            bytes: self.bytes,
            reading_ns: self.reading_ns,
        }
    }

    pub(super) fn measured(&self, window: &Window) -> Measured {
        let a_second = |count: f64| {
            if self.reading_ns > 0.0 {
                (count / self.reading_ns) * 1e9
            } else {
                0.0
            }
        };
        Measured {
            wall_ns: self.wall_ns,
            compute_ns: self.compute_ns,
            reading_ns: self.reading_ns,
            waited_share: self.waited_ns / self.wall_ns,
            reads: self.reads,
            bytes: self.bytes,
            reads_per_sec: a_second(self.reads),
            bytes_per_sec: a_second(self.bytes),
            hit_rate: if window.look_ups > 0.0 {
                1.0 - (window.clusters + window.units) / window.look_ups
            } else {
                1.0
            },
        }
    }
}
