mod resize;

use std::ops::Range;
use std::sync::Arc;

use crate::answers::{Lookup, Reserve, SegmentCounts, Slot};
use crate::error::CacheError;
use crate::memory::{Mapping, table};
use crate::policy::{Admission, FAR, Held, Holding, Policy};
use crate::prefetch::prefetch;

/// Where a segment lives, and for how many things.
pub(crate) struct Place {
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) region: Range<usize>,
    pub(crate) huge_pages: bool,
    pub(crate) ids: u32,
}

const NOWHERE: u32 = u32::MAX;
const LOADING: u32 = u32::MAX;

/// A thing's slot and, in `pins`, why it must stay: LOADING, or by how many it is in use. Absent things have neither.
#[derive(Clone, Copy)]
struct Entry {
    slot: u32,
    pins: u32,
}

const ABSENT: Entry = Entry { slot: NOWHERE, pins: 0 };

/// What a segment's entries say about who must stay.
struct Pinned<'a>(&'a [Entry]);

impl Holding for Pinned<'_> {
    #[inline]
    fn holds(&self, key: u32) -> bool {
        self.0[key as usize].pins != 0
    }

    #[inline]
    fn prefetch(&self, key: u32) {
        prefetch(self.0, key as usize);
    }
}

/// An evicting part of a [`crate::SegmentedCache`]: equal slots, and a policy that says what is in them.
///
/// A thing is absent, loading (a slot is reserved, a read is under way), present, or pinned (present, and in use by some
/// number of computations). Only what is present and not pinned ever leaves.
///
/// One thread, the scheduler's, calls the methods; who may touch the bytes is said at [`crate::SegmentedCache`].
pub struct Segment {
    name: &'static str,
    mapping: Arc<Mapping>,
    /// The part of the mapping that is this segment's alone; its slots begin at the start.
    region: Range<usize>,
    huge_pages: bool,
    slot_bytes: usize,
    policy: Box<dyn Policy>,
    entries: Vec<Entry>,
    /// What each slot holds, NOWHERE for a free one.
    id_in: Vec<u32>,
    /// Free slots; the next to be used is the last.
    free: Vec<u32>,
    loading: u32,
    pinned: u32,
    counts: SegmentCounts,
    dropped: Vec<u32>,
}

impl Segment {
    pub(crate) fn new(name: &'static str, slot_bytes: usize, place: Place, policy: Box<dyn Policy>) -> Segment {
        let Place {
            mapping,
            region,
            huge_pages,
            ids,
        } = place;
        let slots = policy.slots().min(ids);
        Segment {
            name,
            mapping,
            region,
            huge_pages,
            slot_bytes,
            policy,
            entries: table(ABSENT, ids as usize),
            id_in: table(NOWHERE, slots as usize),
            free: (0..slots).rev().collect(),
            loading: 0,
            pinned: 0,
            counts: SegmentCounts {
                slot_bytes,
                ..SegmentCounts::default()
            },
            dropped: Vec::new(),
        }
    }

    /// Its name, as in counts and errors.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The policy's name.
    pub fn policy(&self) -> &'static str {
        self.policy.name()
    }

    /// Things are numbered below this.
    pub fn ids(&self) -> u32 {
        self.entries.len() as u32
    }

    /// Bytes of one slot.
    pub fn slot_bytes(&self) -> usize {
        self.slot_bytes
    }

    /// What happened so far, and what is held.
    pub fn counts(&self) -> SegmentCounts {
        SegmentCounts {
            slots: self.policy.slots(),
            resident: self.policy.resident(),
            loading: self.loading,
            pinned: self.pinned,
            ..self.counts
        }
    }

    /// Whether the thing is here or on its way, without counting as a use of it.
    pub fn is_resident(&self, id: u32) -> bool {
        self.entries.get(id as usize).is_some_and(|entry| entry.slot != NOWHERE)
    }

    /// Looks for a thing that is wanted now; counts as a use of it.
    #[inline]
    pub fn lookup(&mut self, id: u32) -> Result<Lookup, CacheError> {
        let entry = self.entry(id)?;
        self.policy.request(id);
        Ok(self.count(entry))
    }

    /// What an entry means to who looks it up, counted.
    #[inline]
    fn count(&mut self, Entry { slot, pins }: Entry) -> Lookup {
        if slot == NOWHERE {
            self.counts.misses += 1;
            Lookup::Miss
        } else if pins == LOADING {
            self.counts.joined += 1;
            Lookup::Loading(Slot(slot))
        } else {
            self.counts.hits += 1;
            Lookup::Hit(Slot(slot))
        }
    }

    /// Looks for many at once, in their order, which is what a layer's predictor asks for: the same as one `lookup` after the other, and
    /// faster, because the entries of the next are fetched while this one's are used. `found` is emptied first. With an
    /// unknown thing among them nothing is looked up.
    pub fn lookup_all(&mut self, ids: &[u32], found: &mut Vec<Lookup>) -> Result<(), CacheError> {
        for &id in ids {
            self.entry(id)?;
        }
        found.clear();
        found.reserve(ids.len());
        for (place, &id) in ids.iter().enumerate() {
            if let Some(&far) = ids.get(place + FAR) {
                prefetch(&self.entries, far as usize);
            }
            found.push(self.count(self.entries[id as usize]));
        }
        // A request changes nothing of what was just answered: only a reservation takes a thing in or out.
        self.policy.request_all(ids);
        Ok(())
    }

    /// A slot to read an absent thing into, after a lookup that missed. Where there is none, that is an answer and no error:
    /// the caller computes from a buffer of its own, so that a segment smaller than one token's demand slows things down and
    /// stops nothing.
    pub fn reserve(&mut self, id: u32) -> Result<Reserve, CacheError> {
        let entry = self.entry(id)?;
        if entry.slot != NOWHERE {
            return Err(self.wrong_state(id, entry, "absent"));
        }
        let held = Pinned(&self.entries);
        let evicted = match self.policy.admit(id, Held::new(self.loading + self.pinned, &held)) {
            Admission::Taken { evicted } => evicted,
            Admission::Declined => {
                self.counts.declined += 1;
                return Ok(Reserve::Declined);
            }
            Admission::NoRoom => {
                self.counts.no_room += 1;
                return Ok(Reserve::NoRoom);
            }
        };
        if let Some(victim) = evicted {
            self.vacate(victim);
            self.counts.evictions += 1;
        }
        // The policy holds no more than its slots, so one is free.
        let slot = self.free.pop().expect("a policy took in more than its slots");
        self.id_in[slot as usize] = id;
        self.entries[id as usize] = Entry { slot, pins: LOADING };
        self.loading += 1;
        Ok(Reserve::Slot {
            slot: Slot(slot),
            evicted,
        })
    }

    /// The read into a reserved slot has arrived whole: the thing is present, and not pinned.
    pub fn commit(&mut self, id: u32) -> Result<Slot, CacheError> {
        let slot = self.loading_slot(id)?;
        self.entries[id as usize].pins = 0;
        self.loading -= 1;
        self.counts.loads += 1;
        Ok(slot)
    }

    /// The read into a reserved slot failed, and nobody writes to it any more: the thing is absent and the slot free.
    pub fn abort(&mut self, id: u32) -> Result<(), CacheError> {
        self.loading_slot(id)?;
        self.policy.forget(id);
        self.vacate(id);
        self.loading -= 1;
        self.counts.aborts += 1;
        Ok(())
    }

    /// Keeps a present thing where it is until as many `unpin`s.
    pub fn pin(&mut self, id: u32) -> Result<Slot, CacheError> {
        let entry = self.entry(id)?;
        if entry.slot == NOWHERE || entry.pins >= LOADING - 1 {
            return Err(self.wrong_state(id, entry, "present"));
        }
        self.pinned += u32::from(entry.pins == 0);
        self.entries[id as usize].pins += 1;
        Ok(Slot(entry.slot))
    }

    /// One computation is done with a pinned thing.
    pub fn unpin(&mut self, id: u32) -> Result<(), CacheError> {
        let entry = self.entry(id)?;
        if entry.pins == 0 || entry.pins == LOADING {
            return Err(self.wrong_state(id, entry, "pinned"));
        }
        self.pinned -= u32::from(entry.pins == 1);
        self.entries[id as usize].pins -= 1;
        Ok(())
    }

    /// The token is over: its lookups were all made. Policies that count in tokens drop what they no longer want.
    pub fn end_token(&mut self) {
        let held = Pinned(&self.entries);
        let dropped = &mut self.dropped;
        self.policy
            .end_token(Held::new(self.loading + self.pinned, &held), &mut |id| dropped.push(id));
        self.vacate_dropped();
    }

    /// Where a slot's bytes are, `slot_bytes()` of them, aligned as the shape says. Reading or writing there needs what [`crate::SegmentedCache`] says.
    /// A slot that a resize took away gives a null pointer.
    #[inline]
    pub fn address(&self, slot: Slot) -> *mut u8 {
        if slot.0 as usize >= self.id_in.len() {
            return std::ptr::null_mut();
        }
        self.mapping.at(self.region.start + slot.0 as usize * self.slot_bytes)
    }

    /// The bytes of a present thing: none for one that is absent or being read.
    pub fn bytes(&self, id: u32) -> Option<&[u8]> {
        let entry = self
            .entries
            .get(id as usize)
            .filter(|entry| entry.slot != NOWHERE && entry.pins != LOADING)?;
        let address = self.address(Slot(entry.slot));
        // SAFETY: inside the mapping, which zeros or a finished read initialised; nobody writes to a present thing, and it cannot
        // leave while `self` is borrowed.
        Some(unsafe { std::slice::from_raw_parts(address, self.slot_bytes) })
    }

    /// The bytes of a reserved slot, to fill on this thread: none for a thing that is not being read.
    ///
    /// # Safety
    /// No read started elsewhere (a lane, the kernel) may be writing to the slot.
    pub unsafe fn loading_bytes(&mut self, id: u32) -> Option<&mut [u8]> {
        let slot = self.loading_slot(id).ok()?;
        let address = self.address(slot);
        // SAFETY: inside the mapping, whose fresh pages read as zeros; the caller says that nobody else writes, and readers
        // come only after the commit.
        Some(unsafe { std::slice::from_raw_parts_mut(address, self.slot_bytes) })
    }

    /// Bytes kept beside the slots, with as many slots: entries, slot tables, and the policy's.
    pub(crate) fn bookkeeping_bytes(&self, slots: u32) -> usize {
        let slot_tables = self.physical(slots) * 2 * size_of::<u32>();
        self.entries.len() * size_of::<Entry>() + slot_tables + self.policy.bookkeeping_bytes(slots)
    }

    /// Slots that can ever be filled out of `slots`: not more than there are things.
    pub(crate) fn physical(&self, slots: u32) -> usize {
        slots.min(self.ids()) as usize
    }

    fn vacate(&mut self, id: u32) {
        let Entry { slot, .. } = std::mem::replace(&mut self.entries[id as usize], ABSENT);
        self.id_in[slot as usize] = NOWHERE;
        self.free.push(slot);
    }

    fn vacate_dropped(&mut self) {
        self.counts.evictions += self.dropped.len() as u64;
        let mut dropped = std::mem::take(&mut self.dropped);
        for id in dropped.drain(..) {
            self.vacate(id);
        }
        self.dropped = dropped;
    }

    #[inline]
    fn entry(&self, id: u32) -> Result<Entry, CacheError> {
        self.entries.get(id as usize).copied().ok_or(CacheError::UnknownId {
            segment: self.name,
            id,
            ids: self.ids(),
        })
    }

    fn loading_slot(&self, id: u32) -> Result<Slot, CacheError> {
        let entry = self.entry(id)?;
        if entry.pins == LOADING {
            Ok(Slot(entry.slot))
        } else {
            Err(self.wrong_state(id, entry, "loading"))
        }
    }

    fn wrong_state(&self, id: u32, entry: Entry, wanted: &'static str) -> CacheError {
        let is = match entry {
            Entry { slot: NOWHERE, .. } => "absent",
            Entry { pins: LOADING, .. } => "loading",
            Entry { pins: 0, .. } => "present",
            _ => "pinned",
        };
        CacheError::State {
            segment: self.name,
            id,
            is,
            wanted,
        }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if self.loading + self.pinned > 0 {
            // Somebody may still read or write a slot: the mapping stays for good.
            std::mem::forget(Arc::clone(&self.mapping));
        }
    }
}
