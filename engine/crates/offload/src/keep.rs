//! What stays in memory of what prefill streamed past: decoding then begins with a warm cache instead of reading it all again.

use std::cmp::Reverse;
use std::ops::Range;

use cache::{CacheError, Lookup, Reserve, Segment, SegmentedCache};

use crate::error::OffloadError;
use crate::layer_run::{COLD, HOT};
use crate::units::Units;

/// Some neurons of an expert that are in memory whole for a moment: their rows, one matrix after the other.
pub(crate) struct StreamedBlock<'a> {
    pub layer: u32,
    pub expert: u32,
    pub positions: Range<u32>,
    pub gates: &'a [u8],
    pub ups: &'a [u8],
    pub downs: &'a [u8],
    /// How often each of the neurons fired.
    pub fired: &'a [u32],
}

impl StreamedBlock<'_> {
    /// Puts the gates into the hot segment and the neurons that fired most into the cold one: as many as are this block's share of its
    /// slots, so that no layer pushes out what another one kept. Only whole clusters and units inside the block.
    pub fn keep(&self, units: &Units, cache: &mut SegmentedCache) -> Result<(), OffloadError> {
        let segments = cache.segments_mut();
        let whole = |part: &Range<u32>| self.positions.start <= part.start && part.end <= self.positions.end;
        let rows = |part: &Range<u32>, bytes: usize| {
            (part.start - self.positions.start) as usize * bytes..(part.end - self.positions.start) as usize * bytes
        };
        for cluster in self.positions.start.div_ceil(units.cluster)..self.positions.end.div_ceil(units.cluster) {
            let part = units.of_cluster(cluster);
            if whole(&part) {
                let key = units.gate_key(self.layer, self.expert, cluster);
                fill(&mut segments[HOT], key, &[&self.gates[rows(&part, units.gate_row)]])?;
            }
        }
        let slots = u64::from(segments[COLD].counts().slots);
        let share = (slots * self.positions.len() as u64 / units.unit as u64).div_ceil(u64::from(units.up_down_keys()));
        let mut hottest: Vec<(u32, u32)> = (self.positions.start.div_ceil(units.unit)..self.positions.end.div_ceil(units.unit))
            .filter(|&unit| whole(&units.of_unit(unit)))
            .map(|unit| (self.fired[rows(&units.of_unit(unit), 1)].iter().sum(), unit))
            .filter(|&(fired, _)| fired > 0)
            .collect();
        hottest.sort_unstable_by_key(|&(fired, unit)| (Reverse(fired), unit));
        hottest.truncate(share as usize);
        // The hottest last: what was used last leaves last.
        for &(_, unit) in hottest.iter().rev() {
            let part = units.of_unit(unit);
            let key = units.up_down_key(self.layer, self.expert, unit);
            let (ups, downs) = (rows(&part, units.up_row), rows(&part, units.down_row));
            fill(&mut segments[COLD], key, &[&self.ups[ups], &self.downs[downs]])?;
        }
        Ok(())
    }
}

/// Puts a thing that is not there yet into a slot, if the policy has one for it.
fn fill(segment: &mut Segment, key: u32, parts: &[&[u8]]) -> Result<(), CacheError> {
    if !matches!(segment.lookup(key)?, Lookup::Miss) || !matches!(segment.reserve(key)?, Reserve::Slot { .. }) {
        return Ok(());
    }
    // SAFETY: nothing is being read in prefill but the stream, whose buffers are its own.
    let mut slot = unsafe { segment.loading_bytes(key) };
    let mut written = 0;
    for part in parts {
        let room = slot
            .as_deref_mut()
            .and_then(|slot| slot.get_mut(written..written + part.len()));
        room.expect("a slot holds a whole thing").copy_from_slice(part);
        written += part.len();
    }
    segment.commit(key).map(drop)
}
