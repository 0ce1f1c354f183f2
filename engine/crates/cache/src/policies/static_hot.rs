use crate::memory::table;
use crate::policy::{Admission, Held, Policy};
use crate::prefetch::prefetch;

const RESIDENT: u32 = 1 << 31;
const RANK: u32 = RESIDENT - 1;

/// Keeps the hottest things by the model's statistics, each from its first use on, and never anything else. Ties go to the
/// lower key. Nothing leaves but by `resize`.
pub struct StaticHot {
    /// For each key its place in the order of heat, and whether it is resident.
    state: Vec<u32>,
    /// Keys, the hottest first.
    by_heat: Vec<u32>,
    slots: u32,
    resident: u32,
}

impl StaticHot {
    /// An empty cache of `slots` slots for as many keys as there are heats (at most 2^31), which must be finite.
    pub fn new(heat: &[f64], slots: u32) -> Self {
        let mut by_heat: Vec<u32> = (0..heat.len() as u32).collect();
        // Stable, so that ties stay in the order of keys; the sum turns a negative zero into a zero.
        by_heat.sort_by(|&a, &b| (heat[b as usize] + 0.0).total_cmp(&(heat[a as usize] + 0.0)));
        let mut state = table(0, heat.len());
        for (rank, &key) in by_heat.iter().enumerate() {
            state[key as usize] = rank as u32;
        }
        StaticHot {
            state,
            by_heat,
            slots,
            resident: 0,
        }
    }
}

impl Policy for StaticHot {
    fn name(&self) -> &'static str {
        "static-hot"
    }

    fn slots(&self) -> u32 {
        self.slots
    }

    fn resident(&self) -> u32 {
        self.resident
    }

    fn is_resident(&self, key: u32) -> bool {
        self.state[key as usize] & RESIDENT != 0
    }

    #[inline]
    fn request(&mut self, key: u32) -> bool {
        self.state[key as usize] & RESIDENT != 0
    }

    fn admit(&mut self, key: u32, _held: Held<'_>) -> Admission {
        let state = &mut self.state[key as usize];
        if self.slots == 0 {
            return Admission::NoRoom;
        }
        if *state & RANK >= self.slots {
            return Admission::Declined;
        }
        *state |= RESIDENT;
        self.resident += 1;
        Admission::Taken { evicted: None }
    }

    fn forget(&mut self, key: u32) {
        self.state[key as usize] &= RANK;
        self.resident -= 1;
    }

    fn resize(&mut self, slots: u32, dropped: &mut dyn FnMut(u32)) {
        self.slots = slots;
        // The least hot first.
        for &key in self.by_heat.iter().skip(slots as usize).rev() {
            let state = &mut self.state[key as usize];
            if *state & RESIDENT != 0 {
                *state &= RANK;
                self.resident -= 1;
                dropped(key);
            }
        }
    }

    fn bookkeeping_bytes(&self, _slots: u32) -> usize {
        (self.state.len() + self.by_heat.len()) * size_of::<u32>()
    }

    #[inline]
    fn prefetch(&self, key: u32) {
        prefetch(&self.state, key as usize);
    }
}
