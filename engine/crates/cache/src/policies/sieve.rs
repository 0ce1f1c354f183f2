use crate::memory::table;
use crate::policy::{Admission, Held, Policy};
use crate::prefetch::prefetch;

const ABSENT: u8 = 0;
const RESIDENT: u8 = 1;
const VISITED: u8 = 2;

/// In the queue where something left.
const HOLE: u32 = u32::MAX;
const AHEAD: usize = 16;

/// SIEVE (Zhang et al., SIEVE is simpler than LRU, NSDI 2024, algorithm 1): a queue in order of arrival that hits never
/// reorder, and a hand that goes from the oldest to the newest, clears the marks of what was visited, and drops the first that
/// was not. Unlike the clock's, what is spared keeps its place and newcomers join at the newest end, so that they meet the hand soon.
///
/// Past the newest, and at the start, the hand is at the oldest, whichever that is by then. Held things are passed by with their
/// mark as it is. A forgotten thing under the hand leaves the hand at the next newer.
///
/// The queue is an array in which those who leave leave holes, closed up when the array is full, once for as many evictions as
/// there are slots: the hand walks in sequence, and a hit or a newcomer touches one byte.
pub struct Sieve {
    /// The oldest first, with holes; before the end there is room for as many holes as slots.
    queue: Vec<u32>,
    state: Vec<u8>,
    slots: u32,
    resident: u32,
    /// The place in the queue that the hand looks at next, never past the last.
    hand: usize,
}

impl Sieve {
    /// An empty cache of `slots` slots for keys below `keys`.
    pub fn new(keys: u32, slots: u32) -> Self {
        let queue = Vec::with_capacity(Self::most(keys, slots));
        Sieve {
            queue,
            state: table(ABSENT, keys as usize),
            slots,
            resident: 0,
            hand: 0,
        }
    }

    fn most(keys: u32, slots: u32) -> usize {
        2 * slots.min(keys) as usize + 64
    }

    /// Moves the hand to the next thing that is there, past the newest to the oldest.
    fn advance(&mut self) {
        loop {
            self.hand += 1;
            match self.queue.get(self.hand) {
                Some(&HOLE) => {}
                Some(_) => return,
                None => break,
            }
        }
        self.hand = 0;
    }

    /// Drops one. Something resident must not be held.
    fn evict(&mut self, held: Held<'_>) -> Option<u32> {
        if self.resident == 0 {
            return None;
        }
        loop {
            if let Some(&ahead) = self.queue.get(self.hand + AHEAD) {
                prefetch(&self.state, ahead as usize);
                held.prefetch(ahead);
            }
            let (place, key) = (self.hand, self.queue[self.hand]);
            // Before the place becomes a hole: from the newest the hand goes to the oldest, not to who comes next.
            self.advance();
            if key == HOLE || held.holds(key) {
                continue;
            }
            if self.state[key as usize] != VISITED {
                self.leave(place);
                return Some(key);
            }
            self.state[key as usize] = RESIDENT;
        }
    }

    fn leave(&mut self, place: usize) {
        self.state[self.queue[place] as usize] = ABSENT;
        self.queue[place] = HOLE;
        self.resident -= 1;
    }

    /// Closes the holes.
    fn close_up(&mut self) {
        let before_hand = self.queue[..self.hand].iter().filter(|&&key| key != HOLE).count();
        self.queue.retain(|&key| key != HOLE);
        self.hand = if before_hand < self.queue.len() { before_hand } else { 0 };
    }
}

impl Policy for Sieve {
    fn name(&self) -> &'static str {
        "sieve"
    }

    fn slots(&self) -> u32 {
        self.slots
    }

    fn resident(&self) -> u32 {
        self.resident
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
        *state = VISITED;
        true
    }

    fn admit(&mut self, key: u32, held: Held<'_>) -> Admission {
        let mut evicted = None;
        if self.resident() >= self.slots {
            if held.count() >= self.resident() {
                return Admission::NoRoom;
            }
            evicted = self.evict(held);
        }
        if self.queue.len() == Self::most(self.state.len() as u32, self.slots) {
            self.close_up();
        }
        self.queue.push(key);
        self.state[key as usize] = RESIDENT;
        self.resident += 1;
        Admission::Taken { evicted }
    }

    /// Looks through the queue: a read error is rare, and finding the place otherwise would cost four bytes a key.
    fn forget(&mut self, key: u32) {
        if let Some(place) = self.queue.iter().position(|&other| other == key) {
            if place == self.hand {
                self.advance();
            }
            self.leave(place);
        }
    }

    fn resize(&mut self, slots: u32, dropped: &mut dyn FnMut(u32)) {
        self.slots = slots;
        while self.resident() > slots {
            let Some(key) = self.evict(Held::NONE) else { return };
            dropped(key);
        }
        self.close_up();
        let most = Self::most(self.state.len() as u32, slots);
        self.queue.shrink_to(most);
        self.queue.reserve_exact(most - self.queue.len());
    }

    fn bookkeeping_bytes(&self, slots: u32) -> usize {
        self.state.len() + Self::most(self.state.len() as u32, slots) * size_of::<u32>()
    }

    #[inline]
    fn prefetch(&self, key: u32) {
        prefetch(&self.state, key as usize);
    }
}
