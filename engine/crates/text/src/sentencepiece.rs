//! SentencePiece with scores: neighbours are joined, the best-scored token first, until no two neighbours make a token.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::special::Specials;
use crate::vocabulary::{TokenKind, Vocabulary};

/// What stands for a space in SentencePiece tokens.
pub(crate) const SPACE: &str = "\u{2581}";

/// Ids of the byte tokens: what a character that no token has falls back to.
#[derive(Debug)]
pub(crate) struct SentencePiece {
    byte_ids: [Option<u32>; 256],
    pub space_prefix: bool,
    neighbours: Neighbours,
}

/// Which characters stand next to each other in some token. Where two neighbours of a text never do, no token spans them, so
/// the text may be cut there and each part joined on its own: the same ids, in memory that stays in the cache.
/// One bit for each hash of a pair: pairs that share a bit cost a cut, never a wrong one.
#[derive(Debug)]
struct Neighbours(Vec<u64>);

impl Neighbours {
    const BITS: u32 = 18;

    fn of(vocabulary: &Vocabulary) -> Self {
        let mut seen = Self(vec![0; 1 << (Self::BITS - 6)]);
        for text in vocabulary.texts.iter() {
            for (left, right) in text.chars().zip(text.chars().skip(1)) {
                let bit = Self::bit(left, right);
                seen.0[bit / 64] |= 1 << (bit % 64);
            }
        }
        seen
    }

    fn bit(left: char, right: char) -> usize {
        let pair = (u64::from(left as u32) << 21) | u64::from(right as u32);
        (pair.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - Self::BITS)) as usize
    }

    fn may_join(&self, left: char, right: char) -> bool {
        let bit = Self::bit(left, right);
        self.0[bit / 64] >> (bit % 64) & 1 == 1
    }
}

/// A piece of the text: from `start` to the start of `next`. Joined pieces leave a piece of no length behind.
struct Piece {
    start: usize,
    end: usize,
    previous: usize,
    next: usize,
}

const NONE: usize = usize::MAX;

/// Two neighbours that make a token. The greatest goes first: the best score, then the leftmost.
struct Join {
    score: f32,
    left: usize,
    right: usize,
    /// Length of the joined text: whether both pieces still are what they were.
    length: usize,
}

impl Ord for Join {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left))
    }
}
impl PartialOrd for Join {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Join {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Join {}

impl SentencePiece {
    pub fn new(vocabulary: &Vocabulary, space_prefix: bool) -> Self {
        // A byte is `<0xHH>`, or else the token of that one character.
        let one = |byte: u8| char::from(byte).is_ascii().then(|| char::from(byte).to_string());
        let id = |byte: u8| {
            vocabulary
                .id(&format!("<0x{byte:02X}>"))
                .or_else(|| vocabulary.id(&one(byte)?))
        };
        let neighbours = Neighbours::of(vocabulary);
        Self {
            byte_ids: std::array::from_fn(|byte| id(byte as u8)),
            space_prefix,
            neighbours,
        }
    }

    /// Ids of `text`, which holds no special token; `first` says that it follows none of its own kind.
    pub fn encode(&self, vocabulary: &Vocabulary, specials: &Specials, text: &str, first: bool, ids: &mut Vec<u32>) {
        let prefix = if self.space_prefix && first { SPACE } else { "" };
        let text = format!("{prefix}{}", text.replace(' ', SPACE));
        let mut start = 0;
        let mut before = None;
        for (at, character) in text.char_indices() {
            if before.is_some_and(|before| !self.neighbours.may_join(before, character)) {
                self.encode_part(vocabulary, specials, &text[start..at], ids);
                start = at;
            }
            before = Some(character);
        }
        self.encode_part(vocabulary, specials, &text[start..], ids);
    }

    fn encode_part(&self, vocabulary: &Vocabulary, specials: &Specials, text: &str, ids: &mut Vec<u32>) {
        if let Some(id) = vocabulary.id(text).filter(|_| text.chars().nth(1).is_none()) {
            ids.push(id);
            return;
        }
        let mut pieces: Vec<Piece> = text
            .char_indices()
            .enumerate()
            .map(|(index, (start, character))| {
                let previous = index.checked_sub(1).unwrap_or(NONE);
                Piece {
                    start,
                    end: start + character.len_utf8(),
                    previous,
                    next: index + 1,
                }
            })
            .collect();
        if let Some(last) = pieces.last_mut() {
            last.next = NONE;
        }

        let mut joins = BinaryHeap::new();
        let propose = |pieces: &[Piece], left: usize, right: usize, joins: &mut BinaryHeap<Join>| {
            if left == NONE || right == NONE {
                return;
            }
            let (start, end) = (pieces[left].start, pieces[right].end);
            if let Some(id) = vocabulary.id(&text[start..end]) {
                joins.push(Join {
                    score: vocabulary.scores[id as usize],
                    left,
                    right,
                    length: end - start,
                });
            }
        };
        for right in 1..pieces.len() {
            propose(&pieces, right - 1, right, &mut joins);
        }
        while let Some(Join { left, right, length, .. }) = joins.pop() {
            let size = |piece: &Piece| piece.end - piece.start;
            let (left_size, right_size) = (size(&pieces[left]), size(&pieces[right]));
            if left_size == 0 || right_size == 0 || left_size + right_size != length {
                continue;
            }
            pieces[left].end = pieces[right].end;
            pieces[right].end = pieces[right].start;
            let next = pieces[right].next;
            pieces[left].next = next;
            if next != NONE {
                pieces[next].previous = left;
            }
            propose(&pieces, pieces[left].previous, left, &mut joins);
            propose(&pieces, left, next, &mut joins);
        }
        for piece in &pieces {
            let part = &text[piece.start..piece.end];
            match vocabulary.id(part) {
                _ if part.is_empty() => {}
                Some(id) => ids.push(id),
                None => ids.extend(
                    part.bytes()
                        .filter_map(|byte| self.byte_ids[byte as usize].or(specials.unknown)),
                ),
            }
        }
    }

    /// Adds the bytes that a token stands for.
    pub fn decode(&self, vocabulary: &Vocabulary, id: u32, bytes: &mut Vec<u8>) {
        let text = vocabulary.text(id);
        match vocabulary.kinds[id as usize] {
            TokenKind::Normal => bytes.extend_from_slice(text.replace(SPACE, " ").as_bytes()),
            TokenKind::Byte => bytes.extend(byte_of(text)),
            TokenKind::Control | TokenKind::Unknown | TokenKind::UserDefined => bytes.extend_from_slice(text.as_bytes()),
            TokenKind::Unused | TokenKind::Undefined => {}
        }
    }
}

/// The byte that `<0xHH>` names.
pub(crate) fn byte_of(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}
