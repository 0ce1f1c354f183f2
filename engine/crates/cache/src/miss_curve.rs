use crate::error::CacheError;
use crate::kind::check_keys;
use crate::memory::table;
use crate::policy::END_TOKEN;
use crate::prefetch::prefetch;

/// How often LRU hits at every number of slots, from one pass (Mattson et al., Evaluation techniques for storage hierarchies,
/// 1970): a request hits exactly when fewer distinct keys than there are slots were used since its key was last used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissCurve {
    /// `hits_up_to[slots]`: hits with that many slots; constant after the last.
    hits_up_to: Vec<u64>,
    requests: u64,
    distinct: u32,
}

/// Moments at which some key was last used, as bits, with a Fenwick tree over the counts of whole blocks of bits: the tree is
/// small enough to stay in the nearest caches. Moments are set in ascending order, so a block's count enters the tree once, when
/// the block is full; nobody asks for it before.
struct Moments {
    words: Vec<u64>,
    /// Fenwick tree over full blocks, one-based.
    blocks: Vec<u32>,
    full: usize,
}

const WORDS_OF_BLOCK: usize = 8;
const BITS_OF_BLOCK: usize = 64 * WORDS_OF_BLOCK;

impl Moments {
    fn new(moments: usize) -> Self {
        let blocks = moments.div_ceil(BITS_OF_BLOCK);
        Moments {
            words: table(0, blocks * WORDS_OF_BLOCK),
            blocks: vec![0; blocks + 1],
            full: 0,
        }
    }

    /// Sets a moment later than all before.
    fn set(&mut self, moment: usize) {
        while moment / BITS_OF_BLOCK > self.full {
            let count = self.count(self.full * WORDS_OF_BLOCK..(self.full + 1) * WORDS_OF_BLOCK);
            self.full += 1;
            self.tree_add(self.full, count);
        }
        self.words[moment / 64] |= 1 << (moment % 64);
    }

    fn clear(&mut self, moment: usize) {
        self.words[moment / 64] &= !(1 << (moment % 64));
        if moment / BITS_OF_BLOCK < self.full {
            self.tree_add(moment / BITS_OF_BLOCK + 1, u32::MAX);
        }
    }

    /// Adds (with wrapping: u32::MAX takes one away) to a block's count, blocks from one.
    fn tree_add(&mut self, mut block: usize, count: u32) {
        while block < self.blocks.len() {
            self.blocks[block] = self.blocks[block].wrapping_add(count);
            block += block & block.wrapping_neg();
        }
    }

    fn count(&self, words: std::ops::Range<usize>) -> u32 {
        self.words[words].iter().map(|word| word.count_ones()).sum()
    }

    /// How many set moments are less than or equal to this one.
    fn up_to(&self, moment: usize) -> u32 {
        let mut block = moment / BITS_OF_BLOCK;
        let last = moment / 64;
        let mut count = (self.words[last] & (u64::MAX >> (63 - moment % 64))).count_ones();
        count += self.count(block * WORDS_OF_BLOCK..last);
        while block > 0 {
            count = count.wrapping_add(self.blocks[block]);
            block &= block - 1;
        }
        count
    }

    fn prefetch(&self, moment: usize) {
        prefetch(&self.words, moment / 64);
    }
}

impl MissCurve {
    /// The curve of a trace of keys below `keys`; ends of tokens are passed over. Memory is 4.5 bytes a key and 8 a slot of the
    /// curve, whatever the trace's length: moments are numbered anew when they run out.
    pub fn of(keys: u32, trace: &[u32]) -> Result<MissCurve, CacheError> {
        const MOST_KEYS: usize = (1 << 31) - 1;
        if keys as usize > MOST_KEYS {
            return Err(CacheError::TooManyKeys {
                keys: keys as usize,
                most: MOST_KEYS,
            });
        }
        check_keys(trace, keys)?;
        const NEVER: u32 = u32::MAX;
        let most_moments = (4 * keys as usize).clamp(1 << 16, NEVER as usize - 1);
        let mut moments = Moments::new(most_moments);
        let mut last_use = table(NEVER, keys as usize);
        let mut at_distance: Vec<u64> = Vec::new();
        let (mut requests, mut distinct, mut now) = (0, 0u32, 0usize);
        for (place, &key) in trace.iter().enumerate() {
            if let Some(&ahead) = trace.get(place + 24) {
                prefetch(&last_use, ahead as usize);
            }
            if let Some(&ahead) = trace.get(place + 8)
                && let Some(&moment) = last_use.get(ahead as usize)
            {
                moments.prefetch(moment as usize);
            }
            if key == END_TOKEN {
                continue;
            }
            requests += 1;
            if now == most_moments {
                now = renumber(&mut moments, &mut last_use, most_moments);
            }
            let before = last_use[key as usize];
            if before == NEVER {
                distinct += 1;
            } else {
                // Keys used since, this one included.
                let distance = (distinct - moments.up_to(before as usize) + 1) as usize;
                if at_distance.len() <= distance {
                    at_distance.resize(distance + 1, 0);
                }
                at_distance[distance] += 1;
                moments.clear(before as usize);
            }
            moments.set(now);
            last_use[key as usize] = now as u32;
            now += 1;
        }
        let hits_up_to = at_distance
            .iter()
            .scan(0, |sum, &count| {
                *sum += count;
                Some(*sum)
            })
            .collect();
        Ok(MissCurve {
            hits_up_to,
            requests,
            distinct,
        })
    }

    /// Requests in the trace.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Different keys in the trace: misses that no number of slots avoids.
    pub fn distinct(&self) -> u32 {
        self.distinct
    }

    /// Hits of LRU with this many slots.
    pub fn hits(&self, slots: u32) -> u64 {
        let last = self.hits_up_to.len().saturating_sub(1);
        self.hits_up_to.get((slots as usize).min(last)).copied().unwrap_or(0)
    }

    /// Misses of LRU with this many slots.
    pub fn misses(&self, slots: u32) -> u64 {
        self.requests - self.hits(slots)
    }

    /// The fewest slots with at least this many hits, if any number has.
    pub fn slots_for(&self, hits: u64) -> Option<u32> {
        let slots = self.hits_up_to.partition_point(|&reached| reached < hits);
        (slots < self.hits_up_to.len() || hits == 0).then_some(slots as u32)
    }
}

/// Numbers the set moments from 0 in their order; returns the next free one. There are at most as many as keys.
fn renumber(moments: &mut Moments, last_use: &mut [u32], most_moments: usize) -> usize {
    // How many are set before each word.
    let before: Vec<u32> = moments
        .words
        .iter()
        .scan(0, |sum, word| {
            let before = *sum;
            *sum += word.count_ones();
            Some(before)
        })
        .collect();
    let mut set = 0;
    for moment in last_use.iter_mut().filter(|moment| **moment != u32::MAX) {
        let place = *moment as usize;
        let lower = moments.words[place / 64] & ((1 << (place % 64)) - 1);
        *moment = before[place / 64] + lower.count_ones();
        set += 1;
    }
    *moments = Moments::new(most_moments);
    (0..set).for_each(|moment| moments.set(moment));
    set
}
