//! Policies of queues with a memory of what left: S3-FIFO, SIEVE and ARC.

use super::{Twin, take};

/// (key, uses), tail first.
pub struct S3FifoSlow {
    pub slots: usize,
    pub small: Vec<(u32, u32)>,
    pub main: Vec<(u32, u32)>,
    pub ghosts: Vec<u32>,
}

impl S3FifoSlow {
    /// The paper's evictM.
    fn evict_main(&mut self) -> u32 {
        loop {
            let (key, uses) = self.main.remove(0);
            if uses == 0 {
                return key;
            }
            self.main.push((key, uses - 1));
        }
    }

    /// The paper's evictS, which is over as soon as one has left, from either queue.
    fn evict_small(&mut self, share: usize) -> u32 {
        while !self.small.is_empty() {
            let (key, uses) = self.small.remove(0);
            if uses <= 1 {
                self.ghosts.push(key);
                if self.ghosts.len() > self.slots - share {
                    self.ghosts.remove(0);
                }
                return key;
            }
            self.main.push((key, 0));
            if self.main.len() > self.slots - share {
                return self.evict_main();
            }
        }
        self.evict_main()
    }
}

impl Twin for S3FifoSlow {
    fn request(&mut self, key: u32) -> (bool, Vec<u32>) {
        if let Some(entry) = self.small.iter_mut().chain(&mut self.main).find(|entry| entry.0 == key) {
            entry.1 = (entry.1 + 1).min(3);
            return (true, vec![]);
        }
        if self.slots == 0 {
            return (false, vec![]);
        }
        let share = std::cmp::max(1, self.slots / 10);
        let ghost = take(&mut self.ghosts, &key);
        let mut left = vec![];
        if self.small.len() + self.main.len() == self.slots {
            left.push(if self.small.len() >= share {
                self.evict_small(share)
            } else {
                self.evict_main()
            });
        }
        if ghost { &mut self.main } else { &mut self.small }.push((key, 0));
        (false, left)
    }
}

/// (key, visited), newest first, with the hand as a place.
pub struct SieveSlow {
    pub slots: usize,
    pub queue: Vec<(u32, bool)>,
    pub hand: Option<usize>,
}

impl Twin for SieveSlow {
    fn request(&mut self, key: u32) -> (bool, Vec<u32>) {
        if let Some(entry) = self.queue.iter_mut().find(|entry| entry.0 == key) {
            entry.1 = true;
            return (true, vec![]);
        }
        if self.slots == 0 {
            return (false, vec![]);
        }
        let mut left = vec![];
        if self.queue.len() == self.slots {
            let mut place = self.hand.unwrap_or(self.slots - 1);
            while self.queue[place].1 {
                self.queue[place].1 = false;
                place = if place == 0 { self.slots - 1 } else { place - 1 };
            }
            left.push(self.queue.remove(place).0);
            self.hand = place.checked_sub(1);
        }
        self.queue.insert(0, (key, false));
        // Everything, and the hand with it, is one place further from the newest.
        self.hand = self.hand.map(|place| place + 1);
        (false, left)
    }
}

/// Figure 4 of the paper, with its names: lists have the least recently used first.
pub struct ArcSlow {
    pub c: usize,
    pub p: usize,
    pub t1: Vec<u32>,
    pub t2: Vec<u32>,
    pub b1: Vec<u32>,
    pub b2: Vec<u32>,
}

impl ArcSlow {
    fn replace(&mut self, in_b2: bool) -> Vec<u32> {
        if self.t1.len() + self.t2.len() < self.c {
            return vec![];
        }
        let from_t1 = !self.t1.is_empty() && (self.t1.len() > self.p || (in_b2 && self.t1.len() == self.p));
        let (list, ghosts) = if from_t1 {
            (&mut self.t1, &mut self.b1)
        } else {
            (&mut self.t2, &mut self.b2)
        };
        let key = list.remove(0);
        ghosts.push(key);
        vec![key]
    }
}

impl Twin for ArcSlow {
    fn request(&mut self, key: u32) -> (bool, Vec<u32>) {
        // Case I.
        if take(&mut self.t1, &key) || take(&mut self.t2, &key) {
            self.t2.push(key);
            return (true, vec![]);
        }
        if self.c == 0 {
            return (false, vec![]);
        }
        let (b1, b2) = (self.b1.len(), self.b2.len());
        // Case II.
        if self.b1.contains(&key) {
            self.p = self.c.min(self.p + if b1 >= b2 { 1 } else { b2 / b1 });
            let left = self.replace(false);
            take(&mut self.b1, &key);
            self.t2.push(key);
            return (false, left);
        }
        // Case III.
        if self.b2.contains(&key) {
            self.p = self.p.saturating_sub(if b2 >= b1 { 1 } else { b1 / b2 });
            let left = self.replace(true);
            take(&mut self.b2, &key);
            self.t2.push(key);
            return (false, left);
        }
        // Case IV.
        let mut left = vec![];
        if self.t1.len() + b1 == self.c {
            if self.t1.len() < self.c {
                self.b1.remove(0);
                left = self.replace(false);
            } else {
                left.push(self.t1.remove(0));
            }
        } else if self.t1.len() + self.t2.len() + b1 + b2 >= self.c {
            if self.t1.len() + self.t2.len() + b1 + b2 == 2 * self.c {
                self.b2.remove(0);
            }
            left = self.replace(false);
        }
        self.t1.push(key);
        (false, left)
    }
}
