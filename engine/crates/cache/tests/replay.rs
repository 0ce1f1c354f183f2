//! A replay that is told of as it goes on: what it notes, where it ends, what it keeps.

mod slow;
mod support;

use std::ops::ControlFlow;

use cache::{CacheError, END_TOKEN, Outcome, PolicyKind, Replayed, Setting, replay, replay_kind, replay_told};
use slow::decide_slow;
use support::Random;
use support::situation::{Situation, situations};

#[test]
fn a_replay_that_is_told_notes_what_stepping_through_finds() {
    let letter = |outcome: &Outcome| match outcome {
        Outcome::Hit => '1',
        Outcome::Miss => '0',
        Outcome::EndToken => '-',
    };
    for situation in situations(7, 200) {
        for kind in PolicyKind::ALL {
            let decisions = decide_slow(kind, &situation);
            let mut outcomes = vec![Outcome::Miss; situation.steps.len()];
            let mut heard = Vec::new();
            let mut hear = |done| {
                heard.push(done);
                ControlFlow::Continue(())
            };
            let setting = situation.setting();
            let noted = replay_told(kind, &setting, &situation.steps, Some(&mut outcomes), &mut hear).unwrap();
            assert_eq!(
                outcomes.iter().map(letter).collect::<String>(),
                decisions.outcome,
                "{kind}, {situation:?}"
            );
            assert_eq!(
                noted,
                Some(replay_kind(kind, &setting, &situation.steps).unwrap()),
                "{kind}, {situation:?}"
            );
            assert_eq!(
                noted,
                replay_told(kind, &setting, &situation.steps, None, &mut |_| ControlFlow::Continue(())).unwrap()
            );
            assert_eq!((heard.first(), heard.last()), (Some(&0), Some(&situation.steps.len())));
        }
    }
}

/// Long enough that the logs of LRU, ARC and LFU are tidied many times.
#[test]
fn a_long_text_is_decided_as_the_slow_twins_decide_it() {
    let mut random = Random::new(10);
    for (keys, slots) in [(240, 30), (240, 100), (60, 59)] {
        let situation = Situation::random("long", &mut random, keys, slots, 900, 1);
        assert!(situation.steps.len() > 8000, "{} steps", situation.steps.len());
        for kind in PolicyKind::ALL {
            let mut policy = kind.build(&situation.setting()).unwrap();
            assert!(
                situation.decide(&mut *policy) == decide_slow(kind, &situation),
                "{kind}, {keys} keys, {slots} slots"
            );
        }
    }
}

/// Longer than a piece, so that policies, Belady's place in its future too, go on from piece to piece.
#[test]
fn a_replay_in_pieces_is_one_replay_and_ends_when_it_is_told_to() {
    let (keys, requests) = (3000, 700_000);
    let mut random = Random::new(8);
    let trace: Vec<u32> = (0..requests)
        .map(|place| {
            if place % 97 == 96 {
                END_TOKEN
            } else {
                random.below(keys).min(random.below(keys))
            }
        })
        .collect();
    let heat: Vec<f64> = (0..keys).map(|key| f64::from(keys - key)).collect();
    let setting = Setting {
        keys,
        slots: 400,
        heat: &heat,
        window_tokens: 3,
        future: &[],
    };
    for kind in PolicyKind::ALL {
        let whole = replay_kind(kind, &setting, &trace).unwrap();
        let mut outcomes = vec![Outcome::EndToken; trace.len()];
        let mut calls = 0;
        let mut hear = |_| {
            calls += 1;
            ControlFlow::Continue(())
        };
        assert_eq!(
            replay_told(kind, &setting, &trace, Some(&mut outcomes), &mut hear).unwrap(),
            Some(whole),
            "{kind}"
        );
        assert!(calls >= 4, "{kind}: told {calls} times");
        let count = |of| outcomes.iter().filter(|&&outcome| outcome == of).count() as u64;
        assert_eq!(
            (count(Outcome::Hit), count(Outcome::Miss)),
            (whole.hits, whole.misses),
            "{kind}"
        );
        for last in 0..3 {
            let mut calls = 0;
            let mut until = |_| {
                calls += 1;
                if calls > last {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            };
            assert_eq!(replay_told(kind, &setting, &trace, None, &mut until).unwrap(), None, "{kind}");
            assert_eq!(calls, last + 1, "{kind}");
        }
    }
    let wrong = [vec![0; 600_000], vec![keys]].concat();
    let mut never = |_| panic!("the last key is wrong, and nothing is to be begun");
    assert_eq!(
        replay_told(PolicyKind::Lru, &setting, &wrong, None, &mut never),
        Err(CacheError::KeyOutOfRange {
            place: 600_000,
            key: keys,
            keys
        })
    );
    assert_eq!(
        replay_told(PolicyKind::Belady, &setting, &[], None, &mut |_| ControlFlow::Continue(())),
        Ok(Some(Replayed::default()))
    );
}

#[test]
fn no_policy_keeps_more_than_is_said() {
    let mut random = Random::new(9);
    for keys in [1, 70, 5000, 200_000] {
        let trace: Vec<u32> = (0..100_000).map(|_| random.below(keys)).collect();
        let heat = vec![0.5; keys as usize];
        for slots in [0, 1, keys / 10, keys, u32::MAX] {
            for kind in PolicyKind::ALL {
                let setting = Setting {
                    keys,
                    slots,
                    heat: &heat,
                    window_tokens: 2,
                    future: &trace,
                };
                let mut policy = kind.build(&setting).unwrap();
                replay(&mut *policy, keys, &trace).unwrap();
                let (is, most) = (
                    policy.bookkeeping_bytes(slots) as u64,
                    kind.most_bookkeeping_bytes(keys.into(), trace.len() as u64),
                );
                assert!(is <= most, "{kind}, {keys} keys, {slots} slots: {is} of {most}");
            }
        }
    }
}
