//! Slots in other hands: compute threads, I/O lanes, the kernel.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use cache::{Lookup, PAGE_BYTES, PolicyKind, Reserve, Segment, SegmentShape, SegmentedCache, Setting, Shape};

fn lru(keys: u32, slots: u32, entry_bytes: usize) -> SegmentedCache {
    let setting = Setting {
        keys,
        slots,
        ..Setting::default()
    };
    let segment = SegmentShape {
        name: "cold",
        entry_bytes,
        align_bytes: cache::PAGE_BYTES,
        policy: PolicyKind::Lru,
        setting,
    };
    SegmentedCache::new(&Shape {
        budget_bytes: 16 << 20,
        fixed_bytes: 0,
        huge_pages: false,
        segments: vec![segment],
    })
    .unwrap()
}

/// An address and a thing on their way to another thread.
struct Errand {
    id: u32,
    address: *mut u8,
}

// SAFETY: the scheduler below hands a slot to one lane, or pinned to compute threads, as `SegmentedCache` asks.
unsafe impl Send for Errand {}

fn word(id: u32, place: usize) -> u64 {
    (u64::from(id) << 32 | place as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

const WORDS: usize = PAGE_BYTES / 8;

enum Event {
    Arrived(u32),
    Computed { id: u32, is_right: bool },
}

/// The whole life of slots across threads: a lane writes, two compute threads read, the scheduler decides, with many more things
/// than slots and now and then more work in flight than slots.
#[test]
fn lanes_write_and_compute_threads_read_what_the_scheduler_hands_them() {
    const REQUESTS: u32 = 20_000;
    const MOST_IN_FLIGHT: u32 = 14;
    let mut cache = lru(64, 12, PAGE_BYTES);
    let (report, events) = channel();
    let (to_lane, errands): (Sender<Errand>, Receiver<Errand>) = channel();
    let lane_report = report.clone();
    let mut threads = vec![thread::spawn(move || {
        for Errand { id, address } in errands {
            for place in 0..WORDS {
                // SAFETY: a reserved slot of WORDS words, this lane's alone until its message.
                unsafe { address.cast::<u64>().add(place).write(word(id, place)) };
            }
            lane_report.send(Event::Arrived(id)).unwrap();
        }
    })];
    let mut to_compute = Vec::new();
    for _ in 0..2 {
        let (sender, errands): (Sender<Errand>, Receiver<Errand>) = channel();
        let report = report.clone();
        to_compute.push(sender);
        threads.push(thread::spawn(move || {
            for Errand { id, address } in errands {
                // SAFETY: a pinned slot of WORDS words, which nobody writes until the scheduler has this thread's message.
                let is_right = (0..WORDS).all(|place| unsafe { address.cast::<u64>().add(place).read() } == word(id, place));
                report.send(Event::Computed { id, is_right }).unwrap();
            }
        }));
    }
    let segment = cache.segment_mut(0).unwrap();
    let compute = |segment: &mut Segment, id: u32| {
        let slot = segment.pin(id).unwrap();
        to_compute[(id % 2) as usize]
            .send(Errand {
                id,
                address: segment.address(slot),
            })
            .unwrap();
    };
    let (mut state, mut asked, mut in_flight, mut computed, mut no_room) = (1u32, 0, 0, 0, 0);
    let mut must_wait = false;
    while asked < REQUESTS || in_flight > 0 {
        if asked < REQUESTS && in_flight < MOST_IN_FLIGHT && !must_wait {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let id = (state >> 26).min((state >> 16) & 63);
            asked += 1;
            match segment.lookup(id).unwrap() {
                Lookup::Hit(_) => {
                    compute(segment, id);
                    in_flight += 1;
                }
                Lookup::Loading(_) => {}
                Lookup::Miss => match segment.reserve(id).unwrap() {
                    Reserve::Slot { slot, .. } => {
                        to_lane
                            .send(Errand {
                                id,
                                address: segment.address(slot),
                            })
                            .unwrap();
                        in_flight += 1;
                    }
                    _ => {
                        no_room += 1;
                        must_wait = true;
                    }
                },
            }
            continue;
        }
        must_wait = false;
        match events.recv().unwrap() {
            Event::Arrived(id) => {
                segment.commit(id).unwrap();
                compute(segment, id);
            }
            Event::Computed { id, is_right } => {
                assert!(is_right, "thing {id} had other bytes");
                segment.unpin(id).unwrap();
                in_flight -= 1;
                computed += 1;
            }
        }
    }
    drop((to_lane, to_compute));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let counts = segment.counts();
    assert_eq!((counts.loading, counts.pinned), (0, 0));
    assert_eq!(computed + no_room + counts.joined, u64::from(REQUESTS));
    assert!(
        computed > 1000 && counts.evictions > 500 && counts.hits > 500,
        "{no_room} without room, {counts:?}"
    );
}

#[cfg(target_arch = "x86_64")]
const O_DIRECT: i32 = 0x4000;
#[cfg(not(target_arch = "x86_64"))]
const O_DIRECT: i32 = 0x1_0000;

#[test]
fn direct_reads_land_in_slots() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache-direct-reads");
    let things = 8u8;
    let bytes: Vec<u8> = (0..things).flat_map(|id| vec![id + 1; 3 * PAGE_BYTES]).collect();
    File::create(&path).unwrap().write_all(&bytes).unwrap();
    let direct = OpenOptions::new().read(true).custom_flags(O_DIRECT).open(&path);
    let (file, is_direct) = direct.map_or_else(|_| (File::open(&path).unwrap(), false), |file| (file, true));
    if !is_direct {
        eprintln!("no direct reads on this file system: alignment is checked, the flag is not");
    }
    let mut cache = lru(u32::from(things), 3, 3 * PAGE_BYTES);
    let segment = cache.segment_mut(0).unwrap();
    for id in (0..things).chain(0..things) {
        let Reserve::Slot { slot, .. } = segment.reserve(u32::from(id)).unwrap() else {
            panic!("no room")
        };
        assert_eq!(segment.address(slot).addr() % PAGE_BYTES, 0);
        // SAFETY: this thread reads, nobody else.
        let slot_bytes = unsafe { segment.loading_bytes(u32::from(id)) }.unwrap();
        file.read_exact_at(slot_bytes, u64::from(id) * 3 * PAGE_BYTES as u64).unwrap();
        segment.commit(u32::from(id)).unwrap();
        assert!(segment.bytes(u32::from(id)).unwrap().iter().all(|&byte| byte == id + 1));
    }
    assert_eq!(segment.counts().evictions, 13);
    fs::remove_file(path).unwrap();
}

#[test]
fn a_cache_dropped_while_in_use_leaves_its_memory_to_the_user() {
    let mut cache = lru(4, 2, PAGE_BYTES);
    let segment = cache.segment_mut(0).unwrap();
    segment.reserve(1).unwrap();
    // SAFETY: nothing else reads into this cache.
    unsafe { segment.loading_bytes(1) }.unwrap().fill(9);
    segment.commit(1).unwrap();
    let slot = segment.pin(1).unwrap();
    let address = segment.address(slot);
    drop(cache);
    // SAFETY: the thing is still pinned, so its mapping stays.
    let bytes = unsafe { std::slice::from_raw_parts(address, PAGE_BYTES) };
    assert!(bytes.iter().all(|&byte| byte == 9));
}
