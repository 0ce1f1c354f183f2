//! Storage that becomes slower, and what was decided about it.

use generate::{AdaptOptions, Decision, Rates, ReadCost, SlowStorage, Slowdown};
use napi_derive::napi;

use crate::failure::{Failure, whole};

/// The modelled storage becomes slower.
#[napi(object)]
pub struct SlowRequest {
    /// `all`, `bytes` or `reads`.
    pub of: String,
    /// So many times.
    pub factor: f64,
    /// After so many tokens.
    pub token: f64,
}

/// What measurements are compared with.
#[napi(object)]
pub struct AdaptRequest {
    /// Tokens of a window.
    pub every: f64,
    /// What the profile says of the storage, in nanoseconds: of a command.
    pub command_ns: f64,
    /// And of a byte.
    pub byte_ns: f64,
    /// Compute threads' time around a read of their own.
    pub own_ns: f64,
    /// And around one that is handed over.
    pub handed_ns: f64,
}

/// A storage's two numbers.
#[napi(object)]
pub struct RatesDone {
    /// Nanoseconds of a command.
    pub command_ns: f64,
    /// Nanoseconds of a byte.
    pub byte_ns: f64,
}

/// Before and after.
#[napi(object)]
pub struct RatesChanged {
    /// Before.
    pub from: RatesDone,
    /// After.
    pub to: RatesDone,
}

/// How gate rows are read.
#[napi(object)]
pub struct GatesChanged {
    /// Before.
    pub from: String,
    /// After.
    pub to: String,
}

/// Shares of a token's time.
#[napi(object)]
pub struct SavesDone {
    /// At worst.
    pub least: f64,
    /// At best.
    pub most: f64,
}

/// A window's means. Times in nanoseconds.
#[napi(object)]
pub struct MeasuredDone {
    /// A token.
    pub wall_ns: f64,
    /// Of it, computing.
    pub compute_ns: f64,
    /// With a read under way.
    pub reading_ns: f64,
    /// Of the mean compute thread.
    pub waited_share: f64,
    /// A token's.
    pub reads: f64,
    /// A token's.
    pub bytes: f64,
    /// While any was under way.
    pub reads_per_sec: f64,
    /// See `reads_per_sec`.
    pub bytes_per_sec: f64,
    /// Of what was looked for.
    pub hit_rate: f64,
}

/// By the rates as they were.
#[napi(object)]
pub struct PredictedDone {
    /// With a read under way.
    pub reading_ns: f64,
    /// Computing; null where there was no window before.
    #[napi(ts_type = "number | null")]
    pub compute_ns: napi::Either<f64, napi::bindgen_prelude::Null>,
}

/// A decision.
#[napi(object)]
pub struct DecisionDone {
    /// Tokens before it.
    pub token: f64,
    /// What came of it.
    pub verdict: String,
    /// What was not as predicted.
    pub cause: String,
    /// The window.
    pub measured: MeasuredDone,
    /// See there.
    pub predicted: PredictedDone,
    /// The storage's.
    pub rates: RatesChanged,
    /// Of gate rows.
    pub gates: GatesChanged,
    /// Null where nothing else was open.
    pub saves: napi::Either<SavesDone, napi::bindgen_prelude::Null>,
}

pub(crate) fn slow(of: &SlowRequest) -> Result<SlowStorage, Failure> {
    let slowdown = match of.of.as_str() {
        "all" => Slowdown::All(of.factor),
        "bytes" => Slowdown::Bytes(of.factor),
        "reads" => Slowdown::Reads(of.factor),
        other => {
            return Err(Failure::argument(
                "slow-storage",
                format!("should be all, bytes or reads, got {other}"),
            ));
        }
    };
    if !(1.0..=1000.0).contains(&of.factor) {
        return Err(Failure::argument(
            "slow-storage",
            format!("should be 1 to 1000 times slower, got {}", of.factor),
        ));
    }
    Ok(SlowStorage {
        token: whole("slow-storage", of.token, 0, 1 << 32)?,
        slowdown,
    })
}

pub(crate) fn adapt(of: &AdaptRequest) -> Result<AdaptOptions, Failure> {
    for (name, value) in [
        ("a command", of.command_ns),
        ("a byte", of.byte_ns),
        ("a read", of.own_ns),
        ("a read", of.handed_ns),
    ] {
        if !(value.is_finite() && value >= 0.0) {
            return Err(Failure::argument("adapt", format!("time of {name}: {value} ns; 0 or more")));
        }
    }
    Ok(AdaptOptions {
        every: whole("adapt", of.every, 1, 1 << 20)? as u32,
        rates: Rates {
            command_ns: of.command_ns,
            byte_ns: of.byte_ns,
        },
        cost: ReadCost {
            own_ns: of.own_ns,
            handed_ns: of.handed_ns,
        },
    })
}

fn rates(of: Rates) -> RatesDone {
    RatesDone {
        command_ns: of.command_ns,
        byte_ns: of.byte_ns,
    }
}

fn or_null<T>(value: Option<T>) -> napi::Either<T, napi::bindgen_prelude::Null> {
    value.map_or(napi::Either::B(napi::bindgen_prelude::Null), napi::Either::A)
}

pub(crate) fn decision(of: &Decision) -> DecisionDone {
    let seen = of.measured;
    DecisionDone {
        token: of.token as f64,
        verdict: of.verdict.name().to_owned(),
        cause: of.cause.name().to_owned(),
        measured: MeasuredDone {
            wall_ns: seen.wall_ns,
            compute_ns: seen.compute_ns,
            reading_ns: seen.reading_ns,
            waited_share: seen.waited_share,
            reads: seen.reads,
            bytes: seen.bytes,
            reads_per_sec: seen.reads_per_sec,
            bytes_per_sec: seen.bytes_per_sec,
            hit_rate: seen.hit_rate,
        },
        predicted: PredictedDone {
            reading_ns: of.predicted_reading_ns,
            compute_ns: or_null(of.predicted_compute_ns),
        },
        rates: RatesChanged {
            from: rates(of.rates[0]),
            to: rates(of.rates[1]),
        },
        gates: GatesChanged {
            from: of.gates[0].name().to_owned(),
            to: of.gates[1].name().to_owned(),
        },
        saves: or_null(of.saves.map(|[least, most]| SavesDone { least, most })),
    }
}
