//! The tokens of a file: texts, scores, kinds, special ids, and the way from a text to its id.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use gguf::{Metadata, Strings, Value};

use crate::error::TextError;

/// What a token is for: the file's `tokenizer.ggml.token_type`.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
    Undefined,
}

impl TokenKind {
    fn from_code(code: i64) -> Self {
        match code {
            1 => TokenKind::Normal,
            2 => TokenKind::Unknown,
            3 => TokenKind::Control,
            4 => TokenKind::UserDefined,
            5 => TokenKind::Unused,
            6 => TokenKind::Byte,
            _ => TokenKind::Undefined,
        }
    }
}

/// Texts, scores and kinds, by id.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    pub texts: Strings,
    pub scores: Vec<f32>,
    pub kinds: Vec<TokenKind>,
    lookup: Lookup,
}

impl Vocabulary {
    pub fn from_metadata(metadata: &Metadata) -> Result<Self, TextError> {
        let texts = metadata.strings("tokenizer.ggml.tokens")?;
        let tokens = texts.len();
        if tokens == 0 || tokens > u32::MAX as usize - 1 {
            return Err(TextError::VocabularySize { found: tokens });
        }
        // A token without text would be met everywhere in any text; llama.cpp gives it a name instead.
        let named = |(id, text): (usize, &str)| {
            if text.is_empty() {
                format!("[EMPTY_{id}]")
            } else {
                text.to_owned()
            }
        };
        let texts = match texts.iter().any(str::is_empty) {
            true => texts.iter().enumerate().map(named).collect(),
            false => texts.clone(),
        };
        let scores = match metadata.get(SCORES) {
            None => vec![0.0; tokens],
            Some(Value::Array(gguf::Array::I32(whole))) => whole.iter().map(|&score| score as f32).collect(),
            Some(_) => metadata.f32s(SCORES)?.to_vec(),
        };
        let kinds: Vec<TokenKind> = match metadata.get(KINDS) {
            None => vec![TokenKind::Normal; tokens],
            Some(_) => metadata.integers(KINDS)?.into_iter().map(TokenKind::from_code).collect(),
        };
        for (key, found) in [(SCORES, scores.len()), (KINDS, kinds.len())] {
            if found < tokens {
                return Err(TextError::ShortArray { key, found, tokens });
            }
        }
        let lookup = Lookup::new(&texts);
        Ok(Self {
            texts,
            scores,
            kinds,
            lookup,
        })
    }

    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// The id of exactly this text; the lowest, where several tokens have it.
    pub fn id(&self, text: &str) -> Option<u32> {
        self.lookup.find(&self.texts, text)
    }

    pub fn text(&self, id: u32) -> &str {
        self.texts.get(id as usize).unwrap_or_default()
    }

    /// A special id: the key's value where it is that of a token, else `default` where that is.
    /// Files that say "none" write an id of no token, so that is no error.
    pub fn special(&self, metadata: &Metadata, key: &str, default: Option<u32>) -> Result<Option<u32>, TextError> {
        let inside = |id: &i64| (0..self.len() as i64).contains(id);
        let given = metadata.find::<i64>(key)?.filter(inside);
        Ok(given.or(default.map(i64::from).filter(inside)).map(|id| id as u32))
    }
}

const SCORES: &str = "tokenizer.ggml.scores";
const KINDS: &str = "tokenizer.ggml.token_type";

/// An open hash table of ids alone; the texts are compared where they lie, so 250,000 tokens take 2 MB.
/// The hash is keyed at random, so that a hostile vocabulary cannot aim at one slot.
#[derive(Debug)]
struct Lookup {
    slots: Vec<u32>,
    hasher: RandomState,
}

const FREE: u32 = u32::MAX;

impl Lookup {
    fn new(texts: &Strings) -> Self {
        let mut lookup = Self {
            slots: vec![FREE; (texts.len() * 2).next_power_of_two()],
            hasher: RandomState::new(),
        };
        for (id, text) in texts.iter().enumerate() {
            let slot = lookup.slot(texts, text);
            if lookup.slots[slot] == FREE {
                lookup.slots[slot] = id as u32;
            }
        }
        lookup
    }

    /// The slot that holds `text`, or the free one where it would go. At least half of all slots are free, so there is one.
    fn slot(&self, texts: &Strings, text: &str) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = self.hasher.hash_one(text) as usize & mask;
        loop {
            match self.slots[slot] {
                FREE => return slot,
                id if texts.get(id as usize) == Some(text) => return slot,
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    fn find(&self, texts: &Strings, text: &str) -> Option<u32> {
        Some(self.slots[self.slot(texts, text)]).filter(|&id| id != FREE)
    }
}
