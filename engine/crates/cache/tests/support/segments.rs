//! Caches of one or two segments, and things with bytes of their own in them.

use cache::{PolicyKind, Reserve, Segment, SegmentShape, SegmentedCache, Setting, Shape};

pub const MIB: usize = 1 << 20;
pub const HOT: usize = 0;
pub const COLD: usize = 1;

pub fn one(policy: PolicyKind, setting: Setting<'_>, entry_bytes: usize) -> SegmentedCache {
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
pub fn hot_and_cold(hot_slots: u32, cold_slots: u32, huge_pages: bool) -> SegmentedCache {
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
pub fn fill(segment: &mut Segment, id: u32) {
    // SAFETY: nothing else reads into this cache.
    let bytes = unsafe { segment.loading_bytes(id) }.expect("reserved");
    bytes.fill(id as u8);
    bytes[..4].copy_from_slice(&id.to_le_bytes());
}

pub fn holds_its_own(segment: &Segment, id: u32) -> bool {
    segment
        .bytes(id)
        .is_some_and(|bytes| bytes[..4] == id.to_le_bytes() && bytes[4..].iter().all(|&byte| byte == id as u8))
}

/// Makes a thing present; whether there was room.
pub fn bring_in(segment: &mut Segment, id: u32) -> bool {
    if !matches!(segment.reserve(id), Ok(Reserve::Slot { .. })) {
        return false;
    }
    fill(segment, id);
    segment.commit(id).is_ok()
}
