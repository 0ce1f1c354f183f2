use crate::memory::table;
use crate::policy::{Admission, Held, Policy};
use crate::prefetch::prefetch;

const NONE: u32 = u32::MAX;

/// A resident key: its neighbours among those used as often, and their bucket.
#[derive(Clone, Copy)]
struct Node {
    newer: u32,
    older: u32,
    bucket: u32,
}

/// All residents that were used equally often, in order of last use; buckets are linked in order of uses.
#[derive(Clone, Copy)]
struct Bucket {
    uses: u32,
    newest: u32,
    oldest: u32,
    more: u32,
    fewer: u32,
}

/// Drops what was used least often since it came in; among equals, what was used longest ago. Counts start at 1 when a thing
/// comes in and are lost when it leaves (in-cache LFU, without ageing). Every step takes constant time, by the list of lists of
/// Shah, Mitra and Matani (An O(1) algorithm for implementing the LFU cache eviction scheme, 2010).
///
/// A count stops at 2^32 - 2.
pub struct Lfu {
    nodes: Vec<Node>,
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
        let nodes = table(
            Node {
                newer: NONE,
                older: NONE,
                bucket: NONE,
            },
            keys as usize,
        );
        // Residents with k different counts were requested at least k(k+1)/2 times: far fewer buckets than slots.
        Lfu {
            nodes,
            buckets: Vec::with_capacity(1024),
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
        let fresh = Bucket {
            uses,
            newest: NONE,
            oldest: NONE,
            more,
            fewer,
        };
        let bucket = if self.spare == NONE {
            self.buckets.push(fresh);
            self.buckets.len() as u32 - 1
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

    /// Takes the key out of its bucket, which may be left empty.
    #[inline]
    fn unlink(&mut self, key: u32) {
        let Node { newer, older, bucket } = self.nodes[key as usize];
        match newer {
            NONE => self.buckets[bucket as usize].newest = older,
            _ => self.nodes[newer as usize].older = older,
        }
        match older {
            NONE => self.buckets[bucket as usize].oldest = newer,
            _ => self.nodes[older as usize].newer = newer,
        }
    }

    #[inline]
    fn link_newest(&mut self, bucket: u32, key: u32) {
        let second = self.buckets[bucket as usize].newest;
        self.nodes[key as usize] = Node {
            newer: NONE,
            older: second,
            bucket,
        };
        self.buckets[bucket as usize].newest = key;
        match second {
            NONE => self.buckets[bucket as usize].oldest = key,
            _ => self.nodes[second as usize].newer = key,
        }
    }

    fn drop_key(&mut self, key: u32) {
        let bucket = self.nodes[key as usize].bucket;
        self.unlink(key);
        if self.buckets[bucket as usize].newest == NONE {
            self.remove_bucket(bucket);
        }
        self.nodes[key as usize].bucket = NONE;
        self.resident -= 1;
    }

    /// The least used, oldest thing that is not held.
    fn victim(&self, held: Held<'_>) -> Option<u32> {
        let mut bucket = self.fewest;
        while bucket != NONE {
            let mut key = self.buckets[bucket as usize].oldest;
            while key != NONE {
                if !held.holds(key) {
                    return Some(key);
                }
                key = self.nodes[key as usize].newer;
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
        self.nodes[key as usize].bucket != NONE
    }

    #[inline]
    fn request(&mut self, key: u32) -> bool {
        let from = self.nodes[key as usize].bucket;
        if from == NONE {
            return false;
        }
        let Bucket {
            uses,
            newest,
            oldest,
            more,
            ..
        } = self.buckets[from as usize];
        let next_uses = (uses + 1).min(NONE - 1);
        let alone = newest == oldest;
        let next_is_there = more != NONE && self.buckets[more as usize].uses == next_uses;
        if next_uses == uses {
            self.unlink(key);
            self.link_newest(from, key);
        } else if next_is_there {
            self.unlink(key);
            self.link_newest(more, key);
            if alone {
                self.remove_bucket(from);
            }
        } else if alone {
            self.buckets[from as usize].uses = next_uses;
        } else {
            self.unlink(key);
            let to = self.insert_bucket(next_uses, from);
            self.link_newest(to, key);
        }
        true
    }

    fn admit(&mut self, key: u32, held: Held<'_>) -> Admission {
        let mut evicted = None;
        if self.resident >= self.slots {
            if held.count() >= self.resident {
                return Admission::NoRoom;
            }
            evicted = self.victim(held);
            let Some(victim) = evicted else { return Admission::NoRoom };
            self.drop_key(victim);
            // The next to leave is asked for now.
            if let Some(next) = self.victim(Held::NONE) {
                self.prefetch(next);
            }
        }
        let fewest = self.fewest;
        let first = fewest != NONE && self.buckets[fewest as usize].uses == 1;
        let bucket = if first { fewest } else { self.insert_bucket(1, NONE) };
        self.link_newest(bucket, key);
        self.resident += 1;
        Admission::Taken { evicted }
    }

    fn forget(&mut self, key: u32) {
        self.drop_key(key);
    }

    fn resize(&mut self, slots: u32, dropped: &mut dyn FnMut(u32)) {
        self.slots = slots;
        while self.resident > slots {
            let Some(key) = self.victim(Held::NONE) else { return };
            self.drop_key(key);
            dropped(key);
        }
    }

    fn bookkeeping_bytes(&self, _slots: u32) -> usize {
        self.nodes.len() * size_of::<Node>() + self.buckets.capacity() * size_of::<Bucket>()
    }

    #[inline]
    fn prefetch(&self, key: u32) {
        prefetch(&self.nodes, key as usize);
    }

    #[inline]
    fn prefetch_around(&self, key: u32) {
        if let Some(&Node { newer, older, bucket }) = self.nodes.get(key as usize)
            && bucket != NONE
        {
            prefetch(&self.nodes, newer as usize);
            prefetch(&self.nodes, older as usize);
        }
    }
}
