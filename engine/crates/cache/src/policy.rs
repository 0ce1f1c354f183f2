//! The contract of eviction policies over equal-sized things.

/// Stands between the keys of a trace where a token ends. Never a key.
pub const END_TOKEN: u32 = u32::MAX;

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

/// Residents that must stay for now, because they are being read or computed with.
#[derive(Clone, Copy)]
pub struct Held<'a> {
    count: u32,
    is_held: &'a dyn Fn(u32) -> bool,
}

impl<'a> Held<'a> {
    /// Nothing is held: pure replay.
    pub const NONE: Held<'static> = Held {
        count: 0,
        is_held: &|_| false,
    };

    /// `count` residents are held: exactly those for which `is_held` is true. The count lets a policy say that there is
    /// no room without looking at each.
    pub fn new(count: u32, is_held: &'a dyn Fn(u32) -> bool) -> Self {
        Held { count, is_held }
    }

    /// How many residents are held.
    #[inline]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether `key` must stay.
    #[inline]
    pub fn holds(&self, key: u32) -> bool {
        self.count != 0 && (self.is_held)(key)
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
}
