//! How a limit on the whole process is divided: what must be in memory first, the gate rows after that, up and down last. While a prompt
//! is read and while tokens are generated different things must be.

use flash::{BackendChoice, FlashFile, LayerLayout};
use model::{BATCH, KvFormat, ModelConfig};
use offload::{Division, Needs, Offload, OffloadOptions};

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
    /// FFNs in memory, or what of them can be while generating (bytes): all in memory, or the hot and the cold segment.
    pub ffn: u64,
    /// The rest while a prompt is read, where the FFNs are on flash.
    pub prefill: Share,
    /// The rest while tokens are generated, where the FFNs are on flash.
    pub decode: Share,
}

/// What one of the two phases holds beside what is always held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// What it needs.
    pub parts: Vec<Part>,
    /// Memory for gate rows (bytes).
    pub hot: u64,
    /// Memory for up and down (bytes).
    pub cold: u64,
    /// The part of what it needs that is for buffers of reads (bytes).
    pub(crate) reads: u64,
}

impl Share {
    /// As the engine takes it.
    pub(crate) fn division(&self) -> Division {
        Division {
            hot: self.hot as usize,
            cold: self.cold as usize,
            reads: self.reads as usize,
        }
    }
}

fn sum(parts: &[Part]) -> u64 {
    parts.iter().map(|part| part.bytes).sum()
}

/// Neurons that `offload` streams at once in prefill (its `BLOCK_NEURONS`): sizes its buffers.
const STREAMED_NEURONS: u64 = 1024;

/// Small tables, and what the allocator holds on to: for the process, and for each thread, which has a heap of its own.
/// (Measured as the growth of the process over the counted parts, rounded up.)
const HEAP: u64 = 36 << 20;
const HEAP_OF_THREAD: u64 = 3 << 20;

/// Threads that read beside those that compute, where FFNs are on flash.
pub(crate) fn reading_threads(options: &Options) -> u64 {
    match options.backend {
        BackendChoice::Lanes(lanes) => u64::from(lanes),
        BackendChoice::Uring(_) => 1,
    }
}

/// Whether segments of these sizes (hot, cold; bytes) are those of FFNs that are in memory whole: what a run in memory says of itself,
/// since it has no segments, is a hot one with room for up and down too.
pub(crate) fn is_whole(file: &FlashFile, segments: Option<(u64, u64)>) -> bool {
    segments.is_some_and(|(hot, _)| hot >= file.ffn_weight_bytes())
}

/// The record of what happens when, where one is kept.
pub(crate) fn of_timeline(options: &Options) -> Option<Part> {
    options.trace.then(|| Part {
        name: "the timeline",
        bytes: timeline::most_bytes(options.threads),
    })
}

/// What every way of running holds. `process` is what it held before any weight was loaded, `dense` the weights outside FFNs, `lines`
/// the tokens of a pass whose logits are wanted.
pub(crate) fn common(
    config: &ModelConfig,
    process: u64,
    dense: u64,
    (positions, format): (usize, KvFormat),
    lines: usize,
    threads: u64,
) -> Vec<Part> {
    let kv = (2 * format.bytes() * config.layers * config.kv_width() * positions) as u64;
    vec![
        Part {
            name: "logits of the tokens before a pass's last",
            bytes: 4 * (lines.saturating_sub(1) * config.vocabulary) as u64,
        },
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
            name: "heaps, and growth of the process",
            bytes: HEAP + threads * HEAP_OF_THREAD,
        },
    ]
}

/// Working memory of a pass over so many tokens, outside the FFNs.
pub(crate) fn pass(config: &ModelConfig, tokens: usize) -> Part {
    let widths = 3 * config.hidden + 2 * config.query_width() + 2 * config.kv_width() + config.rope.dims;
    let tokens = tokens.clamp(1, BATCH) as u64;
    Part {
        name: "working memory of a pass",
        // Activations are kept as floats and in the kernels' own formats, which together are no longer than the floats again.
        bytes: 4 * 2 * tokens * widths as u64 + 4 * config.vocabulary as u64,
    }
}

/// Working memory of FFNs in memory.
pub(crate) fn in_memory_pass(config: &ModelConfig, prompt: usize) -> u64 {
    let routes = (prompt.clamp(1, BATCH) * config.experts_used) as u64;
    4 * routes * (2 * config.neurons + 3 * config.hidden) as u64
}

/// What prefill reads at once.
fn streamed_bytes(layout: &LayerLayout) -> u64 {
    let neurons = STREAMED_NEURONS.max(u64::from(layout.shape().group));
    neurons.min(u64::from(layout.shape().neurons)) * bundle_bytes(layout)
}

fn bundle_bytes(layout: &LayerLayout) -> u64 {
    layout.expert_bytes() / u64::from(layout.shape().neurons.max(1)) + 1
}

/// What FFNs on flash hold in either phase.
fn on_flash(config: &ModelConfig, needs: &Needs) -> Vec<Part> {
    let keys = (needs.all_hot / needs.hot_slot.max(1) + needs.all_cold / needs.cold_slot.max(1)) as u64;
    let blocks = (config.experts_used * config.neurons.div_ceil(neuron::SUM_BLOCK)) as u64;
    vec![
        Part {
            name: "places of single neurons that are read",
            bytes: needs.stages as u64,
        },
        Part {
            name: "sums of neurons",
            bytes: 4 * blocks * config.hidden as u64,
        },
        Part {
            name: "tables of the neuron cache",
            bytes: 80 * keys + (1 << 20),
        },
    ]
}

/// What a prompt holds besides: blocks that stream past and the rows of one, and what its tokens need at once.
fn of_prefill(layout: &LayerLayout, config: &ModelConfig, options: &OffloadOptions, prompt: usize) -> Share {
    /// Large buffers are multiples of it.
    const GRAIN: u64 = 1 << 20;
    let streamed = streamed_bytes(layout);
    // One is computed while the next are read.
    let reads = (options.prefill_ahead as u64 + 1) * streamed.next_multiple_of(GRAIN);
    let tokens = prompt.clamp(1, BATCH) as u64;
    let parts = vec![
        pass(config, prompt),
        Part {
            name: "blocks that stream past, and the rows of one",
            bytes: reads + streamed,
        },
        Part {
            name: "neurons and sums of a prompt's tokens",
            bytes: 4 * tokens * (2 * STREAMED_NEURONS + 3 * config.hidden as u64),
        },
    ];
    Share {
        parts,
        reads,
        ..Share::default()
    }
}

/// What generating holds besides.
fn of_decode(config: &ModelConfig, needs: &Needs) -> Share {
    // A buffer of one page takes two from the system's allocator, which aligns it; others are rounded up to powers of two.
    let reads = 2 * needs.requested as u64;
    let parts = vec![
        pass(config, 1),
        Part {
            name: "reads in flight, and buffers for the next",
            bytes: reads,
        },
    ];
    Share {
        parts,
        reads,
        ..Share::default()
    }
}

/// Divides what is left of the memory beside `fixed` and the share's own parts between the share's segments, none larger than wanted. Where nothing is left, the answer is what
/// suffices for both phases: `least`, the parts beside `fixed` of the one that needs more.
fn segments(
    fixed: &[Part],
    share: &mut Share,
    (memory, wanted): (Option<u64>, Option<(u64, u64)>),
    needs: &Needs,
    least: &[Part],
) -> Result<(), GenerateError> {
    let held = sum(fixed) + sum(&share.parts);
    let left = match memory {
        None => u64::MAX,
        Some(allowed) if allowed >= held => allowed - held,
        Some(allowed) => {
            return Err(GenerateError::DoesNotFit {
                needed: sum(fixed) + sum(least),
                allowed,
                parts: [fixed, least].concat(),
                advice: "fewer --tokens, a shorter --prompt or a smaller --cluster need less",
            });
        }
    };
    let whole = |bytes: u64, slot: usize| bytes / slot.max(1) as u64 * slot as u64;
    let wanted = wanted.unwrap_or((u64::MAX, u64::MAX));
    let for_hot = if needs.hot_first {
        left
    } else {
        (left as f64 * needs.all_hot as f64 / (needs.all_hot + needs.all_cold).max(1) as f64) as u64
    };
    share.hot = whole(for_hot.min(needs.all_hot as u64).min(wanted.0), needs.hot_slot);
    share.cold = whole((left - share.hot).min(needs.all_cold as u64).min(wanted.1), needs.cold_slot);
    Ok(())
}

/// Divides a limit for FFNs on flash, once for each phase; with no limit, both segments hold everything.
pub(crate) fn divide(
    file: &FlashFile,
    config: &ModelConfig,
    offload: &OffloadOptions,
    options: &Options,
    mut fixed: Vec<Part>,
    prompt: usize,
) -> Result<Budget, GenerateError> {
    let needs = Offload::needs(file, config.experts_used as u32, offload)?;
    fixed.extend(on_flash(config, &needs));
    let (mut prefill, mut decode) = match file.layers().first() {
        Some(layout) if prompt > 1 => (of_prefill(layout, config, offload, prompt), of_decode(config, &needs)),
        // A prompt of one token is a step of decoding.
        _ => (of_decode(config, &needs), of_decode(config, &needs)),
    };
    let without_slots = Part {
        name: "neurons of a layer that have no slot",
        bytes: needs.beside as u64,
    };
    // With the least memory no neuron has a slot.
    let least = {
        let decode = [&decode.parts[..], std::slice::from_ref(&without_slots)].concat();
        if sum(&prefill.parts) > sum(&decode) {
            prefill.parts.clone()
        } else {
            decode
        }
    };
    // All in memory was wanted and has no room, or not in this form: then as much of it as there is room for.
    let limits = (options.memory, options.segments.filter(|_| !is_whole(file, options.segments)));
    for share in [&mut prefill, &mut decode] {
        segments(&fixed, share, limits, &needs, &least)?;
    }
    let holds = |bytes: u64, slot: usize, wanted: usize| bytes / slot.max(1) as u64 >= wanted as u64;
    if !holds(decode.hot, needs.hot_slot, needs.layer_hot) || !holds(decode.cold, needs.cold_slot, needs.layer_cold) {
        decode.parts.push(without_slots);
        segments(&fixed, &mut decode, limits, &needs, &least)?;
    }
    Ok(Budget {
        limit: options.memory,
        fixed,
        ffn: decode.hot + decode.cold,
        prefill,
        decode,
    })
}

/// Checks a limit for FFNs that are to be in memory whole.
pub(crate) fn whole(memory: Option<u64>, fixed: Vec<Part>, ffn: u64, advice: &'static str) -> Result<Budget, GenerateError> {
    let needed = ffn + sum(&fixed);
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
            ..Budget::default()
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::path::PathBuf;

    use flash::{FlashFile, PackOptions, pack};
    use model::ModelConfig;

    use super::{Part, divide, sum};
    use crate::{GenerateError, Options, open::ModelFile};

    /// A prompt needs more or generating does: either way what is told suffices, and is told whatever was allowed.
    #[test]
    fn the_least_that_is_told_works_and_does_not_depend_on_what_was_allowed() {
        let gguf =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../rivals/llama.cpp/fixtures/smallthinker-softmax-f32.gguf");
        let packed = std::env::temp_dir().join(format!("neuronlab-budget-{}.flash", std::process::id()));
        pack(&gguf, &packed, &PackOptions::default(), &mut |_| ControlFlow::Continue(())).unwrap();
        let file = FlashFile::open(&packed).unwrap();
        let config = ModelConfig::from_gguf(ModelFile::open(&gguf).unwrap().source().gguf()).unwrap();
        let held = 1_000_000;
        let with = |memory: u64, prompt: usize, segments: Option<(u64, u64)>| {
            let options = Options {
                memory: Some(memory),
                segments,
                ..Options::new(&packed, "")
            };
            let fixed = vec![Part {
                name: "what is held",
                bytes: held,
            }];
            divide(&file, &config, &options.offload(), &options, fixed, prompt)
        };
        let divided = |memory, prompt| with(memory, prompt, None);
        let all = file.ffn_weight_bytes();
        for prompt in [1, 2, 40, 500] {
            let Err(GenerateError::DoesNotFit { needed, parts, .. }) = divided(1, prompt) else {
                panic!("ran in a byte");
            };
            assert_eq!(sum(&parts), needed);
            let budget = divided(needed, prompt).unwrap();
            for phase in [&budget.prefill, &budget.decode] {
                assert!(
                    sum(&budget.fixed) + sum(&phase.parts) + phase.hot + phase.cold <= needed,
                    "prompt {prompt}"
                );
            }
            // Sizes of FFNs in memory whole are no sizes of segments; a byte less is one of a hot segment, and none of the cold one.
            for memory in [needed, needed + all / 2, needed + 2 * all] {
                let free = divided(memory, prompt).unwrap();
                assert_eq!(with(memory, prompt, Some((all, 0))).unwrap(), free);
                assert_eq!(with(memory, prompt, Some((all - 1, 0))).unwrap().decode.cold, 0);
            }
            assert!(divided(needed + 2 * all, prompt).unwrap().decode.cold > 0);
            for less in (held..needed).rev().step_by(100_000) {
                match divided(less, prompt) {
                    Ok(_) => panic!("{needed} bytes were told to be the least for a prompt of {prompt}, and {less} suffice"),
                    Err(GenerateError::DoesNotFit { needed: again, .. }) => {
                        assert_eq!(again, needed, "{less} bytes, prompt {prompt}")
                    }
                    Err(other) => panic!("{other}"),
                }
            }
        }
        std::fs::remove_file(&packed).unwrap();
    }
}
