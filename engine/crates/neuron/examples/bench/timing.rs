//! Clocks and roofs.

use std::hint::black_box;
use std::time::Instant;

use pool::Pool;

/// Seconds that `work` takes.
pub fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// Seconds that this thread has a processor while it does `work`: what others run in between does not count.
pub fn processor_seconds(work: impl FnOnce()) -> f64 {
    const THREAD_CLOCK: i32 = 3;
    let start = clock_seconds(THREAD_CLOCK);
    work();
    clock_seconds(THREAD_CLOCK) - start
}

/// Seconds that the threads of this process have had processors.
pub fn process_seconds() -> f64 {
    const PROCESS_CLOCK: i32 = 2;
    clock_seconds(PROCESS_CLOCK)
}

fn clock_seconds(clock: i32) -> f64 {
    unsafe extern "C" {
        fn clock_gettime(clock: i32, time: *mut [i64; 2]) -> i32;
    }
    let mut time = [0; 2];
    // SAFETY: on 64-bit Linux a timespec is two 64-bit integers, and this is one.
    let failed = unsafe { clock_gettime(clock, &mut time) };
    assert_eq!(failed, 0, "no such clock");
    time[0] as f64 + time[1] as f64 * 1e-9
}

/// The best times of two pieces of work that take turns, so that both see the same noise.
pub fn best_of_pair(turns: usize, mut first: impl FnMut(), mut second: impl FnMut()) -> (f64, f64) {
    let mut best = (f64::INFINITY, f64::INFINITY);
    for _ in 0..turns {
        best.0 = best.0.min(seconds(&mut first));
        best.1 = best.1.min(seconds(&mut second));
    }
    best
}

// Crate measure has the same loop, for the probe (`measure/src/kernels/other.rs`). It depends on this one, whose example cannot depend on it, and
// neither kernels nor the pool are a place for a measure of memory.

/// Reads all of `data` once, on all threads of the pool: the sum of its words.
pub fn read_all(pool: &mut Pool, data: &[u64]) -> u64 {
    let sums: Vec<std::sync::atomic::AtomicU64> = (0..pool.threads()).map(|_| Default::default()).collect();
    pool.run(|worker| {
        let part = &data[worker.share(data.len(), 512)];
        sums[worker.index()].store(sum(part), std::sync::atomic::Ordering::Relaxed);
    });
    black_box(sums.into_iter().fold(0, |all, sum| all.wrapping_add(sum.into_inner())))
}

#[cfg(target_arch = "x86_64")]
fn sum(words: &[u64]) -> u64 {
    #[target_feature(enable = "avx2")]
    fn wide(words: &[u64]) -> u64 {
        plain_sum(words)
    }
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the feature was detected.
        unsafe { wide(words) }
    } else {
        plain_sum(words)
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn sum(words: &[u64]) -> u64 {
    plain_sum(words)
}

#[inline(always)]
fn plain_sum(words: &[u64]) -> u64 {
    let mut sums = [0u64; 32];
    let (whole, rest) = words.as_chunks::<32>();
    for part in whole {
        for j in 0..32 {
            sums[j] = sums[j].wrapping_add(part[j]);
        }
    }
    sums.iter().chain(rest).fold(0, |all, &word| all.wrapping_add(word))
}
