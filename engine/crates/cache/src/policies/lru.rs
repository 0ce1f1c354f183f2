use crate::policy::{Admission, Held, Policy};
use crate::use_log::UseLog;

/// Drops what was used longest ago: the paper's policy for clusters of the hot and neurons of the cold segment.
pub struct Lru {
    order: UseLog,
    slots: u32,
}

impl Lru {
    /// An empty cache of `slots` slots for keys below `keys`.
    pub fn new(keys: u32, slots: u32) -> Self {
        Lru {
            order: UseLog::new(keys, slots),
            slots,
        }
    }
}

impl Policy for Lru {
    fn name(&self) -> &'static str {
        "lru"
    }

    fn slots(&self) -> u32 {
        self.slots
    }

    fn resident(&self) -> u32 {
        self.order.len()
    }

    fn is_resident(&self, key: u32) -> bool {
        self.order.has(key)
    }

    #[inline]
    fn request(&mut self, key: u32) -> bool {
        self.order.touch(key)
    }

    #[inline]
    fn admit(&mut self, key: u32, held: Held<'_>) -> Admission {
        let mut evicted = None;
        if self.resident() >= self.slots {
            if held.count() >= self.resident() {
                return Admission::NoRoom;
            }
            evicted = self
                .order
                .oldest_where(|oldest| !held.holds(oldest), |key| held.prefetch(key));
            let Some(oldest) = evicted else { return Admission::NoRoom };
            self.order.remove(oldest);
        }
        self.order.add(key);
        Admission::Taken { evicted }
    }

    fn forget(&mut self, key: u32) {
        self.order.remove(key);
    }

    fn resize(&mut self, slots: u32, dropped: &mut dyn FnMut(u32)) {
        self.slots = slots;
        while self.order.len() > slots {
            let Some(oldest) = self.order.oldest_where(|_| true, |_| {}) else {
                return;
            };
            self.order.remove(oldest);
            dropped(oldest);
        }
        self.order.resize(slots);
    }

    fn bookkeeping_bytes(&self, slots: u32) -> usize {
        self.order.bytes(slots)
    }

    #[inline]
    fn prefetch(&self, key: u32) {
        self.order.prefetch(key);
    }
}
