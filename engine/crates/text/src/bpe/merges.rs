//! Merge rules, and joining by them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use gguf::Strings;

use super::bytes;
use crate::error::TextError;
use crate::vocabulary::Vocabulary;

/// A symbol is a token's id, or a number past the last id for a text that is a part of merges but no token.
type Symbol = u32;

#[derive(Debug)]
pub(super) struct Merges {
    /// Two neighbours: the rank of their rule (lower goes first) and what they make.
    rules: HashMap<(Symbol, Symbol), (u32, Symbol)>,
    /// The symbol of each byte's character.
    singles: [Symbol; 256],
    /// Texts of the symbols past the last token id.
    others: Vec<Box<str>>,
}

impl Merges {
    pub fn new(merges: &Strings, vocabulary: &Vocabulary) -> Result<Self, TextError> {
        let mut names: HashMap<Box<str>, Symbol> = HashMap::new();
        let mut others: Vec<Box<str>> = Vec::new();
        let mut symbol = |text: &str| {
            vocabulary.id(text).unwrap_or_else(|| {
                *names.entry(text.into()).or_insert_with(|| {
                    others.push(text.into());
                    (vocabulary.len() + others.len() - 1) as Symbol
                })
            })
        };
        let singles = std::array::from_fn(|byte| symbol(bytes::character(byte as u8).encode_utf8(&mut [0; 4])));
        let mut rules = HashMap::with_capacity(merges.len());
        let mut joined = String::new();
        for (rank, rule) in merges.iter().enumerate() {
            // A part may itself begin with a space, so the first character is never the one that parts.
            let bad = || TextError::BadMerge {
                index: rank,
                found: rule.chars().take(80).collect(),
            };
            let first = rule.chars().next().ok_or_else(bad)?.len_utf8();
            let space = rule[first..].find(' ').ok_or_else(bad)? + first;
            let (left, right) = (&rule[..space], &rule[space + 1..]);
            if right.is_empty() {
                return Err(bad());
            }
            joined.clear();
            joined.push_str(left);
            joined.push_str(right);
            let pair = (symbol(left), symbol(right));
            let made = symbol(&joined);
            rules.entry(pair).or_insert((rank as u32, made));
        }
        Ok(Self { rules, singles, others })
    }

    /// Ids of one word.
    pub fn encode(&self, vocabulary: &Vocabulary, word: &str, ids: &mut Vec<u32>) {
        let mut chain = Chain::new(word.bytes().map(|byte| self.singles[byte as usize]));
        let mut queue: BinaryHeap<Reverse<Proposal>> = BinaryHeap::new();
        let propose = |chain: &Chain, left: usize, right: usize, queue: &mut BinaryHeap<_>| {
            if left != NONE && right != NONE {
                let pair = (chain.symbols[left], chain.symbols[right]);
                if let Some(&(rank, _)) = self.rules.get(&pair) {
                    queue.push(Reverse((rank, left, right, pair.0, pair.1)));
                }
            }
        };
        for right in 1..chain.symbols.len() {
            propose(&chain, right - 1, right, &mut queue);
        }
        while let Some(Reverse((_, left, right, left_symbol, right_symbol))) = queue.pop() {
            // A side that was joined since is gone or another symbol.
            if chain.symbols[left] != left_symbol || chain.symbols[right] != right_symbol {
                continue;
            }
            let Some(&(_, made)) = self.rules.get(&(left_symbol, right_symbol)) else {
                continue;
            };
            chain.join(left, right, made);
            propose(&chain, chain.previous[left], left, &mut queue);
            propose(&chain, left, chain.next[left], &mut queue);
        }
        for &symbol in chain.symbols.iter().filter(|&&symbol| symbol != GONE) {
            match (symbol as usize).checked_sub(vocabulary.len()) {
                None => ids.push(symbol),
                // As in llama.cpp: a part that is no token becomes the tokens of its bytes, and those without one are lost.
                // A vocabulary with all 256 bytes, which every byte-level one has, never comes here.
                Some(other) => {
                    let text = self.others.get(other).map_or("", |text| text);
                    ids.extend(
                        text.chars()
                            .filter(char::is_ascii)
                            .filter_map(|c| vocabulary.id(c.encode_utf8(&mut [0; 4]))),
                    );
                }
            }
        }
    }
}

const NONE: usize = usize::MAX;
const GONE: Symbol = Symbol::MAX;

/// Rank of the rule, places of left and right, and what stood there when it was proposed. The lowest rank goes first, then the
/// leftmost.
type Proposal = (u32, usize, usize, Symbol, Symbol);

/// Symbols in a row; a joined one stays at the place of its left part.
struct Chain {
    symbols: Vec<Symbol>,
    previous: Vec<usize>,
    next: Vec<usize>,
}

impl Chain {
    fn new(symbols: impl Iterator<Item = Symbol>) -> Self {
        let symbols: Vec<Symbol> = symbols.collect();
        let previous = (0..symbols.len()).map(|index| index.checked_sub(1).unwrap_or(NONE)).collect();
        let mut next: Vec<usize> = (1..=symbols.len()).collect();
        if let Some(last) = next.last_mut() {
            *last = NONE;
        }
        Self { symbols, previous, next }
    }

    fn join(&mut self, left: usize, right: usize, made: Symbol) {
        self.symbols[left] = made;
        self.symbols[right] = GONE;
        let next = self.next[right];
        self.next[left] = next;
        if next != NONE {
            self.previous[next] = left;
        }
    }
}
