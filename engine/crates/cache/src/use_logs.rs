//! Any number of lists of things in order of last use, over the same keys and without links.

use crate::memory::table;
use crate::prefetch::prefetch;

const NOWHERE: u32 = u32::MAX;

/// The list that a key is in, and the place of its last use in that list's log.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    list: u32,
    at: u32,
}

#[derive(Default)]
struct Log {
    uses: Vec<u32>,
    /// The number of the first entry; numbers wrap.
    first: u32,
    /// Nothing before this is good.
    tail: usize,
    /// Good entries.
    size: usize,
}

/// Lists as logs of uses, as in [`crate::use_log::UseLog`]: an entry is good while its key's place points back at it. A key is in at most one list, so one
/// place a key serves them all, and to move it from any list to any other is one random access and a write in sequence; in a linked list
/// it is that, the neighbours on both sides and the ends. Who leaves next is read in sequence, and asked for ahead of time.
///
/// A log is swept once it has more stale entries than good ones (and some more), so all together hold at most twice as many as there are
/// keys in the lists. Its vector grows to twice what it holds, and when it is swept keeps room for twice its good entries. A list that
/// loses keys from then on may have room for four times as many as it has left, and is swept before it has fewer.
pub(crate) struct UseLogs {
    places: Vec<Place>,
    logs: Vec<Log>,
    /// Stale entries that a log may have beside as many as its good ones.
    slack: usize,
}

/// How many entries ahead a key's place is asked for, and then what else is read when the key leaves.
const AHEAD: usize = 24;
const SOON: usize = 12;

impl UseLogs {
    /// `lists` lists with nothing in them, for keys below `keys` (fewer than 2^31). A small `slack`, at least 2, is for many short lists.
    pub(crate) fn new(keys: u32, lists: usize, slack: usize) -> Self {
        let nowhere = Place { list: NOWHERE, at: 0 };
        let mut logs = UseLogs {
            places: table(nowhere, keys as usize),
            logs: Vec::new(),
            slack,
        };
        (0..lists).for_each(|_| _ = logs.add_list());
        logs
    }

    /// Bytes that are never exceeded while no more than `things` keys are in the lists together and no list is added.
    pub(crate) fn most_bytes(&self, things: u64) -> usize {
        // A log of n good entries is at most 2n + slack long, and only sweeping makes it shorter. Where it grew last since it was swept, it
        // has room for twice that: 4n + 2 slack. Else it has room for 2m + slack, m being what was good when it was swept; it is not
        // shorter now than m, so m is at most 2n + slack and the room at most 4n + 3 slack.
        let entries = 4 * things.min(self.places.len() as u64) as usize + 3 * self.slack * self.logs.len();
        self.places.len() * size_of::<Place>() + entries * size_of::<u32>() + self.logs.capacity() * size_of::<Log>()
    }

    /// One more list; its number.
    pub(crate) fn add_list(&mut self) -> u32 {
        self.logs.push(Log::default());
        self.logs.len() as u32 - 1
    }

    #[inline]
    pub(crate) fn size(&self, list: u32) -> u32 {
        self.logs[list as usize].size as u32
    }

    /// The list that the key is in.
    #[inline]
    pub(crate) fn list_of(&self, key: u32) -> Option<u32> {
        let Place { list, .. } = self.places[key as usize];
        (list != NOWHERE).then_some(list)
    }

    /// Makes the key the newest of `list`, wherever it was before.
    #[inline]
    pub(crate) fn put(&mut self, list: u32, key: u32) {
        self.leave(key);
        let log = &mut self.logs[list as usize];
        log.size += 1;
        self.places[key as usize] = place(list, log.first, log.uses.len());
        log.uses.push(key);
    }

    /// Takes the key out of the list that it is in.
    #[inline]
    pub(crate) fn remove(&mut self, key: u32) {
        self.leave(key);
        self.places[key as usize].list = NOWHERE;
    }

    /// Its entry is no longer counted as good; its place is the caller's to change.
    #[inline]
    fn leave(&mut self, key: u32) {
        let Place { list, .. } = self.places[key as usize];
        let Some(log) = self.logs.get_mut(list as usize) else { return };
        log.size -= 1;
        if log.uses.len() > 2 * log.size + self.slack {
            self.places[key as usize].list = NOWHERE;
            self.tidy(list);
        }
    }

    /// The least recently used key of `list` that is not refused. `soon` is told of those whose turn comes in a while.
    #[inline]
    pub(crate) fn oldest_where(&mut self, list: u32, wanted: impl Fn(u32) -> bool, soon: impl Fn(u32)) -> Option<u32> {
        let Log { uses, first, tail, .. } = &mut self.logs[list as usize];
        let mut at = *tail;
        let mut all_stale = true;
        while at < uses.len() {
            if let Some(&ahead) = uses.get(at + AHEAD) {
                prefetch(&self.places, ahead as usize);
            }
            if let Some(&near) = uses.get(at + SOON)
                && self.places[near as usize] == place(list, *first, at + SOON)
            {
                soon(near);
            }
            let key = uses[at];
            if self.places[key as usize] == place(list, *first, at) {
                if wanted(key) {
                    return Some(key);
                }
                all_stale = false;
            }
            at += 1;
            if all_stale {
                *tail = at;
            }
        }
        None
    }

    /// Rids a log of stale entries, and gives room back that is no longer needed.
    #[cold]
    fn tidy(&mut self, list: u32) {
        let Log { uses, first, tail, size } = &mut self.logs[list as usize];
        if 2 * *tail >= uses.len() - *size {
            // Half of them or more have left at the end: the others keep their numbers, and no key is touched.
            uses.drain(..*tail);
            *first = first.wrapping_add(*tail as u32);
        } else {
            let mut to = 0;
            for from in *tail..uses.len() {
                if let Some(&ahead) = uses.get(from + AHEAD) {
                    prefetch(&self.places, ahead as usize);
                }
                let key = uses[from];
                if self.places[key as usize] == place(list, *first, from) {
                    uses[to] = key;
                    self.places[key as usize] = place(list, *first, to);
                    to += 1;
                }
            }
            uses.truncate(to);
        }
        uses.shrink_to(2 * *size + self.slack);
        *tail = 0;
    }

    #[inline]
    pub(crate) fn prefetch(&self, key: u32) {
        prefetch(&self.places, key as usize);
    }
}

#[inline]
fn place(list: u32, first: u32, index: usize) -> Place {
    Place {
        list,
        at: first.wrapping_add(index as u32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// Moves, leavings and the search for the oldest in any order, against plain queues.
    #[test]
    fn lists_are_in_order_of_last_use_and_keep_no_more_than_they_say() {
        for (slack, lists) in [(2, 1), (4, 3), (16, 5), (1024, 4)] {
            let keys = 90;
            let mut random = 88_172_645_463_325_252_u64;
            let mut below = |most: u32| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                (random % u64::from(most)) as u32
            };
            let mut logs = UseLogs::new(keys, lists, slack);
            // Numbers of entries go over their end and begin again.
            logs.logs.iter_mut().for_each(|log| log.first = u32::MAX - 300);
            let mut twin = vec![VecDeque::new(); lists];
            for step in 0..20_000 {
                let (key, list) = (below(keys), below(lists as u32));
                let was = twin.iter().position(|queue| queue.contains(&key));
                assert_eq!(logs.list_of(key), was.map(|list| list as u32), "step {step}");
                let leave = |twin: &mut Vec<VecDeque<u32>>| twin.iter_mut().for_each(|queue| queue.retain(|&other| other != key));
                match below(8) {
                    0..4 => {
                        logs.put(list, key);
                        leave(&mut twin);
                        twin[list as usize].push_back(key);
                    }
                    4 if was.is_some() => {
                        logs.remove(key);
                        leave(&mut twin);
                    }
                    5 | 6 => {
                        let oldest = logs.oldest_where(list, |_| true, |_| {});
                        assert_eq!(oldest, twin[list as usize].pop_front(), "step {step}");
                        oldest.into_iter().for_each(|oldest| logs.remove(oldest));
                    }
                    _ => {
                        let odd = logs.oldest_where(list, |key| key % 2 == 1, |_| {});
                        assert_eq!(
                            odd,
                            twin[list as usize].iter().copied().find(|key| key % 2 == 1),
                            "step {step}"
                        );
                    }
                }
                let mut entries = 0;
                for (log, queue) in logs.logs.iter().zip(&twin) {
                    assert_eq!(log.size, queue.len(), "step {step}");
                    assert!(
                        log.uses.len() <= 2 * log.size + slack,
                        "step {step}: {} entries for {}",
                        log.uses.len(),
                        log.size
                    );
                    entries += log.uses.capacity();
                }
                let things = twin.iter().map(VecDeque::len).sum::<usize>();
                let held = keys as usize * size_of::<Place>() + entries * size_of::<u32>();
                assert!(held <= logs.most_bytes(things as u64), "step {step}: {held} bytes");
            }
        }
    }
    /// Keys that were used again and again in one list go over to another, all or most of them: what a list had room for before counts too.
    #[test]
    fn lists_that_swing_from_one_to_another_keep_no_more_than_they_say() {
        const KEYS: u32 = 4096;
        for (slack, stay, again) in [(2, 0, 0), (4, 0, 3), (4, 7, 1), (16, 2, 3), (64, 3, 5)] {
            let mut logs = UseLogs::new(KEYS, 3, slack);
            assert!(KEYS as usize > 16 * slack);
            let mut put = |list, key| {
                logs.put(list, key);
                let entries: usize = logs.logs.iter().map(|log| log.uses.capacity()).sum();
                let things = logs.logs.iter().map(|log| log.size).sum::<usize>();
                let held =
                    KEYS as usize * size_of::<Place>() + entries * size_of::<u32>() + logs.logs.capacity() * size_of::<Log>();
                let most = logs.most_bytes(things as u64);
                assert!(
                    held <= most,
                    "slack {slack}, list {list}, key {key}: {held} bytes, {most} said"
                );
            };
            let mut lists = [0; KEYS as usize];
            for turn in 0..6 {
                for _ in 0..=again {
                    (0..KEYS).for_each(|key| put(lists[key as usize], key));
                }
                // 1031 is odd: every key once, in another order.
                for key in (0..KEYS).map(|key| key * 1031 % KEYS) {
                    if stay == 0 || key % stay != turn % stay {
                        let list = &mut lists[key as usize];
                        *list = (*list + 1) % 3;
                        put(*list, key);
                    }
                }
            }
        }
    }
}
