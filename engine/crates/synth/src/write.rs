//! The file: metadata, then tensors row by row.

use std::ops::ControlFlow;
use std::path::Path;

use gguf::{TensorType, Writer};
use model::{Activation, Architecture};
use neuron::Format;
use pool::{Options, Pool};

use crate::design::{Design, NORM_EPSILON, ROPE_BASE};
use crate::planted::Planted;
use crate::rows::{Rows, Work, row_bytes};
use crate::tensors::{Tensor, tensors};
use crate::vocabulary::write_tokeniser;
use crate::{SynthError, SynthSpec};

/// Bytes that a thread makes before they are written.
const CHUNK: usize = 4 << 20;

/// What was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// The file's length (bytes).
    pub bytes: u64,
    /// What its metadata say was planted.
    pub planted: Planted,
}

/// How far something is: `done` of `total`, bytes where a file is written, tokens where one is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// So many are done.
    pub done: u64,
    /// Of so many.
    pub total: u64,
}

/// Hears of progress; with `Break` the work ends there, with [`SynthError::Cancelled`].
pub type Told<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// Tells, and makes an error of a `Break`.
pub(crate) fn tell(told: Told<'_>, done: u64, total: u64) -> Result<(), SynthError> {
    match told(Progress { done, total }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(SynthError::Cancelled),
    }
}

/// Writes the model of `spec` to `path`, with so many threads. The bytes depend on `spec` alone. The file appears under its
/// name when it is whole; memory stays at some megabytes a thread, however large it is.
pub fn write(spec: &SynthSpec, path: impl AsRef<Path>, threads: usize) -> Result<Written, SynthError> {
    write_told(spec, path, threads, &mut |_| ControlFlow::Continue(()))
}

/// The same; `told` hears of the bytes of tensors written and may stop it, which leaves nothing behind.
pub fn write_told(spec: &SynthSpec, path: impl AsRef<Path>, threads: usize, told: Told<'_>) -> Result<Written, SynthError> {
    let design = Design::new(spec)?;
    let planted = Planted::of(spec, &design);
    let mut writer = Writer::new(path);
    metadata(spec, &mut writer)?;
    planted.write(&mut writer)?;
    write_tokeniser(spec, &mut writer)?;
    let tensors = tensors(spec);
    for tensor in &tensors {
        writer.tensor(&tensor.name, &tensor.shape, kind(tensor.format))?;
    }
    let mut pool = Pool::new(&Options::new(threads))?;
    let mut data = writer.start().map_err(SynthError::Writing)?;
    let mut chunks: Vec<Chunk> = (0..threads).map(|_| Chunk::default()).collect();
    let total = data.tensors().iter().map(|tensor| tensor.bytes).sum();
    let mut done = 0;
    for tensor in &tensors {
        write_tensor(spec, &design, tensor, &mut pool, &mut chunks, &mut |bytes| {
            data.write(&tensor.name, bytes).map_err(SynthError::Writing)?;
            done += bytes.len() as u64;
            tell(told, done, total)
        })?;
    }
    Ok(Written {
        bytes: data.finish().map_err(SynthError::Writing)?,
        planted,
    })
}

/// Some rows of a tensor, made by one thread.
#[derive(Default)]
struct Chunk {
    work: Work,
    bytes: Vec<u8>,
    first: usize,
    rows: usize,
    fault: Option<SynthError>,
}

impl Chunk {
    fn fill(&mut self, rows: &Rows<'_>, row_bytes: usize) -> Result<(), SynthError> {
        self.bytes.resize(self.rows * row_bytes, 0);
        for (row, out) in (self.first..).zip(self.bytes.chunks_exact_mut(row_bytes)) {
            rows.write(row, &mut self.work, out)?;
        }
        Ok(())
    }
}

fn write_tensor(
    spec: &SynthSpec,
    design: &Design,
    tensor: &Tensor,
    pool: &mut Pool,
    chunks: &mut [Chunk],
    put: &mut dyn FnMut(&[u8]) -> Result<(), SynthError>,
) -> Result<(), SynthError> {
    let rows = Rows::new(spec, design, tensor);
    let row_bytes = row_bytes(tensor.format, tensor.cols())?;
    let (mut next, end) = (0, tensor.rows());
    // Chunks small enough that all threads share even a small tensor.
    let most = (CHUNK / row_bytes).min(end.div_ceil(chunks.len())).max(1);
    while next < end {
        for chunk in chunks.iter_mut() {
            chunk.first = next;
            chunk.rows = most.min(end - next);
            next += chunk.rows;
        }
        pool.run_each(chunks, |_, chunk| chunk.fault = chunk.fill(&rows, row_bytes).err());
        for chunk in chunks.iter_mut() {
            if let Some(fault) = chunk.fault.take() {
                return Err(fault);
            }
            if chunk.rows > 0 {
                put(&chunk.bytes)?;
            }
        }
    }
    Ok(())
}

const fn kind(format: Format) -> TensorType {
    match format {
        Format::F32 => TensorType::F32,
        Format::F16 => TensorType::F16,
        Format::Q8_0 => TensorType::Q8_0,
        Format::Q4_0 => TensorType::Q4_0,
        Format::Q6_K => TensorType::Q6_K,
    }
}

/// `general.file_type`: what most matrices are.
const fn file_type(format: Format) -> u32 {
    match format {
        Format::F32 => 0,
        Format::F16 => 1,
        Format::Q4_0 => 2,
        Format::Q8_0 => 7,
        Format::Q6_K => 18,
    }
}

fn metadata(spec: &SynthSpec, writer: &mut Writer) -> Result<(), SynthError> {
    let (shape, prefix) = (&spec.shape, spec.architecture.name());
    writer
        .metadata("general.architecture", prefix)?
        .metadata("general.name", spec.name.as_str())?
        .metadata("general.file_type", file_type(spec.format))?
        .metadata("general.quantization_version", 2u32)?;
    let sizes = [
        ("vocab_size", shape.vocabulary),
        ("context_length", shape.context),
        ("embedding_length", shape.hidden),
        ("block_count", shape.layers),
        ("feed_forward_length", shape.neurons),
        ("attention.head_count", shape.heads),
        ("attention.head_count_kv", shape.kv_heads),
        ("attention.key_length", shape.head_dim),
        ("attention.value_length", shape.head_dim),
        ("rope.dimension_count", shape.head_dim),
    ];
    for (key, size) in sizes {
        writer.metadata(&format!("{prefix}.{key}"), size as u32)?;
    }
    writer
        .metadata(&format!("{prefix}.attention.layer_norm_rms_epsilon"), NORM_EPSILON)?
        .metadata(&format!("{prefix}.rope.freq_base"), ROPE_BASE as f32)?;
    if spec.is_mixture() {
        writer
            .metadata(&format!("{prefix}.expert_count"), shape.experts as u32)?
            .metadata(&format!("{prefix}.expert_used_count"), shape.experts_used as u32)?;
    }
    if spec.architecture == Architecture::SmallThinker {
        writer
            .metadata("smallthinker.expert_feed_forward_length", shape.neurons as u32)?
            .metadata("smallthinker.expert_gating_func", 1u32)?;
    } else if spec.activation != Activation::Silu {
        writer.metadata("neuronlab.activation", spec.activation.name())?;
    }
    Ok(())
}
