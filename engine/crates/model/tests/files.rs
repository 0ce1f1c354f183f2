//! Model files: what is refused and with which words, ReLU forms of llama, packed files.

#[path = "support/rewrite.rs"]
mod rewritten;
mod support;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use flash::{Arrangement, DownChoice, GroupChoice, NeuronOrder, PackOptions, pack};
use gguf::Value;
use model::{FlashSource, GgufSource, KvFormat, Model, ModelError, Session, SparseFfn, TensorSource, Want};
use neuron::Kernels;
use pool::{Options, Pool};
use rewritten::{Change, rewrite};
use support::{MakeFfn, Reference, committed, dense, session, sparse};

fn reference(name: &str) -> Reference {
    let found = committed().into_iter().find(|reference| reference.name == name);
    found.unwrap_or_else(|| panic!("the committed reference {name}"))
}

/// What loading the changed file says.
fn refusal(name: &str, label: &str, change: &Change<'_>) -> String {
    let path = rewrite(&reference(name).gguf, label, change);
    let loaded = GgufSource::open(&path).and_then(|source| {
        let model = Model::load(&source, Kernels::best())?;
        dense(&source, &model).map(drop)
    });
    std::fs::remove_file(&path).unwrap();
    loaded.expect_err("a file that is refused").to_string()
}

fn set(key: &'static str, value: impl Into<Value>) -> Change<'static> {
    Change {
        set: vec![(key, value.into())],
        ..Change::default()
    }
}

#[test]
fn unusable_metadata_are_refused_with_the_key_what_was_found_and_what_would_be_right() {
    let cases = [
        (
            set("general.architecture", "gemma"),
            "unusable general.architecture: gemma; must be llama, mistral, bamboo, qwen2",
        ),
        (
            set("llama.attention.head_count_kv", 3u32),
            "unusable llama.attention.head_count_kv: 3; must be a divisor",
        ),
        (
            set("llama.block_count", 0u32),
            "unusable llama.block_count: 0; must be from 1",
        ),
        (
            set("llama.embedding_length", u32::MAX),
            "unusable llama.embedding_length: 4294967295",
        ),
        (
            set("llama.rope.dimension_count", 7u32),
            "unusable llama.rope.dimension_count: 7; must be even",
        ),
        (
            set("llama.rope.freq_base", -1.0f32),
            "unusable llama.rope.freq_base: -1; must be a number above 0",
        ),
        (
            set("llama.rope.scaling.type", "yarn"),
            "unusable llama.rope.scaling.type: yarn; must be none or linear",
        ),
        (
            set("llama.attention.layer_norm_rms_epsilon", f32::NAN),
            "layer_norm_rms_epsilon: NaN",
        ),
        (
            set("neuronlab.activation", "gelu"),
            "unusable neuronlab.activation: gelu; must be silu, relu or drelu",
        ),
        (set("llama.feed_forward_length", 64u32), "ffn_gate.weight: shape"),
        (
            set("llama.attention.key_length", 64u32),
            "must be 64, as attention.key_length",
        ),
        (set("llama.block_count", 99u32), "unusable tensor blk."),
    ];
    for (index, (change, wanted)) in cases.iter().enumerate() {
        let refused = refusal("llama-f32", &format!("case-{index}"), change);
        assert!(refused.contains(wanted), "{refused}\nwanted: {wanted}");
    }
    let absent = Change {
        drop: vec!["llama.context_length"],
        ..Change::default()
    };
    assert!(refusal("llama-f32", "absent", &absent).contains("llama.context_length"));
    let gating = set("smallthinker.expert_gating_func", 3u32);
    assert!(refusal("smallthinker-softmax-f32", "gating", &gating).contains("must be 1 (softmax) or 2 (sigmoid)"));
    let used = set("smallthinker.expert_used_count", 9u32);
    assert!(refusal("smallthinker-softmax-f32", "used", &used).contains("at most expert_count"));
}

#[test]
fn a_tensor_that_is_missing_or_would_go_unused_is_refused_by_name() {
    let missing = Change {
        without: vec!["blk.0.ffn_down.weight"],
        ..Change::default()
    };
    let refused = refusal("llama-f32", "missing", &missing);
    assert!(
        refused.starts_with("unusable tensor blk.0.ffn_down.weight: nothing; must be in the file"),
        "{refused}"
    );
    let unknown = Change {
        rename: vec![("blk.0.ffn_norm.weight", "blk.0.post_ffw_norm.weight")],
        ..Change::default()
    };
    let refused = refusal("llama-f32", "unknown", &unknown);
    assert!(
        refused.contains("blk.0.post_ffw_norm.weight: a part with no known use"),
        "{refused}"
    );
}

fn logits(gguf: &Path, ffn: &MakeFfn) -> Vec<f32> {
    let mut session = session(gguf, Kernels::best(), 2, KvFormat::F32, 32, ffn);
    let mut all = session.forward(&[3, 1, 4, 1, 5], Want::All).unwrap().to_vec();
    all.extend_from_slice(session.forward(&[9], Want::Last).unwrap());
    all
}

fn greatest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn relu_forms_of_llama_are_three_different_models_and_sparse_agrees_with_dense_on_each() {
    let llama = reference("llama-f32");
    let relu = rewrite(&llama.gguf, "relu", &set("neuronlab.activation", "relu"));
    let drelu = rewrite(&llama.gguf, "drelu", &set("neuronlab.activation", "drelu"));
    let plain = logits(&llama.gguf, &dense);
    let (relu_dense, drelu_dense) = (logits(&relu, &dense), logits(&drelu, &dense));
    assert!(greatest_difference(&plain, &relu_dense) > 0.01);
    assert!(greatest_difference(&relu_dense, &drelu_dense) > 0.01);
    // Only the order of sums differs.
    assert!(greatest_difference(&relu_dense, &logits(&relu, &sparse)) < 1e-4);
    assert!(greatest_difference(&drelu_dense, &logits(&drelu, &sparse)) < 1e-4);
    let source = GgufSource::open(&llama.gguf).unwrap();
    let model = Model::load(&source, Kernels::best()).unwrap();
    assert!(sparse(&source, &model).is_err_and(|error| error.to_string().contains("silu")));
    for path in [relu, drelu] {
        std::fs::remove_file(path).unwrap();
    }
}

fn pack_beside(gguf: &Path, label: &str, order: NeuronOrder) -> PathBuf {
    let out = std::env::temp_dir().join(format!("neuronlab-model-{}-{label}.flash", std::process::id()));
    let options = PackOptions {
        arrangement: Arrangement::Bundles,
        down: DownChoice::Auto,
        group: GroupChoice::Fixed(4),
        order,
        threads: 1,
    };
    pack(gguf, &out, &options, &mut |_| ControlFlow::Continue(())).unwrap();
    out
}

fn packed_logits(path: &Path) -> Result<Vec<f32>, ModelError> {
    let source = FlashSource::open(path)?;
    let model = Model::load(&source, Kernels::best())?;
    let ffn = SparseFfn::load_packed(&source, model.config(), Kernels::best())?;
    let pool = Pool::new(&Options::new(2))?;
    let mut session = Session::new(model.into(), Box::new(ffn), pool, KvFormat::F32, 32)?;
    let mut all = session.forward(&[3, 1, 4, 1, 5], Want::All)?.to_vec();
    all.extend_from_slice(session.forward(&[9], Want::Last)?);
    Ok(all)
}

#[test]
fn a_packed_file_gives_the_bits_of_its_source_in_whatever_order_its_neurons_lie() {
    for name in ["smallthinker-dense-f32", "smallthinker-softmax-f32"] {
        let gguf = reference(name).gguf;
        let wanted = logits(&gguf, &sparse);
        let model = Model::load(&GgufSource::open(&gguf).unwrap(), Kernels::best()).unwrap();
        let config = model.config();
        let backwards: Vec<u32> = (0..config.neurons as u32).rev().collect();
        let reversed = NeuronOrder {
            layers: vec![Some(vec![backwards; config.experts]); config.layers],
        };
        for (label, order) in [("as-it-is", NeuronOrder::default()), ("reversed", reversed)] {
            let path = pack_beside(&gguf, &format!("{name}-{label}"), order);
            let found = packed_logits(&path);
            std::fs::remove_file(&path).unwrap();
            assert!(found.unwrap() == wanted, "{name} packed {label}");
        }
    }
}

#[test]
fn any_part_of_a_tensor_of_a_packed_file_is_what_the_source_has_there() {
    let reference = reference("smallthinker-dense-f32");
    let path = pack_beside(&reference.gguf, "parts", NeuronOrder::default());
    let (packed, source) = (FlashSource::open(&path).unwrap(), GgufSource::open(&reference.gguf).unwrap());
    let name = "token_embd.weight";
    let whole = packed.entry(name).unwrap().bytes;
    assert!(whole > 3 * 4096, "{whole}");
    // Inside a page, over its end, whole pages, and the tensor's own end.
    for (from, bytes) in [
        (0, 8),
        (100, 8),
        (4090, 12),
        (4096, 4096),
        (4000, 8500),
        (5, whole - 5),
        (whole - 3, 3),
        (whole, 0),
    ] {
        let read = |of: &dyn TensorSource| {
            let mut out = vec![0; bytes as usize];
            of.read(name, from, &mut out).unwrap();
            out
        };
        assert!(read(&packed) == read(&source), "{bytes} bytes from {from}");
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_packed_file_with_a_flipped_bit_is_refused() {
    let path = pack_beside(&reference("smallthinker-dense-f32").gguf, "flipped", NeuronOrder::default());
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 4096;
    bytes[last] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let refused = packed_logits(&path).expect_err("a checksum that does not fit");
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(refused, ModelError::Flash(_)), "{refused}");
}
