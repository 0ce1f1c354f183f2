//! What these tests share: a folder that goes with the test, a model file to fit a predictor to, and the fitting.
#![allow(dead_code, reason = "not every test takes all of it")]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use model::{Activation, Architecture, GgufSource, ModelConfig, TensorSource};
use neuron::Format;
use predictor::{Predictor, PredictorError, TrainOptions, TrainReport, train};
use synth::{Shape, Statistics, SynthSpec, write};

/// A folder of its own, gone with the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("neuronlab-predictor-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is of no use to anyone.
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn spec(architecture: Architecture, activation: Activation, experts: usize, seed: u64) -> SynthSpec {
    SynthSpec {
        name: "predicted".to_owned(),
        architecture,
        activation,
        format: Format::Q8_0,
        shape: Shape {
            hidden: 128,
            neurons: 320,
            layers: 2,
            heads: 4,
            kv_heads: 2,
            head_dim: 32,
            experts,
            experts_used: experts.min(2),
            vocabulary: 512,
            context: 256,
        },
        statistics: Statistics {
            overlap: 0.2,
            ..Statistics::default()
        },
        seed,
    }
}

pub fn synthetic(path: &Path, architecture: Architecture, activation: Activation, experts: usize, seed: u64) {
    write(&spec(architecture, activation, experts, seed), path, 1).unwrap();
}

pub fn options(folder: &Folder, tokens: usize) -> TrainOptions {
    TrainOptions {
        tokens,
        rank: Some(64),
        passes: 4,
        threads: 2,
        ..TrainOptions::new(folder.file("model.gguf"), folder.file("out.gguf"))
    }
}

pub fn fitted(options: &TrainOptions) -> TrainReport {
    train(options, &mut |_| ControlFlow::Continue(())).unwrap()
}

pub fn load(folder: &Folder, file: &str) -> Result<Predictor, PredictorError> {
    let source = GgufSource::open(folder.file("model.gguf")).unwrap();
    let config = ModelConfig::from_gguf(source.gguf()).unwrap();
    Predictor::load(folder.file(file), &source, &config)
}
