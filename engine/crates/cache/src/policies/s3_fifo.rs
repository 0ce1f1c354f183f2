use crate::links::Rings;
use crate::memory::table;
use crate::policy::{Admission, Held, Policy};
use crate::prefetch::prefetch;

const SMALL: usize = 0;
const MAIN: usize = 1;
const GHOST: usize = 2;

// One byte a key: 0 absent, GHOSTED, or RESIDENT with the queue in bit 2 and the uses in bits 0 and 1.
const ABSENT: u8 = 0;
const GHOSTED: u8 = 0x40;
const RESIDENT: u8 = 0x80;
const IN_MAIN: u8 = 0x04;
const USES: u8 = 0x03;

/// S3-FIFO (Yang et al., FIFO queues are all you need for cache eviction, SOSP 2023, algorithm 1): newcomers wait in a small
/// queue; those used at least twice there go on to the main queue, the others leave and are remembered as ghosts for a while;
/// who comes back as a ghost goes straight to the main queue, which drops its oldest but gives each use one more round.
///
/// Where the paper leaves a choice:
/// - the small queue's share is a tenth of the slots, rounded down, at least one; main has the rest; ghosts are as many as main;
/// - uses are counted from 0 to 3 and start at 0 on every entry to a queue by newcomers, ghosts, and moves from small to main;
/// - whether the newcomer is a ghost is looked up, and the ghost removed, before room is made;
/// - to make room: while the small queue has its share or more (or main is empty) its oldest goes on or leaves; otherwise main's
///   oldest has another round or leaves; until exactly one has left. (The paper's main queue, when a move overfills it, drops
///   one and its small queue then drops another; one is enough here.)
/// - what is held goes on from small to main, and round main, as if used, without its count being touched in main.
pub struct S3Fifo {
    queues: Rings<3>,
    state: Vec<u8>,
    slots: u32,
}

impl S3Fifo {
    /// An empty cache of `slots` slots for keys below `keys`.
    pub fn new(keys: u32, slots: u32) -> Self {
        let state = table(ABSENT, keys as usize);
        S3Fifo {
            queues: Rings::new(keys),
            state,
            slots,
        }
    }

    fn small_share(&self) -> u32 {
        (self.slots / 10).max(1)
    }

    fn ghosts(&self) -> u32 {
        self.slots - self.small_share().min(self.slots)
    }

    fn trim_ghosts(&mut self) {
        while self.queues.size(GHOST) > self.ghosts() {
            let Some(oldest) = self.queues.oldest(GHOST) else { return };
            self.queues.remove(GHOST, oldest);
            self.state[oldest as usize] = ABSENT;
        }
    }

    /// Asks for what the next evictions look at first.
    fn prefetch_oldest(&self) {
        for oldest in [SMALL, MAIN, GHOST].into_iter().filter_map(|queue| self.queues.oldest(queue)) {
            self.prefetch(oldest);
            self.queues.prefetch_neighbours(oldest);
        }
    }

    /// Drops one. Something resident must not be held.
    fn evict(&mut self, held: Held<'_>) -> Option<u32> {
        // After a round of main that met only what is held, the small queue is next whatever its share.
        let mut held_in_main = 0;
        loop {
            if self.queues.size(SMALL) >= self.small_share() || self.queues.size(MAIN) == held_in_main {
                let key = self.queues.oldest(SMALL)?;
                if held.holds(key) || self.state[key as usize] & USES > 1 {
                    self.queues.shift(SMALL, MAIN, key);
                    self.state[key as usize] = RESIDENT | IN_MAIN;
                    held_in_main = 0;
                    continue;
                }
                self.queues.shift(SMALL, GHOST, key);
                self.state[key as usize] = GHOSTED;
                self.trim_ghosts();
                return Some(key);
            }
            let key = self.queues.oldest(MAIN)?;
            let uses = self.state[key as usize] & USES;
            if held.holds(key) {
                self.queues.touch(MAIN, key);
                held_in_main += 1;
            } else if uses > 0 {
                self.queues.touch(MAIN, key);
                held_in_main = 0;
                self.state[key as usize] -= 1;
            } else {
                self.queues.remove(MAIN, key);
                self.state[key as usize] = ABSENT;
                return Some(key);
            }
        }
    }
}

impl Policy for S3Fifo {
    fn name(&self) -> &'static str {
        "s3-fifo"
    }

    fn slots(&self) -> u32 {
        self.slots
    }

    fn resident(&self) -> u32 {
        self.queues.size(SMALL) + self.queues.size(MAIN)
    }

    fn is_resident(&self, key: u32) -> bool {
        self.state[key as usize] & RESIDENT != 0
    }

    #[inline]
    fn request(&mut self, key: u32) -> bool {
        let state = &mut self.state[key as usize];
        if *state & RESIDENT == 0 {
            return false;
        }
        if *state & USES < USES {
            *state += 1;
        }
        true
    }

    fn admit(&mut self, key: u32, held: Held<'_>) -> Admission {
        let full = self.resident() >= self.slots;
        if full && held.count() >= self.resident() {
            return Admission::NoRoom;
        }
        let returns = self.state[key as usize] == GHOSTED;
        if returns {
            self.queues.remove(GHOST, key);
        }
        let evicted = if full { self.evict(held) } else { None };
        self.prefetch_oldest();
        self.queues.add(if returns { MAIN } else { SMALL }, key);
        self.state[key as usize] = if returns { RESIDENT | IN_MAIN } else { RESIDENT };
        Admission::Taken { evicted }
    }

    fn forget(&mut self, key: u32) {
        let queue = if self.state[key as usize] & IN_MAIN != 0 {
            MAIN
        } else {
            SMALL
        };
        self.queues.remove(queue, key);
        self.state[key as usize] = ABSENT;
    }

    fn resize(&mut self, slots: u32, dropped: &mut dyn FnMut(u32)) {
        self.slots = slots;
        while self.resident() > slots {
            let Some(key) = self.evict(Held::NONE) else { break };
            dropped(key);
        }
        self.trim_ghosts();
    }

    fn bookkeeping_bytes(&self, _slots: u32) -> usize {
        self.queues.bytes() + self.state.len()
    }

    #[inline]
    fn prefetch(&self, key: u32) {
        prefetch(&self.state, key as usize);
    }

    #[inline]
    fn prefetch_around(&self, key: u32) {
        // Only a newcomer's links are written.
        if self.state.get(key as usize).is_some_and(|state| state & RESIDENT == 0) {
            self.queues.prefetch(key);
        }
    }
}
