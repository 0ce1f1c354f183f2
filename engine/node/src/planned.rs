//! The shapes of models: of one that a plan was made for, and of one that ran.

use generate::{ModelShape, PlannedModel};
use napi_derive::napi;

use crate::failure::{Failure, whole};

/// The shape of the model that a plan was made for.
#[napi(object)]
pub struct PlannedRequest {
    /// As the plan names it.
    pub name: String,
    /// How many.
    pub layers: f64,
    /// Width of the residual stream.
    pub hidden: f64,
    /// Of an expert, or of the FFN.
    pub neurons: f64,
    /// Of a layer; 1 in a dense model.
    pub experts: f64,
    /// Experts that a token uses; absent: not known.
    pub used: Option<f64>,
}

/// The shape of the model that a file holds.
#[napi(object)]
pub struct ModelShapeDone {
    /// How many.
    pub layers: u32,
    /// Width of the residual stream.
    pub hidden: u32,
    /// Of an expert, or of the FFN.
    pub neurons: u32,
    /// Of a layer; 1 in a dense model.
    pub experts: u32,
    /// Experts that a token uses.
    pub used: u32,
    /// Tokens in the vocabulary.
    pub vocabulary: u32,
}

pub(crate) fn model_shape(of: &ModelShape) -> ModelShapeDone {
    ModelShapeDone {
        layers: of.layers as u32,
        hidden: of.hidden as u32,
        neurons: of.neurons as u32,
        experts: of.experts as u32,
        used: of.used as u32,
        vocabulary: of.vocabulary as u32,
    }
}

pub(crate) fn planned(request: &PlannedRequest) -> Result<PlannedModel, Failure> {
    let count = |value: f64| Ok::<_, Failure>(whole("plan", value, 1, 1 << 24)? as usize);
    Ok(PlannedModel {
        name: request.name.clone(),
        layers: count(request.layers)?,
        hidden: count(request.hidden)?,
        neurons: count(request.neurons)?,
        experts: count(request.experts)?,
        used: request.used.map(count).transpose()?,
    })
}
