//! GIO and UDIO begin: what is looked up in the cache, and what is asked of the reader because it is not there.

use cache::{Lookup, Reserve};
use flash::{Part, Request};

use super::LayerRun;
use super::state::{COLD, HOT, Place, State, UP_DOWN_TAG};
use crate::error::OffloadError;
use crate::options::Granularity;

impl LayerRun<'_> {
    pub(super) fn ask_first(&self, state: &mut State<'_>) -> Result<(), OffloadError> {
        for route in 0..self.experts.len() as u32 {
            let expert = self.experts[route as usize];
            for cluster in 0..self.units.clusters {
                self.ask_gate(state, route, expert, cluster)?;
                if self.granularity.is_one_phase() {
                    let index = route * self.units.clusters + cluster;
                    self.ask_units(state, route, index, self.units.of_cluster(cluster))?;
                }
            }
        }
        if self.granularity == Granularity::Tensor {
            self.load_bystanders(state);
        }
        Ok(())
    }

    pub(super) fn submit(&self, state: &mut State<'_>, mut requests: Vec<Request>) -> Result<(), OffloadError> {
        let submitted = if requests.is_empty() {
            Ok(())
        } else {
            self.reader.submit(&requests)
        };
        match submitted {
            Ok(()) => state.reads_left += requests.len() as u32,
            Err(_) => requests.iter().for_each(|request| self.give_up(state, request.tag)),
        }
        requests.clear();
        state.lists.requests = requests;
        Ok(submitted?)
    }

    pub(super) fn ask_gate(&self, state: &mut State<'_>, route: u32, expert: u32, cluster: u32) -> Result<(), OffloadError> {
        let index = route * self.units.clusters + cluster;
        let key = self.units.gate_key(self.layer, expert, cluster);
        state.counters.gate_look_ups += 1;
        let segment = &mut state.cache.segments_mut()[HOT];
        if let Lookup::Hit(slot) = segment.lookup(key)? {
            segment.pin(key)?;
            state.lists.gates[index as usize].place = Place(segment.address(slot));
            state.lists.pinned.push((HOT, key));
            state.lists.ready_gates.push_back(index);
            return Ok(());
        }
        state.counters.gate_misses += 1;
        let reserved = matches!(segment.reserve(key)?, Reserve::Slot { .. });
        // The tag says where its bytes go: into the slot, or into a buffer.
        let tag = u64::from(index) | if reserved { 1 << 33 } else { 0 };
        let target = self
            .units
            .target(self.layer, expert, Part::Gate, self.units.of_cluster(cluster));
        state.lists.requests.push(Request { tag, target });
        Ok(())
    }

    /// Looks up the units of up and down that hold `positions`, and asks for those that are missing.
    pub(super) fn ask_units(
        &self,
        state: &mut State<'_>,
        route: u32,
        cluster: u32,
        positions: std::ops::Range<u32>,
    ) -> Result<(), OffloadError> {
        for unit in positions.start / self.units.unit..positions.end.div_ceil(self.units.unit) {
            self.ask_unit(state, route, cluster, unit)?;
        }
        Ok(())
    }

    pub(super) fn ask_unit(&self, state: &mut State<'_>, route: u32, cluster: u32, unit: u32) -> Result<(), OffloadError> {
        let index = route * self.units.units + unit;
        let entry = &mut state.lists.units[index as usize];
        if entry.asked {
            return Ok(());
        }
        entry.asked = true;
        let expert = self.experts[route as usize];
        let key = self.units.up_down_key(self.layer, expert, unit);
        let segment = &mut state.cache.segments_mut()[COLD];
        state.counters.look_ups += 1;
        if let Lookup::Hit(slot) = segment.lookup(key)? {
            segment.pin(key)?;
            entry.place = Place(segment.address(slot));
            state.lists.pinned.push((COLD, key));
            return Ok(());
        }
        state.counters.misses += 1;
        entry.reserved = matches!(segment.reserve(key)?, Reserve::Slot { .. });
        entry.cluster = cluster;
        state.lists.gates[cluster as usize].reads += 1;
        let target = self.units.target(self.layer, expert, Part::UpDown, self.units.of_unit(unit));
        state.lists.requests.push(Request {
            tag: u64::from(index) | UP_DOWN_TAG,
            target,
        });
        Ok(())
    }

    /// Whole tensors bring experts that nobody asked for; they are read and go where there is room.
    pub(super) fn load_bystanders(&self, state: &mut State<'_>) {
        let bystanders = (0..self.units.experts).filter(|expert| !self.experts.contains(expert));
        for expert in bystanders {
            let gate = state.cache.segments()[HOT].is_resident(self.units.gate_key(self.layer, expert, 0));
            let rest = state.cache.segments()[COLD].is_resident(self.units.up_down_key(self.layer, expert, 0));
            let part = match (gate, rest) {
                (true, true) => continue,
                (true, false) => Part::UpDown,
                (false, true) => Part::Gate,
                (false, false) => Part::Whole,
            };
            let target = self.units.target(self.layer, expert, part, 0..self.units.neurons);
            state.lists.requests.push(Request { tag: u64::MAX, target });
        }
    }
}
