use crate::memory::{room, table};
use crate::policy::{Admission, Held, Policy};
use crate::prefetch::prefetch;

const NONE: u32 = u32::MAX;

/// A resident key: the nodes of its neighbours among those used as often, and their bucket. Free nodes are linked through `newer`.
#[derive(Clone, Copy)]
#[repr(align(16))]
struct Node {
    key: u32,
    newer: u32,
    older: u32,
    bucket: u32,
}

const UNUSED: Node = Node {
    key: NONE,
    newer: NONE,
    older: NONE,
    bucket: NONE,
};

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
/// Only residents have nodes, four to a cache line: with a node for every key most of the memory that look-ups go through would be
/// that of absent keys.
///
/// A count stops at 2^32 - 2.
pub struct Lfu {
    /// The node of each key, NONE for an absent one.
    node_of: Vec<u32>,
    nodes: Vec<Node>,
    /// Nodes no longer in use.
    free: u32,
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
        // Residents with k different counts were requested at least k(k+1)/2 times: far fewer buckets than slots.
        Lfu {
            node_of: table(NONE, keys as usize),
            nodes: room(slots.min(keys) as usize),
            free: NONE,
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

    /// Takes the node out of its bucket, which may be left empty.
    #[inline]
    fn unlink(&mut self, node: u32) {
        let Node {
            newer, older, bucket, ..
        } = self.nodes[node as usize];
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
    fn link_newest(&mut self, bucket: u32, node: u32) {
        let second = self.buckets[bucket as usize].newest;
        self.nodes[node as usize] = Node {
            newer: NONE,
            older: second,
            bucket,
            ..self.nodes[node as usize]
        };
        self.buckets[bucket as usize].newest = node;
        match second {
            NONE => self.buckets[bucket as usize].oldest = node,
            _ => self.nodes[second as usize].newer = node,
        }
    }

    /// A node for an absent key, in no bucket yet.
    #[inline]
    fn take_node(&mut self, key: u32) -> u32 {
        let fresh = Node { key, ..UNUSED };
        let node = if self.free == NONE {
            self.nodes.push(fresh);
            self.nodes.len() as u32 - 1
        } else {
            let node = self.free;
            self.free = self.nodes[node as usize].newer;
            self.nodes[node as usize] = fresh;
            node
        };
        self.node_of[key as usize] = node;
        node
    }

    /// The key of the node leaves.
    fn drop_node(&mut self, node: u32) -> u32 {
        let Node { key, bucket, .. } = self.nodes[node as usize];
        self.unlink(node);
        if self.buckets[bucket as usize].newest == NONE {
            self.remove_bucket(bucket);
        }
        self.nodes[node as usize] = Node {
            newer: self.free,
            ..UNUSED
        };
        self.free = node;
        self.node_of[key as usize] = NONE;
        self.resident -= 1;
        key
    }

    /// The node of the least used, oldest thing that is not held.
    fn victim(&self, held: Held<'_>) -> Option<u32> {
        let mut bucket = self.fewest;
        while bucket != NONE {
            let mut place = self.buckets[bucket as usize].oldest;
            while place != NONE {
                let Node { key, newer, .. } = self.nodes[place as usize];
                if !held.holds(key) {
                    return Some(place);
                }
                place = newer;
            }
            bucket = self.buckets[bucket as usize].more;
        }
        None
    }

    /// Asks for what the next eviction but one needs; the next one's was asked for before.
    #[inline]
    fn prefetch_victims(&self, held: Held<'_>) {
        let bucket = self.fewest;
        if bucket == NONE {
            return;
        }
        let Node { key, newer, .. } = self.nodes[self.buckets[bucket as usize].oldest as usize];
        held.prefetch(key);
        prefetch(&self.node_of, key as usize);
        prefetch(&self.nodes, newer as usize);
    }

    /// Moves the residents into new memory for as many, in the order in which they would leave.
    fn move_nodes(&mut self, slots: u32) {
        let mut moved = room(slots.min(self.node_of.len() as u32) as usize);
        let mut bucket = self.fewest;
        while bucket != NONE {
            let Bucket { oldest, more, .. } = self.buckets[bucket as usize];
            let first = moved.len() as u32;
            let mut place = oldest;
            while place != NONE {
                let node = self.nodes[place as usize];
                let to = moved.len() as u32;
                self.node_of[node.key as usize] = to;
                moved.push(Node {
                    newer: to + 1,
                    older: if to == first { NONE } else { to - 1 },
                    ..node
                });
                place = node.newer;
            }
            if let Some(newest) = moved.last_mut() {
                newest.newer = NONE;
            }
            let ends = &mut self.buckets[bucket as usize];
            (ends.oldest, ends.newest) = (first, moved.len() as u32 - 1);
            bucket = more;
        }
        self.nodes = moved;
        self.free = NONE;
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
        self.node_of[key as usize] != NONE
    }

    #[inline]
    fn request(&mut self, key: u32) -> bool {
        let node = self.node_of[key as usize];
        if node == NONE {
            return false;
        }
        let from = self.nodes[node as usize].bucket;
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
            self.unlink(node);
            self.link_newest(from, node);
        } else if next_is_there {
            self.unlink(node);
            self.link_newest(more, node);
            if alone {
                self.remove_bucket(from);
            }
        } else if alone {
            self.buckets[from as usize].uses = next_uses;
        } else {
            self.unlink(node);
            let to = self.insert_bucket(next_uses, from);
            self.link_newest(to, node);
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
            evicted = Some(self.drop_node(victim));
            self.prefetch_victims(held);
        }
        let fewest = self.fewest;
        let first = fewest != NONE && self.buckets[fewest as usize].uses == 1;
        let bucket = if first { fewest } else { self.insert_bucket(1, NONE) };
        let node = self.take_node(key);
        self.link_newest(bucket, node);
        self.resident += 1;
        Admission::Taken { evicted }
    }

    fn forget(&mut self, key: u32) {
        self.drop_node(self.node_of[key as usize]);
    }

    fn resize(&mut self, slots: u32, dropped: &mut dyn FnMut(u32)) {
        self.slots = slots;
        while self.resident > slots {
            let Some(node) = self.victim(Held::NONE) else { return };
            dropped(self.drop_node(node));
        }
        self.move_nodes(slots);
    }

    fn bookkeeping_bytes(&self, slots: u32) -> usize {
        self.node_of.len() * size_of::<u32>()
            + slots.min(self.node_of.len() as u32) as usize * size_of::<Node>()
            + self.buckets.capacity() * size_of::<Bucket>()
    }

    #[inline]
    fn prefetch(&self, key: u32) {
        prefetch(&self.node_of, key as usize);
    }

    #[inline]
    fn prefetch_around(&self, key: u32) {
        if let Some(&node) = self.node_of.get(key as usize) {
            prefetch(&self.nodes, node as usize);
        }
    }

    #[inline]
    fn prefetch_beyond(&self, key: u32) {
        if let Some(&node) = self.node_of.get(key as usize)
            && let Some(&Node { newer, older, .. }) = self.nodes.get(node as usize)
        {
            prefetch(&self.nodes, newer as usize);
            prefetch(&self.nodes, older as usize);
        }
    }
}
