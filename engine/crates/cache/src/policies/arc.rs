use crate::policy::{Admission, Held, Policy};
use crate::use_logs::UseLogs;

/// Seen once lately, and resident.
const ONCE: u32 = 0;
/// Seen at least twice lately, and resident.
const OFTEN: u32 = 1;
/// Remembered after leaving `ONCE`.
const ONCE_GHOST: u32 = 2;
/// Remembered after leaving `OFTEN`.
const OFTEN_GHOST: u32 = 3;
/// Stale entries beside as many as good ones: enough that short lists are not swept all the time.
const SLACK: usize = 1024;

/// ARC (Megiddo and Modha, ARC: a self-tuning, low overhead replacement cache, FAST 2003, figure 4): two LRU lists of things
/// seen once and often (the paper's T1 and T2), ghosts of both (B1 and B2), and a target size `p` for the first that moves towards the
/// list whose ghosts are asked for.
///
/// The paper's step is a ratio of list sizes; here it is the ratio rounded down, at least 1, with the sizes before the ghost
/// leaves its list, so that the target is an integer and equal wherever it is computed. With something held the oldest that is
/// not held leaves, from the other list where the chosen one has none.
pub struct Arc {
    lists: UseLogs,
    slots: u32,
    /// The paper's p: how many of the residents should be things seen once.
    target: u32,
}

impl Arc {
    /// An empty cache of `slots` slots for keys below `keys`.
    pub fn new(keys: u32, slots: u32) -> Self {
        Arc {
            lists: UseLogs::new(keys, 4, SLACK),
            slots,
            target: 0,
        }
    }

    /// Forgets the oldest of a list altogether.
    fn discard_oldest(&mut self, list: u32) {
        if let Some(key) = self.lists.oldest_where(list, |_| true, |_| {}) {
            self.lists.remove(key);
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
            let key = self
                .lists
                .oldest_where(list, |oldest| !held.holds(oldest), |soon| held.prefetch(soon))?;
            self.lists.put(list + 2, key);
            Some(key)
        })
    }

    fn ghosts_within_bounds(&mut self) {
        let slots = u64::from(self.slots);
        let size = |lists: &UseLogs, list| u64::from(lists.size(list));
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

    #[inline]
    fn is_resident(&self, key: u32) -> bool {
        self.lists.list_of(key).is_some_and(|list| list <= OFTEN)
    }

    #[inline]
    fn request(&mut self, key: u32) -> bool {
        let here = self.is_resident(key);
        if here {
            self.lists.put(OFTEN, key);
        }
        here
    }

    fn admit(&mut self, key: u32, held: Held<'_>) -> Admission {
        let full = self.resident() >= self.slots;
        if full && held.count() >= self.resident() {
            return Admission::NoRoom;
        }
        let [once, once_ghosts, often_ghosts] = [ONCE, ONCE_GHOST, OFTEN_GHOST].map(|list| self.lists.size(list));
        let was = self.lists.list_of(key);
        let mut evicted = None;
        match was {
            Some(ONCE_GHOST) => {
                let step = (often_ghosts / once_ghosts).max(1);
                self.target = self.target.saturating_add(step).min(self.slots);
                if full {
                    evicted = self.replace(false, held);
                }
            }
            Some(OFTEN_GHOST) => {
                let step = (once_ghosts / often_ghosts).max(1);
                self.target = self.target.saturating_sub(step);
                if full {
                    evicted = self.replace(true, held);
                }
            }
            _ if once == self.slots => {
                // Only things seen once, as many as fit: the oldest leaves without becoming a ghost.
                evicted = self
                    .lists
                    .oldest_where(ONCE, |oldest| !held.holds(oldest), |soon| held.prefetch(soon));
                if let Some(oldest) = evicted {
                    self.lists.remove(oldest);
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
        self.lists.put(if was.is_none() { ONCE } else { OFTEN }, key);
        Admission::Taken { evicted }
    }

    fn forget(&mut self, key: u32) {
        self.lists.remove(key);
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

    fn bookkeeping_bytes(&self, slots: u32) -> usize {
        self.lists.most_bytes(2 * u64::from(slots))
    }

    #[inline]
    fn prefetch(&self, key: u32) {
        self.lists.prefetch(key);
    }
}
