//! The sampler against closed forms: which tokens may come, how often they come, and that a seed decides all.

use text::{Sampler, SamplerOptions, TextError};

fn drawing() -> SamplerOptions {
    SamplerOptions {
        temperature: 1.0,
        seed: 42,
        ..Default::default()
    }
}

fn draws(options: SamplerOptions, logits: &[f32], count: usize) -> Vec<u32> {
    let mut sampler = Sampler::new(options).unwrap();
    (0..count).map(|_| sampler.sample(logits).unwrap()).collect()
}

fn shares(options: SamplerOptions, logits: &[f32]) -> Vec<f64> {
    const COUNT: usize = 40_000;
    let mut shares = vec![0.0; logits.len()];
    draws(options, logits, COUNT)
        .into_iter()
        .for_each(|id| shares[id as usize] += 1.0 / COUNT as f64);
    shares
}

/// Softmax of the logits at a temperature, over the tokens kept.
fn expected(logits: &[f32], temperature: f64, kept: &[usize]) -> Vec<f64> {
    let weight = |id: &usize| (f64::from(logits[*id]) / temperature).exp();
    let total: f64 = kept.iter().map(weight).sum();
    (0..logits.len())
        .map(|id| if kept.contains(&id) { weight(&id) / total } else { 0.0 })
        .collect()
}

fn near(found: &[f64], wanted: &[f64], what: &str) {
    for (id, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        // 40,000 draws: the deviation of a share is at most 0.0025; four of them. What is not kept never comes.
        let bound = if *wanted == 0.0 { 0.0 } else { 0.01 };
        assert!(
            (found - wanted).abs() <= bound,
            "{what}: token {id} came {found:.4}, expected {wanted:.4}"
        );
    }
}

const LOGITS: [f32; 6] = [1.0, 3.0, 0.0, 2.0, -4.0, 2.5];

#[test]
fn greedy_takes_the_likeliest_and_of_equals_the_lowest_id() {
    let greedy = |logits: &[f32]| Sampler::new(SamplerOptions::default()).unwrap().sample(logits).unwrap();
    assert_eq!(greedy(&LOGITS), 1);
    assert_eq!(greedy(&[0.5, 7.0, 7.0, 7.0]), 1);
    assert_eq!(greedy(&[-0.0, 0.0]), 0);
    assert_eq!(greedy(&[0.0, -0.0]), 0);
    assert_eq!(greedy(&[f32::NEG_INFINITY, f32::MIN]), 1);
}

#[test]
fn draws_follow_the_softmax_at_each_temperature() {
    for temperature in [0.25, 1.0, 3.0] {
        let found = shares(
            SamplerOptions {
                temperature,
                ..drawing()
            },
            &LOGITS,
        );
        near(
            &found,
            &expected(&LOGITS, temperature.into(), &[0, 1, 2, 3, 4, 5]),
            &format!("temperature {temperature}"),
        );
    }
}

#[test]
fn top_k_keeps_the_k_likeliest() {
    near(
        &shares(SamplerOptions { top_k: 3, ..drawing() }, &LOGITS),
        &expected(&LOGITS, 1.0, &[1, 5, 3]),
        "top-k 3",
    );
    assert!(
        draws(
            SamplerOptions {
                top_k: 1,
                temperature: 9.0,
                ..drawing()
            },
            &LOGITS,
            500
        )
        .iter()
        .all(|&id| id == 1)
    );
    // The third place is shared by tokens 0 and 3: the lower id has it.
    let ties = [2.0, 5.0, 4.0, 2.0];
    near(
        &shares(SamplerOptions { top_k: 3, ..drawing() }, &ties),
        &expected(&ties, 1.0, &[0, 1, 2]),
        "top-k with ties",
    );
}

#[test]
fn top_p_keeps_the_fewest_that_reach_it() {
    // Shares of LOGITS, sorted: 1: 0.444, 5: 0.269, 3: 0.163, 0: 0.060, ...: two reach 0.7, three 0.75.
    let kept = |top_p| shares(SamplerOptions { top_p, ..drawing() }, &LOGITS);
    near(&kept(0.7), &expected(&LOGITS, 1.0, &[1, 5]), "top-p 0.7");
    near(&kept(0.75), &expected(&LOGITS, 1.0, &[1, 5, 3]), "top-p 0.75");
    near(
        &kept(0.0001),
        &expected(&LOGITS, 1.0, &[1]),
        "top-p of next to nothing keeps one",
    );
    // It looks at the shares before the temperature.
    let hot = shares(
        SamplerOptions {
            top_p: 0.7,
            temperature: 5.0,
            ..drawing()
        },
        &LOGITS,
    );
    near(&hot, &expected(&LOGITS, 5.0, &[1, 5]), "top-p 0.7, hot");
}

#[test]
fn min_p_keeps_those_near_enough_to_the_likeliest() {
    // e^-1 = 0.37 is token 3's share of token 1's; e^-2 = 0.14 is token 0's.
    let kept = |min_p| shares(SamplerOptions { min_p, ..drawing() }, &LOGITS);
    near(&kept(0.3), &expected(&LOGITS, 1.0, &[1, 5, 3]), "min-p 0.3");
    near(&kept(0.1), &expected(&LOGITS, 1.0, &[1, 5, 3, 0]), "min-p 0.1");
    near(&kept(1.0), &expected(&LOGITS, 1.0, &[1]), "min-p 1");
}

#[test]
fn the_penalty_weighs_recent_tokens_once_and_forgets_old_ones() {
    let options = SamplerOptions {
        repetition_penalty: 2.0,
        repetition_window: 3,
        ..Default::default()
    };
    let mut sampler = Sampler::new(options).unwrap();
    let logits = [3.0, 2.0, -1.0, -1.5];
    assert_eq!(sampler.sample(&logits).unwrap(), 0);
    sampler.accept(0);
    sampler.accept(0);
    // 3 / 2 = 1.5 < 2; were it weighed twice a second token at 1 would win against it below.
    assert_eq!(sampler.sample(&logits).unwrap(), 1);
    assert_eq!(sampler.sample(&[3.0, 1.0, -1.0, -1.5]).unwrap(), 0);
    // Negative logits go down: -1 * 2 = -2 < -1.5.
    sampler.accept(2);
    assert_eq!(
        sampler.sample(&[f32::NEG_INFINITY, f32::NEG_INFINITY, -1.0, -1.5]).unwrap(),
        3
    );
    // Three later tokens push 0 out of the window.
    (0..3).for_each(|_| sampler.accept(3));
    assert_eq!(sampler.sample(&logits).unwrap(), 0);
}

#[test]
fn a_seed_decides_all_and_another_decides_otherwise() {
    let logits: Vec<f32> = (0..500).map(|id| (id as f32 * 0.7).sin()).collect();
    let options = SamplerOptions {
        top_k: 200,
        top_p: 0.95,
        min_p: 0.01,
        ..drawing()
    };
    let first = draws(options.clone(), &logits, 200);
    assert_eq!(first, draws(options.clone(), &logits, 200));
    assert_ne!(first, draws(SamplerOptions { seed: 43, ..options }, &logits, 200));
}

#[test]
fn forbidden_tokens_never_come_and_none_possible_is_an_error() {
    let mut logits = LOGITS;
    logits[1] = f32::NEG_INFINITY;
    near(
        &shares(drawing(), &logits),
        &expected(&LOGITS, 1.0, &[0, 2, 3, 4, 5]),
        "token 1 forbidden",
    );
    let mut sampler = Sampler::new(drawing()).unwrap();
    for logits in [&[][..], &[f32::NEG_INFINITY; 3], &[0.0, f32::NAN], &[f32::INFINITY, 0.0]] {
        assert!(
            matches!(sampler.sample(logits), Err(TextError::BadLogits { .. })),
            "{logits:?}"
        );
    }
    assert_eq!(
        sampler.sample(&[0.0, f32::NAN]).unwrap_err().to_string(),
        "logit of token 1 is NaN; expected a number or -inf"
    );
    // Extremes are numbers like others.
    assert_eq!(sampler.sample(&[f32::MIN, f32::MAX]).unwrap(), 1);
}

#[test]
fn options_out_of_range_are_refused_by_name() {
    let refused = |options| Sampler::new(options).unwrap_err().to_string();
    assert_eq!(
        refused(SamplerOptions {
            temperature: -1.0,
            ..drawing()
        }),
        "temperature is -1; expected 0 (greedy) or more"
    );
    assert!(
        refused(SamplerOptions {
            temperature: f32::NAN,
            ..drawing()
        })
        .starts_with("temperature is NaN")
    );
    assert!(refused(SamplerOptions { top_p: 0.0, ..drawing() }).starts_with("top-p is 0"));
    assert!(refused(SamplerOptions { min_p: 1.5, ..drawing() }).starts_with("min-p is 1.5"));
    assert!(
        refused(SamplerOptions {
            repetition_penalty: 0.0,
            ..drawing()
        })
        .starts_with("repetition penalty is 0")
    );
}

/// Everything by one full sort, as the options' description reads: the obvious twin.
fn possible_slow(options: &SamplerOptions, logits: &[f32]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..logits.len()).filter(|&id| logits[id] > f32::NEG_INFINITY).collect();
    order.sort_by(|&a, &b| logits[b].partial_cmp(&logits[a]).unwrap().then(a.cmp(&b)));
    if options.top_k > 0 {
        order.truncate(options.top_k);
    }
    let weight = |id: usize| (f64::from(logits[id]) - f64::from(logits[order[0]])).exp();
    let total: f64 = order.iter().map(|&id| weight(id)).sum();
    let mut sum = 0.0;
    let mut kept = Vec::new();
    for &id in &order {
        if options.top_p < 1.0 && sum >= f64::from(options.top_p) * total {
            break;
        }
        sum += weight(id);
        if weight(id) >= f64::from(options.min_p) {
            kept.push(id as u32);
        }
    }
    kept.sort_unstable();
    kept
}

#[test]
fn the_quick_selection_keeps_what_a_full_sort_keeps() {
    let mut random = text::Random::new(11);
    for round in 0..60 {
        // Few distinct logits, so that equals meet at every border; in some rounds so flat that top-p keeps hundreds.
        let flat = [8.0, 80.0][round / 5 % 2];
        let count = 1 + (random.bits() % 400) as usize;
        let logits: Vec<f32> = (0..count).map(|_| (random.bits() % 40) as f32 / flat).collect();
        let options = SamplerOptions {
            temperature: 50.0,
            top_k: [0, 2, 5, 70, 0][round % 5],
            top_p: [1.0, 0.3, 0.9][round % 3],
            min_p: [0.0, 0.2][round % 2],
            seed: round as u64,
            ..Default::default()
        };
        let possible = possible_slow(&options, &logits);
        let mut seen: Vec<u32> = draws(options.clone(), &logits, possible.len() * 20);
        seen.sort_unstable();
        seen.dedup();
        // So hot that all kept are about as likely: after 20 draws for each, one in 400 million is unseen.
        assert_eq!(seen, possible, "{options:?} over {count} logits");
    }
}

/// A selection whose border has a margin is right where logits are far apart. Here they are neighbouring numbers, and in some orders
/// the border rises time after time by as little as there is.
#[test]
fn the_quick_selection_tells_neighbouring_numbers_apart() {
    let mut random = text::Random::new(12);
    for k in [2, 5, 70] {
        // More than the selection stores before it cuts, several times over.
        let count = 3 * (2 * k).max(k + 64);
        for base in [1.0_f32, -3.7, 1e-3, 24.31] {
            // One after another, from below: each is among the k best when it comes.
            let mut rising = vec![base];
            while rising.len() < count {
                rising.push(rising[rising.len() - 1].next_up());
            }
            let falling: Vec<f32> = rising.iter().rev().copied().collect();
            let mut shuffled = rising.clone();
            for index in (1..count).rev() {
                shuffled.swap(index, random.bits() as usize % (index + 1));
            }
            // Few numbers, so that many are equal to the bar, beside many that are its neighbours.
            let ties: Vec<f32> = (0..count).map(|_| rising[random.bits() as usize % (k + 2)]).collect();
            // No two on a grid that is any coarser than the numbers' own.
            let free: Vec<f32> = (0..count).map(|_| base + (random.unit() * 0.02) as f32).collect();
            for (what, logits) in [
                ("rising", rising),
                ("falling", falling),
                ("shuffled", shuffled),
                ("ties", ties),
                ("free", free),
            ] {
                let options = SamplerOptions {
                    temperature: 50.0,
                    top_k: k,
                    seed: k as u64,
                    ..Default::default()
                };
                let possible = possible_slow(&options, &logits);
                let mut seen = draws(options, &logits, k * 30);
                seen.sort_unstable();
                seen.dedup();
                // All are as likely: after 30 draws for each, one in 10^13 is unseen.
                assert_eq!(seen, possible, "top-k {k}, {what} from {base}");
            }
        }
    }
}
