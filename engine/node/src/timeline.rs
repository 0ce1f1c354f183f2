//! What a traced run leaves, as numbers: spans are rows of one long array, because there are hundreds of thousands of them.

use generate::{Activity, Lane, Spent, Timeline};
use napi::bindgen_prelude::Float64Array;
use napi_derive::napi;

use crate::spent::ns;

/// Where the time of some passes went. Nanoseconds.
#[napi(object)]
pub struct SpentDone {
    /// Forward passes.
    pub passes: u32,
    /// Their wall time.
    pub ns: f64,
    /// By activity, in the order of `activities`: time of threads, or of reads.
    pub by_activity: Vec<f64>,
    /// What each thread computed by itself.
    pub by_thread: Vec<f64>,
    /// What they computed together.
    pub together: f64,
    /// Wall time with a read under way.
    pub reading: f64,
    /// The part of it in which no thread computed.
    pub exposed: f64,
}

/// What happened when.
#[napi(object)]
pub struct TimelineDone {
    /// Names of activities.
    pub activities: Vec<String>,
    /// Of the prompt.
    pub prompt: SpentDone,
    /// Of generating.
    pub decode: SpentDone,
    /// Four numbers for each pass of generating: nanoseconds, bytes read, units looked for, units missed.
    pub rows: Float64Array,
    /// Six numbers for each span: lane (a thread's number; then all threads together; then reads), activity, start and end in
    /// nanoseconds, token (-1: of the prompt), layer (-1: of none).
    pub spans: Float64Array,
    /// Passes whose spans are not among them, and spans that were lost.
    pub forgotten: u32,
    /// See `forgotten`.
    pub lost: f64,
}

fn spent(of: &Spent) -> SpentDone {
    let numbers = |of: &[u64]| of.iter().map(|&ns| ns as f64).collect();
    SpentDone {
        passes: of.passes as u32,
        ns: ns(of.took),
        by_activity: numbers(&of.by_activity),
        by_thread: numbers(&of.by_thread),
        together: of.together as f64,
        reading: of.reading as f64,
        exposed: of.exposed as f64,
    }
}

pub(crate) fn timeline(of: &Timeline) -> TimelineDone {
    let threads = of.decode.by_thread.len();
    let lane = |lane| match lane {
        Lane::Thread(index) => usize::from(index),
        Lane::Together => threads,
        Lane::Read => threads + 1,
    };
    let rows: Vec<f64> = of
        .rows
        .iter()
        .flat_map(|row| [ns(row.took), row.bytes as f64, row.look_ups as f64, row.misses as f64])
        .collect();
    let mut spans = Vec::with_capacity(6 * of.kept.iter().map(|pass| pass.spans.len()).sum::<usize>());
    for pass in &of.kept {
        let token = pass.token.map_or(-1.0, f64::from);
        for span in &pass.spans {
            let layer = span.layer().map_or(-1.0, f64::from);
            spans.extend([
                lane(span.lane()) as f64,
                f64::from(span.what() as u8),
                span.start() as f64,
                span.end() as f64,
                token,
                layer,
            ]);
        }
    }
    TimelineDone {
        activities: Activity::ALL.iter().map(|what| what.name().to_owned()).collect(),
        prompt: spent(&of.prompt),
        decode: spent(&of.decode),
        rows: Float64Array::new(rows),
        spans: Float64Array::new(spans),
        forgotten: of.forgotten as u32,
        lost: of.lost as f64,
    }
}
