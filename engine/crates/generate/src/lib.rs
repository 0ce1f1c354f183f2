//! A model file, a prompt and a limit of memory to text and a report: joins `model`, `offload` and `text`.
//!
//! - [`run()`]: opens a GGUF or a packed file ([`ModelFile`]), divides the memory ([`Budget`]), loads, reads the prompt, generates,
//!   streams text to a callback that may stop it.
//! - [`Report`]: what it was and what it cost.
//! - [`Loaded`]: the same model for tokens instead of text; [`bench()`] times it with the tests of llama-bench.
//! - [`perplexity()`]: how well it predicts a text, as llama-perplexity says it.
//! - [`GenerateError::blame`]: whose a failure is to mend; front ends choose their exit codes by it.
//!
//! The text is the same for any memory, threads, lanes, depth, policy, granularity and overlap on one file.
#![warn(missing_docs)]

mod bench;
mod between;
mod budget;
mod error;
mod intervals;
mod loaded;
mod memory;
mod meter;
mod open;
mod options;
mod perplexity;
mod place;
mod planned;
mod reading;
mod report;
mod run;
mod sound;
mod timeline;
mod watch;

pub use bench::{BenchOptions, BenchReport, BenchResult, BenchTest, BenchTold, bench};
pub use between::{AdaptOptions, SlowStorage};
pub use budget::{Budget, Part, Share};
pub use error::{
    Blame, GenerateError, blame_of_flash, blame_of_gguf, blame_of_model, blame_of_predictor, blame_of_writing,
    blame_of_written_gguf,
};
pub use loaded::{Facts, Loaded};
pub use memory::{available, resident};
pub use open::{ModelFile, Weights, activity};
pub use options::{FfnChoice, Options};
pub use perplexity::{PerplexityOptions, PerplexityReport, PerplexityTold, perplexity};
pub use planned::{ModelShape, PlannedModel};
pub use reading::FlashShape;
pub use report::{FlashUse, Phase, Predicted, Preloaded, Report};
pub use run::{Told, run};
pub use timeline::{MOST_SPANS, PassRow, PassSpans, Spent, Timeline};

pub use cache::PolicyKind;
pub use flash::{BackendChoice, FlashCurve, RandomPoint, SequentialPoint, ShaperReport, Slowdown};
pub use model::{KvFormat, Stop, TokenRow};
pub use offload::{Decision, GateReads, Granularity, LayerCounters, Overlap, Rates, ReadCost};
pub use spans::{Activity, Lane, Span};
pub use text::SamplerOptions;

/// The name of the kernels that this machine computes with.
pub fn kernels() -> &'static str {
    neuron::Kernels::best().name()
}
