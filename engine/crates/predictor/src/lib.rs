//! Which neurons will fire, before their weights are looked at: low-rank predictors, fitted on the model itself.
//!
//! - [`Predictor`]: for every expert of every layer two small matrices and a threshold, from a file of ours or from a model file
//!   of PowerInfer's form (`blk.N.fc1`, `blk.N.fc2`). `model::PredictedFfn` computes with it.
//! - [`train`]: runs a text, or what the model says itself, through the model with its true gates, fits, sets thresholds for a
//!   wanted recall, judges on tokens held out, writes.
//! - [`fingerprint`]: which model it is; the predictor of another one is refused.
//!
//! `fit/` is the arithmetic and knows no models; `judge.rs` counts what a predictor catches. The equations with their sources
//! are in docs/predictors.md.
#![warn(missing_docs)]

mod corpus;
mod error;
mod fingerprint;
mod fit;
mod judge;
mod keys;
mod learn;
mod observe;
mod options;
mod random;
mod records;
mod report;
mod train;
mod weights;

pub use error::PredictorError;
pub use fingerprint::fingerprint;
pub use judge::Tally;
pub use options::{Hidden, TrainOptions};
pub use report::{LayerReport, PerplexityReport, Stage, TrainReport, TrainStep};
pub use train::train;
pub use weights::Predictor;
