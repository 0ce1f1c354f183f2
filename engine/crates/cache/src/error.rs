use std::fmt;

/// What can be wrong with what a caller asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheError {
    /// No policy has this name.
    UnknownPolicy {
        /// What was asked for.
        name: String,
    },
    /// A trace has a key that the policy was not made for.
    KeyOutOfRange {
        /// The first place in the trace with such a key.
        place: usize,
        /// The key.
        key: u32,
        /// Keys are below this.
        keys: u32,
    },
    /// Some policies number things with spare bits.
    TooManyKeys {
        /// How many were asked for.
        keys: usize,
        /// How many there may be.
        most: usize,
    },
    /// The static choice needs one heat for each key.
    HeatCount {
        /// Keys.
        keys: u32,
        /// Heats given.
        heats: usize,
    },
    /// A heat is infinite or not a number.
    HeatNotFinite {
        /// The first such key.
        key: usize,
    },
    /// Belady replays the trace that it foresaw, and no other.
    NotForeseen {
        /// The first place where the request was another.
        place: usize,
    },
    /// Belady needs the requests to come.
    NoFuture,
    /// The segments asked for do not fit the budget.
    Budget {
        /// The budget in bytes.
        budget: usize,
        /// Bytes that the segments asked for need: the smallest budget that works for them.
        needed: usize,
        /// Bytes that fixed segment and bookkeeping need: the smallest budget that works with any segments, all others empty.
        smallest: usize,
    },
    /// The fixed segment has no such room left.
    FixedFull {
        /// Bytes asked for, in whole pages.
        asked: usize,
        /// Bytes left.
        left: usize,
        /// The smallest fixed segment that would have worked, in bytes.
        smallest: usize,
    },
    /// A size in bytes is zero or too large to count.
    Size {
        /// Of what.
        what: &'static str,
        /// The size.
        bytes: usize,
    },
    /// There is no such segment, or not one size for each.
    SegmentCount {
        /// What was given.
        given: usize,
        /// Segments that the cache has.
        segments: usize,
    },
    /// The system gave no memory.
    Map {
        /// Bytes of addresses asked for.
        bytes: usize,
        /// The system's error number.
        errno: i32,
    },
    /// A segment has no such thing.
    UnknownId {
        /// The segment.
        segment: &'static str,
        /// The thing.
        id: u32,
        /// Its things are numbered below this.
        ids: u32,
    },
    /// A thing is not in the state that the call needs.
    State {
        /// The segment.
        segment: &'static str,
        /// The thing.
        id: u32,
        /// What it is.
        is: &'static str,
        /// What it would have to be.
        wanted: &'static str,
    },
    /// Segments change size only while nothing is read into them or computed with.
    Busy {
        /// The segment.
        segment: &'static str,
        /// Things being read.
        loading: u32,
        /// Things pinned.
        pinned: u32,
    },
}

impl fmt::Display for CacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CacheError::UnknownPolicy { name } => {
                write!(f, "unknown eviction policy: {name}; known: ")?;
                for (place, kind) in crate::PolicyKind::ALL.iter().enumerate() {
                    write!(f, "{}{}", if place == 0 { "" } else { ", " }, kind.name())?;
                }
                Ok(())
            }
            CacheError::KeyOutOfRange { place, key, keys } => {
                write!(
                    f,
                    "key out of range at place {place} of the trace: {key}; keys are below {keys}"
                )
            }
            CacheError::TooManyKeys { keys, most } => write!(f, "too many keys and requests: {keys}; at most {most}"),
            CacheError::HeatCount { keys, heats } => write!(f, "wrong number of heats: {heats}; one for each of {keys} keys"),
            CacheError::HeatNotFinite { key } => write!(f, "heat of key {key} is not finite; a share of tokens would be right"),
            CacheError::NotForeseen { place } => {
                write!(
                    f,
                    "request {place} is not the one foreseen; belady replays only the trace that it was made with"
                )
            }
            CacheError::NoFuture => write!(
                f,
                "belady has no requests to foresee; give it the trace, it is for replays only"
            ),
            CacheError::Budget {
                budget,
                needed,
                smallest,
            } => write!(
                f,
                "cache does not fit its budget: {budget} bytes; these segments need {needed}, and {smallest} is the smallest \
                 budget that works, with all segments but the fixed one empty"
            ),
            CacheError::FixedFull { asked, left, smallest } => {
                write!(
                    f,
                    "fixed segment is full: {asked} bytes asked for, {left} left; {smallest} bytes in all would be right"
                )
            }
            CacheError::Size { what, bytes } => {
                write!(
                    f,
                    "{what} has an impossible size: {bytes} bytes; more than none and addressable would be right"
                )
            }
            CacheError::SegmentCount { given, segments } => {
                write!(f, "wrong number of segments: {given}; the cache has {segments}")
            }
            CacheError::Map { bytes, errno } => {
                write!(
                    f,
                    "the system maps no {bytes} bytes of addresses: error {errno}; a smaller budget may work"
                )
            }
            CacheError::UnknownId { segment, id, ids } => {
                write!(
                    f,
                    "unknown thing in segment {segment}: {id}; its things are numbered below {ids}"
                )
            }
            CacheError::State { segment, id, is, wanted } => {
                write!(f, "thing {id} of segment {segment} is {is}; {wanted} would be right")
            }
            CacheError::Busy {
                segment,
                loading,
                pinned,
            } => write!(
                f,
                "segment {segment} cannot change size while in use: {loading} things being read, {pinned} pinned; none would be right"
            ),
        }
    }
}

impl std::error::Error for CacheError {}
