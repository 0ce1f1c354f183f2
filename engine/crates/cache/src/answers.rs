//! What a segment answers.

/// A place of a segment that holds one thing, in whole pages. Valid until the segment is resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot(pub(crate) u32);

impl Slot {
    /// Its number, from 0.
    pub fn index(self) -> u32 {
        self.0
    }
}

/// What became of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Present: its bytes can be read once it is pinned.
    Hit(Slot),
    /// Somebody reserved a slot for it and its bytes are on their way: wait for the commit, do not read them again.
    Loading(Slot),
    /// Not here: reserve a slot, or compute from a transient buffer.
    Miss,
}

/// What became of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// Read into this slot, then commit, or abort if the read fails.
    Slot {
        /// Where to.
        slot: Slot,
        /// What left to make room. Its bytes are overwritten by the read.
        evicted: Option<u32>,
    },
    /// The policy does not want it here: compute from a transient buffer.
    Declined,
    /// No slot, or all are pinned or being read: compute from a transient buffer. Asking again may succeed once something is unpinned.
    NoRoom,
}

/// What happened so far in one segment, and what it holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentCounts {
    /// Lookups that found the thing present.
    pub hits: u64,
    /// Lookups that found it on its way. To the policy these are hits: they cause no read.
    pub joined: u64,
    /// Lookups that found nothing.
    pub misses: u64,
    /// Things that left: to make room, at the end of a token, or because the segment shrank.
    pub evictions: u64,
    /// Reads that arrived.
    pub loads: u64,
    /// Reads that failed.
    pub aborts: u64,
    /// Reservations that the policy declined.
    pub declined: u64,
    /// Reservations that found no room.
    pub no_room: u64,
    /// Slots that may be used.
    pub slots: u32,
    /// Things present or being read.
    pub resident: u32,
    /// Of these, being read.
    pub loading: u32,
    /// Of these, pinned.
    pub pinned: u32,
    /// Bytes of one slot: those of one thing in whole pages.
    pub slot_bytes: usize,
}

impl SegmentCounts {
    /// Bytes brought in.
    pub fn loaded_bytes(&self) -> u64 {
        self.loads * self.slot_bytes as u64
    }

    /// Bytes dropped.
    pub fn evicted_bytes(&self) -> u64 {
        self.evictions * self.slot_bytes as u64
    }

    /// Bytes of slots in use.
    pub fn resident_bytes(&self) -> u64 {
        u64::from(self.resident) * self.slot_bytes as u64
    }

    /// Share of lookups that caused no read, from 0 to 1; 0 before the first.
    pub fn hit_rate(&self) -> f64 {
        let found = self.hits + self.joined;
        if found == 0 {
            0.0
        } else {
            found as f64 / (found + self.misses) as f64
        }
    }
}
