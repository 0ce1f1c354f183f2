//! Generation: order of events, reasons to stop, cancelling, perplexity.

mod support;

use std::ops::ControlFlow;

use gguf::Gguf;
use model::{Event, GenerateOptions, KvFormat, ModelError, Session, Stop, Want, generate, perplexity};
use neuron::Kernels;
use support::{Reference, committed, dense, session};
use text::{Sampler, SamplerOptions, Tokeniser};

fn reference() -> Reference {
    let found = committed().into_iter().find(|reference| reference.name == "llama-f32");
    found.expect("the committed reference llama-f32")
}

fn start(reference: &Reference, context: usize) -> (Session, Tokeniser, Sampler) {
    let session = session(&reference.gguf, Kernels::best(), 2, KvFormat::F32, context, &dense);
    let tokeniser = Tokeniser::from_metadata(&Gguf::open(&reference.gguf).unwrap().metadata).unwrap();
    (session, tokeniser, Sampler::new(SamplerOptions::default()).unwrap())
}

const ALL: GenerateOptions = GenerateOptions {
    tokens: 64,
    stop_at_end: false,
};

#[test]
fn greedy_generation_gives_llama_cpps_tokens_each_with_its_text() {
    let reference = reference();
    let (mut session, tokeniser, mut sampler) = start(&reference, 128);
    let (mut text, mut seen) = (String::new(), Vec::new());
    let mut on_event = |event: Event<'_>| {
        match event {
            Event::Prompt { done, of } => assert_eq!((done, of), (16, 16)),
            Event::Token { row, text: piece } => {
                seen.push(row.token);
                text.push_str(piece);
            }
        }
        ControlFlow::Continue(())
    };
    let generation = generate(&mut session, &tokeniser, &mut sampler, &reference.prompt, ALL, &mut on_event).unwrap();
    assert_eq!(seen, reference.tokens);
    assert_eq!(generation.stop, Stop::Length);
    assert_eq!(
        generation.rows.iter().map(|row| row.token).collect::<Vec<_>>(),
        reference.tokens
    );
    assert!(!text.is_empty());
    assert_eq!(session.position(), 16 + 63);
}

#[test]
fn generation_ends_when_the_context_is_full_or_the_callback_says_so() {
    let reference = reference();
    let (mut full, tokeniser, mut sampler) = start(&reference, 20);
    let mut go_on = |_: Event<'_>| ControlFlow::Continue(());
    let generation = generate(&mut full, &tokeniser, &mut sampler, &reference.prompt, ALL, &mut go_on).unwrap();
    assert_eq!(generation.stop, Stop::ContextFull);
    assert_eq!(generation.rows.len(), 5);

    let (mut cancelled, tokeniser, mut sampler) = start(&reference, 128);
    let mut left = 3;
    let mut count_down = |event: Event<'_>| {
        if matches!(event, Event::Token { .. }) {
            left -= 1;
        }
        if left == 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let generation = generate(
        &mut cancelled,
        &tokeniser,
        &mut sampler,
        &reference.prompt,
        ALL,
        &mut count_down,
    )
    .unwrap();
    assert_eq!(generation.stop, Stop::Cancelled);
    assert_eq!(generation.rows.len(), 3);
}

#[test]
fn wrong_calls_are_told_what_would_be_right_and_leave_the_session_as_it_was() {
    let reference = reference();
    let (mut session, ..) = start(&reference, 8);
    let error = session.forward(&reference.prompt, Want::Last).unwrap_err();
    assert!(
        matches!(error, ModelError::ContextFull { wanted: 16, capacity: 8 }),
        "{error}"
    );
    let error = session.forward(&[272], Want::Last).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no such token: 272; the vocabulary has 272, numbered from 0"
    );
    assert!(session.forward(&[], Want::Last).is_err());
    assert!(session.last_logits().is_err());
    assert!(session.truncate(1).is_err());
    assert_eq!(session.position(), 0);
    session.forward(&[1], Want::Nothing).unwrap();
    assert!(session.last_logits().is_err());
}

#[test]
fn perplexity_is_that_of_the_probabilities_of_a_plain_forward_pass() {
    let reference = reference();
    let (mut session, ..) = start(&reference, 128);
    let tokens: Vec<u32> = reference.prompt.iter().chain(&reference.tokens).copied().collect();
    let found = perplexity(&mut session, &tokens, 40).unwrap();
    assert_eq!(found.scored, 2 * 19);
    let mut sum = 0.0;
    for window in tokens.chunks_exact(40) {
        session.truncate(0).unwrap();
        for next in 1..40 {
            let logits = session.forward(&[window[next - 1]], Want::Last).unwrap();
            if next > 20 {
                let all: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
                sum -= (f64::from(logits[window[next] as usize]).exp() / all).ln();
            }
        }
    }
    let wanted = (sum / 38.0).exp();
    assert!((found.perplexity / wanted - 1.0).abs() < 1e-6, "{found:?}; wanted {wanted}");
    assert!(perplexity(&mut session, &tokens, 2).is_err());
    assert!(perplexity(&mut session, &tokens, 81).is_err());
}
