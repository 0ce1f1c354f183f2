//! Predictor files under libFuzzer, for one small model that is in the tree. Seeds: that model with `fc1` and `fc2` in it, and a
//! predictor fitted to it.
#![no_main]

mod scratch;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use model::{GgufSource, ModelConfig, NeuronPredictor, TensorSource};
use predictor::Predictor;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../rivals/llama.cpp/fixtures/smallthinker-dense-f32.gguf");

fn model() -> &'static (GgufSource, ModelConfig) {
    static MODEL_FILE: OnceLock<(GgufSource, ModelConfig)> = OnceLock::new();
    MODEL_FILE.get_or_init(|| {
        let source = GgufSource::open(MODEL).expect("a model of the tree");
        let config = ModelConfig::from_gguf(source.gguf()).expect("its sizes");
        (source, config)
    })
}

fuzz_target!(|bytes: &[u8]| {
    let (source, config) = model();
    let Ok(found) = Predictor::load(scratch::file(bytes), source, config) else { return };
    for layer in 0..config.layers {
        let of = found.low_rank(layer, 0).expect("a layer of the model");
        assert_eq!(of.first.cols(), config.hidden);
        assert_eq!(of.second.rows(), config.neurons);
    }
});
