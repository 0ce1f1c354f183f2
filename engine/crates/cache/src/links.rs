//! Doubly linked rings through one array indexed by key: finding, moving and removing need no hashing and no allocation.

use crate::memory::table;
use crate::prefetch::prefetch;

/// The neighbours of one key, side by side: one cache line to move it.
#[derive(Clone, Copy)]
struct Link {
    newer: u32,
    older: u32,
}

const ABSENT: u32 = u32::MAX;

/// `RINGS` lists over the same keys, each key in at most one of them. Entry `keys + r` closes ring `r`: its `older` is the
/// newest key of the ring and its `newer` the oldest, so that no operation has a special case at an end.
pub(crate) struct Rings<const RINGS: usize> {
    links: Vec<Link>,
    sizes: [u32; RINGS],
    keys: u32,
}

impl<const RINGS: usize> Rings<RINGS> {
    pub(crate) fn new(keys: u32) -> Self {
        let mut links = table(
            Link {
                newer: ABSENT,
                older: ABSENT,
            },
            keys as usize + RINGS,
        );
        for ring in 0..RINGS as u32 {
            links[(keys + ring) as usize] = Link {
                newer: keys + ring,
                older: keys + ring,
            };
        }
        Rings {
            links,
            sizes: [0; RINGS],
            keys,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.links.len() * size_of::<Link>()
    }

    #[inline]
    pub(crate) fn size(&self, ring: usize) -> u32 {
        self.sizes[ring]
    }

    #[inline]
    pub(crate) fn oldest(&self, ring: usize) -> Option<u32> {
        self.real(self.links[self.keys as usize + ring].newer)
    }

    #[inline]
    pub(crate) fn newer(&self, key: u32) -> Option<u32> {
        self.real(self.links[key as usize].newer)
    }

    #[inline]
    fn real(&self, key: u32) -> Option<u32> {
        (key < self.keys).then_some(key)
    }

    /// Adds a key that is in no ring as the newest of `ring`.
    #[inline]
    pub(crate) fn add(&mut self, ring: usize, key: u32) {
        self.link_newest(self.keys + ring as u32, key);
        self.sizes[ring] += 1;
    }

    /// Takes a key out of `ring`, which it is in.
    #[inline]
    pub(crate) fn remove(&mut self, ring: usize, key: u32) {
        self.unlink(key);
        self.links[key as usize].newer = ABSENT;
        self.sizes[ring] -= 1;
    }

    /// Makes a key of `from` the newest of `to`.
    #[inline]
    pub(crate) fn shift(&mut self, from: usize, to: usize, key: u32) {
        self.unlink(key);
        self.link_newest(self.keys + to as u32, key);
        self.sizes[from] -= 1;
        self.sizes[to] += 1;
    }

    /// Makes the key, which is in `ring`, the newest of it.
    #[inline]
    pub(crate) fn touch(&mut self, ring: usize, key: u32) {
        let edge = self.keys + ring as u32;
        if self.links[key as usize].newer != edge {
            self.unlink(key);
            self.link_newest(edge, key);
        }
    }

    /// The oldest key of `ring` that is not refused.
    #[inline]
    pub(crate) fn oldest_where(&self, ring: usize, wanted: impl Fn(u32) -> bool) -> Option<u32> {
        let mut place = self.oldest(ring);
        while let Some(key) = place {
            if wanted(key) {
                return Some(key);
            }
            place = self.newer(key);
        }
        None
    }

    #[inline]
    fn unlink(&mut self, key: u32) {
        let Link { newer, older } = self.links[key as usize];
        self.links[newer as usize].older = older;
        self.links[older as usize].newer = newer;
    }

    #[inline]
    fn link_newest(&mut self, edge: u32, key: u32) {
        let second = self.links[edge as usize].older;
        self.links[key as usize] = Link {
            newer: edge,
            older: second,
        };
        self.links[second as usize].newer = key;
        self.links[edge as usize].older = key;
    }

    #[inline]
    pub(crate) fn prefetch(&self, key: u32) {
        prefetch(&self.links, key as usize);
    }

    #[inline]
    pub(crate) fn prefetch_neighbours(&self, key: u32) {
        if let Some(&Link { newer, older }) = self.links.get(key as usize) {
            prefetch(&self.links, newer as usize);
            prefetch(&self.links, older as usize);
        }
    }
}
