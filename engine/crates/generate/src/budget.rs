//! How a limit on the whole process is divided: what must be in memory first, the gate rows after that, up and down last.

use flash::{BackendChoice, FlashFile, LayerLayout};
use model::{BATCH, ModelConfig};
use offload::{Needs, Offload, OffloadOptions};

use crate::GenerateError;
use crate::options::Options;
use crate::timeline;

/// Something that needs memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What.
    pub name: &'static str,
    /// How much (bytes).
    pub bytes: u64,
}

/// What a run holds in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// The limit that was set (bytes); `None` where all may be in memory.
    pub limit: Option<u64>,
    /// What is always held.
    pub fixed: Vec<Part>,
    /// FFNs in memory, or what of them can be (bytes): all in memory, or the hot and the cold segment.
    pub ffn: u64,
    /// Memory for gate rows (bytes), where the FFNs are on flash.
    pub hot: u64,
    /// Memory for up and down (bytes), where the FFNs are on flash.
    pub cold: u64,
}

/// Neurons that `offload` streams at once in prefill (its `BLOCK_NEURONS`): sizes its buffers.
const STREAMED_NEURONS: u64 = 1024;

/// Small tables, and what the allocator holds on to: for the process, and for each thread, which has a heap of its own.
/// (Measured as the growth of the process over the counted parts, rounded up.)
const HEAP: u64 = 36 << 20;
const HEAP_OF_THREAD: u64 = 3 << 20;

/// Threads of a run: those that compute, and those that read when there is a limit of memory.
pub(crate) fn threads(options: &Options) -> u64 {
    let reading = match (options.memory, options.backend) {
        (None, _) => 0,
        (Some(_), BackendChoice::Lanes(lanes)) => u64::from(lanes),
        (Some(_), BackendChoice::Uring(_)) => 1,
    };
    options.threads as u64 + reading
}

/// The record of what happens when, where one is kept.
pub(crate) fn of_timeline(options: &Options) -> Option<Part> {
    options.trace.then(|| Part {
        name: "the timeline",
        bytes: timeline::most_bytes(options.threads),
    })
}

/// What every way of running holds. `process` is what it held before any weight was loaded, `dense` the weights outside FFNs, `pass`
/// the tokens of the longest pass and those of them whose logits are wanted.
pub(crate) fn common(
    config: &ModelConfig,
    process: u64,
    dense: u64,
    positions: usize,
    pass: (usize, usize),
    threads: u64,
) -> Vec<Part> {
    let (prompt, lines) = pass;
    let tokens = prompt.clamp(1, BATCH) as u64;
    let kv = 2 * 2 * (config.layers * config.kv_width() * positions) as u64;
    let widths = 3 * config.hidden + 2 * config.query_width() + 2 * config.kv_width() + config.rope.dims;
    // Activations are kept as floats and in the kernels' own formats, which together are no longer than the floats again.
    let pass = 4 * 2 * tokens * widths as u64 + 4 * (lines * config.vocabulary) as u64;
    vec![
        Part {
            name: "the process, its tables and the tokeniser",
            bytes: process,
        },
        Part {
            name: "weights outside the FFNs",
            bytes: dense,
        },
        Part {
            name: "KV cache",
            bytes: kv,
        },
        Part {
            name: "working memory of a pass",
            bytes: pass,
        },
        Part {
            name: "heaps, and growth of the process",
            bytes: HEAP + threads * HEAP_OF_THREAD,
        },
    ]
}

/// Working memory of FFNs in memory.
pub(crate) fn in_memory_pass(config: &ModelConfig, prompt: usize) -> u64 {
    let routes = (prompt.clamp(1, BATCH) * config.experts_used) as u64;
    4 * routes * (2 * config.neurons + 3 * config.hidden) as u64
}

/// Bytes of free buffers that a reader keeps for reuse: as much as prefill streams ahead, so that buffers are not made anew for
/// every block. Decoding keeps fewer and smaller ones.
pub(crate) fn keep_bytes(file: &FlashFile, options: &OffloadOptions) -> usize {
    file.layers()
        .first()
        .map_or(0, |layout| streamed_bytes(layout) * (options.prefill_ahead as u64 + 1)) as usize
}

/// What prefill reads at once.
fn streamed_bytes(layout: &LayerLayout) -> u64 {
    let neurons = STREAMED_NEURONS.max(u64::from(layout.shape().group));
    neurons.min(u64::from(layout.shape().neurons)) * bundle_bytes(layout)
}

fn bundle_bytes(layout: &LayerLayout) -> u64 {
    layout.expert_bytes() / u64::from(layout.shape().neurons.max(1)) + 1
}

/// Working memory of FFNs on flash: blocks being read and computed, sums, and the cache's own tables.
fn on_flash_pass(file: &FlashFile, config: &ModelConfig, options: &OffloadOptions, needs: &Needs, prompt: usize) -> Vec<Part> {
    let Some(layout) = file.layers().first() else {
        return Vec::new();
    };
    // What is kept was in flight before; a buffer of one page takes two from the system's allocator, which aligns it.
    let in_flight = (2 * needs.reading as u64).max(streamed_bytes(layout));
    let reads = keep_bytes(file, options) as u64 + in_flight;
    let tokens = prompt.clamp(1, BATCH) as u64;
    let hidden = config.hidden as u64;
    let blocks = (config.experts_used * config.neurons.div_ceil(neuron::SUM_BLOCK)) as u64;
    let sums = 4 * (tokens * (STREAMED_NEURONS + 3 * hidden) + blocks * hidden);
    let keys = (needs.all_hot / needs.hot_slot.max(1) + needs.all_cold / needs.cold_slot.max(1)) as u64;
    vec![
        Part {
            name: "reads in flight, and buffers for the next",
            bytes: reads,
        },
        Part {
            name: "sums of neurons",
            bytes: sums,
        },
        Part {
            name: "tables of the neuron cache",
            bytes: 80 * keys + (1 << 20),
        },
    ]
}

/// Sizes of the hot and the cold segment beside what is always held.
fn segments(fixed: &[Part], options: &Options, needs: &Needs) -> Result<(u64, u64), GenerateError> {
    let held: u64 = fixed.iter().map(|part| part.bytes).sum();
    let left = match options.memory {
        None => u64::MAX,
        Some(allowed) if allowed >= held => allowed - held,
        Some(allowed) => {
            return Err(GenerateError::DoesNotFit {
                needed: held,
                allowed,
                parts: fixed.to_vec(),
                advice: "fewer --tokens, a shorter --prompt or a smaller --cluster need less",
            });
        }
    };
    let whole = |bytes: u64, slot: usize| bytes / slot.max(1) as u64 * slot as u64;
    let wanted = options.segments.unwrap_or((u64::MAX, u64::MAX));
    let for_hot = if needs.hot_first {
        left
    } else {
        (left as f64 * needs.all_hot as f64 / (needs.all_hot + needs.all_cold).max(1) as f64) as u64
    };
    let hot = whole(for_hot.min(needs.all_hot as u64).min(wanted.0), needs.hot_slot);
    let cold = whole((left - hot).min(needs.all_cold as u64).min(wanted.1), needs.cold_slot);
    Ok((hot, cold))
}

/// Divides a limit for FFNs on flash; with no limit, both segments hold everything.
pub(crate) fn divide(
    file: &FlashFile,
    config: &ModelConfig,
    offload: &OffloadOptions,
    options: &Options,
    mut fixed: Vec<Part>,
    prompt: usize,
) -> Result<Budget, GenerateError> {
    let needs = Offload::needs(file, config.experts_used as u32, offload)?;
    fixed.extend(on_flash_pass(file, config, offload, &needs, prompt));
    let (mut hot, mut cold) = segments(&fixed, options, &needs)?;
    let holds = |bytes: u64, slot: usize, wanted: usize| bytes / slot.max(1) as u64 >= wanted as u64;
    if !holds(hot, needs.hot_slot, needs.layer_hot) || !holds(cold, needs.cold_slot, needs.layer_cold) {
        fixed.push(Part {
            name: "neurons of a layer that have no slot",
            bytes: needs.beside as u64,
        });
        (hot, cold) = segments(&fixed, options, &needs)?;
    }
    Ok(Budget {
        limit: options.memory,
        fixed,
        ffn: hot + cold,
        hot,
        cold,
    })
}

/// Checks a limit for FFNs that are to be in memory whole.
pub(crate) fn whole(memory: Option<u64>, fixed: Vec<Part>, ffn: u64, advice: &'static str) -> Result<Budget, GenerateError> {
    let needed = ffn + fixed.iter().map(|part| part.bytes).sum::<u64>();
    match memory {
        Some(allowed) if allowed < needed => {
            let mut parts = fixed;
            parts.push(Part {
                name: "FFNs",
                bytes: ffn,
            });
            Err(GenerateError::DoesNotFit {
                needed,
                allowed,
                parts,
                advice,
            })
        }
        limit => Ok(Budget {
            limit,
            fixed,
            ffn,
            hot: 0,
            cold: 0,
        }),
    }
}
