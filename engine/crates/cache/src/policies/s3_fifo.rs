use std::collections::VecDeque;

use crate::memory::table;
use crate::policy::{Admission, Held, Policy};
use crate::prefetch::prefetch;
use crate::use_log::UseLog;

/// How many places ahead of its turn to leave a thing's state is asked for.
const AHEAD: usize = 8;

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
///
/// The queues are arrays, so that who leaves next is read in sequence and asked for in time.
pub struct S3Fifo {
    /// The oldest first.
    small: VecDeque<u32>,
    main: VecDeque<u32>,
    /// In order of leaving.
    ghosts: UseLog,
    state: Vec<u8>,
    slots: u32,
}

impl S3Fifo {
    /// An empty cache of `slots` slots for keys below `keys`.
    pub fn new(keys: u32, slots: u32) -> Self {
        let room = slots.min(keys) as usize;
        S3Fifo {
            small: VecDeque::with_capacity(room),
            main: VecDeque::with_capacity(room),
            ghosts: UseLog::new(keys, Self::most_ghosts(slots)),
            state: table(ABSENT, keys as usize),
            slots,
        }
    }

    fn share(slots: u32) -> u32 {
        (slots / 10).max(1)
    }

    fn most_ghosts(slots: u32) -> u32 {
        slots - Self::share(slots).min(slots)
    }

    fn forget_ghosts(&mut self, most: u32) {
        while self.ghosts.len() > most {
            let Some(oldest) = self.ghosts.oldest_where(|_| true, |_| {}) else {
                return;
            };
            self.ghosts.remove(oldest);
            self.state[oldest as usize] = ABSENT;
        }
    }

    /// Asks for the state of who will soon be the oldest.
    #[inline]
    fn prefetch_oldest(&self, queue: &VecDeque<u32>, held: Held<'_>) {
        if let Some(&key) = queue.get(AHEAD) {
            prefetch(&self.state, key as usize);
            held.prefetch(key);
            self.ghosts.prefetch(key);
        }
    }

    /// Drops one. Something resident must not be held.
    fn evict(&mut self, held: Held<'_>) -> Option<u32> {
        let share = Self::share(self.slots) as usize;
        // After a round of main that met only what is held, the small queue is next whatever its share.
        let mut held_in_main = 0;
        loop {
            if self.small.len() >= share || self.main.len() == held_in_main {
                self.prefetch_oldest(&self.small, held);
                let key = self.small.pop_front()?;
                if held.holds(key) || self.state[key as usize] & USES > 1 {
                    self.main.push_back(key);
                    self.state[key as usize] = RESIDENT | IN_MAIN;
                    held_in_main = 0;
                    continue;
                }
                self.state[key as usize] = GHOSTED;
                let most = Self::most_ghosts(self.slots);
                if most == 0 {
                    self.state[key as usize] = ABSENT;
                } else {
                    self.forget_ghosts(most - 1);
                    self.ghosts.add(key);
                }
                return Some(key);
            }
            self.prefetch_oldest(&self.main, held);
            let key = self.main.pop_front()?;
            let uses = self.state[key as usize] & USES;
            if held.holds(key) {
                self.main.push_back(key);
                held_in_main += 1;
            } else if uses > 0 {
                self.main.push_back(key);
                held_in_main = 0;
                self.state[key as usize] -= 1;
            } else {
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
        (self.small.len() + self.main.len()) as u32
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
            self.ghosts.remove(key);
        }
        let evicted = if full { self.evict(held) } else { None };
        let queue = if returns { &mut self.main } else { &mut self.small };
        queue.push_back(key);
        self.state[key as usize] = if returns { RESIDENT | IN_MAIN } else { RESIDENT };
        Admission::Taken { evicted }
    }

    /// Looks through a queue: a read error is rare, and finding the place otherwise would cost four bytes a key.
    fn forget(&mut self, key: u32) {
        let queue = if self.state[key as usize] & IN_MAIN != 0 {
            &mut self.main
        } else {
            &mut self.small
        };
        if let Some(place) = queue.iter().position(|&other| other == key) {
            queue.remove(place);
        }
        self.state[key as usize] = ABSENT;
    }

    fn resize(&mut self, slots: u32, dropped: &mut dyn FnMut(u32)) {
        self.slots = slots;
        while self.resident() > slots {
            let Some(key) = self.evict(Held::NONE) else { break };
            dropped(key);
        }
        let most = Self::most_ghosts(slots);
        self.forget_ghosts(most);
        self.ghosts.resize(most);
        let room = slots.min(self.state.len() as u32) as usize;
        for queue in [&mut self.small, &mut self.main] {
            queue.shrink_to(room);
            queue.reserve_exact(room - queue.len());
        }
    }

    fn bookkeeping_bytes(&self, slots: u32) -> usize {
        let queues = 2 * slots.min(self.state.len() as u32) as usize * size_of::<u32>();
        self.state.len() + queues + self.ghosts.bytes(Self::most_ghosts(slots))
    }

    #[inline]
    fn prefetch(&self, key: u32) {
        prefetch(&self.state, key as usize);
    }

    #[inline]
    fn prefetch_around(&self, key: u32) {
        // Only one that comes back is looked for among the ghosts.
        if self.state.get(key as usize).is_some_and(|&state| state == GHOSTED) {
            self.ghosts.prefetch(key);
        }
    }
}
