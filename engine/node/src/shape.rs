//! A device's flash, as numbers.

use generate::{FlashCurve, FlashShape, RandomPoint, SequentialPoint, ShaperReport};
use napi_derive::napi;

use crate::failure::{Failure, whole};

/// The flash of a device that this disk is to behave like.
#[napi(object)]
pub struct ShapeRequest {
    /// Two numbers for each point: block in bytes, rate in bytes a second.
    pub sequential: Vec<f64>,
    /// Three for each: block, range, rate.
    pub random: Vec<f64>,
    /// Command queues.
    pub queues: f64,
    /// Share of the rate that is left to many submitters.
    pub contention_floor: f64,
    /// How many these are.
    pub contention_submitters: f64,
    /// Of a read alone.
    pub latency_ns: f64,
    /// Time of a second-phase read relative to another.
    pub second_phase_ratio: f64,
    /// Rate of the core that issues reads relative to the best.
    pub core_ratio: f64,
}

/// What it did to the reads.
#[napi(object)]
pub struct ShapedDone {
    /// Reads that passed.
    pub reads: f64,
    /// Of these, reads for which the real disk took longer than the modelled one.
    pub late: f64,
    /// By how much, together.
    pub late_ns: f64,
    /// Device time in the model, together.
    pub device_ns: f64,
}

pub(crate) fn shape(of: &ShapeRequest) -> Result<FlashShape, Failure> {
    let count = |value: f64, high: u64| whole("shape-flash", value, 0, high);
    let sequential = of.sequential.chunks_exact(2).map(|point| {
        Ok(SequentialPoint {
            block: count(point[0], 1 << 40)?,
            rate: point[1],
        })
    });
    let random = of.random.chunks_exact(3).map(|point| {
        Ok(RandomPoint {
            block: count(point[0], 1 << 40)?,
            range: count(point[1], 1 << 50)?,
            rate: point[2],
        })
    });
    Ok(FlashShape {
        curve: FlashCurve {
            sequential: sequential.collect::<Result<_, Failure>>()?,
            random: random.collect::<Result<_, Failure>>()?,
            queues: count(of.queues, 1 << 20)? as u32,
            contention_floor: of.contention_floor,
            contention_submitters: count(of.contention_submitters, 1 << 20)? as u32,
            latency_ns: of.latency_ns,
            second_phase_ratio: of.second_phase_ratio,
        },
        core_ratio: of.core_ratio,
    })
}

pub(crate) fn shaped(of: ShaperReport) -> ShapedDone {
    ShapedDone {
        reads: of.reads as f64,
        late: of.late as f64,
        late_ns: of.late_ns as f64,
        device_ns: of.device_ns as f64,
    }
}
