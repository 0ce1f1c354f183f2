//! Gate rows that are read apart: the pages of each group by themselves, as those of single units, until a cluster is whole.

use super::LayerRun;
use super::state::{GATE_TAG, HOT, Place, State};
use crate::error::OffloadError;

impl LayerRun<'_> {
    /// Wants the groups of a cluster whose gate rows are missing. They come together in the slot that is reserved, or in a buffer.
    pub(super) fn ask_gate_groups(&self, state: &mut State<'_>, index: u32, reserved: bool) {
        let (route, cluster) = (index / self.units.clusters, index % self.units.clusters);
        let positions = self.units.of_cluster(cluster);
        let first = route * self.units.units;
        let groups = positions.start / self.units.unit..positions.end.div_ceil(self.units.unit);
        state.requested_bytes += self.units.gates_in_flight;
        let buffer = (!reserved).then(|| state.lists.buffer(self.units.gate_bytes()));
        let gate = &mut state.lists.gates[index as usize];
        gate.gate_reads = groups.len() as u32;
        gate.reserved = reserved;
        gate.buffer = buffer;
        state
            .lists
            .wanted_gates
            .extend(groups.map(|group| (first + group) | GATE_TAG));
    }

    /// The cluster that a group is of, and the segment's key of its gate rows.
    fn cluster_of_group(&self, index: u32) -> (u32, u32) {
        let (route, group) = (index / self.units.units, index % self.units.units);
        let cluster = self.units.of_unit(group).start / self.units.cluster;
        let key = self.units.gate_key(self.layer, self.experts[route as usize], cluster);
        (route * self.units.clusters + cluster, key)
    }

    /// The pages of a group's gate rows have arrived. With the last of its cluster that is ready to be computed.
    pub(super) fn take_gate_group(&self, state: &mut State<'_>, index: u32, pages: &[u8]) -> Result<(), OffloadError> {
        state.counters.bytes += self.layout.part_span(0, 0).bytes;
        let (cluster, key) = self.cluster_of_group(index);
        let positions = self.units.of_unit(index % self.units.units);
        let bytes = positions.len() * self.units.gate_row;
        let at = (positions.start % self.units.cluster) as usize * self.units.gate_row;
        let gate = &mut state.lists.gates[cluster as usize];
        gate.gate_reads -= 1;
        let is_whole = gate.gate_reads == 0;
        let part = &mut state.cache.segments_mut()[HOT];
        let rows = if gate.reserved {
            // SAFETY: reads go to the places of single units, never into slots: only this thread, which holds the lock, writes here.
            unsafe { part.loading_bytes(key) }
        } else {
            gate.buffer.as_deref_mut()
        };
        let Some(rows) = rows else {
            // Given up with another of its groups, whose failure ends the run.
            return Ok(());
        };
        rows[at..at + bytes].copy_from_slice(&pages[..bytes]);
        if !is_whole {
            return Ok(());
        }
        state.requested_bytes -= self.units.gates_in_flight;
        let place = match gate.buffer.take() {
            Some(buffer) => {
                let place = Place(buffer.as_ptr());
                state.lists.transient.push(buffer);
                place
            }
            None => {
                let slot = part.commit(key)?;
                part.pin(key)?;
                state.lists.pinned.push((HOT, key));
                Place(part.address(slot))
            }
        };
        state.lists.gates[cluster as usize].place = place;
        state.lists.ready_gates.push_back(cluster);
        Ok(())
    }

    /// A group that will not be read: its cluster's slot is free again, whatever else of it arrives.
    pub(super) fn give_up_gate_group(&self, state: &mut State<'_>, index: u32) {
        let (cluster, key) = self.cluster_of_group(index);
        let gate = &mut state.lists.gates[cluster as usize];
        gate.buffer = None;
        if std::mem::replace(&mut gate.reserved, false) {
            let aborted = state.cache.segments_mut()[HOT].abort(key).map_err(OffloadError::from);
            self.note(state, aborted);
        }
    }
}
