//! The same bits, however the work is spread.

mod support;

use model::{KvFormat, Want};
use neuron::Kernels;
use support::{MakeFfn, Reference, committed, dense, is_sparse, session, sparse};

/// Logits after every token: a prompt in one piece, then some tokens one by one.
fn run(reference: &Reference, kernels: Kernels, threads: usize, ffn: &MakeFfn) -> Vec<u32> {
    let mut session = session(&reference.gguf, kernels, threads, KvFormat::F16, 64, ffn);
    let mut bits = Vec::new();
    let mut keep = |logits: &[f32]| bits.extend(logits.iter().map(|logit| logit.to_bits()));
    keep(session.forward(&reference.prompt, Want::All).unwrap());
    for &token in &reference.tokens[..8] {
        keep(session.forward(&[token], Want::Last).unwrap());
    }
    bits
}

fn each(check: impl Fn(&Reference, &MakeFfn)) {
    let references = committed();
    assert!(!references.is_empty());
    for reference in &references {
        check(reference, &dense);
        if is_sparse(reference) {
            check(reference, &sparse);
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    each(|reference, ffn| {
        let one = run(reference, Kernels::best(), 1, ffn);
        for threads in [2, 3, 5] {
            assert!(
                one == run(reference, Kernels::best(), threads, ffn),
                "{} on {threads} threads",
                reference.name
            );
        }
    });
}

#[test]
fn every_backend_gives_the_same_bits() {
    each(|reference, ffn| {
        let best = run(reference, Kernels::best(), 2, ffn);
        for kernels in Kernels::available() {
            assert!(
                best == run(reference, kernels, 2, ffn),
                "{} by {}",
                reference.name,
                kernels.name()
            );
        }
    });
}

#[test]
fn a_prompt_gives_the_same_bits_in_one_piece_in_two_and_token_by_token() {
    each(|reference, ffn| {
        let pieces = |sizes: &[usize]| {
            let mut session = session(&reference.gguf, Kernels::best(), 2, KvFormat::F16, 64, ffn);
            let (mut bits, mut rest) = (Vec::new(), &reference.prompt[..]);
            for &size in sizes {
                let (piece, after) = rest.split_at(size);
                let logits = session.forward(piece, Want::All).unwrap();
                bits.extend(logits.iter().map(|logit| logit.to_bits()));
                rest = after;
            }
            assert!(rest.is_empty());
            bits
        };
        let whole = pieces(&[16]);
        assert!(whole == pieces(&[5, 11]), "{} in two", reference.name);
        assert!(whole == pieces(&[1; 16]), "{} token by token", reference.name);
    });
}

#[test]
fn a_session_that_goes_back_gives_the_same_bits_again() {
    each(|reference, ffn| {
        let mut session = session(&reference.gguf, Kernels::best(), 2, KvFormat::F16, 64, ffn);
        session.forward(&reference.prompt[..8], Want::Nothing).unwrap();
        let first = session.forward(&reference.prompt[8..], Want::Last).unwrap().to_vec();
        session.truncate(8).unwrap();
        session.forward(&[1, 2, 3], Want::Nothing).unwrap();
        session.truncate(8).unwrap();
        assert_eq!(first, session.forward(&reference.prompt[8..], Want::Last).unwrap());
    });
}
