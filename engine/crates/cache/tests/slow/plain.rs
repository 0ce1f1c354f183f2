//! Policies of one list: by recency, by heat, by a hand that goes round, by how often.

use super::{Twin, take};

/// Oldest first.
pub struct LruSlow {
    pub slots: usize,
    pub resident: Vec<u32>,
}

impl Twin for LruSlow {
    fn request(&mut self, key: u32) -> (bool, Vec<u32>) {
        let hit = take(&mut self.resident, &key);
        self.resident.push(key);
        let leaves = self.resident.len() > self.slots;
        let left = if leaves { vec![self.resident.remove(0)] } else { vec![] };
        // With no slot at all the newcomer itself is what does not fit.
        (hit, left.into_iter().filter(|&left| left != key).collect())
    }
}

pub struct WindowSlow {
    pub slots: usize,
    pub window: usize,
    pub resident: Vec<u32>,
    pub tokens: Vec<Vec<u32>>,
}

impl Twin for WindowSlow {
    fn request(&mut self, key: u32) -> (bool, Vec<u32>) {
        self.tokens.last_mut().unwrap().push(key);
        let mut lru = LruSlow {
            slots: self.slots,
            resident: std::mem::take(&mut self.resident),
        };
        let answer = lru.request(key);
        self.resident = lru.resident;
        answer
    }

    fn end_token(&mut self) -> Vec<u32> {
        let recent = &self.tokens[self.tokens.len().saturating_sub(self.window)..];
        let (kept, dropped) = self
            .resident
            .iter()
            .partition(|key| recent.iter().any(|token| token.contains(key)));
        self.resident = kept;
        self.tokens.push(vec![]);
        dropped
    }
}

pub struct StaticHotSlow {
    pub slots: usize,
    pub heat: Vec<f64>,
    pub resident: Vec<u32>,
}

impl Twin for StaticHotSlow {
    fn request(&mut self, key: u32) -> (bool, Vec<u32>) {
        let hit = self.resident.contains(&key);
        let own = self.heat[key as usize];
        let hotter = self
            .heat
            .iter()
            .enumerate()
            .filter(|&(other, &heat)| heat > own || (heat == own && other < key as usize))
            .count();
        if !hit && hotter < self.slots {
            self.resident.push(key);
        }
        (hit, vec![])
    }
}

/// The hand is always at the front.
pub struct ClockSlow {
    pub slots: usize,
    pub ring: Vec<(u32, bool)>,
}

impl Twin for ClockSlow {
    fn request(&mut self, key: u32) -> (bool, Vec<u32>) {
        if let Some(entry) = self.ring.iter_mut().find(|entry| entry.0 == key) {
            entry.1 = true;
            return (true, vec![]);
        }
        if self.slots == 0 {
            return (false, vec![]);
        }
        let mut left = vec![];
        while self.ring.len() == self.slots {
            let (front, used) = self.ring.remove(0);
            if used {
                self.ring.push((front, false));
            } else {
                left.push(front);
            }
        }
        self.ring.push((key, false));
        (false, left)
    }
}

/// (key, uses), in order of last use, oldest first.
pub struct LfuSlow {
    pub slots: usize,
    pub resident: Vec<(u32, u32)>,
}

impl Twin for LfuSlow {
    fn request(&mut self, key: u32) -> (bool, Vec<u32>) {
        if let Some(place) = self.resident.iter().position(|entry| entry.0 == key) {
            let (_, uses) = self.resident.remove(place);
            self.resident.push((key, uses + 1));
            return (true, vec![]);
        }
        if self.slots == 0 {
            return (false, vec![]);
        }
        let mut left = vec![];
        if self.resident.len() == self.slots {
            // The first of the least: `min_by_key` keeps the first among equals.
            let place = (0..self.slots).min_by_key(|&place| self.resident[place].1).unwrap();
            left.push(self.resident.remove(place).0);
        }
        self.resident.push((key, 1));
        (false, left)
    }
}
