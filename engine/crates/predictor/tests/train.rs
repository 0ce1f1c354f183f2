//! From a model to a predictor that the engine runs with.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gguf::{Gguf, TensorType, Value, Writer};
use model::{
    Activation, Architecture, Batches, FeedForward, GgufSource, KvFormat, Model, ModelConfig, NeuronPredictor, PredictedFfn,
    PredictorInput, Session, SparseFfn, TensorSource, Want,
};
use neuron::{Format, Kernels};
use pool::{Options, Pool};
use predictor::{Hidden, Predictor, PredictorError, Stage, TrainOptions, TrainReport, fingerprint, train};
use synth::{Shape, Statistics, SynthSpec, write};

/// A folder of its own, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("neuronlab-predictor-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn names(&self) -> Vec<String> {
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

fn spec(architecture: Architecture, activation: Activation, experts: usize, seed: u64) -> SynthSpec {
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

fn synthetic(path: &Path, architecture: Architecture, activation: Activation, experts: usize, seed: u64) {
    write(&spec(architecture, activation, experts, seed), path, 1).unwrap();
}

fn options(folder: &Folder, tokens: usize) -> TrainOptions {
    TrainOptions {
        tokens,
        rank: Some(64),
        passes: 4,
        threads: 2,
        ..TrainOptions::new(folder.file("model.gguf"), folder.file("out.gguf"))
    }
}

fn fitted(options: &TrainOptions) -> TrainReport {
    train(options, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn load(folder: &Folder, file: &str) -> Result<Predictor, PredictorError> {
    let source = GgufSource::open(folder.file("model.gguf")).unwrap();
    let config = ModelConfig::from_gguf(source.gguf()).unwrap();
    Predictor::load(folder.file(file), &source, &config)
}

#[test]
fn the_wanted_recall_is_reached_on_tokens_never_seen_at_less_than_all_neurons() {
    for (activation, experts) in [(Activation::Relu, 1), (Activation::DoubleRelu, 1), (Activation::Relu, 3)] {
        let folder = Folder::new(&format!("recall-{}-{experts}", activation.name()));
        synthetic(&folder.file("model.gguf"), Architecture::Llama, activation, experts, 1);
        let report = fitted(&options(&folder, 2048));
        let all = report.tally();
        let (recall, predicted, fired) = (
            all.recall().unwrap(),
            all.share_predicted().unwrap(),
            all.share_fired().unwrap(),
        );
        assert!((recall - 0.95).abs() < 0.02, "{activation:?} {experts}: {recall}");
        assert!(fired < predicted && predicted < 0.5, "{activation:?} {experts}: {predicted}");
        assert!((0.08..0.12).contains(&fired), "{fired}");
        let false_positives = all.false_positives().unwrap();
        assert!((false_positives - (predicted - recall * fired) / (1.0 - fired)).abs() < 1e-9);
        assert!(report.layers.iter().all(|layer| layer.blind_experts == 0));
        assert_eq!(report.learnt + report.calibrated + report.held_out, 2048);
        // Run in all layers at once it is about as good, and the model about as sure of the text.
        assert!((report.perplexity.recall.unwrap() - recall).abs() < 0.02);
        let change = report.perplexity.predicted / report.perplexity.lossless;
        assert!(report.perplexity.scored > 60 && (0.9..1.1).contains(&change), "{change}");
        assert_eq!(folder.names(), ["model.gguf", "out.gguf"]);
    }
}

#[test]
fn a_predictor_of_the_rank_of_the_gates_predicts_little_more_than_what_fires() {
    let folder = Folder::new("ranked");
    let predicted = |gate_rank| {
        let mut spec = spec(Architecture::SmallThinker, Activation::Relu, 1, 1);
        spec.statistics.gate_rank = gate_rank;
        write(&spec, folder.file("model.gguf"), 1).unwrap();
        let all = fitted(&TrainOptions {
            rank: Some(32),
            ..options(&folder, 1024)
        })
        .tally();
        assert!(all.recall().unwrap() > 0.9, "{gate_rank:?}: {:?}", all.recall());
        all.share_predicted().unwrap() / all.share_fired().unwrap()
    };
    let (ranked, random) = (predicted(Some(32)), predicted(None));
    assert!(ranked < 1.5 && random > 2.0, "ranked {ranked}, random {random}");
}

#[test]
fn four_bits_take_half_the_bytes_and_predict_some_more() {
    let folder = Folder::new("four-bits");
    let mut spec = spec(Architecture::SmallThinker, Activation::Relu, 1, 1);
    spec.statistics.gate_rank = Some(64);
    write(&spec, folder.file("model.gguf"), 1).unwrap();
    let with = |format| {
        fitted(&TrainOptions {
            format: Some(format),
            ..options(&folder, 1024)
        })
    };
    let formats = || {
        let read = load(&folder, "out.gguf").unwrap();
        let of = read.low_rank(0, 0).unwrap();
        [of.first.format(), of.second.format()]
    };
    let four = with(Format::Q4_0);
    assert_eq!(formats(), [Format::Q4_0; 2]);
    let eight = with(Format::Q8_0);
    assert_eq!(formats(), [Format::Q8_0; 2]);
    assert!(
        (four.bytes as f64) < 0.6 * eight.bytes as f64,
        "{} {}",
        four.bytes,
        eight.bytes
    );
    let share = |report: &TrainReport| report.tally().share_predicted().unwrap();
    assert!(four.tally().recall().unwrap() > 0.9);
    assert!(share(&four) < 1.7 * share(&eight), "{} {}", share(&four), share(&eight));
}

#[test]
fn a_higher_recall_costs_more_neurons() {
    let folder = Folder::new("trade");
    synthetic(&folder.file("model.gguf"), Architecture::SmallThinker, Activation::Relu, 1, 1);
    let at = |recall| {
        let report = fitted(&TrainOptions {
            recall,
            ..options(&folder, 1024)
        });
        report.tally()
    };
    let (low, high) = (at(0.8), at(0.99));
    assert!(low.recall() < high.recall() && low.share_predicted() < high.share_predicted());
}

#[test]
fn the_file_is_the_same_bytes_for_any_number_of_threads_and_another_for_another_seed() {
    let folder = Folder::new("threads");
    synthetic(&folder.file("model.gguf"), Architecture::SmallThinker, Activation::Relu, 2, 1);
    let bytes = |threads, seed| {
        fitted(&TrainOptions {
            threads,
            seed,
            ..options(&folder, 512)
        });
        fs::read(folder.file("out.gguf")).unwrap()
    };
    let one = bytes(1, 7);
    assert!(one == bytes(3, 7));
    assert!(one != bytes(1, 8));
}

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
fn stopped_at_any_stage_nothing_is_left() {
    let folder = Folder::new("stopped");
    synthetic(&folder.file("model.gguf"), Architecture::SmallThinker, Activation::Relu, 1, 1);
    for stage in [Stage::Speak, Stage::Record, Stage::Fit, Stage::Judge] {
        let stopped = train(&options(&folder, 256), &mut |step| {
            if step.stage == stage {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert!(matches!(stopped, Err(PredictorError::Cancelled)), "{stage:?}");
        assert_eq!(folder.names(), ["model.gguf"], "{stage:?}");
    }
}

#[test]
fn a_text_is_learnt_from_and_what_is_none_is_refused() {
    let folder = Folder::new("text");
    synthetic(&folder.file("model.gguf"), Architecture::SmallThinker, Activation::Relu, 1, 1);
    let with = |text: &[u8]| {
        fs::write(folder.file("text"), text).unwrap();
        let options = TrainOptions {
            text: Some(folder.file("text")),
            ..options(&folder, 512)
        };
        train(&options, &mut |step| {
            assert_ne!(step.stage, Stage::Speak);
            ControlFlow::Continue(())
        })
    };
    let report = with(
        "one of the many things that were said, and not the least. "
            .repeat(99)
            .as_bytes(),
    )
    .unwrap();
    assert_eq!(report.learnt + report.calibrated + report.held_out, 512);
    let short = with(b"too short").err().unwrap().to_string();
    assert!(short.contains("must have at least 256"), "{short}");
    let binary = with(&[b'a', 0xff, b'b']).err().unwrap().to_string();
    assert!(binary.contains("byte 1 is not UTF-8"), "{binary}");
}

#[test]
fn what_cannot_be_fitted_is_refused_with_what_would_be_right() {
    let folder = Folder::new("refused");
    synthetic(&folder.file("model.gguf"), Architecture::SmallThinker, Activation::Relu, 1, 1);
    let said = |change: &dyn Fn(&mut TrainOptions)| {
        let mut options = options(&folder, 512);
        change(&mut options);
        train(&options, &mut |_| ControlFlow::Continue(())).err().unwrap().to_string()
    };
    assert_eq!(said(&|o| o.tokens = 10), "tokens: should be at least 256, got 10");
    assert_eq!(said(&|o| o.recall = 1.5), "recall: should be above 0 and at most 1, got 1.5");
    assert_eq!(
        said(&|o| o.rank = Some(129)),
        "rank: should be from 1 to 128, the model's width, got 129"
    );
    let odd = said(&|o| (o.rank, o.format) = (Some(20), Some(Format::Q8_0)));
    assert_eq!(odd, "rank: should be a multiple of 32 for q8_0 weights, got 20");
    synthetic(&folder.file("model.gguf"), Architecture::Llama, Activation::Silu, 1, 1);
    assert!(said(&|_| ()).contains("nothing to predict"));
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
