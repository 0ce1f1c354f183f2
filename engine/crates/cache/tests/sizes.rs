//! The sizes of the segmented cache's segments: how they change, what they may not exceed, and the memory that is really held.

mod support;

use cache::{CacheError, Lookup, PAGE_BYTES, PolicyKind, SegmentShape, SegmentedCache, Setting, Shape};
use support::Random;
use support::segments::{COLD, HOT, MIB, bring_in, holds_its_own, hot_and_cold, one};
use support::situation::Situation;

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

/// Kernels before 5.14 cannot, and leave pages to come on first use; what must hold is said of both.
#[test]
fn memory_taken_beforehand_holds_all_slots_and_changes_nothing_in_them() {
    for huge_pages in [false, true] {
        let mut cache = hot_and_cold(100, 4000, huge_pages);
        for id in 0..10 {
            assert!(bring_in(cache.segment_mut(HOT).unwrap(), id));
        }
        let cold_slot = cache.segment(COLD).unwrap().slot_bytes();
        let all = 100 * 100 * 1024 + 4000 * cold_slot;
        assert!(cache.resident_bytes() < all / 2, "little was used");
        let is_taken = cache.populate();
        let taken = cache.resident_bytes();
        assert!(
            taken <= cache.accounted_bytes(),
            "{taken} bytes of {}",
            cache.accounted_bytes()
        );
        if is_taken {
            assert!(taken >= all, "{taken} bytes of {all}");
        }
        let hot = cache.segment(HOT).unwrap();
        assert!((0..10).all(|id| holds_its_own(hot, id)));
        assert!((10..100).all(|id| !hot.is_resident(id)));
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
