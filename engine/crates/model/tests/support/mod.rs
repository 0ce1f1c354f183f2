//! What llama.cpp computes for a model file, and how far this crate is from it.
#![allow(dead_code, reason = "each test and example uses some of it")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{DenseFfn, FeedForward, GgufSource, KvFormat, Model, ModelError, Session, TensorSource, Want};
use neuron::Kernels;
use pool::{Options, Pool};

/// A model file with llama.cpp's results, as engine/rivals/llama.cpp writes them: `NAME.gguf`, `NAME.json` or `NAME.tokens`
/// (prompt, greedy tokens), logits after every token of the prompt.
pub struct Reference {
    pub name: String,
    pub gguf: PathBuf,
    pub prompt: Vec<u32>,
    /// Greedy tokens after the prompt, with keys and values in F32.
    pub tokens: Vec<u32>,
    /// Logits with keys and values in F32: prompt by vocabulary.
    pub logits_f32: Vec<f32>,
    /// The same in F16.
    pub logits_f16: Vec<f32>,
    /// How far llama.cpp's own ways of computing the same are apart, where the file says so.
    pub noise: Option<f32>,
}

/// Numbers of the array that follows `"key":` in a flat JSON text.
fn numbers(text: &str, key: &str) -> Option<Vec<u32>> {
    let (_, rest) = text.split_once(&format!("\"{key}\":"))?;
    let inside = rest.trim_start().strip_prefix('[')?;
    let (inside, _) = inside.split_once(']')?;
    inside.split(',').map(|number| number.trim().parse().ok()).collect()
}

fn number(text: &str, key: &str) -> Option<f32> {
    let (_, rest) = text.split_once(&format!("\"{key}\":"))?;
    let end = rest.find([',', '}', '\n'])?;
    rest[..end].trim().parse().ok()
}

fn floats(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    bytes
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes")))
        .collect()
}

impl Reference {
    /// All references in a folder, by name.
    pub fn all(folder: &Path) -> Vec<Self> {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return Vec::new();
        };
        let mut names: Vec<PathBuf> = entries
            .map(|entry| entry.expect("a readable folder").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "gguf"))
            .collect();
        names.sort();
        names.iter().map(|gguf| Self::read(gguf)).collect()
    }

    fn read(gguf: &Path) -> Self {
        let with = |extension: &str| gguf.with_extension(extension);
        let committed = with("json").exists();
        let text = std::fs::read_to_string(if committed { with("json") } else { with("tokens") });
        let text = text.unwrap_or_else(|error| panic!("no results beside {}: {error}", gguf.display()));
        let (f32s, f16s) = if committed {
            ("kv-f32.logits", "kv-f16.logits")
        } else {
            ("logits", "kv16.logits")
        };
        Self {
            name: gguf.file_stem().expect("a name").to_string_lossy().into_owned(),
            gguf: gguf.to_path_buf(),
            prompt: numbers(&text, "prompt").expect("a prompt"),
            tokens: numbers(&text, "tokens").expect("tokens"),
            logits_f32: floats(&with(f32s)),
            logits_f16: floats(&with(f16s)),
            noise: number(&text, "all"),
        }
    }

    /// What two correct programs may differ by, and why.
    ///
    /// F32 weights and KV: only the order of sums differs. F16 KV: a key or value at the middle between two halves may round
    /// either way, and llama.cpp rounds queries and attention's weights to F16 as well. F16 weights: llama.cpp rounds activations to
    /// F16 before products, this engine does not. Quantised weights: both round activations to eight bits, after sums in another order,
    /// and sparse FFNs do not round what goes into down; a last-bit difference becomes a whole step of 1/254 of a block's largest.
    pub fn tolerance(&self, kv: KvFormat) -> f32 {
        let format = self.name.rsplit('-').next().unwrap_or_default();
        let floor: f32 = match (format, kv) {
            ("f32", KvFormat::F32) => return 1e-4,
            ("f32", KvFormat::F16) => 0.02,
            ("f16", _) => 0.03,
            _ => 0.5,
        };
        floor.max(4.0 * self.noise.unwrap_or(0.0))
    }
}

/// How far two sets of logits are apart, and what became of the greedy tokens.
#[derive(Debug, Clone, Copy)]
pub struct Distance {
    /// Greatest absolute difference of a logit after a token of the prompt.
    pub logits: f32,
    /// Steps at which the greedy token is llama.cpp's.
    pub same: usize,
    /// Steps at which it is another one, and llama.cpp's is behind it by no more than twice the tolerance.
    pub close_calls: usize,
    /// Steps at which it is plainly another one.
    pub wrong: usize,
    /// The greatest lead of another token over llama.cpp's.
    pub lead: f32,
}

pub type MakeFfn = dyn Fn(&dyn TensorSource, &Model) -> Result<Box<dyn FeedForward>, ModelError>;

pub fn dense(source: &dyn TensorSource, model: &Model) -> Result<Box<dyn FeedForward>, ModelError> {
    Ok(Box::new(DenseFfn::load(source, model.config(), *model.kernels())?))
}

/// A session over a model file.
pub fn session(gguf: &Path, kernels: Kernels, threads: usize, kv: KvFormat, context: usize, ffn: &MakeFfn) -> Session {
    let open = || -> Result<Session, ModelError> {
        let source = GgufSource::open(gguf)?;
        let model = Model::load(&source, kernels)?;
        let ffn = ffn(&source, &model)?;
        Session::new(Arc::new(model), ffn, Pool::new(&Options::new(threads))?, kv, context)
    };
    open().unwrap_or_else(|error| panic!("{}: {error}", gguf.display()))
}

pub fn argmax(logits: &[f32]) -> usize {
    (0..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best })
}

/// Runs the reference's prompt and then its tokens, each after llama.cpp's, so that one close call does not hide the rest.
pub fn compare(reference: &Reference, kernels: Kernels, threads: usize, kv: KvFormat, ffn: &MakeFfn) -> Distance {
    let context = reference.prompt.len() + reference.tokens.len();
    let mut session = session(&reference.gguf, kernels, threads, kv, context, ffn);
    let vocabulary = session.model().config().vocabulary;
    let tolerance = reference.tolerance(kv);
    let wanted = match kv {
        KvFormat::F32 => &reference.logits_f32,
        KvFormat::F16 => &reference.logits_f16,
    };
    let logits = session.forward(&reference.prompt, Want::All).expect("a prompt that fits");
    assert_eq!(logits.len(), wanted.len(), "{}: logits of another shape", reference.name);
    let mut distance = Distance {
        logits: logits.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max),
        same: 0,
        close_calls: 0,
        wrong: 0,
        lead: 0.0,
    };
    let mut last = logits[logits.len() - vocabulary..].to_vec();
    for &token in &reference.tokens {
        let best = argmax(&last);
        let lead = last[best] - last[token as usize];
        distance.lead = distance.lead.max(lead);
        if best == token as usize {
            distance.same += 1;
        } else if lead <= 2.0 * tolerance {
            distance.close_calls += 1;
        } else {
            distance.wrong += 1;
        }
        last = session.forward(&[token], Want::Last).expect("a token that fits").to_vec();
    }
    distance
}

/// FFNs in memory, sparse: only for ReLU models.
pub fn sparse(source: &dyn TensorSource, model: &Model) -> Result<Box<dyn FeedForward>, ModelError> {
    Ok(Box::new(model::SparseFfn::load(source, model.config(), *model.kernels())?))
}

/// Whether the model's activation leaves neurons out.
pub fn is_sparse(reference: &Reference) -> bool {
    reference.name.starts_with("smallthinker")
}

/// The references that are committed beside the tools that make them.
pub fn committed() -> Vec<Reference> {
    Reference::all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rivals/llama.cpp/fixtures"))
}
