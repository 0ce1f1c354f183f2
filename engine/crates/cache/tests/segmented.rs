//! The segmented cache: the decisions of its policies, and the bytes in its slots.

mod support;

use std::collections::BTreeMap;

use cache::{CacheError, Lookup, PolicyKind, Reserve, SegmentShape, SegmentedCache, Setting, Shape};
use support::Random;
use support::segments::{COLD, MIB, bring_in, fill, holds_its_own, hot_and_cold, one};
use support::situation::Situation;

#[test]
fn hits_are_those_of_the_pure_policy_and_bring_the_right_bytes() {
    let mut random = Random::new(11);
    for number in 0..40 {
        let keys = 5 + random.below(100);
        let slots = random.below(keys + 2);
        let situation = Situation::random(&format!("number {number}"), &mut random, keys, slots, 30, number % 3);
        if situation.steps.is_empty() {
            continue;
        }
        for kind in PolicyKind::ALL {
            let pure = situation.decide(&mut *kind.build(&situation.setting()).unwrap());
            let mut cache = one(kind, situation.setting(), 4096);
            let segment = cache.segment_mut(0).unwrap();
            let mut outcome = String::new();
            for &step in &situation.steps {
                outcome.push(if step == cache::END_TOKEN {
                    segment.end_token();
                    '-'
                } else if let Lookup::Hit(slot) = segment.lookup(step).unwrap() {
                    assert!(holds_its_own(segment, step), "{kind}: thing {step}");
                    assert_eq!(segment.address(slot).cast_const(), segment.bytes(step).unwrap().as_ptr());
                    '1'
                } else {
                    bring_in(segment, step);
                    '0'
                });
            }
            assert_eq!(outcome, pure.outcome, "{kind}: {situation:?}");
            let counts = segment.counts();
            assert_eq!(counts.hits, pure.hits());
            assert_eq!(
                counts.evictions as usize,
                pure.evicted.iter().map(|(_, left)| left.len()).sum::<usize>()
            );
            assert_eq!(counts.loads, u64::from(counts.resident) + counts.evictions);
        }
    }
}

#[test]
fn many_lookups_at_once_are_one_after_the_other() {
    let mut random = Random::new(12);
    let situation = Situation::random("many", &mut random, 300, 80, 20, 1);
    for kind in PolicyKind::ALL {
        let [mut singly, mut together] = [(); 2].map(|()| one(kind, situation.setting(), 100));
        let [single, many] = [singly.segment_mut(0).unwrap(), together.segment_mut(0).unwrap()];
        let mut found = Vec::new();
        for token in situation.steps.split(|&step| step == cache::END_TOKEN) {
            many.lookup_all(token, &mut found).unwrap();
            let one_by_one: Vec<Lookup> = token.iter().map(|&id| single.lookup(id).unwrap()).collect();
            assert_eq!(found, one_by_one, "{kind}");
            for &id in token {
                assert_eq!(
                    !single.is_resident(id) && bring_in(single, id),
                    !many.is_resident(id) && bring_in(many, id),
                    "{kind}"
                );
            }
            single.end_token();
            many.end_token();
        }
        assert_eq!(single.counts(), many.counts(), "{kind}");
        let before = many.counts();
        assert!(many.lookup_all(&[0, 1, 300], &mut found).is_err());
        assert_eq!(many.counts(), before, "nothing is looked up with an unknown thing among them");
    }
}

/// Reads in flight, failing reads, pins and ends of tokens in any order: what is held keeps its slot and its bytes.
#[test]
fn what_is_pinned_or_being_read_stays_where_it_is() {
    for kind in PolicyKind::ALL {
        let mut random = Random::new(13);
        let keys = 90;
        let heat: Vec<f64> = (0..keys).map(|_| random.uniform()).collect();
        let future: Vec<u32> = (0..6000).map(|_| random.below(keys).min(random.below(keys))).collect();
        let setting = Setting {
            keys,
            slots: 25,
            heat: &heat,
            window_tokens: 2,
            future: &future,
        };
        let mut cache = one(kind, setting, 4000);
        let segment = cache.segment_mut(0).unwrap();
        let mut loading = Vec::new();
        let mut pinned = BTreeMap::new();
        for &id in &future {
            let is_loading = loading.contains(&id);
            match segment.lookup(id).unwrap() {
                Lookup::Hit(slot) => {
                    assert!(!is_loading && holds_its_own(segment, id), "{kind}: {id}");
                    if random.below(3) == 0 {
                        assert_eq!(segment.pin(id), Ok(slot));
                        let (first, pins) = pinned.entry(id).or_insert((slot, 0));
                        assert_eq!(*first, slot, "{kind}: {id} moved while pinned");
                        *pins += 1;
                    }
                }
                Lookup::Loading(_) => assert!(is_loading, "{kind}: {id}"),
                Lookup::Miss => match segment.reserve(id).unwrap() {
                    Reserve::Slot { evicted, .. } => {
                        if let Some(victim) = evicted {
                            assert!(
                                !loading.contains(&victim) && !pinned.contains_key(&victim),
                                "{kind}: {victim} left"
                            );
                        }
                        loading.push(id);
                    }
                    Reserve::NoRoom => assert_eq!(loading.len() + pinned.len(), 25, "{kind}"),
                    Reserve::Declined => assert!(matches!(kind, PolicyKind::StaticHot | PolicyKind::Belady)),
                },
            }
            if !loading.is_empty() && random.below(3) == 0 {
                let id = loading.swap_remove(random.below(loading.len() as u32) as usize);
                if random.below(8) == 0 {
                    segment.abort(id).unwrap();
                    assert!(!segment.is_resident(id));
                } else {
                    fill(segment, id);
                    segment.commit(id).unwrap();
                }
            }
            if random.below(3) == 0
                && let Some(mut entry) = pinned.first_entry()
            {
                let id = *entry.key();
                assert!(holds_its_own(segment, id), "{kind}: {id} changed while pinned");
                segment.unpin(id).unwrap();
                entry.get_mut().1 -= 1;
                if entry.get().1 == 0 {
                    entry.remove();
                }
            }
            if random.below(40) == 0 {
                segment.end_token();
            }
            let counts = segment.counts();
            assert_eq!(
                (counts.loading as usize, counts.pinned as usize),
                (loading.len(), pinned.len())
            );
            assert!(counts.resident <= 25);
        }
        assert!(
            segment.counts().aborts > 0 && segment.counts().hits > 0,
            "{kind}: {:?}",
            segment.counts()
        );
    }
}

/// One token wants more than fits, all of it at once: the rest is computed from elsewhere, and nothing waits for ever.
#[test]
fn less_room_than_a_token_wants_slows_things_down_and_stops_nothing() {
    for kind in PolicyKind::ALL {
        for slots in [0, 1, 3] {
            let wanted: Vec<u32> = (0..100).collect();
            let heat = vec![1.0; 100];
            let setting = Setting {
                keys: 100,
                slots,
                heat: &heat,
                window_tokens: 4,
                future: &wanted,
            };
            let mut cache = one(kind, setting, 4096);
            let segment = cache.segment_mut(0).unwrap();
            let mut from_elsewhere = 0;
            for &id in &wanted {
                assert_eq!(segment.lookup(id), Ok(Lookup::Miss));
                if bring_in(segment, id) {
                    segment.pin(id).unwrap();
                } else {
                    from_elsewhere += 1;
                }
            }
            assert_eq!(segment.counts().pinned, slots, "{kind}");
            assert_eq!(from_elsewhere, 100 - slots, "{kind}");
            for &id in wanted.iter().filter(|&&id| id < slots) {
                segment.unpin(id).unwrap();
            }
            segment.end_token();
            assert_eq!(segment.counts().pinned, 0);
        }
    }
}

#[test]
fn calls_out_of_turn_are_refused_and_change_nothing() {
    let mut cache = hot_and_cold(4, 4, false);
    let segment = cache.segment_mut(COLD).unwrap();
    let refused = |error: CacheError| error.to_string();
    assert_eq!(
        refused(segment.lookup(20_000).unwrap_err()),
        "unknown thing in segment cold: 20000; its things are numbered below 20000"
    );
    assert_eq!(
        refused(segment.commit(7).unwrap_err()),
        "thing 7 of segment cold is absent; loading would be right"
    );
    assert_eq!(
        refused(segment.pin(7).unwrap_err()),
        "thing 7 of segment cold is absent; present would be right"
    );
    segment.reserve(7).unwrap();
    assert_eq!(
        refused(segment.reserve(7).unwrap_err()),
        "thing 7 of segment cold is loading; absent would be right"
    );
    assert_eq!(
        refused(segment.pin(7).unwrap_err()),
        "thing 7 of segment cold is loading; present would be right"
    );
    assert_eq!(segment.bytes(7), None);
    fill(segment, 7);
    segment.commit(7).unwrap();
    assert_eq!(
        refused(segment.abort(7).unwrap_err()),
        "thing 7 of segment cold is present; loading would be right"
    );
    assert_eq!(
        refused(segment.unpin(7).unwrap_err()),
        "thing 7 of segment cold is present; pinned would be right"
    );
    segment.pin(7).unwrap();
    assert_eq!(
        refused(cache.resize(&[4, 2]).unwrap_err()),
        "segment cold cannot change size while in use: 0 things being read, 1 pinned; none would be right"
    );
    // Only what changes must be idle.
    cache.resize(&[2, 4]).unwrap();
    assert_eq!(
        refused(cache.resize(&[1]).unwrap_err()),
        "wrong number of segments: 1; the cache has 2"
    );
    assert!(holds_its_own(cache.segment(COLD).unwrap(), 7));
    let zero = SegmentShape {
        name: "cold",
        entry_bytes: 0,
        align_bytes: cache::PAGE_BYTES,
        policy: PolicyKind::Lru,
        setting: Setting::default(),
    };
    let shape = Shape {
        budget_bytes: MIB,
        fixed_bytes: 0,
        huge_pages: false,
        segments: vec![zero],
    };
    assert!(matches!(
        SegmentedCache::new(&shape),
        Err(CacheError::Size { what: "entry", bytes: 0 })
    ));
    assert!(matches!(
        SegmentedCache::new(&Shape {
            fixed_bytes: usize::MAX,
            ..shape
        }),
        Err(CacheError::Size { .. })
    ));
}
