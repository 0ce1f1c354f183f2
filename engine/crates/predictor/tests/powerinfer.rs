//! Model files as PowerInfer's converters write them: `PWRI`, a row of down for each neuron, predictors inside, no activation key.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gguf::{Gguf, TensorType, Value, Writer};
use model::{
    Activation, Architecture, Batches, FeedForward, FlashSource, GgufSource, KvFormat, Model, ModelConfig, NeuronPredictor,
    PredictedFfn, PredictorInput, Session, SparseFfn, TensorSource, Want,
};
use neuron::{Format, Kernels};
use pool::{Options, Pool};
use predictor::{Predictor, PredictorError, fingerprint};
use synth::{Shape, Statistics, SynthSpec, write};

const HIDDEN: usize = 128;
const NEURONS: usize = 320;
const LAYERS: usize = 2;
const RANK: usize = 32;
const PROMPT: [u32; 4] = [300, 266, 317, 400];

/// A folder of its own, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("neuronlab-powerinfer-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is of no use to anyone.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn ours(path: &Path, activation: Activation) {
    let spec = SynthSpec {
        name: "ours".to_owned(),
        architecture: Architecture::Llama,
        activation,
        format: Format::F16,
        shape: Shape {
            hidden: HIDDEN,
            neurons: NEURONS,
            layers: LAYERS,
            heads: 4,
            kv_heads: 2,
            head_dim: 32,
            experts: 1,
            experts_used: 1,
            vocabulary: 512,
            context: 64,
        },
        statistics: Statistics {
            overlap: 0.2,
            ..Statistics::default()
        },
        seed: 3,
    };
    write(&spec, path, 1).unwrap();
}

/// The model of `from` in PowerInfer's form. Its predictors score 0 everywhere, so that the threshold alone decides.
fn theirs(from: &Path, to: &Path, architecture: &str, down: Format, threshold: f32) {
    let (source, file) = (Gguf::open(from).unwrap(), fs::File::open(from).unwrap());
    let mut writer = Writer::new(to);
    for (key, value) in source.metadata.iter() {
        let key = match key.strip_prefix("llama.") {
            Some(rest) => format!("{architecture}.{rest}"),
            None => key.to_owned(),
        };
        match key.as_str() {
            "neuronlab.activation" => {}
            "general.architecture" => drop(writer.metadata(&key, architecture).unwrap()),
            _ => drop(writer.metadata(&key, value.clone()).unwrap()),
        }
    }
    writer
        .metadata("powerinfer.sparse_threshold", Value::F32(threshold))
        .unwrap()
        .metadata("split.vram_capacity", Value::U64(1 << 30))
        .unwrap();
    let mut parts: Vec<(String, Vec<u64>, TensorType, Vec<u8>)> = Vec::new();
    for tensor in &source.tensors {
        let mut bytes = vec![0; tensor.bytes as usize];
        tensor.read_at(&file, 0, &mut bytes).unwrap();
        let Some(stem) = tensor.name.strip_suffix("ffn_down.weight") else {
            parts.push((tensor.name.clone(), tensor.shape.clone(), tensor.kind, bytes));
            continue;
        };
        let at = |neuron: usize, output: usize| {
            let half = &bytes[2 * (output * NEURONS + neuron)..][..2];
            neuron::f16_to_f32(u16::from_le_bytes([half[0], half[1]]))
        };
        let mut rows = Vec::new();
        for neuron in 0..NEURONS {
            let row: Vec<f32> = (0..HIDDEN).map(|output| at(neuron, output)).collect();
            let mut out = vec![0; down.row_bytes(HIDDEN).unwrap()];
            down.quantise_row(&row, &mut out).unwrap();
            rows.extend(out);
        }
        let kind = TensorType::from_code(down.gguf_id()).unwrap();
        parts.push((
            format!("{stem}ffn_down_t.weight"),
            vec![HIDDEN as u64, NEURONS as u64],
            kind,
            rows,
        ));
    }
    for layer in 0..LAYERS {
        for (name, cols, rows) in [("fc1", HIDDEN, RANK), ("fc2", RANK, NEURONS)] {
            let shape = vec![cols as u64, rows as u64];
            parts.push((
                format!("blk.{layer}.{name}.weight"),
                shape,
                TensorType::F16,
                vec![0; 2 * cols * rows],
            ));
        }
    }
    for (name, shape, kind, _) in &parts {
        writer.tensor(name, shape, *kind).unwrap();
    }
    let mut data = writer.start().unwrap();
    for (name, _, _, bytes) in &parts {
        data.write(name, bytes).unwrap();
    }
    data.finish().unwrap();
    // As their converters end: the first four bytes are written over.
    let mut bytes = fs::read(to).unwrap();
    bytes[..4].copy_from_slice(b"PWRI");
    fs::write(to, bytes).unwrap();
}

fn session(source: &dyn TensorSource, ffn: impl FnOnce(&Model) -> Box<dyn FeedForward>) -> Session {
    let model = Arc::new(Model::load(source, Kernels::best()).unwrap());
    let ffn = ffn(&model);
    Session::new(model, ffn, Pool::new(&Options::new(2)).unwrap(), KvFormat::F16, 16).unwrap()
}

/// Logits and labels of the model with its true gates.
fn exact(path: &Path) -> (Vec<f32>, Vec<&'static str>) {
    let source = GgufSource::open(path).unwrap();
    let mut session = session(&source, |model| {
        Box::new(SparseFfn::load(&source, model.config(), Kernels::best()).unwrap())
    });
    let logits = session.forward(&PROMPT, Want::Last).unwrap().to_vec();
    (logits, session.ffn().labels().to_vec())
}

fn predicted(path: &Path) -> Vec<f32> {
    let source = GgufSource::open(path).unwrap();
    let config = ModelConfig::from_gguf(source.gguf()).unwrap();
    let own = Predictor::load(path, &source, &config).unwrap();
    assert_eq!((own.input(), own.rank()), (PredictorInput::Stream, RANK));
    assert!(own.low_rank(0, 0).unwrap().rectified);
    let mut session = session(&source, |model| {
        let exact = SparseFfn::load(&source, model.config(), Kernels::best()).unwrap();
        Box::new(PredictedFfn::new(exact, model.config(), Arc::new(own), Batches::Predicted).unwrap())
    });
    session.forward(&PROMPT, Want::Last).unwrap().to_vec()
}

#[test]
fn their_files_open_with_the_activation_that_their_programs_compute() {
    let folder = Folder::new("opens");
    for (activation, architecture) in [(Activation::Relu, "llama"), (Activation::DoubleRelu, "bamboo")] {
        let (plain, converted) = (folder.file("ours.gguf"), folder.file("theirs.gguf"));
        ours(&plain, activation);
        theirs(&plain, &converted, architecture, Format::F16, 0.0);
        let gguf = Gguf::open(&converted).unwrap();
        assert!(gguf.is_powerinfer && !Gguf::open(&plain).unwrap().is_powerinfer);
        assert_eq!(ModelConfig::from_gguf(&gguf).unwrap().activation, activation);
        // Transposed halves keep their bits, so nothing at all may differ.
        let (wanted, labels) = exact(&plain);
        assert_eq!(exact(&converted), (wanted.clone(), labels));
        // A threshold that every score reaches names all neurons; one that none reaches names none.
        assert_eq!(predicted(&converted), wanted);
        theirs(&plain, &converted, architecture, Format::F16, 1.0);
        assert_ne!(predicted(&converted), wanted);
    }
}

#[test]
fn a_transposed_down_is_never_requantised_and_survives_packing() {
    let folder = Folder::new("packs");
    let (plain, converted, packed) = (
        folder.file("ours.gguf"),
        folder.file("theirs.gguf"),
        folder.file("theirs.flash"),
    );
    ours(&plain, Activation::DoubleRelu);
    theirs(&plain, &converted, "bamboo", Format::Q4_0, 0.0);
    let (wanted, labels) = exact(&converted);
    // Nothing departs from the numbers of the file.
    assert!(labels.is_empty(), "{labels:?}");
    flash::pack(&converted, &packed, &flash::PackOptions::default(), &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap();
    let source = FlashSource::open(&packed).unwrap();
    assert!(!source.flash().is_requantised());
    let mut session = session(&source, |model| {
        Box::new(SparseFfn::load_packed(&source, model.config(), Kernels::best()).unwrap())
    });
    assert_eq!(session.forward(&PROMPT, Want::Last).unwrap(), wanted);
    // The predictors went along, and are those of either file.
    let config = ModelConfig::from_gguf(source.gguf()).unwrap();
    for path in [&packed, &converted] {
        assert_eq!(Predictor::load(path, &source, &config).unwrap().rank(), RANK);
    }
}

#[test]
fn a_damaged_predictor_is_refused() {
    let folder = Folder::new("damaged");
    let (plain, converted, own) = (folder.file("ours.gguf"), folder.file("theirs.gguf"), folder.file("own.gguf"));
    ours(&plain, Activation::Relu);
    theirs(&plain, &converted, "llama", Format::F16, 0.25);
    let source = GgufSource::open(&converted).unwrap();
    let config = ModelConfig::from_gguf(source.gguf()).unwrap();
    let read = Predictor::load(&converted, &source, &config).unwrap();
    read.write(&own, &config, fingerprint(&source).unwrap(), "a test").unwrap();
    assert!(Predictor::load(&own, &source, &config).is_ok());

    let whole = fs::read(&own).unwrap();
    let gguf = Gguf::parse(&whole).unwrap();
    let mut places: Vec<usize> = gguf
        .tensors
        .iter()
        .flat_map(|tensor| {
            [
                tensor.offset,
                tensor.offset + tensor.bytes / 2,
                tensor.offset + tensor.bytes - 1,
            ]
        })
        .map(|place| place as usize)
        .collect();
    // The first threshold, which stands in the header.
    let threshold = 0.25f32.to_le_bytes();
    places.push(whole.windows(4).position(|four| four == threshold).unwrap() + 3);
    for place in places {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        fs::write(&own, bytes).unwrap();
        let error = Predictor::load(&own, &source, &config).map(|_| ()).unwrap_err();
        assert!(matches!(error, PredictorError::Checksum { .. }), "byte {place}: {error}");
    }
}
