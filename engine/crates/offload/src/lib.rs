//! The FFN of a model larger than its memory: part of the neurons in a segmented cache, the rest on flash, and a pipeline of
//! neuron clusters that computes while it reads. Lossless: the gate of every neuron of the chosen experts is computed, and up
//! and down only where it fired.
//!
//! Results are the same bits for any cache size, number of threads and lanes, depth, read backend and eviction policy.
//!
//! May import: `cache`, `flash`, `model` (the seam [`FeedForward`]), `neuron`, `pool`. Files: `offload` (the FFN and what it holds), `options` (what the plan decides), `gates` (what of it can change between tokens), `adapt` (when it does), `units` (how the file is cut), `needs` and `phase` (memory, and how it is divided),
//! `token` (decode: one token, one layer) and `layer_run/` (its stages), `predicted` (the FFN in which a predictor decides), `prefill` (many tokens, layers streamed), `keep` (what stays of that), `preload` (segments filled before the first token), `counters`, `error`.
#![warn(missing_docs)]

mod adapt;
mod counters;
mod error;
mod gates;
mod keep;
mod layer_run;
mod needs;
mod offload;
mod options;
mod phase;
mod predicted;
mod prefill;
mod preload;
mod token;
mod units;

pub use adapt::{AdaptSetting, Adapting, Cause, Decision, Measured, Rates, ReadCost, Verdict, Window, Work};
pub use counters::LayerCounters;
pub use error::OffloadError;
pub use needs::Needs;
pub use offload::Offload;
pub use options::{Division, GateReads, Granularity, OffloadOptions, Overlap};
pub use predicted::PredictedOffload;
