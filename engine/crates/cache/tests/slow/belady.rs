//! The policy that knows the future.

use super::{Twin, take};

pub struct BeladySlow {
    pub slots: usize,
    pub steps: Vec<u32>,
    pub now: usize,
    pub resident: Vec<u32>,
}

impl BeladySlow {
    fn next_use(&self, key: u32) -> usize {
        (self.now..self.steps.len())
            .find(|&step| self.steps[step] == key)
            .unwrap_or(usize::MAX)
    }
}

impl Twin for BeladySlow {
    fn request(&mut self, key: u32) -> (bool, Vec<u32>) {
        self.now += 1;
        if self.resident.contains(&key) {
            return (true, vec![]);
        }
        self.resident.push(key);
        if self.resident.len() <= self.slots {
            return (false, vec![]);
        }
        // The latest next use, and of those never used again the lowest key.
        let last = *self
            .resident
            .iter()
            .max_by_key(|&&key| (self.next_use(key), std::cmp::Reverse(key)))
            .unwrap();
        take(&mut self.resident, &last);
        (false, if last == key { vec![] } else { vec![last] })
    }

    fn end_token(&mut self) -> Vec<u32> {
        self.now += 1;
        vec![]
    }
}
