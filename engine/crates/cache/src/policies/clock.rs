use std::collections::VecDeque;

use crate::memory::table;
use crate::policy::{Admission, Held, Policy};
use crate::prefetch::prefetch;

const ABSENT: u8 = 0;
const RESIDENT: u8 = 1;
const USED: u8 = 2;
/// In a slot emptied by `forget`.
const HOLE: u32 = u32::MAX;
/// How many places ahead of the hand a thing's state is asked for.
const AHEAD: usize = 16;

/// The second-chance clock: a hand goes round the slots, spares once what was used since it last came by, and replaces the
/// first that was not (Corbató, A paging experiment with the Multics system, 1968). A hit writes one byte.
///
/// A thing comes in unmarked. Things that are held are passed by with their mark as it is.
pub struct Clock {
    state: Vec<u8>,
    /// What sits in each slot that was ever filled, in the order in which the hand comes by.
    key_in: Vec<u32>,
    /// Slots emptied by `forget`, filled again first.
    holes: Vec<u32>,
    slots: u32,
    hand: u32,
}

impl Clock {
    /// An empty cache of `slots` slots for keys below `keys`.
    pub fn new(keys: u32, slots: u32) -> Self {
        let state = table(ABSENT, keys as usize);
        Clock {
            state,
            key_in: Vec::with_capacity(slots.min(keys) as usize),
            holes: Vec::new(),
            slots,
            hand: 0,
        }
    }

    fn advance(&mut self) {
        self.hand += 1;
        if self.hand as usize == self.key_in.len() {
            self.hand = 0;
        }
    }

    /// Turns the hand to the thing that leaves. Something resident must not be held.
    fn stop_at_victim(&mut self, held: Held<'_>) -> u32 {
        loop {
            if let Some(&ahead) = self.key_in.get(self.hand as usize + AHEAD) {
                prefetch(&self.state, ahead as usize);
                held.prefetch(ahead);
            }
            let key = self.key_in[self.hand as usize];
            if !held.holds(key) {
                if self.state[key as usize] != USED {
                    return key;
                }
                self.state[key as usize] = RESIDENT;
            }
            self.advance();
        }
    }
}

impl Policy for Clock {
    fn name(&self) -> &'static str {
        "clock"
    }

    fn slots(&self) -> u32 {
        self.slots
    }

    fn resident(&self) -> u32 {
        (self.key_in.len() - self.holes.len()) as u32
    }

    fn is_resident(&self, key: u32) -> bool {
        self.state[key as usize] != ABSENT
    }

    #[inline]
    fn request(&mut self, key: u32) -> bool {
        let state = &mut self.state[key as usize];
        if *state == ABSENT {
            return false;
        }
        *state = USED;
        true
    }

    fn admit(&mut self, key: u32, held: Held<'_>) -> Admission {
        if self.resident() >= self.slots && held.count() >= self.resident() {
            return Admission::NoRoom;
        }
        let mut evicted = None;
        if let Some(hole) = self.holes.pop() {
            self.key_in[hole as usize] = key;
        } else if self.key_in.len() < self.slots as usize {
            self.key_in.push(key);
        } else {
            let victim = self.stop_at_victim(held);
            self.state[victim as usize] = ABSENT;
            evicted = Some(victim);
            self.key_in[self.hand as usize] = key;
            self.advance();
        }
        self.state[key as usize] = RESIDENT;
        Admission::Taken { evicted }
    }

    /// Looks through all slots: a read error is rare, and finding the slot otherwise would cost four bytes a key.
    fn forget(&mut self, key: u32) {
        self.state[key as usize] = ABSENT;
        if let Some(slot) = self.key_in.iter().position(|&in_slot| in_slot == key) {
            self.key_in[slot] = HOLE;
            self.holes.push(slot as u32);
        }
    }

    fn resize(&mut self, slots: u32, dropped: &mut dyn FnMut(u32)) {
        // The ring as the hand meets it, holes closed. What is spared goes to the back; the hand then stands at the front.
        let (behind, ahead) = self.key_in.split_at(self.hand as usize);
        let mut ring: VecDeque<u32> = ahead.iter().chain(behind).copied().filter(|&key| key != HOLE).collect();
        while ring.len() > slots as usize {
            let Some(key) = ring.pop_front() else { break };
            if self.state[key as usize] == USED {
                self.state[key as usize] = RESIDENT;
                ring.push_back(key);
            } else {
                self.state[key as usize] = ABSENT;
                dropped(key);
            }
        }
        self.key_in = Vec::with_capacity(slots.min(self.state.len() as u32) as usize);
        self.key_in.extend(ring);
        self.holes.clear();
        self.hand = 0;
        self.slots = slots;
    }

    fn bookkeeping_bytes(&self, slots: u32) -> usize {
        self.state.len() + slots.min(self.state.len() as u32) as usize * size_of::<u32>()
    }

    #[inline]
    fn prefetch(&self, key: u32) {
        prefetch(&self.state, key as usize);
    }
}
