//! One span, in sixteen bytes: a traced run holds hundreds of thousands of them out of its budget.

use crate::{Activity, Lane};

const TOGETHER: u16 = u16::MAX;
const READ: u16 = u16::MAX - 1;
/// In place of a layer, for the head.
const NO_LAYER: u16 = (1 << 12) - 1;

/// Something that took time. Times are nanoseconds since the tracer was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: u64,
    took: u32,
    /// The thread, or one of the two marks.
    lane: u16,
    /// The layer in the high twelve bits, the activity's place in `Activity::ALL` in the low four.
    layer_and_what: u16,
}

// Four bits name an activity.
const _: () = assert!(Activity::ALL.len() <= 16 && size_of::<Span>() == 16);

impl Span {
    /// From `start` to `end`, or as much of it as a span can say: [`Span::MOST`]. Layers are told apart below 4,094.
    pub(crate) fn new(start: u64, end: u64, lane: Lane, layer: Option<usize>, what: Activity) -> Self {
        let layer = layer.map_or(NO_LAYER, |layer| layer.min(usize::from(NO_LAYER) - 1) as u16);
        Self {
            start,
            took: end.saturating_sub(start).min(Self::MOST) as u32,
            lane: match lane {
                Lane::Thread(thread) => thread.min(READ - 1),
                Lane::Read => READ,
                Lane::Together => TOGETHER,
            },
            layer_and_what: layer << 4 | what as u16,
        }
    }

    /// The longest span (nanoseconds): 4.29 seconds. What takes longer is several, one after the other.
    pub const MOST: u64 = u32::MAX as u64;

    /// When it began.
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// When it ended.
    pub const fn end(&self) -> u64 {
        self.start + self.took as u64
    }

    /// Nanoseconds.
    pub const fn took(&self) -> u64 {
        self.took as u64
    }

    /// Whose time.
    pub const fn lane(&self) -> Lane {
        match self.lane {
            TOGETHER => Lane::Together,
            READ => Lane::Read,
            thread => Lane::Thread(thread),
        }
    }

    /// The layer; `None` for the head.
    pub const fn layer(&self) -> Option<u16> {
        match self.layer_and_what >> 4 {
            NO_LAYER => None,
            layer => Some(layer),
        }
    }

    /// What it was.
    pub const fn what(&self) -> Activity {
        Activity::ALL[(self.layer_and_what & 15) as usize]
    }
}
