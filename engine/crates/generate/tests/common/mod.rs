//! Models to run, in a folder that is gone with the test.
#![allow(dead_code, reason = "not every test takes all of it")]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use flash::{DownChoice, PackOptions, pack};
use generate::{Options, Report, run};
use model::{Activation, Architecture};
use neuron::Format;
use synth::{Shape, Statistics, SynthSpec};

/// The committed model that most tests run: several experts, numbers without scales.
pub const MODEL: &str = "smallthinker-softmax-f32";

/// A committed model.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../rivals/llama.cpp/fixtures")
        .join(format!("{name}.gguf"))
}

pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "neuronlab-generate-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A file packed into this folder, beside what has another name.
    pub fn packed(&self, source: &Path, options: &PackOptions) -> PathBuf {
        let out = self
            .file("m")
            .with_file_name(source.file_name().unwrap())
            .with_extension("flash");
        pack(source, &out, options, &mut |_| ControlFlow::Continue(())).unwrap();
        out
    }

    /// A made-up model of Q4_0 in this folder.
    pub fn planted(&self, activation: Activation, shape: Shape) -> PathBuf {
        let out = self.file(&format!("{activation:?}-{}.gguf", shape.hidden));
        let spec = SynthSpec {
            name: "planted".to_owned(),
            // The one has ReLU, the other SiLU.
            architecture: match activation {
                Activation::Silu => Architecture::Llama,
                _ => Architecture::SmallThinker,
            },
            activation,
            format: Format::Q4_0,
            shape,
            statistics: Statistics::default(),
            seed: 5,
        };
        synth::write(&spec, &out, 2).unwrap();
        out
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Some 100 MB of neurons, of which a prompt of 512 tokens wants as much again in buffers.
pub const LARGE: Shape = Shape {
    hidden: 2048,
    neurons: 4096,
    layers: 5,
    heads: 16,
    kv_heads: 4,
    head_dim: 128,
    experts: 1,
    experts_used: 1,
    vocabulary: 2048,
    context: 1024,
};

/// Down stays as the source has it.
pub fn exact() -> PackOptions {
    PackOptions {
        down: DownChoice::Exact,
        ..PackOptions::default()
    }
}

pub fn report(options: &Options) -> Report {
    run(options, &mut |_| ControlFlow::Continue(())).unwrap()
}

pub fn tokens(report: &Report) -> Vec<u32> {
    report.rows.iter().map(|row| row.token).collect()
}
