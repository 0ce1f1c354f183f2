//! From options to a report.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flash::{BackendUsed, FlashReader};
use model::{Event, KvFormat, ModelConfig, ModelError, Session};
use offload::LayerCounters;
use pool::Pool;
use text::{EncodeOptions, Sampler, Tokeniser};

use crate::place::{Placed, Wish};
use crate::report::{FlashUse, Phase, Predicted, Report};
use crate::watch::Watch;
use crate::{GenerateError, ModelFile, Options, resident};

/// What a run tells while it goes on.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// Everything is loaded.
    Loaded,
    /// Some of the prompt has been read.
    Prompt {
        /// Tokens read.
        done: usize,
        /// Tokens of the prompt.
        of: usize,
    },
    /// A token was chosen; the text that is complete with it, which may be empty.
    Text(&'a str),
}

/// Generates as the options say. `told` hears of every token as soon as it is chosen; with `Break` the run ends there, and the
/// report covers what was done.
pub fn run(options: &Options, told: &mut dyn FnMut(Told<'_>) -> ControlFlow<()>) -> Result<Report, GenerateError> {
    let begun = Instant::now();
    let file = ModelFile::open(&options.model)?;
    let gguf = file.source().gguf();
    let config = ModelConfig::from_gguf(gguf)?;
    let tokeniser = Tokeniser::from_metadata(&gguf.metadata)?;
    let mut sampler = Sampler::new(options.sampler.clone())?;
    let prompt = tokeniser.encode(&options.prompt, EncodeOptions::PROMPT);
    let positions = positions(&config, prompt.len(), options)?;
    let wish = Wish {
        options,
        config: &config,
        positions,
        prompt: prompt.len(),
    };
    let Placed {
        model,
        ffn,
        name,
        budget,
        reader,
        watch,
    } = wish.place(&file)?;
    let kernels = model.kernels().name();
    let pool = Pool::new(&pool::Options::new(options.threads)).map_err(ModelError::from)?;
    let mut session = Session::new(model, ffn, pool, KvFormat::F16, positions)?;
    prompt.iter().for_each(|&token| sampler.accept(token));
    let load = begun.elapsed();

    let meter = Meter { watch, reader };
    let at_start = meter.now();
    let mut text = String::new();
    let (mut after_prompt, mut stopped) = (at_start, told(Told::Loaded).is_break());
    let stops = model::GenerateOptions {
        tokens: options.tokens,
        stop_at_end: options.stop_at_end,
    };
    let generation = model::generate(&mut session, &tokeniser, &mut sampler, &prompt, stops, &mut |event| {
        let flow = match event {
            _ if stopped => ControlFlow::Break(()),
            Event::Prompt { done, of } => {
                after_prompt = meter.now();
                told(Told::Prompt { done, of })
            }
            Event::Token { text: more, .. } => {
                text.push_str(more);
                told(Told::Text(more))
            }
        };
        stopped |= flow.is_break();
        flow
    })?;
    let at_end = meter.now();
    let labels = if generation.labels.is_empty() {
        vec!["lossless"]
    } else {
        generation.labels
    };
    Ok(Report {
        architecture: config.architecture.name(),
        file: match file {
            ModelFile::Gguf(_) => "gguf",
            ModelFile::Packed(_) => "packed",
        },
        ffn: name,
        labels,
        kernels,
        threads: options.threads,
        load,
        prompt_tokens: prompt.len(),
        prompt: after_prompt.since(&at_start),
        decode: at_end.since(&after_prompt),
        rows: generation.rows,
        text,
        stop: generation.stop,
        fired: generation.counters.and_then(|counters| counters.share_fired()),
        predicted: session
            .ffn()
            .predicted()
            .and_then(|counters| Predicted::of(counters, options.audit)),
        flash: meter.flash_use(),
        budget,
        peak_resident: resident().map(|(_, peak)| peak),
        seed: options.sampler.seed,
    })
}

/// Positions that the KV cache needs, if the model has them: the last token is chosen but not run.
fn positions(config: &ModelConfig, prompt: usize, options: &Options) -> Result<usize, GenerateError> {
    let wrong = |name, what| Err(GenerateError::Input { name, what });
    if prompt == 0 {
        return wrong(
            "prompt",
            "has no tokens, and the model has none to begin with; give it some text".to_owned(),
        );
    }
    if options.tokens == 0 {
        return wrong("tokens", "should be at least 1, got 0".to_owned());
    }
    let needed = prompt.saturating_add(options.tokens - 1);
    if needed > config.context {
        let context = config.context;
        let what = format!(
            "{} after a prompt of {prompt} are more than the model's context of {context}",
            options.tokens
        );
        return wrong("tokens", what);
    }
    Ok(needed)
}

/// Reads the counters of a run.
struct Meter {
    watch: Watch,
    reader: Option<Arc<dyn FlashReader>>,
}

#[derive(Clone, Copy)]
struct Reading {
    at: Instant,
    ffn: Duration,
    counters: LayerCounters,
    disk_bytes: u64,
    disk_busy: Duration,
}

impl Meter {
    fn now(&self) -> Reading {
        let seen = self.watch.seen();
        let statistics = self.reader.as_ref().map(|reader| reader.statistics());
        let busy = statistics
            .as_ref()
            .map_or(0, |all| all.busy_ns.iter().sum::<u64>() / all.busy_ns.len().max(1) as u64);
        Reading {
            at: Instant::now(),
            ffn: seen.took,
            counters: seen.counters,
            disk_bytes: statistics.map_or(0, |all| all.bytes),
            disk_busy: Duration::from_nanos(busy),
        }
    }

    fn flash_use(&self) -> Option<FlashUse> {
        let reader = self.reader.as_ref()?;
        let statistics = reader.statistics();
        let quantile = |share| Duration::from_nanos(statistics.latency.quantile_ns(share));
        let used: &BackendUsed = reader.backend_used();
        Some(FlashUse {
            backend: used.to_string(),
            reads: statistics.reads,
            p50: quantile(0.5),
            p99: quantile(0.99),
            peak_buffer_bytes: statistics.peak_buffer_bytes,
        })
    }
}

impl Reading {
    fn since(&self, before: &Self) -> Phase {
        let (now, then) = (&self.counters, &before.counters);
        Phase {
            took: self.at - before.at,
            ffn: self.ffn.saturating_sub(before.ffn),
            counters: LayerCounters {
                gate_look_ups: now.gate_look_ups - then.gate_look_ups,
                gate_misses: now.gate_misses - then.gate_misses,
                look_ups: now.look_ups - then.look_ups,
                misses: now.misses - then.misses,
                fired: now.fired - then.fired,
                bytes: now.bytes - then.bytes,
            },
            disk_bytes: self.disk_bytes - before.disk_bytes,
            disk_busy: self.disk_busy.saturating_sub(before.disk_busy),
        }
    }
}
