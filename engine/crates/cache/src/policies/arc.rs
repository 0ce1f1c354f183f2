use crate::links::Rings;
use crate::memory::table;
use crate::policy::{Admission, Held, Policy};
use crate::prefetch::prefetch;

/// Seen once lately, and resident.
const ONCE: usize = 0;
/// Seen at least twice lately, and resident.
const OFTEN: usize = 1;
/// Remembered after leaving `ONCE`.
const ONCE_GHOST: usize = 2;
/// Remembered after leaving `OFTEN`.
const OFTEN_GHOST: usize = 3;
const NOWHERE: u8 = 4;

/// ARC (Megiddo and Modha, ARC: a self-tuning, low overhead replacement cache, FAST 2003, figure 4): two LRU lists of things
/// seen once and often (the paper's T1 and T2), ghosts of both (B1 and B2), and a target size `p` for the first that moves towards the
/// list whose ghosts are asked for.
///
/// The paper's step is a ratio of list sizes; here it is the ratio rounded down, at least 1, with the sizes before the ghost
/// leaves its list, so that the target is an integer and equal wherever it is computed. With something held the oldest that is
/// not held leaves, from the other list where the chosen one has none.
pub struct Arc {
    lists: Rings<4>,
    at: Vec<u8>,
    slots: u32,
    /// The paper's p: how many of the residents should be things seen once.
    target: u32,
}

impl Arc {
    /// An empty cache of `slots` slots for keys below `keys`.
    pub fn new(keys: u32, slots: u32) -> Self {
        let at = table(NOWHERE, keys as usize);
        Arc {
            lists: Rings::new(keys),
            at,
            slots,
            target: 0,
        }
    }

    fn shift(&mut self, from: usize, to: usize, key: u32) {
        self.lists.shift(from, to, key);
        self.at[key as usize] = to as u8;
    }

    /// Forgets the oldest of a list altogether.
    fn discard_oldest(&mut self, list: usize) {
        if let Some(key) = self.lists.oldest(list) {
            self.lists.remove(list, key);
            self.at[key as usize] = NOWHERE;
        }
    }

    /// The paper's REPLACE: one resident leaves and becomes a ghost. Something resident must not be held.
    fn replace(&mut self, often_ghost_asked: bool, held: Held<'_>) -> Option<u32> {
        let once = self.lists.size(ONCE);
        let first = if once > 0 && (once > self.target || (often_ghost_asked && once == self.target)) {
            ONCE
        } else {
            OFTEN
        };
        [first, ONCE + OFTEN - first].into_iter().find_map(|list| {
            let key = self.lists.oldest_where(list, |oldest| !held.holds(oldest))?;
            self.shift(list, list + 2, key);
            Some(key)
        })
    }

    /// Asks for what the next evictions look at first.
    fn prefetch_oldest(&self, held: Held<'_>) {
        for oldest in (0..4).filter_map(|list| self.lists.oldest(list)) {
            prefetch(&self.at, oldest as usize);
            held.prefetch(oldest);
            self.lists.prefetch_neighbours(oldest);
        }
    }

    fn ghosts_within_bounds(&mut self) {
        let slots = u64::from(self.slots);
        let size = |lists: &Rings<4>, list| u64::from(lists.size(list));
        while size(&self.lists, ONCE) + size(&self.lists, ONCE_GHOST) > slots {
            self.discard_oldest(ONCE_GHOST);
        }
        while (0..4).map(|list| size(&self.lists, list)).sum::<u64>() > 2 * slots {
            self.discard_oldest(OFTEN_GHOST);
        }
    }
}

impl Policy for Arc {
    fn name(&self) -> &'static str {
        "arc"
    }

    fn slots(&self) -> u32 {
        self.slots
    }

    fn resident(&self) -> u32 {
        self.lists.size(ONCE) + self.lists.size(OFTEN)
    }

    fn is_resident(&self, key: u32) -> bool {
        self.at[key as usize] <= OFTEN as u8
    }

    #[inline]
    fn request(&mut self, key: u32) -> bool {
        match usize::from(self.at[key as usize]) {
            ONCE => self.shift(ONCE, OFTEN, key),
            OFTEN => self.lists.touch(OFTEN, key),
            _ => return false,
        }
        true
    }

    fn admit(&mut self, key: u32, held: Held<'_>) -> Admission {
        let full = self.resident() >= self.slots;
        if full && held.count() >= self.resident() {
            return Admission::NoRoom;
        }
        let [once, once_ghosts, often_ghosts] = [ONCE, ONCE_GHOST, OFTEN_GHOST].map(|list| self.lists.size(list));
        let was = usize::from(self.at[key as usize]);
        let mut evicted = None;
        match was {
            ONCE_GHOST => {
                let step = (often_ghosts / once_ghosts).max(1);
                self.target = self.target.saturating_add(step).min(self.slots);
                if full {
                    evicted = self.replace(false, held);
                }
            }
            OFTEN_GHOST => {
                let step = (once_ghosts / often_ghosts).max(1);
                self.target = self.target.saturating_sub(step);
                if full {
                    evicted = self.replace(true, held);
                }
            }
            _ if once == self.slots => {
                // Only things seen once, as many as fit: the oldest leaves without becoming a ghost.
                evicted = self.lists.oldest_where(ONCE, |oldest| !held.holds(oldest));
                if let Some(oldest) = evicted {
                    self.lists.remove(ONCE, oldest);
                    self.at[oldest as usize] = NOWHERE;
                }
            }
            _ => {
                let remembered = u64::from(self.resident()) + u64::from(once_ghosts) + u64::from(often_ghosts);
                if once + once_ghosts == self.slots {
                    self.discard_oldest(ONCE_GHOST);
                } else if remembered == 2 * u64::from(self.slots) {
                    self.discard_oldest(OFTEN_GHOST);
                }
                if full {
                    evicted = self.replace(false, held);
                }
            }
        }
        if was == usize::from(NOWHERE) {
            self.lists.add(ONCE, key);
            self.at[key as usize] = ONCE as u8;
        } else {
            self.shift(was, OFTEN, key);
        }
        self.prefetch_oldest(held);
        Admission::Taken { evicted }
    }

    fn forget(&mut self, key: u32) {
        self.lists.remove(usize::from(self.at[key as usize]), key);
        self.at[key as usize] = NOWHERE;
    }

    fn resize(&mut self, slots: u32, dropped: &mut dyn FnMut(u32)) {
        self.slots = slots;
        self.target = self.target.min(slots);
        while self.resident() > slots {
            let Some(key) = self.replace(false, Held::NONE) else { break };
            dropped(key);
        }
        self.ghosts_within_bounds();
    }

    fn bookkeeping_bytes(&self, _slots: u32) -> usize {
        self.lists.bytes() + self.at.len()
    }

    #[inline]
    fn prefetch(&self, key: u32) {
        prefetch(&self.at, key as usize);
        self.lists.prefetch(key);
    }

    #[inline]
    fn prefetch_around(&self, key: u32) {
        self.lists.prefetch_neighbours(key);
    }
}
