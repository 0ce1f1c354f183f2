//! Changing the number of slots, and the memory with it.

use super::{NOWHERE, Segment};
use crate::error::CacheError;
use crate::memory::PAGE_BYTES;

impl Segment {
    /// Nothing is being read or pinned, or an error.
    pub(crate) fn check_idle(&self) -> Result<(), CacheError> {
        if self.loading + self.pinned > 0 {
            return Err(CacheError::Busy {
                segment: self.name,
                loading: self.loading,
                pinned: self.pinned,
            });
        }
        Ok(())
    }

    /// Sets the number of slots: drops what no longer fits in the policy's order, and moves what stays into the first slots, so
    /// that the memory behind them can go back. Copying costs no more than giving scattered pages back one by one would.
    /// Nothing may be held. Slots handed out before are void.
    pub(crate) fn resize(&mut self, slots: u32) {
        let dropped = &mut self.dropped;
        self.policy.resize(slots, &mut |id| dropped.push(id));
        self.vacate_dropped();
        let physical = self.physical(slots);
        assert!(
            physical * self.slot_bytes <= self.region.len(),
            "{physical} slots are more than segment {} has addresses for",
            self.name
        );
        if physical < self.id_in.len() {
            self.free.retain(|&slot| (slot as usize) < physical);
            // Lowest slots last, where they are taken from.
            self.free.sort_unstable_by(|a, b| b.cmp(a));
            for from in physical..self.id_in.len() {
                let id = self.id_in[from];
                if id != NOWHERE {
                    let to = self.free.pop().expect("more things stayed than there are slots");
                    self.copy(from, to as usize);
                    self.id_in[to as usize] = id;
                    self.entries[id as usize].slot = to;
                }
            }
            // The page that holds the end of the last slot stays.
            let [kept, used] = [physical, self.id_in.len()].map(|slots| self.end_of(slots));
            // SAFETY: slots of this segment that nothing is in any more; nothing was held, so nobody else uses them.
            unsafe {
                self.mapping.release(kept..used);
            }
            self.id_in.truncate(physical);
            self.id_in.shrink_to_fit();
            self.free.shrink_to(physical);
        } else {
            let fresh = self.id_in.len()..physical;
            self.id_in.resize(physical, NOWHERE);
            self.free.reserve_exact(physical - self.free.len());
            self.free.extend(fresh.rev().map(|slot| slot as u32));
            self.free.sort_unstable_by(|a, b| b.cmp(a));
        }
        self.advise();
    }

    /// Lets huge pages back the slots in use and nothing behind them.
    pub(crate) fn advise(&self) {
        if self.huge_pages {
            let used = self.end_of(self.id_in.len());
            self.mapping.allow_huge_pages(self.region.start..used, self.region.end);
        }
    }

    /// Takes the memory of all slots from the system; whether it could.
    pub(crate) fn populate(&self) -> bool {
        self.mapping.populate(self.region.start..self.end_of(self.id_in.len()))
    }

    /// The end of the pages that so many slots take.
    fn end_of(&self, slots: usize) -> usize {
        self.region.start + (slots * self.slot_bytes).next_multiple_of(PAGE_BYTES)
    }

    fn copy(&mut self, from: usize, to: usize) {
        let [source, target] = [from, to].map(|slot| self.mapping.at(self.region.start + slot * self.slot_bytes));
        // SAFETY: two different slots inside the mapping (`to` was free, `from` was not); nothing is held, so no thread reads or
        // writes either.
        unsafe {
            std::ptr::copy_nonoverlapping(source, target, self.slot_bytes);
        }
    }
}
