//! Things in order of last use, without a linked list.

use crate::memory::table;
use crate::prefetch::prefetch;

const ABSENT: u32 = u32::MAX;

/// The order of last use as a log of uses: a use writes the key at the log's end and the place into the key's one number. An
/// entry is good while its key's number points back at it; what was used again since is stale and is skipped when the oldest is
/// looked for, and swept out when the log is full.
///
/// A use thus touches one random place (a list would touch three: the thing and two neighbours), all others are in sequence, and the
/// processor can be told of each ahead of time. The log has room for three times the things that may be present, so that a sweep
/// of all of it comes after twice as many uses as there are things: one and a half entries a use.
pub(crate) struct UseLog {
    /// For each key, the place of its last use in the log, or ABSENT.
    last: Vec<u32>,
    log: Vec<u32>,
    /// Nothing before this is good.
    tail: usize,
    present: u32,
    most: usize,
}

/// The log is swept no more often than this, however small the cache.
const SHORTEST: usize = 1024;
/// How many entries ahead a key's number is asked for, and then what else is read when the key leaves.
const AHEAD: usize = 24;
const SOON: usize = 12;

impl UseLog {
    /// Nothing, of keys below `keys`, with room for `slots` at a time.
    pub(crate) fn new(keys: u32, slots: u32) -> Self {
        let most = Self::most(keys, slots);
        UseLog {
            last: table(ABSENT, keys as usize),
            log: Vec::with_capacity(most),
            tail: 0,
            present: 0,
            most,
        }
    }

    fn most(keys: u32, slots: u32) -> usize {
        // Places stay below ABSENT whatever the number of slots.
        (3 * slots.min(keys) as usize + SHORTEST).min(ABSENT as usize)
    }

    pub(crate) fn bytes(&self, slots: u32) -> usize {
        (self.last.len() + Self::most(self.last.len() as u32, slots)) * size_of::<u32>()
    }

    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.present
    }

    #[inline]
    pub(crate) fn has(&self, key: u32) -> bool {
        self.last[key as usize] != ABSENT
    }

    /// Makes the key the newest if it is present; false, and nothing done, if not.
    #[inline]
    pub(crate) fn touch(&mut self, key: u32) -> bool {
        if self.last[key as usize] == ABSENT {
            return false;
        }
        self.append(key);
        true
    }

    /// Adds an absent key as the newest.
    #[inline]
    pub(crate) fn add(&mut self, key: u32) {
        self.append(key);
        self.present += 1;
    }

    /// Takes a present key out.
    #[inline]
    pub(crate) fn remove(&mut self, key: u32) {
        self.last[key as usize] = ABSENT;
        self.present -= 1;
    }

    /// The least recently used key that is not refused. `soon` is told of those whose turn comes in a while.
    #[inline]
    pub(crate) fn oldest_where(&mut self, mut wanted: impl FnMut(u32) -> bool, soon: impl Fn(u32)) -> Option<u32> {
        let mut place = self.tail;
        let mut all_stale = true;
        while place < self.log.len() {
            if let Some(&ahead) = self.log.get(place + AHEAD) {
                prefetch(&self.last, ahead as usize);
            }
            if let Some(&near) = self.log.get(place + SOON)
                && self.last[near as usize] == (place + SOON) as u32
            {
                soon(near);
            }
            let key = self.log[place];
            if self.last[key as usize] == place as u32 {
                if wanted(key) {
                    return Some(key);
                }
                all_stale = false;
            }
            place += 1;
            if all_stale {
                self.tail = place;
            }
        }
        None
    }

    /// Lets as many be present. There must be no more now.
    pub(crate) fn resize(&mut self, slots: u32) {
        self.sweep();
        self.most = Self::most(self.last.len() as u32, slots);
        self.log.shrink_to(self.most);
        self.log.reserve_exact(self.most - self.log.len());
    }

    #[inline]
    fn append(&mut self, key: u32) {
        if self.log.len() >= self.most {
            self.sweep();
        }
        self.last[key as usize] = self.log.len() as u32;
        self.log.push(key);
    }

    /// Closes up the good entries at the log's beginning.
    #[cold]
    fn sweep(&mut self) {
        let mut to = 0;
        for from in self.tail..self.log.len() {
            if let Some(&ahead) = self.log.get(from + AHEAD) {
                prefetch(&self.last, ahead as usize);
            }
            let key = self.log[from];
            if self.last[key as usize] == from as u32 {
                self.log[to] = key;
                self.last[key as usize] = to as u32;
                to += 1;
            }
        }
        self.log.truncate(to);
        self.tail = 0;
    }

    #[inline]
    pub(crate) fn prefetch(&self, key: u32) {
        prefetch(&self.last, key as usize);
    }
}
