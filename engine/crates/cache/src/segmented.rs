use std::sync::Arc;

use crate::error::CacheError;
use crate::kind::{PolicyKind, Setting};
use crate::memory::{HUGE_PAGE_BYTES, Mapping, PAGE_BYTES};
use crate::segment::{Place, Segment};

/// One evicting segment to be made.
#[derive(Clone, Copy, Debug)]
pub struct SegmentShape<'a> {
    /// For counts and errors: "hot", "cold".
    pub name: &'static str,
    /// Bytes of one thing; a slot is as many whole `align_bytes`.
    pub entry_bytes: usize,
    /// Where slots begin: on multiples of this power of two, at most a page ([`PAGE_BYTES`], which direct reads into slots need).
    pub align_bytes: usize,
    /// Which policy.
    pub policy: PolicyKind,
    /// Its things (`keys`), how many of them fit at first (`slots`), and what else the policy reads.
    pub setting: Setting<'a>,
}

/// A cache to be made.
#[derive(Clone, Debug)]
pub struct Shape<'a> {
    /// Bytes that fixed segment, slots and bookkeeping together may take.
    pub budget_bytes: usize,
    /// Bytes of the fixed segment: attention weights, KV cache, predictors, and transient buffers.
    pub fixed_bytes: usize,
    /// Whether slots and the fixed segment may be backed by huge pages: faster to read at random, and taken 2 MiB at a time.
    pub huge_pages: bool,
    /// The evicting segments: in the paper a hot one of clusters and a cold one of neurons.
    pub segments: Vec<SegmentShape<'a>>,
}

/// A piece of the fixed segment.
#[derive(Debug, PartialEq, Eq)]
pub struct FixedBlock {
    offset: usize,
    bytes: usize,
}

/// The neuron cache: a fixed segment that is never evicted, and segments that evict, in one mapping under one budget.
///
/// **The budget.** Addresses are reserved generously; memory is taken by the first write to a page. Each segment writes only to its
/// first `slots` slots, so fixed segment + slots + bookkeeping bounds what is held, and that sum is held to the budget here, at the
/// start and at each [`SegmentedCache::resize`]. [`SegmentedCache::resident_bytes`] asks the system for the truth.
///
/// **Who may touch the bytes.** One thread, the scheduler's, owns the cache and calls everything that takes `&mut self`.
/// Other threads see only addresses of slots that the scheduler hands them:
/// 1. *reserve → read.* The scheduler hands a reserved slot's address to an I/O lane. From then on only the lane (and
///    the kernel for it) writes there, and nobody reads: the thing is loading, which is never a victim and never given out as a hit.
/// 2. *read → commit.* The lane's message that the read is over reaches the scheduler, which then commits.
/// 3. *pin → compute.* The scheduler pins, and hands the address to compute threads, which only read.
/// 4. *compute → unpin.* Their message that they are done reaches the scheduler, which then unpins; only then can the thing be
///    a victim, and its slot be written again (1).
///
/// Each step crosses threads through a message, and any queue or flag with release on sending and acquire on receiving
/// makes the writes before it visible after it. So every write to a slot happens before every later read, and every read before the
/// next write: there is no race, and the cache itself needs no atomic and no lock. What remains for `unsafe` callers:
/// write only to slots that they reserved and have not committed or aborted, read only slots that are pinned, and send their messages
/// with release and acquire. io_uring completions are such messages (the kernel publishes its ring's tail with release).
///
/// If the cache is dropped while something is loading or pinned, its mapping stays: a late reader or writer finds memory.
/// Threads that use a fixed block must be done before.
pub struct SegmentedCache {
    segments: Vec<Segment>,
    budget_bytes: usize,
    fixed_bytes: usize,
    fixed_used: usize,
    mapping: Arc<Mapping>,
}

impl SegmentedCache {
    /// An empty cache. Errors: a setting that its policy cannot work with; a budget that is too small, with the smallest that works;
    /// addresses that the system does not give.
    pub fn new(shape: &Shape<'_>) -> Result<SegmentedCache, CacheError> {
        let Shape {
            budget_bytes,
            huge_pages,
            ref segments,
            ..
        } = *shape;
        let fixed_bytes = whole(shape.fixed_bytes, PAGE_BYTES, "fixed segment")?;
        let mut end = whole(fixed_bytes, HUGE_PAGE_BYTES, "fixed segment")?;
        let mut made = Vec::with_capacity(segments.len());
        for &SegmentShape {
            name,
            entry_bytes,
            align_bytes,
            policy,
            setting,
        } in segments
        {
            if entry_bytes == 0 {
                return Err(CacheError::Size { what: "entry", bytes: 0 });
            }
            if !align_bytes.is_power_of_two() || align_bytes > PAGE_BYTES {
                return Err(CacheError::Size {
                    what: "alignment of slots",
                    bytes: align_bytes,
                });
            }
            let slot_bytes = whole(entry_bytes, align_bytes, "entry")?;
            // Not more addresses than all things need, nor than the budget could ever fill.
            let most = (setting.keys as usize).min(budget_bytes / slot_bytes) * slot_bytes;
            let start = end;
            end = whole(most, HUGE_PAGE_BYTES, "segment")?
                .checked_add(start)
                .ok_or(CacheError::Size {
                    what: "cache",
                    bytes: most,
                })?;
            made.push((name, slot_bytes, setting.keys, start..end, policy.build(&setting)?));
        }
        let mapping = Arc::new(Mapping::new(end).map_err(|errno| CacheError::Map { bytes: end, errno })?);
        if huge_pages {
            mapping.allow_huge_pages(0..fixed_bytes, fixed_bytes.next_multiple_of(HUGE_PAGE_BYTES));
        }
        let segments = made
            .into_iter()
            .map(|(name, slot_bytes, ids, region, policy)| {
                Segment::new(
                    name,
                    slot_bytes,
                    Place {
                        mapping: Arc::clone(&mapping),
                        region,
                        huge_pages,
                        ids,
                    },
                    policy,
                )
            })
            .collect();
        let cache = SegmentedCache {
            segments,
            budget_bytes,
            fixed_bytes,
            fixed_used: 0,
            mapping,
        };
        // Before any address is used: within the budget, slots lie inside the addresses reserved for them.
        cache.check_budget(&cache.slots())?;
        cache.segments.iter().for_each(Segment::advise);
        Ok(cache)
    }

    /// The segment at this place of the shape.
    pub fn segment(&self, place: usize) -> Option<&Segment> {
        self.segments.get(place)
    }

    /// The segment at this place of the shape, to look up in.
    #[inline]
    pub fn segment_mut(&mut self, place: usize) -> Option<&mut Segment> {
        self.segments.get_mut(place)
    }

    /// All segments, to use several at once.
    pub fn segments_mut(&mut self) -> &mut [Segment] {
        &mut self.segments
    }

    /// All segments.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Slots of each segment now.
    pub fn slots(&self) -> Vec<u32> {
        self.segments.iter().map(|segment| segment.counts().slots).collect()
    }

    /// The budget in bytes.
    pub fn budget_bytes(&self) -> usize {
        self.budget_bytes
    }

    /// Bytes that count against the budget: the fixed segment, all slots filled or not, and the bookkeeping beside them.
    pub fn accounted_bytes(&self) -> usize {
        self.needed(&self.slots())
    }

    /// Bytes of the mapping that the system backs with memory now, by its own account.
    pub fn resident_bytes(&self) -> usize {
        self.mapping.resident_bytes(0..self.mapping.bytes())
    }

    /// The most slots that this segment could have if the others keep theirs.
    pub fn most_slots(&self, place: usize) -> Option<u32> {
        let segment = self.segments.get(place)?;
        let mut slots = self.slots();
        // The need grows with the slots: the largest number that fits is found by halving.
        let (mut fits, mut too_many) = (0u32, u64::from(segment.ids()) + 1);
        while u64::from(fits) + 1 < too_many {
            let middle = ((u64::from(fits) + too_many) / 2) as u32;
            slots[place] = middle;
            if self.needed(&slots) <= self.budget_bytes {
                fits = middle;
            } else {
                too_many = u64::from(middle);
            }
        }
        Some(fits)
    }

    /// Gives each segment this many slots, as between prefill and decode. What still fits stays; what does not leaves in its
    /// policy's order; the memory of slots given up goes back to the system before other segments grow. Slots handed out before are
    /// void. Errors change nothing: a sum over the budget, or a segment that changes while something in it is read or pinned.
    pub fn resize(&mut self, slots: &[u32]) -> Result<(), CacheError> {
        if slots.len() != self.segments.len() {
            return Err(CacheError::SegmentCount {
                given: slots.len(),
                segments: self.segments.len(),
            });
        }
        self.check_budget(slots)?;
        let before = self.slots();
        for (place, segment) in self.segments.iter().enumerate() {
            if slots[place] != before[place] {
                segment.check_idle()?;
            }
        }
        let shrinks = |place: &usize| slots[*place] < before[*place];
        let grows = |place: &usize| slots[*place] > before[*place];
        for place in (0..slots.len()).filter(shrinks).chain((0..slots.len()).filter(grows)) {
            self.segments[place].resize(slots[place]);
        }
        Ok(())
    }

    /// Takes the memory of all slots from the system now. Otherwise it comes page by page, to whoever fills a slot for the first time: in a
    /// virtual machine, whose host has to find it as well, at less than a gigabyte a second.
    /// Whether the system did so: Linux before 5.14 cannot, and leaves it to come as ever.
    pub fn populate(&self) -> bool {
        self.segments.iter().filter(|segment| !segment.populate()).count() == 0
    }

    /// A piece of the fixed segment, zeroed, on a page. Errors where there is no room left.
    pub fn allocate_fixed(&mut self, bytes: usize) -> Result<FixedBlock, CacheError> {
        let asked = whole(bytes, PAGE_BYTES, "fixed block")?;
        let left = self.fixed_bytes - self.fixed_used;
        if asked > left {
            return Err(CacheError::FixedFull {
                asked,
                left,
                smallest: self.fixed_used.saturating_add(asked),
            });
        }
        let offset = self.fixed_used;
        self.fixed_used += asked;
        Ok(FixedBlock { offset, bytes })
    }

    /// The bytes of a fixed block: none for a block of another, larger cache.
    pub fn fixed(&self, block: &FixedBlock) -> Option<&[u8]> {
        let address = self.fixed_address(block)?;
        // SAFETY: inside the fixed segment, initialised by the system's zeros; `&mut self` methods are excluded by the borrow,
        // and writers through `fixed_address` promised to be alone.
        Some(unsafe { std::slice::from_raw_parts(address, block.bytes) })
    }

    /// The bytes of a fixed block, to write.
    pub fn fixed_mut(&mut self, block: &FixedBlock) -> Option<&mut [u8]> {
        let address = self.fixed_address(block)?;
        // SAFETY: as in `fixed`, and exclusive by the borrow; blocks of one cache do not overlap.
        Some(unsafe { std::slice::from_raw_parts_mut(address, block.bytes) })
    }

    /// Where a fixed block begins, for threads that share it. It stays there as long as the cache lives; writing through
    /// it needs that nobody else reads or writes the same bytes at the time.
    pub fn fixed_address(&self, block: &FixedBlock) -> Option<*mut u8> {
        let end = block.offset.checked_add(block.bytes)?;
        (end <= self.fixed_used).then(|| self.mapping.at(block.offset))
    }

    /// Bytes that these numbers of slots need: the smallest budget for them.
    fn needed(&self, slots: &[u32]) -> usize {
        self.segments
            .iter()
            .zip(slots)
            .fold(self.fixed_bytes, |sum, (segment, &slots)| {
                let in_slots = segment.physical(slots).saturating_mul(segment.slot_bytes());
                sum.saturating_add(in_slots).saturating_add(segment.bookkeeping_bytes(slots))
            })
    }

    fn check_budget(&self, slots: &[u32]) -> Result<(), CacheError> {
        let needed = self.needed(slots);
        if needed <= self.budget_bytes {
            return Ok(());
        }
        let smallest = self.needed(&vec![0; slots.len()]);
        Err(CacheError::Budget {
            budget: self.budget_bytes,
            needed,
            smallest,
        })
    }
}

/// Rounded up to whole units; an error where that cannot be counted.
fn whole(bytes: usize, unit: usize, what: &'static str) -> Result<usize, CacheError> {
    // Half the addresses: sums of two such sizes cannot overflow.
    bytes
        .checked_next_multiple_of(unit)
        .filter(|&whole| whole <= isize::MAX as usize)
        .ok_or(CacheError::Size { what, bytes })
}
