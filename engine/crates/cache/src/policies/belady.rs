use super::rank_bits::RankBits;
use crate::memory::table;
use crate::policy::{Admission, END_TOKEN, Held, Policy};
use crate::prefetch::prefetch;

const ABSENT: u32 = 1 << 31;
const USE: u32 = ABSENT - 1;

/// The best any policy could do, with the requests to come known: drops what is wanted again last, and does not even take in
/// what would itself be wanted last (Bélády, A study of replacement algorithms for a virtual-storage computer, 1966, with
/// bypass). Only for replays, as the bound for the others. Among things never wanted again the lowest key leaves first.
///
/// Every resident has a rank of its own: the place of its next use in the trace, or behind the trace's end, the higher the
/// lower the key. The one with the highest rank leaves. A request other than the one foreseen is taken as a thing never
/// wanted again, and remembered: see [`Belady::strayed_at`].
pub struct Belady {
    trace: Vec<u32>,
    /// For each request of the trace, the rank of its key afterwards.
    next: Vec<u32>,
    /// For each key, its rank as of its last request, and whether it is absent.
    rank: Vec<u32>,
    residents: RankBits,
    slots: u32,
    resident: u32,
    now: usize,
    strayed_at: Option<usize>,
}

impl Belady {
    /// An empty cache of `slots` slots for keys below `keys`, before the first request of `trace`, all of whose keys are below
    /// `keys` but for [`END_TOKEN`]. Together they must be fewer than [`Belady::MOST`].
    pub fn new(keys: u32, slots: u32, trace: &[u32]) -> Self {
        let length = trace.len() as u32;
        let mut rank = table(0, keys as usize);
        for (key, rank) in (0..keys).zip(&mut rank) {
            *rank = length + keys - 1 - key;
        }
        let mut next = vec![0; trace.len()];
        for (place, &key) in trace.iter().enumerate().rev() {
            if key != END_TOKEN {
                next[place] = rank[key as usize];
                rank[key as usize] = place as u32;
            }
        }
        for state in &mut rank {
            *state |= ABSENT;
        }
        let residents = RankBits::new((length + keys) as usize);
        Belady {
            trace: trace.to_vec(),
            next,
            rank,
            residents,
            slots,
            resident: 0,
            now: 0,
            strayed_at: None,
        }
    }

    /// Keys and places in the trace together that a replay can have.
    pub const MOST: usize = ABSENT as usize;

    /// The place in the trace where the first request came that was not the one foreseen.
    pub fn strayed_at(&self) -> Option<usize> {
        self.strayed_at
    }

    fn never(&self, key: u32) -> u32 {
        (self.trace.len() + self.rank.len()) as u32 - 1 - key
    }

    fn key_of(&self, rank: usize) -> u32 {
        self.trace
            .get(rank)
            .copied()
            .unwrap_or_else(|| (self.trace.len() + self.rank.len() - 1 - rank) as u32)
    }

    fn drop_rank(&mut self, rank: usize) -> u32 {
        let key = self.key_of(rank);
        self.residents.remove(rank);
        self.rank[key as usize] |= ABSENT;
        self.resident -= 1;
        key
    }
}

impl Policy for Belady {
    fn name(&self) -> &'static str {
        "belady"
    }

    fn slots(&self) -> u32 {
        self.slots
    }

    fn resident(&self) -> u32 {
        self.resident
    }

    fn is_resident(&self, key: u32) -> bool {
        self.rank[key as usize] & ABSENT == 0
    }

    fn request(&mut self, key: u32) -> bool {
        while self.trace.get(self.now) == Some(&END_TOKEN) {
            self.now += 1;
        }
        let rank = if self.trace.get(self.now) == Some(&key) {
            self.next[self.now]
        } else {
            self.strayed_at.get_or_insert(self.now);
            self.never(key)
        };
        self.now += 1;
        let before = self.rank[key as usize];
        if before & ABSENT != 0 {
            self.rank[key as usize] = rank | ABSENT;
            return false;
        }
        self.residents.remove(before as usize);
        self.residents.insert(rank as usize);
        self.rank[key as usize] = rank;
        true
    }

    fn admit(&mut self, key: u32, held: Held<'_>) -> Admission {
        let rank = self.rank[key as usize] & USE;
        let mut evicted = None;
        if self.resident >= self.slots {
            if held.count() >= self.resident {
                return Admission::NoRoom;
            }
            let mut bound = self.trace.len() + self.rank.len();
            let last = loop {
                let Some(last) = self.residents.largest_below(bound) else {
                    return Admission::NoRoom;
                };
                if !held.holds(self.key_of(last)) {
                    break last;
                }
                bound = last;
            };
            if last <= rank as usize {
                return Admission::Declined;
            }
            evicted = Some(self.drop_rank(last));
        }
        self.residents.insert(rank as usize);
        self.rank[key as usize] = rank;
        self.resident += 1;
        Admission::Taken { evicted }
    }

    fn forget(&mut self, key: u32) {
        let rank = self.rank[key as usize] & USE;
        self.drop_rank(rank as usize);
    }

    fn resize(&mut self, slots: u32, dropped: &mut dyn FnMut(u32)) {
        self.slots = slots;
        while self.resident > slots {
            let Some(last) = self.residents.largest_below(self.trace.len() + self.rank.len()) else {
                return;
            };
            dropped(self.drop_rank(last));
        }
    }

    fn bookkeeping_bytes(&self, _slots: u32) -> usize {
        (self.trace.len() + self.next.len() + self.rank.len()) * size_of::<u32>() + self.residents.bytes()
    }

    #[inline]
    fn prefetch(&self, key: u32) {
        prefetch(&self.rank, key as usize);
    }
}
