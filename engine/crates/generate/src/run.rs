//! From options to a report.

use std::ops::ControlFlow;
use std::time::Instant;

use model::{Event, ModelConfig};
use spans::Tracer;
use text::{EncodeOptions, Sampler, Tokeniser};

use crate::loaded::Loaded;
use crate::report::{Predicted, Report};
use crate::sound::naming_weights;
use crate::timeline::Collector;
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
    naming_weights(&options.model, || generate(options, told))
}

fn generate(options: &Options, told: &mut dyn FnMut(Told<'_>) -> ControlFlow<()>) -> Result<Report, GenerateError> {
    let begun = Instant::now();
    let file = ModelFile::open(&options.model)?;
    let gguf = file.source().gguf();
    let config = ModelConfig::from_gguf(gguf)?;
    let tokeniser = Tokeniser::from_metadata(&gguf.metadata)?;
    let mut sampler = Sampler::new(options.sampler.clone())?;
    let prompt = tokeniser.encode(&options.prompt, EncodeOptions::PROMPT);
    let positions = positions(&config, prompt.len(), options)?;
    let loaded = Loaded::load(&file, config, options, positions, (prompt.len(), 1))?;
    let Loaded {
        facts,
        mut session,
        meter,
    } = loaded;
    prompt.iter().for_each(|&token| sampler.accept(token));
    let load = begun.elapsed();

    let tracer = if options.trace {
        Tracer::new(options.threads)
    } else {
        Tracer::off()
    };
    session.trace(&tracer);
    let at_start = meter.now();
    let mut collector = Collector::new(tracer, options.threads, at_start);
    let mut text = String::new();
    let (mut after_prompt, mut stopped) = (at_start, told(Told::Loaded).is_break());
    let mut first = true;
    let stops = model::GenerateOptions {
        tokens: options.tokens,
        stop_at_end: options.stop_at_end,
    };
    let generation = model::generate(&mut session, &tokeniser, &mut sampler, &prompt, stops, &mut |event| {
        let flow = match event {
            _ if stopped => ControlFlow::Break(()),
            Event::Prompt { done, of } => {
                after_prompt = meter.now();
                collector.prompt(|| after_prompt);
                told(Told::Prompt { done, of })
            }
            Event::Token { text: more, row } => {
                // The first token is chosen from the prompt's logits, without a pass.
                if !std::mem::replace(&mut first, false) {
                    collector.token(row.took, || meter.now());
                }
                text.push_str(more);
                told(Told::Text(more))
            }
        };
        stopped |= flow.is_break();
        flow
    })?;
    let at_end = meter.now();
    Ok(Report {
        architecture: facts.architecture,
        shape: facts.shape,
        file: facts.file,
        ffn: facts.ffn,
        labels: facts.labels,
        kernels: facts.kernels,
        threads: facts.threads,
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
        budget: facts.budget,
        peak_resident: resident().map(|(_, peak)| peak),
        seed: options.sampler.seed,
        adaptation: options.adapt.map(|_| meter.decisions.so_far()),
        timeline: collector.finish(),
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
