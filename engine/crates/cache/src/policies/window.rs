use crate::memory::table;
use crate::policy::{Admission, Held, Policy};
use crate::prefetch::prefetch;
use crate::use_log::UseLog;

/// Keeps what the last few tokens used and drops the rest at the end of each token (Alizadeh et al., LLM in a flash,
/// arXiv 2312.11514, section 3.1). Where the window does not fit its slots, what was used longest ago leaves early, as
/// under LRU. What is held at the end of its window leaves at the end of a later token.
pub struct Window {
    order: UseLog,
    last_use: Vec<u32>,
    slots: u32,
    window_tokens: u32,
    token: u32,
}

impl Window {
    /// An empty cache of `slots` slots for keys below `keys`; `window_tokens` tokens are covered, the one just over included.
    pub fn new(keys: u32, slots: u32, window_tokens: u32) -> Self {
        let last_use = table(0, keys as usize);
        Window {
            order: UseLog::new(keys, slots),
            last_use,
            slots,
            window_tokens,
            token: 0,
        }
    }
}

impl Policy for Window {
    fn name(&self) -> &'static str {
        "window"
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
        self.last_use[key as usize] = self.token;
        self.order.touch(key)
    }

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

    fn end_token(&mut self, held: Held<'_>, dropped: &mut dyn FnMut(u32)) {
        self.token = self.token.wrapping_add(1);
        let Window {
            order,
            last_use,
            token,
            window_tokens,
            ..
        } = self;
        // The order of use is the order of last tokens: the first that is young enough ends the search.
        loop {
            let mut is_old = true;
            let wanted = |key| {
                is_old = token.wrapping_sub(last_use[key as usize]) > *window_tokens;
                !is_old || !held.holds(key)
            };
            let oldest = order.oldest_where(wanted, |key| held.prefetch(key));
            let Some(oldest) = oldest.filter(|_| is_old) else { return };
            order.remove(oldest);
            dropped(oldest);
        }
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
        self.order.bytes(slots) + self.last_use.len() * size_of::<u32>()
    }

    #[inline]
    fn prefetch(&self, key: u32) {
        self.order.prefetch(key);
        prefetch(&self.last_use, key as usize);
    }
}
