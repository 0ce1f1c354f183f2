//! The segmented cache: the decisions of its policies, the bytes in its slots, and the memory that it really holds.

mod support;

use std::collections::BTreeMap;

use cache::{CacheError, Lookup, PAGE_BYTES, PolicyKind, Reserve, Segment, SegmentShape, SegmentedCache, Setting, Shape};
use support::Random;
use support::situation::Situation;

const MIB: usize = 1 << 20;
const HOT: usize = 0;
const COLD: usize = 1;

fn one(policy: PolicyKind, setting: Setting<'_>, entry_bytes: usize) -> SegmentedCache {
    let shape = SegmentShape {
        name: "cold",
        entry_bytes,
        align_bytes: cache::PAGE_BYTES,
        policy,
        setting,
    };
    SegmentedCache::new(&Shape {
        budget_bytes: 64 * MIB,
        fixed_bytes: 0,
        huge_pages: false,
        segments: vec![shape],
    })
    .unwrap()
}

/// Paper-like: hot clusters and cold neurons, both LRU.
fn hot_and_cold(hot_slots: u32, cold_slots: u32, huge_pages: bool) -> SegmentedCache {
    let lru = |name, entry_bytes, keys, slots| SegmentShape {
        name,
        entry_bytes,
        align_bytes: cache::PAGE_BYTES,
        policy: PolicyKind::Lru,
        setting: Setting {
            keys,
            slots,
            ..Setting::default()
        },
    };
    SegmentedCache::new(&Shape {
        budget_bytes: 96 * MIB,
        fixed_bytes: 3 * MIB + 5,
        huge_pages,
        segments: vec![lru("hot", 100 * 1024, 400, hot_slots), lru("cold", 6000, 20_000, cold_slots)],
    })
    .unwrap()
}

/// What a read of this thing brings.
fn fill(segment: &mut Segment, id: u32) {
    // SAFETY: nothing else reads into this cache.
    let bytes = unsafe { segment.loading_bytes(id) }.expect("reserved");
    bytes.fill(id as u8);
    bytes[..4].copy_from_slice(&id.to_le_bytes());
}

fn holds_its_own(segment: &Segment, id: u32) -> bool {
    segment
        .bytes(id)
        .is_some_and(|bytes| bytes[..4] == id.to_le_bytes() && bytes[4..].iter().all(|&byte| byte == id as u8))
}

/// Makes a thing present; whether there was room.
fn bring_in(segment: &mut Segment, id: u32) -> bool {
    if !matches!(segment.reserve(id), Ok(Reserve::Slot { .. })) {
        return false;
    }
    fill(segment, id);
    segment.commit(id).is_ok()
}

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
fn resizing_keeps_what_fits_with_its_bytes_and_gives_the_rest_back() {
    for huge_pages in [false, true] {
        let mut cache = hot_and_cold(100, 4000, huge_pages);
        for id in 0..100 {
            assert!(bring_in(cache.segment_mut(HOT).unwrap(), id));
        }
        for id in 0..4000 {
            assert!(bring_in(cache.segment_mut(COLD).unwrap(), id));
        }
        // Every other one was used lately.
        for id in (0..4000).step_by(2) {
            cache.segment_mut(COLD).unwrap().lookup(id).unwrap();
        }
        let full = cache.resident_bytes();
        let cold_slot = cache.segment(COLD).unwrap().slot_bytes();
        assert_eq!(cold_slot, 2 * PAGE_BYTES);
        assert!(
            full >= 100 * 100 * 1024 + 4000 * cold_slot && full <= cache.accounted_bytes(),
            "{full} bytes when full"
        );

        cache.resize(&[40, 2000]).unwrap();
        let [hot, cold] = [HOT, COLD].map(|place| cache.segment(place).unwrap());
        assert!((0..60).all(|id| !hot.is_resident(id)) && (60..100).all(|id| holds_its_own(hot, id)));
        assert!((0..4000).all(|id| if id % 2 == 0 {
            holds_its_own(cold, id)
        } else {
            !cold.is_resident(id)
        }));
        assert_eq!(cold.counts().evictions, 2000);
        let shrunk = cache.resident_bytes();
        let given_up = 60 * 100 * 1024 + 2000 * cold_slot;
        assert!(
            shrunk + given_up <= full,
            "{shrunk} bytes after giving up {given_up} of {full}"
        );
        assert!(shrunk <= cache.accounted_bytes());

        // Hot shrinks and cold grows in one step, as between prefill and decode; the fresh room is used.
        cache.resize(&[10, 6000]).unwrap();
        assert!((90..100).all(|id| holds_its_own(cache.segment(HOT).unwrap(), id)));
        for id in 10_000..14_000 {
            assert!(bring_in(cache.segment_mut(COLD).unwrap(), id));
        }
        let cold = cache.segment(COLD).unwrap();
        assert!((0..4000).step_by(2).chain(10_000..14_000).all(|id| holds_its_own(cold, id)));
        assert_eq!(cold.counts().evictions, 2000, "nothing left while there was room");
        assert!(cache.resident_bytes() <= cache.accounted_bytes() && cache.accounted_bytes() <= cache.budget_bytes());

        cache.resize(&[0, 0]).unwrap();
        assert!(
            cache.resident_bytes() <= 4 * MIB,
            "{} bytes of an empty cache",
            cache.resident_bytes()
        );
    }
}

/// After a resize each policy goes on as one that was resized the same way.
#[test]
fn resizing_decides_as_the_pure_policy_resized() {
    let mut random = Random::new(14);
    for kind in PolicyKind::ALL {
        let situation = Situation::random("resized", &mut random, 80, 40, 60, 1);
        let mut policy = kind.build(&situation.setting()).unwrap();
        let mut cache = one(kind, situation.setting(), 64);
        for (token, ids) in situation.steps.split(|&step| step == cache::END_TOKEN).enumerate() {
            for &id in ids {
                let segment = cache.segment_mut(0).unwrap();
                let hit = policy.request(id);
                assert_eq!(
                    matches!(segment.lookup(id).unwrap(), Lookup::Hit(_)),
                    hit,
                    "{kind}, token {token}"
                );
                if !hit {
                    policy.admit(id, cache::Held::NONE);
                    bring_in(segment, id);
                }
            }
            policy.end_token(cache::Held::NONE, &mut |_| {});
            cache.segment_mut(0).unwrap().end_token();
            let slots = random.below(82);
            policy.resize(slots, &mut |_| {});
            cache.resize(&[slots]).unwrap();
            let segment = cache.segment(0).unwrap();
            assert!(
                (0..80).all(|id| policy.is_resident(id) == segment.is_resident(id)),
                "{kind}, token {token}"
            );
            assert!(
                (0..80).all(|id| !segment.is_resident(id) || holds_its_own(segment, id)),
                "{kind}, token {token}"
            );
        }
    }
}

#[test]
fn the_budget_error_names_budgets_that_work() {
    for policy in PolicyKind::ALL {
        let heat = vec![0.5; 1000];
        let shape = |budget_bytes, slots| Shape {
            budget_bytes,
            fixed_bytes: 10_000,
            huge_pages: false,
            segments: vec![SegmentShape {
                name: "cold",
                entry_bytes: 5000,
                align_bytes: cache::PAGE_BYTES,
                policy,
                setting: Setting {
                    keys: 1000,
                    slots,
                    heat: &heat,
                    window_tokens: 3,
                    future: &[1, 2],
                },
            }],
        };
        let Some(CacheError::Budget {
            budget: MIB,
            needed,
            smallest,
        }) = SegmentedCache::new(&shape(MIB, 500)).err()
        else {
            panic!("{policy}: 500 slots of 8 KiB do not fit 1 MiB");
        };
        assert!(needed > 500 * 8192 + 12_288 && smallest > 12_288, "{policy}");
        let cache = SegmentedCache::new(&shape(needed, 500)).unwrap();
        assert_eq!(
            (cache.accounted_bytes(), cache.most_slots(0)),
            (needed, Some(500)),
            "{policy}"
        );
        assert!(
            matches!(SegmentedCache::new(&shape(needed - 1, 500)), Err(CacheError::Budget { .. })),
            "{policy}"
        );
        let mut empty = SegmentedCache::new(&shape(smallest, 0)).unwrap();
        assert!(
            matches!(SegmentedCache::new(&shape(smallest - 1, 0)), Err(CacheError::Budget { .. })),
            "{policy}"
        );
        let refused = empty.resize(&[500]).unwrap_err();
        assert_eq!(
            refused,
            CacheError::Budget {
                budget: smallest,
                needed,
                smallest
            },
            "{policy}"
        );
        assert_eq!(empty.slots(), [0]);
    }
    let text = CacheError::Budget {
        budget: 5,
        needed: 70,
        smallest: 30,
    }
    .to_string();
    assert_eq!(
        text,
        "cache does not fit its budget: 5 bytes; these segments need 70, and 30 is the smallest budget that works, with all \
         segments but the fixed one empty"
    );
}

#[test]
fn the_fixed_segment_is_given_out_in_pages_and_never_evicted() {
    let mut cache = hot_and_cold(10, 10, false);
    let first = cache.allocate_fixed(5000).unwrap();
    let second = cache.allocate_fixed(2 * MIB).unwrap();
    assert!(cache.fixed(&first).unwrap().iter().all(|&byte| byte == 0));
    cache.fixed_mut(&first).unwrap().fill(1);
    cache.fixed_mut(&second).unwrap().fill(2);
    for id in 0..5000 {
        assert!(bring_in(cache.segment_mut(COLD).unwrap(), id));
    }
    cache.resize(&[0, 2]).unwrap();
    assert!(cache.fixed(&first).unwrap().iter().all(|&byte| byte == 1));
    assert!(cache.fixed(&second).unwrap().iter().all(|&byte| byte == 2));
    assert_eq!(cache.fixed_address(&second).unwrap().addr() % PAGE_BYTES, 0);
    let left = 3 * MIB + PAGE_BYTES - 2 * PAGE_BYTES - 2 * MIB;
    assert_eq!(
        cache.allocate_fixed(left + 1),
        Err(CacheError::FixedFull {
            asked: left + PAGE_BYTES,
            left,
            smallest: 3 * MIB + 2 * PAGE_BYTES
        })
    );
    assert!(cache.allocate_fixed(left).is_ok());
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
