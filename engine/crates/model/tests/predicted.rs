//! FFNs under a predictor: what it names is computed as the model has it, and nothing else.

mod support;

use std::sync::Arc;

use model::{
    Batches, FeedForward, GgufSource, LowRank, Model, ModelError, NeuronPredictor, PredictedFfn, PredictorInput, Session,
    SparseFfn, Tensor, TensorSource, Want,
};
use neuron::{Format, Kernels};
use support::{Reference, committed, is_sparse, session, sparse};

/// A predictor with the same rank everywhere.
struct Fixed {
    first: Vec<Tensor>,
    second: Vec<Tensor>,
    experts: usize,
    threshold: f32,
    input: PredictorInput,
    rectified: bool,
}

impl NeuronPredictor for Fixed {
    fn input(&self) -> PredictorInput {
        self.input
    }

    fn low_rank(&self, layer: usize, expert: usize) -> Result<LowRank<'_>, ModelError> {
        let part = |tensor: &Tensor| -> Result<_, ModelError> {
            let rows = tensor.rows() / self.experts;
            Ok((rows, expert * rows..(expert + 1) * rows))
        };
        let (first, second) = (&self.first[layer], &self.second[layer]);
        Ok(LowRank {
            first: first.matrix()?.slice(part(first)?.1)?,
            second: second.matrix()?.slice(part(second)?.1)?,
            threshold: self.threshold,
            rectified: self.rectified,
        })
    }

    fn bytes(&self) -> u64 {
        self.first.iter().chain(&self.second).map(Tensor::bytes).sum()
    }
}

fn tensor(rows: usize, cols: usize, weight: impl Fn(usize, usize) -> f32) -> Tensor {
    let weights: Vec<f32> = (0..rows * cols).map(|i| weight(i / cols, i % cols)).collect();
    let mut tensor = Tensor::zeroed(Format::F32, rows, cols, "a test").unwrap();
    tensor.set_rows(0, &weights).unwrap();
    tensor
}

/// Says nothing of use: half of the scores are above zero, whichever neurons those are.
fn careless(model: &Model, threshold: f32, input: PredictorInput) -> Fixed {
    const RANK: usize = 20;
    let config = model.config();
    let weight = |row: usize, col: usize| ((row * 7919 + col * 104_729) % 1009) as f32 / 504.5 - 1.0;
    let (experts, hidden, neurons) = (config.experts, config.hidden, config.neurons);
    Fixed {
        first: (0..config.layers)
            .map(|layer| tensor(experts * RANK, hidden, |row, col| weight(row + layer, col)))
            .collect(),
        second: (0..config.layers)
            .map(|layer| tensor(experts * neurons, RANK, |row, col| weight(row, col + layer)))
            .collect(),
        experts,
        threshold,
        input,
        rectified: true,
    }
}

/// Knows the gates: they are its first matrix.
fn all_knowing(source: &dyn TensorSource, model: &Model) -> Fixed {
    let config = model.config();
    let shape = [config.hidden as u64, config.neurons as u64, config.experts as u64];
    let gate = |layer| Tensor::load(source, &format!("blk.{layer}.ffn_gate_exps.weight"), &shape).unwrap();
    let neurons = config.neurons;
    Fixed {
        first: (0..config.layers).map(gate).collect(),
        second: (0..config.layers)
            .map(|_| {
                tensor(config.experts * neurons, neurons, |row, col| {
                    f32::from(u8::from(row % neurons == col))
                })
            })
            .collect(),
        experts: config.experts,
        threshold: f32::MIN_POSITIVE,
        input: PredictorInput::Normed,
        rectified: false,
    }
}

type MakePredictor<'a> = &'a dyn Fn(&dyn TensorSource, &Model) -> Fixed;

fn predicted(
    reference: &Reference,
    kernels: Kernels,
    threads: usize,
    batches: Batches,
    audit: bool,
    make: MakePredictor<'_>,
) -> Session {
    // The callback of `session` must live as long as any; the predictor is made before it.
    let source = GgufSource::open(&reference.gguf).unwrap();
    let predictor = Arc::new(make(&source, &Model::load(&source, kernels).unwrap()));
    session(
        &reference.gguf,
        kernels,
        threads,
        model::KvFormat::F16,
        64,
        &move |source, model| {
            let exact = SparseFfn::load(source, model.config(), *model.kernels())?;
            let predictor = Arc::clone(&predictor) as Arc<dyn NeuronPredictor>;
            let mut ffn = PredictedFfn::new(exact, model.config(), predictor, batches)?;
            if audit {
                ffn.audit();
            }
            Ok(Box::new(ffn) as Box<dyn FeedForward>)
        },
    )
}

/// Logits after a prompt in one piece and after each of some tokens, and the session.
fn run(mut session: Session, reference: &Reference) -> (Vec<u32>, Session) {
    let mut bits = Vec::new();
    let mut keep = |logits: &[f32]| bits.extend(logits.iter().map(|logit| logit.to_bits()));
    keep(session.forward(&reference.prompt, Want::All).unwrap());
    for &token in &reference.tokens[..6] {
        keep(session.forward(&[token], Want::Last).unwrap());
    }
    (bits, session)
}

fn each(check: impl Fn(&Reference)) {
    let references: Vec<Reference> = committed().into_iter().filter(is_sparse).collect();
    assert!(references.len() > 3);
    references.iter().for_each(check);
}

#[test]
fn a_threshold_that_every_score_reaches_computes_the_model() {
    each(|reference| {
        let exact = session(&reference.gguf, Kernels::best(), 2, model::KvFormat::F16, 64, &sparse);
        let (wanted, _) = run(exact, reference);
        for batches in [Batches::Exact, Batches::Predicted] {
            let make: MakePredictor<'_> = &|_, model| careless(model, f32::NEG_INFINITY, PredictorInput::Normed);
            let (found, session) = run(predicted(reference, Kernels::best(), 2, batches, true, make), reference);
            assert!(found == wanted, "{} {batches:?}", reference.name);
            let counters = session.ffn().predicted().unwrap();
            assert_eq!(counters.predicted, counters.scored);
            assert_eq!(counters.recall(), Some(1.0));
        }
    });
}

#[test]
fn one_that_knows_the_gates_names_those_that_fire_and_no_other() {
    each(|reference| {
        // Only in F32 is a score the gate's own bits.
        if !reference.name.ends_with("f32") {
            return;
        }
        let exact = session(&reference.gguf, Kernels::best(), 2, model::KvFormat::F16, 64, &sparse);
        let (wanted, _) = run(exact, reference);
        let (found, session) = run(
            predicted(reference, Kernels::best(), 3, Batches::Predicted, true, &all_knowing),
            reference,
        );
        assert!(found == wanted, "{}", reference.name);
        let counters = session.ffn().predicted().unwrap();
        assert_eq!(counters.predicted, counters.fired);
        assert!(counters.fired.iter().sum::<u64>() > 0 && counters.missed.iter().all(|&missed| missed == 0));
    });
}

#[test]
fn a_careless_one_misses_what_it_does_not_name_and_the_audit_says_how_much() {
    each(|reference| {
        for input in [PredictorInput::Normed, PredictorInput::Stream] {
            let make: MakePredictor<'_> = &|_, model| careless(model, 0.0, input);
            let (silent, session) = run(
                predicted(reference, Kernels::best(), 2, Batches::Predicted, false, make),
                reference,
            );
            let unaudited = session.ffn().predicted().unwrap().clone();
            let (audited, session) = run(
                predicted(reference, Kernels::best(), 2, Batches::Predicted, true, make),
                reference,
            );
            let counters = session.ffn().predicted().unwrap();
            assert!(silent == audited, "an audit changed {}", reference.name);
            assert!(unaudited.missed.iter().all(|&missed| missed == 0));
            assert_eq!(
                (&unaudited.predicted, &unaudited.fired),
                (&counters.predicted, &counters.fired)
            );
            for layer in 0..counters.scored.len() {
                let [scored, predicted, fired, missed] =
                    [&counters.scored, &counters.predicted, &counters.fired, &counters.missed].map(|all| all[layer]);
                assert!(
                    0 < fired && fired <= predicted && predicted < scored,
                    "{fired} {predicted} {scored}"
                );
                assert!(missed > 0 && fired + missed <= scored, "{missed}");
            }
        }
    });
}

#[test]
fn a_predictor_that_reads_the_stream_hears_something_else_than_one_that_reads_the_ffns_input() {
    let references = committed();
    let reference = references.iter().find(|reference| is_sparse(reference)).unwrap();
    let bits = |input| {
        let make: MakePredictor<'_> = &|_, model| careless(model, 0.0, input);
        run(
            predicted(reference, Kernels::best(), 1, Batches::Predicted, false, make),
            reference,
        )
        .0
    };
    assert!(bits(PredictorInput::Normed) != bits(PredictorInput::Stream));
}

#[test]
fn threads_and_backends_give_the_same_bits_and_a_batch_those_of_its_tokens_alone() {
    each(|reference| {
        let make: MakePredictor<'_> = &|_, model| careless(model, 0.0, PredictorInput::Normed);
        let (one, _) = run(
            predicted(reference, Kernels::best(), 1, Batches::Predicted, false, make),
            reference,
        );
        for threads in [2, 3, 5] {
            let (other, _) = run(
                predicted(reference, Kernels::best(), threads, Batches::Predicted, false, make),
                reference,
            );
            assert!(one == other, "{} on {threads} threads", reference.name);
        }
        for kernels in Kernels::available() {
            let (other, _) = run(predicted(reference, kernels, 2, Batches::Predicted, false, make), reference);
            assert!(one == other, "{} by {}", reference.name, kernels.name());
        }
        let mut alone = predicted(reference, Kernels::best(), 2, Batches::Predicted, false, make);
        let mut bits = Vec::new();
        for &token in &reference.prompt {
            bits.extend(
                alone
                    .forward(&[token], Want::Last)
                    .unwrap()
                    .iter()
                    .map(|logit| logit.to_bits()),
            );
        }
        assert!(one.starts_with(&bits), "{} token by token", reference.name);
    });
}

#[test]
fn results_are_labelled_and_other_sizes_are_refused() {
    let references = committed();
    let reference = references.iter().find(|reference| is_sparse(reference)).unwrap();
    let make: MakePredictor<'_> = &|_, model| careless(model, 0.0, PredictorInput::Normed);
    let labelled = predicted(reference, Kernels::best(), 1, Batches::Exact, false, make);
    assert!(labelled.ffn().labels().contains(&"predicted"));
    let source = GgufSource::open(&reference.gguf).unwrap();
    let model = Model::load(&source, Kernels::best()).unwrap();
    let mut short = careless(&model, 0.0, PredictorInput::Normed);
    short.second[1] = tensor(model.config().experts * model.config().neurons, 19, |_, _| 0.0);
    let exact = SparseFfn::load(&source, model.config(), Kernels::best()).unwrap();
    let refused = PredictedFfn::new(exact, model.config(), Arc::new(short), Batches::Exact)
        .err()
        .unwrap();
    let (hidden, neurons) = (model.config().hidden, model.config().neurons);
    assert_eq!(
        refused.to_string(),
        format!(
            "unusable sizes of the predictor of layer 1 (inputs, neurons, rank): [{hidden}, {neurons}, 19]; must be [{hidden}, {neurons}, 20]"
        )
    );
}
