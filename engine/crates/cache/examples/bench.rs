//! `cargo run --release -p neuronlab-cache --example bench [-- REQUESTS [KEYS...] [POLICY...]]`: lookups per second of each policy, or of those
//! that are named.
//!
//! Traces are Zipf draws over as many neurons as a dense 7B model (32 layers of 14336: 458,752) and an 8-expert 47B model (3,670,016) have,
//! hot ones spread at random over the numbers: neighbours in the trace are not neighbours in memory, and tables are larger than the near caches.
//! Answers are checked first, against a policy written as plainly as possible and against the miss curve.

use std::collections::BTreeMap;
use std::hint::black_box;

use cache::{Lookup, MissCurve, PolicyKind, Replayed, Reserve, SegmentShape, SegmentedCache, Setting, Shape, replay_kind};

const SKEW: f64 = 0.9;
const ROUNDS: usize = 5;

fn main() {
    let numbers: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let named: Vec<PolicyKind> = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let kinds: Vec<PolicyKind> = PolicyKind::ALL
        .into_iter()
        .filter(|kind| named.is_empty() || named.contains(kind))
        .collect();
    let requests = numbers.first().copied().unwrap_or(8_000_000);
    let keys = if numbers.len() > 1 {
        numbers[1..].to_vec()
    } else {
        vec![458_752, 3_670_016]
    };
    check();
    println!(
        "{requests} requests, Zipf {SKEW}, best of {ROUNDS}, seconds on the processor; a slot for a tenth and for half of the keys"
    );
    println!(
        "{:>9} {:>9} {:<12} {:>10} {:>9} {:>9}",
        "keys", "slots", "policy", "Mlookups/s", "ns each", "hit rate"
    );
    for keys in keys {
        let keys = keys as u32;
        let heat = zipf_heat(keys);
        let trace = draw(&heat, requests, 1);
        let started = processor_seconds();
        let curve = MissCurve::of(keys, &trace).expect("keys of the trace are in range");
        print(
            keys,
            keys,
            "lru curve",
            requests,
            processor_seconds() - started,
            curve.hits(keys),
        );
        for slots in [keys / 10, keys / 2] {
            for &kind in &kinds {
                let setting = Setting {
                    keys,
                    slots,
                    heat: &heat,
                    window_tokens: 8,
                    future: &trace,
                };
                let mut best = f64::INFINITY;
                let mut counts = Replayed::default();
                for _ in 0..ROUNDS {
                    // Building the tables is not part of a lookup; what remains of it here is small, and counts against us.
                    let mut policy = kind.build(&setting).expect("the setting has what every policy reads");
                    let started = processor_seconds();
                    counts = black_box(cache::replay(&mut *policy, keys, &trace).expect("keys of the trace are in range"));
                    best = best.min(processor_seconds() - started);
                }
                if kind == PolicyKind::Lru {
                    assert_eq!(counts.hits, curve.hits(slots), "the miss curve and the replay disagree");
                }
                print(keys, slots, kind.name(), requests, best, counts.hits);
                let mut best = f64::INFINITY;
                let mut found = 0;
                for _ in 0..ROUNDS {
                    let (seconds, hits) = through_a_segment(kind, &setting, &trace);
                    (best, found) = (best.min(seconds), hits);
                }
                print(keys, slots, "  in segment", requests, best, found);
            }
        }
    }
}

/// The same lookups as the engine makes them, in batches with slots reserved and committed after misses, but nothing read.
fn through_a_segment(kind: PolicyKind, setting: &Setting<'_>, trace: &[u32]) -> (f64, u64) {
    let segment = SegmentShape {
        name: "cold",
        entry_bytes: 4096,
        align_bytes: cache::PAGE_BYTES,
        policy: kind,
        setting: *setting,
    };
    let shape = Shape {
        budget_bytes: 1 << 40,
        fixed_bytes: 0,
        huge_pages: false,
        segments: vec![segment],
    };
    let mut cache = SegmentedCache::new(&shape).expect("a budget that nothing exceeds");
    let segment = cache.segment_mut(0).expect("one segment");
    let mut found = Vec::new();
    let started = processor_seconds();
    for batch in trace.chunks(1024) {
        segment.lookup_all(batch, &mut found).expect("keys of the trace are in range");
        for (&id, found) in batch.iter().zip(&found) {
            // Policies that keep a choice of their own decline others.
            if matches!(found, Lookup::Miss)
                && !segment.is_resident(id)
                && let Reserve::Slot { .. } = segment.reserve(id).expect("absent")
            {
                segment.commit(id).expect("loading");
            }
        }
    }
    (processor_seconds() - started, segment.counts().hits)
}

fn print(keys: u32, slots: u32, name: &str, requests: usize, seconds: f64, hits: u64) {
    let requests = requests as f64;
    println!(
        "{keys:>9} {slots:>9} {name:<11} {:>10.1} {:>9.1} {:>9.4}",
        requests / seconds / 1e6,
        seconds / requests * 1e9,
        hits as f64 / requests
    );
}

/// LRU by a map from last use to key, on a short trace; the other policies by what bounds them.
fn check() {
    let keys = 5000;
    let heat = zipf_heat(keys);
    let trace = draw(&heat, 60_000, 2);
    let slots = 600;
    let setting = Setting {
        keys,
        slots,
        heat: &heat,
        window_tokens: 8,
        future: &trace,
    };
    let (mut by_use, mut last_use, mut hits) = (BTreeMap::new(), BTreeMap::new(), 0);
    for (now, &key) in trace.iter().enumerate() {
        if let Some(before) = last_use.insert(key, now) {
            by_use.remove(&before);
            hits += 1;
        } else if by_use.len() == slots as usize {
            let (_, oldest) = by_use.pop_first().expect("as many as slots");
            last_use.remove(&oldest);
        }
        by_use.insert(now, key);
    }
    let replayed = |kind| replay_kind(kind, &setting, &trace).expect("a good setting");
    assert_eq!(replayed(PolicyKind::Lru).hits, hits, "lru");
    assert_eq!(
        MissCurve::of(keys, &trace).expect("a good trace").hits(slots),
        hits,
        "miss curve"
    );
    let best = replayed(PolicyKind::Belady).hits;
    for kind in PolicyKind::ALL {
        let counts = replayed(kind);
        assert_eq!(counts.hits + counts.misses, trace.len() as u64, "{kind}");
        assert!(
            counts.hits <= best && counts.hits > 0,
            "{kind}: {} hits, belady {best}",
            counts.hits
        );
    }
}

/// How often each key is asked for, hot keys at random places.
fn zipf_heat(keys: u32) -> Vec<f64> {
    let mut heat: Vec<f64> = (1..=keys).map(|rank| f64::from(rank).powf(-SKEW)).collect();
    let sum: f64 = heat.iter().sum();
    heat.iter_mut().for_each(|heat| *heat /= sum);
    let mut random = 3;
    for place in (1..heat.len()).rev() {
        heat.swap(place, (next(&mut random) % (place as u64 + 1)) as usize);
    }
    heat
}

/// Independent draws: no locality but the skew's, which is the hardest case for the tables.
fn draw(heat: &[f64], requests: usize, seed: u64) -> Vec<u32> {
    let mut up_to = 0.0;
    let sums: Vec<f64> = heat
        .iter()
        .map(|heat| {
            up_to += heat;
            up_to
        })
        .collect();
    // For each small range of the uniform number the first key that it can mean.
    let starts: Vec<u32> = (0..=heat.len())
        .map(|part| sums.partition_point(|&sum| sum < part as f64 / heat.len() as f64) as u32)
        .collect();
    let mut random = seed;
    (0..requests)
        .map(|_| {
            let uniform = (next(&mut random) >> 11) as f64 / (1u64 << 53) as f64;
            let mut key = starts[(uniform * heat.len() as f64) as usize] as usize;
            while key + 1 < heat.len() && sums[key] < uniform {
                key += 1;
            }
            key.min(heat.len() - 1) as u32
        })
        .collect()
}

/// Seconds that this thread has had on a processor: what others ran in between does not count.
fn processor_seconds() -> f64 {
    const THREAD_CLOCK: i32 = 3;
    unsafe extern "C" {
        fn clock_gettime(clock: i32, time: *mut [i64; 2]) -> i32;
    }
    let mut time = [0; 2];
    // SAFETY: on 64-bit Linux a timespec is two 64-bit integers, and this is one.
    let failed = unsafe { clock_gettime(THREAD_CLOCK, &mut time) };
    assert_eq!(failed, 0, "no clock for threads");
    time[0] as f64 + time[1] as f64 * 1e-9
}

/// SplitMix.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut bits = *state;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}
