//! The contract of eviction policies over equal-sized things.

use crate::replay::Replayed;

/// Stands between the keys of a trace where a token ends. Never a key.
pub const END_TOKEN: u32 = u32::MAX;

/// How far ahead of its turn a key's first memory access is asked for, then what that names, then what this names: long enough
/// for memory to answer, short enough that little of it is pushed out again.
pub(crate) const FAR: usize = 24;
const NEAR: usize = 16;
const NEXT: usize = 8;

/// What became of a thing that was asked for and was not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Taken in; `evicted` left to make room.
    Taken {
        /// The thing that left, if one had to.
        evicted: Option<u32>,
    },
    /// The policy does not want it: what it holds is worth more.
    Declined,
    /// There is no slot at all, or everything in the slots is held. Nothing has changed.
    NoRoom,
}

/// What became of one place of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// The thing was not there.
    Miss = 0,
    /// The thing was there.
    Hit = 1,
    /// No request: a token ended.
    EndToken = 2,
}

/// Who knows which residents must stay.
pub trait Holding {
    /// Whether `key` must stay.
    fn holds(&self, key: u32) -> bool;
    /// Brings what `holds(key)`, and the leaving of `key`, read first towards the processor. Changes nothing.
    #[inline]
    fn prefetch(&self, key: u32) {
        let _ = key;
    }
}

impl<F: Fn(u32) -> bool> Holding for F {
    #[inline]
    fn holds(&self, key: u32) -> bool {
        self(key)
    }
}

/// Residents that must stay for now, because they are being read or computed with.
#[derive(Clone, Copy)]
pub struct Held<'a> {
    count: u32,
    holding: &'a dyn Holding,
}

impl<'a> Held<'a> {
    /// Nothing is held: pure replay.
    pub const NONE: Held<'static> = Held {
        count: 0,
        holding: &|_: u32| false,
    };

    /// `count` residents are held: exactly those that `holding` (a function of the key will do) says. The count lets a policy
    /// say that there is no room without looking at each.
    pub fn new(count: u32, holding: &'a dyn Holding) -> Self {
        Held { count, holding }
    }

    /// How many residents are held.
    #[inline]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether `key` must stay.
    #[inline]
    pub fn holds(&self, key: u32) -> bool {
        self.count != 0 && self.holding.holds(key)
    }

    /// A policy says that `key` is likely to leave within the next few admissions, so that what is then read comes in time.
    #[inline]
    pub fn prefetch(&self, key: u32) {
        self.holding.prefetch(key);
    }
}

/// Decides which of equal-sized things stay. At no time are more than `slots()` things resident, and no call but
/// `end_token` and `resize` makes more than one leave.
///
/// Keys are dense: from 0 to the number given when the policy was made. The callers of this crate check keys at their
/// doors ([`crate::replay()`], [`crate::Segment`]); a policy handed a larger key directly panics on the index.
///
/// A request comes in two steps, so that a real cache can read in between: `request`, and after a miss `admit`. Replay
/// does one right after the other; that sequence is what the simulator's policies do in one call.
pub trait Policy: Send + Sync {
    /// The name people type.
    fn name(&self) -> &'static str;
    /// How many things may be resident.
    fn slots(&self) -> u32;
    /// How many things are resident.
    fn resident(&self) -> u32;
    /// Whether this thing is resident.
    fn is_resident(&self, key: u32) -> bool;
    /// The thing is wanted: true if it is resident. The policy takes note of the use.
    fn request(&mut self, key: u32) -> bool;
    /// Each of these is wanted, in their order: the same as as many `request`s, and faster, because all are known in advance.
    fn request_all(&mut self, keys: &[u32]) {
        for (place, &key) in keys.iter().enumerate() {
            self.prefetch_after(keys, place);
            self.request(key);
        }
    }
    /// Replays a trace of keys with [`END_TOKEN`] between tokens, nothing held. Use [`crate::replay()`], which checks the keys.
    ///
    /// A method with a body, so that the loop is compiled for each policy and no call in it goes through a table.
    fn replay(&mut self, trace: &[u32]) -> Replayed {
        walk(self, trace, |_, _| {})
    }
    /// The same, and what became of each place of the trace in `outcomes`, which is as long (what has no room there is not noted).
    fn replay_noting(&mut self, trace: &[u32], outcomes: &mut [Outcome]) -> Replayed {
        walk(self, trace, |place, outcome| {
            if let Some(noted) = outcomes.get_mut(place) {
                *noted = outcome;
            }
        })
    }
    /// Asks for what the keys behind `place` will read when their turn comes. Changes nothing.
    #[inline]
    fn prefetch_after(&self, keys: &[u32], place: usize) {
        if let Some(&far) = keys.get(place + FAR) {
            self.prefetch(far);
        }
        if let Some(&near) = keys.get(place + NEAR) {
            self.prefetch_around(near);
        }
        if let Some(&next) = keys.get(place + NEXT) {
            self.prefetch_beyond(next);
        }
    }
    /// Takes in `key`, which was requested and is not resident, where the policy wants it and there is room. Nothing that
    /// is held leaves; with nothing held the choice is the policy's definition, with something held the nearest to it.
    fn admit(&mut self, key: u32, held: Held<'_>) -> Admission;
    /// The token is over: all of its requests were made. `dropped` is told what leaves because of it.
    fn end_token(&mut self, held: Held<'_>, dropped: &mut dyn FnMut(u32)) {
        let _ = (held, dropped);
    }
    /// `key`, which is resident, was never really there: its read failed. Leaves no trace in the policy's memory.
    fn forget(&mut self, key: u32);
    /// Gives the policy `slots` slots. What no longer fits leaves in the policy's order; nothing may be held.
    fn resize(&mut self, slots: u32, dropped: &mut dyn FnMut(u32));
    /// Bytes of bookkeeping that the policy keeps, or would keep with `slots` slots, on the heap.
    fn bookkeeping_bytes(&self, slots: u32) -> usize;
    /// Brings what `request(key)` reads first towards the processor. Changes nothing.
    #[inline]
    fn prefetch(&self, key: u32) {
        let _ = key;
    }
    /// Brings what `request(key)` reads next, once what `prefetch` asked for has had time to come. Changes nothing.
    #[inline]
    fn prefetch_around(&self, key: u32) {
        let _ = key;
    }
    /// Brings what `request(key)` reads last, once what `prefetch_around` asked for has had time to come. Changes nothing.
    #[inline]
    fn prefetch_beyond(&self, key: u32) {
        let _ = key;
    }
}

/// Sends a trace through a policy, nothing held, and says what became of each place.
#[inline(always)]
fn walk<P: Policy + ?Sized>(policy: &mut P, trace: &[u32], mut note: impl FnMut(usize, Outcome)) -> Replayed {
    let mut counts = Replayed::default();
    for (place, &key) in trace.iter().enumerate() {
        // Keys past the end of the arrays (END_TOKEN) are ignored there.
        policy.prefetch_after(trace, place);
        if key == END_TOKEN {
            policy.end_token(Held::NONE, &mut |_| counts.evictions += 1);
            note(place, Outcome::EndToken);
        } else if policy.request(key) {
            counts.hits += 1;
            note(place, Outcome::Hit);
        } else {
            counts.misses += 1;
            note(place, Outcome::Miss);
            match policy.admit(key, Held::NONE) {
                Admission::Taken { evicted } => counts.evictions += u64::from(evicted.is_some()),
                Admission::Declined | Admission::NoRoom => counts.declined += 1,
            }
        }
    }
    counts
}
