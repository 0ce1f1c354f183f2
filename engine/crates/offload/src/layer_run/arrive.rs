//! GIO and UDIO end: where the bytes of a read go, and what waited for them.

use flash::{Completion, Data};

use super::LayerRun;
use super::state::{COLD, HOT, Place, State, UP_DOWN_TAG};
use crate::error::OffloadError;
use crate::units::{Rows, copy_rows};

impl LayerRun<'_> {
    /// A read has ended: its bytes go to their slot or buffer, and what waited for them becomes ready.
    pub(super) fn take(&self, state: &mut State<'_>, completion: Completion) {
        state.reads_left -= 1;
        let tag = completion.tag;
        let outcome = match completion.outcome {
            Ok(data) if tag == u64::MAX => {
                state.counters.bytes += data.bytes();
                Ok(())
            }
            Ok(data) if tag & UP_DOWN_TAG != 0 => self.take_unit(state, tag as u32, &data),
            Ok(data) => self.take_gate(state, tag as u32, tag >> 33 == 1, &data),
            Err(error) => {
                self.give_up(state, tag);
                Err(error.into())
            }
        };
        self.note(state, outcome);
    }

    /// A failed read: its slot is free again.
    pub(super) fn give_up(&self, state: &mut State<'_>, tag: u64) {
        let index = tag as u32;
        let (segment, key) = if tag == u64::MAX {
            return;
        } else if tag & UP_DOWN_TAG != 0 {
            if !state.lists.units[index as usize].reserved {
                return;
            }
            (
                COLD,
                self.units.up_down_key(
                    self.layer,
                    self.experts[(index / self.units.units) as usize],
                    index % self.units.units,
                ),
            )
        } else if tag >> 33 == 1 {
            (
                HOT,
                self.units.gate_key(
                    self.layer,
                    self.experts[(index / self.units.clusters) as usize],
                    index % self.units.clusters,
                ),
            )
        } else {
            return;
        };
        let aborted = state.cache.segments_mut()[segment].abort(key).map_err(OffloadError::from);
        self.note(state, aborted);
    }

    /// Fills the reserved slot of `key`, or a buffer, by `fill`; the bytes stay until the layer's end.
    pub(super) fn store(
        &self,
        state: &mut State<'_>,
        segment: usize,
        key: u32,
        reserved: bool,
        bytes: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), OffloadError>,
    ) -> Result<Place, OffloadError> {
        if !reserved {
            let mut buffer = vec![0u8; bytes].into_boxed_slice();
            fill(&mut buffer)?;
            let place = Place(buffer.as_ptr());
            state.lists.transient.push(buffer);
            return Ok(place);
        }
        let part = &mut state.cache.segments_mut()[segment];
        // SAFETY: reads go to the reader's own buffers, never into slots: only this thread, which holds the lock, writes here.
        let slot = unsafe { part.loading_bytes(key) };
        let filled = match slot {
            Some(slot) => fill(slot),
            None => Err(OffloadError::Input {
                what: format!("{} {key} was not being read", part.name()),
            }),
        };
        if let Err(error) = filled {
            part.abort(key)?;
            return Err(error);
        }
        let slot = part.commit(key)?;
        part.pin(key)?;
        let place = Place(part.address(slot));
        state.lists.pinned.push((segment, key));
        Ok(place)
    }

    pub(super) fn take_gate(&self, state: &mut State<'_>, index: u32, reserved: bool, data: &Data) -> Result<(), OffloadError> {
        let (expert, cluster) = (
            self.experts[(index / self.units.clusters) as usize],
            index % self.units.clusters,
        );
        state.counters.bytes += data.bytes();
        let positions = self.units.of_cluster(cluster);
        let key = self.units.gate_key(self.layer, expert, cluster);
        let place = self.store(state, HOT, key, reserved, self.units.gate_bytes(), |out| {
            copy_rows(self.layout, data, Rows::Gate, expert, positions, out).map(drop)
        })?;
        state.lists.gates[index as usize].place = place;
        state.lists.ready_gates.push_back(index);
        Ok(())
    }

    pub(super) fn take_unit(&self, state: &mut State<'_>, index: u32, data: &Data) -> Result<(), OffloadError> {
        let (expert, unit) = (self.experts[(index / self.units.units) as usize], index % self.units.units);
        state.counters.bytes += data.bytes();
        let positions = self.units.of_unit(unit);
        let key = self.units.up_down_key(self.layer, expert, unit);
        let reserved = state.lists.units[index as usize].reserved;
        let place = self.store(state, COLD, key, reserved, self.units.up_down_bytes(), |out| {
            let after_up = copy_rows(self.layout, data, Rows::Up, expert, positions.clone(), out)?;
            copy_rows(self.layout, data, Rows::Down, expert, positions, &mut out[after_up..]).map(drop)
        })?;
        let lists = &mut state.lists;
        let entry = &mut lists.units[index as usize];
        entry.place = place;
        for &block in &entry.waiting {
            let waiting = &mut lists.blocks[block as usize];
            waiting.reads -= 1;
            if waiting.reads == 0 && waiting.clusters == 0 {
                lists.ready_blocks.push_back(block);
            }
        }
        let cluster = entry.cluster as usize;
        lists.gates[cluster].reads -= 1;
        // Looked up already, and this was its last read: the cluster is out of the pipeline.
        if lists.gates[cluster].reads == 0 && (cluster as u32) < state.next_look_up {
            state.in_flight -= 1;
        }
        Ok(())
    }
}
