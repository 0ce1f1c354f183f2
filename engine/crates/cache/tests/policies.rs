//! Each policy against its slow twin, and the contract that all share, on seeded random situations.

mod slow;
mod support;

use std::collections::BTreeSet;

use cache::{Admission, CacheError, END_TOKEN, Held, MissCurve, Policy, PolicyKind, Setting, replay, replay_kind};
use slow::decide_slow;
use support::Random;
use support::situation::situations;

#[test]
fn policies_decide_as_their_slow_twins() {
    for situation in situations(1, 900) {
        for kind in PolicyKind::ALL {
            if situation.steps.is_empty() && kind == PolicyKind::Belady {
                continue;
            }
            let mut policy = kind.build(&situation.setting()).unwrap();
            let (fast, slow) = (situation.decide(&mut *policy), decide_slow(kind, &situation));
            assert_eq!(fast, slow, "{kind}, {situation:?}");
            assert_eq!(policy.name(), kind.name());
        }
    }
}

#[test]
fn replay_counts_what_stepping_through_does() {
    for situation in situations(2, 200).filter(|situation| !situation.steps.is_empty()) {
        for kind in PolicyKind::ALL {
            let decisions = decide_slow(kind, &situation);
            let counts = replay_kind(kind, &situation.setting(), &situation.steps).unwrap();
            let evicted: usize = decisions.evicted.iter().map(|(_, keys)| keys.len()).sum();
            assert_eq!(counts.hits, decisions.hits(), "{kind}, {situation:?}");
            assert_eq!(counts.misses, decisions.outcome.matches('0').count() as u64);
            assert_eq!(counts.evictions, evicted as u64);
            let mut boxed = kind.build(&situation.setting()).unwrap();
            let keys = situation.heat.len() as u32;
            assert_eq!(
                replay(&mut *boxed, keys, &situation.steps).unwrap(),
                counts,
                "{kind} behind a pointer"
            );
        }
    }
}

#[test]
fn nothing_misses_less_than_belady() {
    for situation in situations(3, 300).filter(|situation| !situation.steps.is_empty()) {
        let misses = |kind| replay_kind(kind, &situation.setting(), &situation.steps).unwrap().misses;
        let best = misses(PolicyKind::Belady);
        for kind in PolicyKind::ALL {
            assert!(misses(kind) >= best, "{kind}, {situation:?}");
        }
    }
}

#[test]
fn more_slots_never_miss_more_where_that_is_claimed() {
    for situation in situations(4, 300).filter(|situation| !situation.steps.is_empty()) {
        for kind in PolicyKind::ALL.into_iter().filter(|kind| kind.more_never_misses_more()) {
            let misses = |slots| {
                replay_kind(
                    kind,
                    &Setting {
                        slots,
                        ..situation.setting()
                    },
                    &situation.steps,
                )
                .unwrap()
                .misses
            };
            assert!(
                misses(situation.slots + 1) <= misses(situation.slots),
                "{kind}, {situation:?}"
            );
        }
    }
}

/// Requests, failed reads, holds, ends of tokens and changes of size in any order, against a plain set.
#[test]
fn held_things_stay_and_the_books_balance_whatever_happens() {
    for seed in 0..120 {
        for kind in PolicyKind::ALL {
            let mut random = Random::new(1000 + seed);
            let keys = 2 + random.below(60);
            let heat: Vec<f64> = (0..keys).map(|_| f64::from(random.below(9))).collect();
            let future: Vec<u32> = (0..500).map(|_| random.below(keys)).collect();
            let mut slots = random.below(keys + 2);
            let setting = Setting {
                keys,
                slots,
                heat: &heat,
                window_tokens: 1 + random.below(3),
                future: &future,
            };
            let mut policy = kind.build(&setting).unwrap();
            let mut resident = BTreeSet::new();
            let mut held = BTreeSet::new();
            for (step, &key) in future.iter().enumerate() {
                let about = format!("{kind}, seed {seed}, step {step}");
                assert_eq!(policy.request(key), resident.contains(&key), "{about}");
                let is_held = |key: u32| held.contains(&key);
                let keep = Held::new(held.len() as u32, &is_held);
                if !resident.contains(&key) {
                    match policy.admit(key, keep) {
                        Admission::Taken { evicted } => {
                            let full = resident.len() as u32 == slots;
                            assert_eq!(evicted.is_some(), full, "{about}: evicts exactly when full");
                            if let Some(victim) = evicted {
                                assert!(resident.remove(&victim) && !held.contains(&victim), "{about}: {victim} left");
                            }
                            resident.insert(key);
                        }
                        Admission::NoRoom => assert_eq!(held.len() as u32, slots, "{about}: no room though not all are held"),
                        Admission::Declined => {
                            assert!(matches!(kind, PolicyKind::StaticHot | PolicyKind::Belady), "{about}");
                        }
                    }
                }
                match random.below(12) {
                    0..4 if resident.contains(&key) => _ = held.insert(key),
                    4..7 => _ = held.pop_first(),
                    7 if resident.contains(&key) => {
                        policy.forget(key);
                        resident.remove(&key);
                        held.remove(&key);
                    }
                    8 => {
                        let is_held = |key: u32| held.contains(&key);
                        policy.end_token(Held::new(held.len() as u32, &is_held), &mut |key| {
                            assert!(resident.remove(&key) && !held.contains(&key), "{about}: {key} left");
                        });
                    }
                    9 if random.below(6) == 0 => {
                        held.clear();
                        slots = random.below(keys + 2);
                        policy.resize(slots, &mut |key| assert!(resident.remove(&key), "{about}: {key} left"));
                    }
                    _ => {}
                }
                assert_eq!((policy.slots(), policy.resident()), (slots, resident.len() as u32), "{about}");
                assert!(policy.resident() <= slots, "{about}");
                assert!(
                    (0..keys).all(|key| policy.is_resident(key) == resident.contains(&key)),
                    "{about}"
                );
            }
        }
    }
}

/// A policy that grew decides from then on as one that always had the room, where its past made no difference.
#[test]
fn a_resize_that_drops_nothing_changes_nothing_for_lru_and_clock() {
    for situation in situations(5, 200) {
        for kind in [PolicyKind::Lru, PolicyKind::Clock, PolicyKind::Lfu, PolicyKind::Sieve] {
            let mut resized = kind
                .build(&Setting {
                    slots: situation.slots + 3,
                    ..situation.setting()
                })
                .unwrap();
            resized.resize(situation.slots, &mut |_| panic!("nothing was resident"));
            assert_eq!(
                situation.decide(&mut *resized),
                decide_slow(kind, &situation),
                "{kind}, {situation:?}"
            );
        }
    }
}

#[test]
fn the_miss_curve_is_lru_at_every_size() {
    for situation in situations(6, 150) {
        let keys = situation.heat.len() as u32;
        let curve = MissCurve::of(keys, &situation.steps).unwrap();
        for slots in 0..keys + 3 {
            let counts = replay_kind(
                PolicyKind::Lru,
                &Setting {
                    slots,
                    ..situation.setting()
                },
                &situation.steps,
            )
            .unwrap();
            assert_eq!(
                (curve.hits(slots), curve.misses(slots)),
                (counts.hits, counts.misses),
                "{slots} slots, {situation:?}"
            );
        }
        let distinct: BTreeSet<u32> = situation.steps.iter().copied().filter(|&step| step != END_TOKEN).collect();
        assert_eq!(curve.distinct() as usize, distinct.len());
        if let Some(slots) = curve.slots_for(1) {
            assert!(slots == 0 || (curve.hits(slots) >= 1 && curve.hits(slots - 1) == 0));
        }
    }
}

/// Longer than its moments last: 2^16 of them are given out several times over.
#[test]
fn the_miss_curve_survives_renumbering() {
    let mut random = Random::new(7);
    let keys = 500;
    let trace: Vec<u32> = (0..300_000).map(|_| random.below(keys).min(random.below(keys))).collect();
    let curve = MissCurve::of(keys, &trace).unwrap();
    for slots in [1, 2, 17, 100, 250, 499, 500] {
        let counts = replay_kind(
            PolicyKind::Lru,
            &Setting {
                keys,
                slots,
                ..Setting::default()
            },
            &trace,
        )
        .unwrap();
        assert_eq!(curve.hits(slots), counts.hits, "{slots} slots");
    }
    assert_eq!(curve.requests(), 300_000);
}

#[test]
fn wrong_input_is_refused_with_what_would_be_right() {
    let setting = Setting {
        keys: 4,
        slots: 2,
        ..Setting::default()
    };
    let text = |error: CacheError| error.to_string();
    let refused = |kind, setting: &Setting<'_>, trace: &[u32]| text(replay_kind(kind, setting, trace).unwrap_err());
    assert_eq!(
        refused(PolicyKind::Lru, &setting, &[0, 3, 4]),
        "key out of range at place 2 of the trace: 4; keys are below 4"
    );
    assert_eq!(
        refused(PolicyKind::Belady, &setting, &[0, 9]),
        "key out of range at place 1 of the trace: 9; keys are below 4"
    );
    assert_eq!(
        refused(PolicyKind::StaticHot, &setting, &[0]),
        "wrong number of heats: 0; one for each of 4 keys"
    );
    let heat = [0.1, f64::NAN, 0.2, 0.3];
    assert_eq!(
        refused(PolicyKind::StaticHot, &Setting { heat: &heat, ..setting }, &[0]),
        "heat of key 1 is not finite; a share of tokens would be right"
    );
    assert_eq!(
        text("lrv".parse::<PolicyKind>().unwrap_err()),
        "unknown eviction policy: lrv; known: lru, window, static-hot, clock, lfu, s3-fifo, sieve, arc, belady"
    );
    assert!(matches!(PolicyKind::Belady.build(&setting), Err(CacheError::NoFuture)));
    assert!(matches!(
        PolicyKind::Lru.build(&Setting {
            keys: u32::MAX,
            ..setting
        }),
        Err(CacheError::TooManyKeys { .. })
    ));
    assert!(matches!(MissCurve::of(4, &[7]), Err(CacheError::KeyOutOfRange { .. })));
    assert_eq!(replay_kind(PolicyKind::Belady, &setting, &[]), Ok(cache::Replayed::default()));
}

#[test]
fn belady_says_where_it_was_led_astray() {
    let mut belady = cache::Belady::new(3, 1, &[0, 1, END_TOKEN, 0]);
    belady.request(0);
    assert_eq!(belady.strayed_at(), None);
    belady.request(2);
    assert_eq!(belady.strayed_at(), Some(1));
    belady.request(0);
    assert_eq!(belady.strayed_at(), Some(1));
}
