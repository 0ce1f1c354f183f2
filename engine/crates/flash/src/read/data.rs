//! What a request brought, and its end.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use super::buffer::PooledBuffer;
use crate::{FlashError, Span};

/// What a request brought: spans of the file in ascending order, in buffers that may be shared with other requests. The
/// buffers go back to their pool when the last holder drops them.
#[derive(Clone, Debug, Default)]
pub struct Data {
    pub(super) pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) offset: u64,
    pub(super) buffer: Arc<PooledBuffer>,
    pub(super) range: Range<usize>,
}

impl Data {
    /// The bytes of `span` of the file, if they came with this request. Spans come from [`crate::LayerLayout`] or from a
    /// dense tensor's entry, so the caller need not know how the read was cut.
    pub fn bytes_of(&self, span: Span) -> Option<&[u8]> {
        let next = self.pieces.partition_point(|piece| piece.offset <= span.offset);
        let piece = self.pieces.get(next.checked_sub(1)?)?;
        let skip = usize::try_from(span.offset - piece.offset).ok()?;
        let from = piece.range.start.checked_add(skip)?;
        let to = from.checked_add(usize::try_from(span.bytes).ok()?)?;
        if to > piece.range.end {
            None
        } else {
            Some(&piece.buffer[from..to])
        }
    }

    /// All spans with their bytes, in ascending order.
    pub fn pieces(&self) -> impl Iterator<Item = (Span, &[u8])> {
        self.pieces.iter().map(|piece| {
            let bytes = &piece.buffer[piece.range.clone()];
            (
                Span {
                    offset: piece.offset,
                    bytes: bytes.len() as u64,
                },
                bytes,
            )
        })
    }

    /// Bytes of all spans.
    pub fn bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.range.len() as u64).sum()
    }
}

/// The end of a request.
#[derive(Debug)]
pub struct Completion {
    /// The request's tag.
    pub tag: u64,
    /// Its bytes, or why there are none.
    pub outcome: Result<Data, FlashError>,
    /// When it was submitted.
    pub submitted: Instant,
    /// When the first of its reads began.
    pub started: Instant,
    /// When the last of its reads ended.
    pub finished: Instant,
    /// Lane of the read that ended last.
    pub lane: u32,
}
