//! Predictors as files: read back, refused for another model, and carried inside of a model file.

mod common;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use common::*;
use gguf::{Gguf, TensorType, Value, Writer};
use model::{
    Activation, Architecture, Batches, FeedForward, GgufSource, KvFormat, Model, ModelConfig, NeuronPredictor, PredictedFfn,
    PredictorInput, Session, SparseFfn, TensorSource, Want,
};
use neuron::{Format, Kernels};
use pool::{Options, Pool};
use predictor::{Hidden, PredictorError, TrainOptions, fingerprint};

#[test]
fn a_file_is_read_back_as_it_was_fitted_and_refused_for_another_model() {
    let folder = Folder::new("file");
    synthetic(&folder.file("model.gguf"), Architecture::SmallThinker, Activation::Relu, 1, 1);
    for (hidden, format) in [(Hidden::Relu, Format::F16), (Hidden::Identity, Format::Q8_0)] {
        fitted(&TrainOptions {
            hidden,
            format: Some(format),
            ..options(&folder, 512)
        });
        let read = load(&folder, "out.gguf").unwrap();
        let part = read.low_rank(1, 0).unwrap();
        assert_eq!((read.rank(), read.input()), (64, PredictorInput::Normed));
        assert_eq!((part.first.format(), part.rectified), (format, hidden == Hidden::Relu));
        assert!(part.threshold.is_finite());
        assert!(read.low_rank(2, 0).is_err() && read.low_rank(0, 1).is_err());
    }
    synthetic(&folder.file("model.gguf"), Architecture::SmallThinker, Activation::Relu, 1, 2);
    let refused = load(&folder, "out.gguf").err().unwrap();
    assert!(matches!(refused, PredictorError::OtherModel { .. }), "{refused}");
    assert!(refused.to_string().contains("is the predictor of another model"), "{refused}");
    let none = load(&folder, "model.gguf").err().unwrap();
    assert!(none.to_string().contains("has no predictor: no tensor blk.0.fc1"), "{none}");
}

#[test]
fn a_packed_file_has_the_fingerprint_of_its_source() {
    let folder = Folder::new("packed");
    let (from, to) = (folder.file("model.gguf"), folder.file("model.flash"));
    synthetic(&from, Architecture::SmallThinker, Activation::Relu, 2, 1);
    flash::pack(&from, &to, &flash::PackOptions::default(), &mut |_| ControlFlow::Continue(())).unwrap();
    let of_source = fingerprint(&GgufSource::open(&from).unwrap()).unwrap();
    assert_eq!(of_source, fingerprint(&model::FlashSource::open(&to).unwrap()).unwrap());
    synthetic(&from, Architecture::SmallThinker, Activation::Relu, 2, 2);
    assert_ne!(of_source, fingerprint(&GgufSource::open(&from).unwrap()).unwrap());
}

/// Copies a model file, with more tensors and keys.
fn with_predictors(from: &Path, to: &Path, keys: &[(&str, Value)], tensors: &[(String, [u64; 2], Vec<f32>)]) {
    let (source, file) = (Gguf::open(from).unwrap(), fs::File::open(from).unwrap());
    let mut writer = Writer::new(to);
    for (key, value) in source.metadata.iter() {
        writer.metadata(key, value.clone()).unwrap();
    }
    for (key, value) in keys {
        writer.metadata(key, value.clone()).unwrap();
    }
    for tensor in &source.tensors {
        writer.tensor(&tensor.name, &tensor.shape, tensor.kind).unwrap();
    }
    for (name, shape, _) in tensors {
        writer.tensor(name, shape, TensorType::F32).unwrap();
    }
    let mut data = writer.start().unwrap();
    for tensor in &source.tensors {
        let mut bytes = vec![0; tensor.bytes as usize];
        tensor.read_at(&file, 0, &mut bytes).unwrap();
        data.write(&tensor.name, &bytes).unwrap();
    }
    for (name, _, weights) in tensors {
        let bytes: Vec<u8> = weights.iter().flat_map(|weight| weight.to_le_bytes()).collect();
        data.write(name, &bytes).unwrap();
    }
    data.finish().unwrap();
}

#[test]
fn predictors_that_a_model_file_carries_are_used_as_they_are() {
    let folder = Folder::new("powerinfer");
    synthetic(&folder.file("plain.gguf"), Architecture::Llama, Activation::DoubleRelu, 1, 1);
    // fc1 adds all numbers of the stream, and their negative; fc2 gives the first to even neurons, the second to odd ones. A
    // second layer of another rank.
    let (hidden, neurons) = (128, 320);
    let mut tensors = Vec::new();
    for (layer, rank) in [(0, 2), (1, 4)] {
        let first = (0..rank * hidden)
            .map(|i| if i / hidden % 2 == 0 { 1.0 } else { -1.0 })
            .collect();
        let second = (0..neurons * rank)
            .map(|i| f32::from(u8::from(i % rank == i / rank % 2)))
            .collect();
        tensors.push((format!("blk.{layer}.fc1.weight"), [hidden as u64, rank as u64], first));
        tensors.push((format!("blk.{layer}.fc2.weight"), [rank as u64, neurons as u64], second));
    }
    let keys = [("powerinfer.sparse_threshold", Value::F32(1e-6))];
    with_predictors(&folder.file("plain.gguf"), &folder.file("model.gguf"), &keys, &tensors);
    let read = load(&folder, "model.gguf").unwrap();
    assert_eq!((read.input(), read.rank()), (PredictorInput::Stream, 4));
    let part = read.low_rank(0, 0).unwrap();
    assert_eq!((part.threshold, part.rectified), (1e-6, true));

    let source = GgufSource::open(folder.file("model.gguf")).unwrap();
    let model = Arc::new(Model::load(&source, Kernels::best()).unwrap());
    let exact = SparseFfn::load(&source, model.config(), Kernels::best()).unwrap();
    let ffn = PredictedFfn::new(exact, model.config(), Arc::new(read), Batches::Predicted).unwrap();
    let pool = Pool::new(&Options::new(2)).unwrap();
    let mut session = Session::new(Arc::clone(&model), Box::new(ffn), pool, KvFormat::F16, 16).unwrap();
    session.forward(&[300, 266, 317], Want::Last).unwrap();
    // Of two sums of opposite sign one is above the threshold, in every token.
    let counters = session.ffn().predicted().unwrap();
    assert_eq!(counters.predicted, [3 * 160, 3 * 160]);

    // The same predictors belong to the model without them in it, and to no other.
    fs::rename(folder.file("model.gguf"), folder.file("with.gguf")).unwrap();
    fs::rename(folder.file("plain.gguf"), folder.file("model.gguf")).unwrap();
    assert!(load(&folder, "with.gguf").is_ok());
    synthetic(&folder.file("model.gguf"), Architecture::Llama, Activation::DoubleRelu, 1, 2);
    assert!(matches!(load(&folder, "with.gguf"), Err(PredictorError::OtherModel { .. })));
}

#[test]
fn unusable_files_are_refused_with_what_is_wrong() {
    let folder = Folder::new("unusable");
    synthetic(&folder.file("model.gguf"), Architecture::Llama, Activation::Relu, 1, 1);
    let said = |keys: &[(&str, Value)], shape: [u64; 2]| {
        let tensor = |name: &str, shape: [u64; 2]| (name.to_owned(), shape, vec![0.0; (shape[0] * shape[1]) as usize]);
        let tensors = [
            tensor("blk.0.fc1.weight", [128, 4]),
            tensor("blk.0.fc2.weight", shape),
            tensor("blk.1.fc1.weight", [128, 4]),
            tensor("blk.1.fc2.weight", [4, 320]),
        ];
        with_predictors(&folder.file("model.gguf"), &folder.file("with.gguf"), keys, &tensors);
        load(&folder, "with.gguf").err().map(|error| error.to_string())
    };
    assert_eq!(said(&[], [4, 320]), None);
    let shape = said(&[], [4, 319]).unwrap();
    assert!(
        shape.contains("unusable tensor blk.0.fc2.weight: shape [4, 319]; must be of shape [4, 320]"),
        "{shape}"
    );
    let count = said(&[("neuronlab.predictor.thresholds", vec![0.5f32].into())], [4, 320]).unwrap();
    assert!(
        count.ends_with("unusable neuronlab.predictor.thresholds: 1 numbers; must be 2"),
        "{count}"
    );
    let number = said(&[("powerinfer.sparse_threshold", Value::F32(f32::NAN))], [4, 320]).unwrap();
    assert!(number.ends_with("unusable threshold: NaN; must be a number"), "{number}");
    let form = said(&[("neuronlab.predictor.hidden", "tanh".into())], [4, 320]).unwrap();
    assert!(
        form.ends_with("unusable neuronlab.predictor.hidden: tanh; must be relu or identity"),
        "{form}"
    );
}

#[test]
fn an_ffn_that_is_predicted_is_labelled_so() {
    let folder = Folder::new("label");
    synthetic(&folder.file("model.gguf"), Architecture::SmallThinker, Activation::Relu, 1, 1);
    fitted(&options(&folder, 256));
    let source = GgufSource::open(folder.file("model.gguf")).unwrap();
    let config = ModelConfig::from_gguf(source.gguf()).unwrap();
    let exact = SparseFfn::load(&source, &config, Kernels::best()).unwrap();
    let predictor = Arc::new(load(&folder, "out.gguf").unwrap());
    let ffn = PredictedFfn::new(exact, &config, predictor, Batches::Exact).unwrap();
    assert_eq!(ffn.labels(), ["requantised", "predicted"]);
}
