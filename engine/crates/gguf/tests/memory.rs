//! What the parser allocates is bounded by the bytes that are there, whatever the file says.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use gguf::Gguf;
use support::generate::{content, encode};
use support::mutate::mutate;
use support::random::Random;
use support::raw::Raw;

struct Counting;

thread_local! {
    static NOW: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is handed on to the system's allocator unchanged; the counters allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = NOW.try_with(|now| {
            now.set(now.get().wrapping_add(layout.size()));
            let _ = PEAK.try_with(|peak| peak.set(peak.get().max(now.get())));
        });
        // SAFETY: the caller's promise about `layout` is handed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let _ = NOW.try_with(|now| now.set(now.get().wrapping_sub(layout.size())));
        // SAFETY: the caller's promise about `pointer` and `layout` is handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes held at once while `work` ran, beyond those held before.
fn peak_of(work: impl FnOnce()) -> usize {
    NOW.set(0);
    PEAK.set(0);
    work();
    PEAK.get()
}

/// The reader's buffer, and small change.
const FIXED: usize = (1 << 16) + 8192;
/// The worst per byte of file: a table of short keys, each with a string, a value and a place in two growing lists.
const TIMES: usize = 16;

fn stays_bounded(bytes: &[u8], what: &str) {
    let peak = peak_of(|| drop(Gguf::parse(bytes)));
    let bound = FIXED + TIMES * bytes.len();
    assert!(
        peak <= bound,
        "{what}: {peak} bytes allocated for a file of {}; at most {bound}",
        bytes.len()
    );
}

#[test]
fn counts_and_lengths_that_lie_buy_no_memory() {
    let lies = [1u64 << 20, 1 << 31, 1 << 40, 1 << 60, u64::MAX / 8, u64::MAX];
    for lie in lies {
        stays_bounded(&Raw::header(3, lie, 0).zeros(500).0, "tensor count");
        stays_bounded(&Raw::header(3, 0, lie).zeros(500).0, "key count");
        stays_bounded(&Raw::header(3, 0, 1).u64(lie).zeros(500).0, "key length");
        stays_bounded(&Raw::header(3, 0, 1).key("k", 8).u64(lie).zeros(500).0, "string length");
        for code in 0..=12 {
            stays_bounded(
                &Raw::header(3, 0, 1).key("k", 9).u32(code).u64(lie).zeros(500).0,
                "array length",
            );
        }
        stays_bounded(&Raw::header(3, 1, 0).u64(lie).zeros(500).0, "tensor name");
        stays_bounded(
            &Raw::header(3, 1, 0).tensor("t", &[lie, lie], 0, lie).zeros(500).0,
            "tensor shape",
        );
    }
}

#[test]
fn the_densest_honest_files_stay_within_the_bound() {
    let keys = (0..8_000u32).fold(Raw::header(3, 0, 8_000), |raw, index| {
        let name = [33 + (index % 90) as u8, 33 + (index / 90) as u8];
        raw.key(std::str::from_utf8(&name).unwrap(), 0).u8(1)
    });
    stays_bounded(&keys.0, "short keys");
    assert!(Gguf::parse(&keys.0).unwrap().metadata.len() == 8_000);
    let arrays = (0..20_000).fold(Raw::header(3, 0, 1).key("k", 9).u32(9).u64(20_000), |raw, _| {
        raw.u32(0).u64(0)
    });
    stays_bounded(&arrays.0, "empty arrays in an array");
    let strings = (0..20_000).fold(Raw::header(3, 0, 1).key("k", 9).u32(8).u64(20_000), |raw, _| raw.u64(0));
    stays_bounded(&strings.0, "empty strings");
    let tensors = (0..5_000u32).fold(Raw::header(3, 5_000, 0), |raw, index| {
        let name = [33 + (index % 90) as u8, 33 + (index / 90) as u8];
        raw.tensor(std::str::from_utf8(&name).unwrap(), &[1], 24, 32 * u64::from(index))
    });
    let tensors = tensors.pad(32).zeros(5_000 * 32);
    stays_bounded(&tensors.0, "short tensors");
    assert!(Gguf::parse(&tensors.0).unwrap().tensors.len() == 5_000);
}

#[test]
fn mutated_files_stay_within_the_bound() {
    let seeds: Vec<Vec<u8>> = (100..140).map(|seed| encode(&content(&mut Random::new(seed)))).collect();
    let mut random = Random::new(5);
    for _ in 0..20_000 {
        let mut bytes = random.pick(&seeds).clone();
        mutate(&mut random, &mut bytes, &seeds[0]);
        stays_bounded(&bytes, "mutated file");
    }
}
