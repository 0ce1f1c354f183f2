use crate::policy::{Admission, Held, Policy};
use crate::use_logs::UseLogs;

const NONE: u32 = u32::MAX;
/// Stale entries of a bucket's log beside as many as good ones: there are many buckets of few things.
const SLACK: usize = 4;

/// Of all residents that were used equally often, which are a list of `UseLogs` with the bucket's number; buckets are linked in order of uses.
#[derive(Clone, Copy)]
struct Bucket {
    uses: u32,
    more: u32,
    fewer: u32,
}

/// Drops what was used least often since it came in; among equals, what was used longest ago. Counts start at 1 when a thing
/// comes in and are lost when it leaves (in-cache LFU, without ageing). A step takes constant time on average over
/// many, by the list of lists of Shah, Mitra and Matani (An O(1) algorithm for implementing the LFU cache eviction scheme, 2010), the
/// inner ones as logs, which are swept now and then: a thing always goes to the new end of the next bucket.
///
/// A count stops at 2^32 - 2.
pub struct Lfu {
    residents: UseLogs,
    buckets: Vec<Bucket>,
    /// Buckets no longer in use, linked through `more`.
    spare: u32,
    fewest: u32,
    slots: u32,
    resident: u32,
}

impl Lfu {
    /// An empty cache of `slots` slots for keys below `keys`.
    pub fn new(keys: u32, slots: u32) -> Self {
        Lfu {
            residents: UseLogs::new(keys, 0, SLACK),
            buckets: Vec::new(),
            spare: NONE,
            fewest: NONE,
            slots,
            resident: 0,
        }
    }

    /// A bucket for `uses`, right after `fewer` (or first, for `NONE`).
    fn insert_bucket(&mut self, uses: u32, fewer: u32) -> u32 {
        let more = if fewer == NONE {
            self.fewest
        } else {
            self.buckets[fewer as usize].more
        };
        let fresh = Bucket { uses, more, fewer };
        let bucket = if self.spare == NONE {
            self.buckets.push(fresh);
            self.residents.add_list()
        } else {
            let reused = self.spare;
            self.spare = self.buckets[reused as usize].more;
            self.buckets[reused as usize] = fresh;
            reused
        };
        if more != NONE {
            self.buckets[more as usize].fewer = bucket;
        }
        if fewer == NONE {
            self.fewest = bucket;
        } else {
            self.buckets[fewer as usize].more = bucket;
        }
        bucket
    }

    fn remove_bucket(&mut self, bucket: u32) {
        let Bucket { more, fewer, .. } = self.buckets[bucket as usize];
        if more != NONE {
            self.buckets[more as usize].fewer = fewer;
        }
        if fewer == NONE {
            self.fewest = more;
        } else {
            self.buckets[fewer as usize].more = more;
        }
        self.buckets[bucket as usize].more = self.spare;
        self.spare = bucket;
    }

    /// A resident leaves.
    fn drop_key(&mut self, key: u32) {
        let Some(bucket) = self.residents.list_of(key) else { return };
        self.residents.remove(key);
        if self.residents.size(bucket) == 0 {
            self.remove_bucket(bucket);
        }
        self.resident -= 1;
    }

    /// The least used, oldest thing that is not held.
    fn victim(&mut self, held: Held<'_>) -> Option<u32> {
        let mut bucket = self.fewest;
        while bucket != NONE {
            let found = self
                .residents
                .oldest_where(bucket, |oldest| !held.holds(oldest), |soon| held.prefetch(soon));
            if found.is_some() {
                return found;
            }
            bucket = self.buckets[bucket as usize].more;
        }
        None
    }
}

impl Policy for Lfu {
    fn name(&self) -> &'static str {
        "lfu"
    }

    fn slots(&self) -> u32 {
        self.slots
    }

    fn resident(&self) -> u32 {
        self.resident
    }

    fn is_resident(&self, key: u32) -> bool {
        self.residents.list_of(key).is_some()
    }

    #[inline]
    fn request(&mut self, key: u32) -> bool {
        let Some(from) = self.residents.list_of(key) else {
            return false;
        };
        let Bucket { uses, more, .. } = self.buckets[from as usize];
        let next_uses = (uses + 1).min(NONE - 1);
        let alone = self.residents.size(from) == 1;
        let next_is_there = more != NONE && self.buckets[more as usize].uses == next_uses;
        if next_uses == uses {
            self.residents.put(from, key);
        } else if next_is_there {
            self.residents.put(more, key);
            if alone {
                self.remove_bucket(from);
            }
        } else if alone {
            self.buckets[from as usize].uses = next_uses;
        } else {
            let to = self.insert_bucket(next_uses, from);
            self.residents.put(to, key);
        }
        true
    }

    fn admit(&mut self, key: u32, held: Held<'_>) -> Admission {
        let mut evicted = None;
        if self.resident >= self.slots {
            if held.count() >= self.resident {
                return Admission::NoRoom;
            }
            let Some(victim) = self.victim(held) else {
                return Admission::NoRoom;
            };
            self.drop_key(victim);
            evicted = Some(victim);
        }
        let fewest = self.fewest;
        let first = fewest != NONE && self.buckets[fewest as usize].uses == 1;
        let bucket = if first { fewest } else { self.insert_bucket(1, NONE) };
        self.residents.put(bucket, key);
        self.resident += 1;
        Admission::Taken { evicted }
    }

    fn forget(&mut self, key: u32) {
        self.drop_key(key);
    }

    fn resize(&mut self, slots: u32, dropped: &mut dyn FnMut(u32)) {
        self.slots = slots;
        while self.resident > slots {
            let Some(victim) = self.victim(Held::NONE) else { return };
            self.drop_key(victim);
            dropped(victim);
        }
    }

    fn bookkeeping_bytes(&self, slots: u32) -> usize {
        self.residents.most_bytes(slots.into()) + self.buckets.capacity() * size_of::<Bucket>()
    }

    #[inline]
    fn prefetch(&self, key: u32) {
        self.residents.prefetch(key);
    }
}
