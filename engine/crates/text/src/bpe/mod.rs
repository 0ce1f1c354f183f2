//! Byte-pair encoding: a text is split into words, each word's bytes are written as characters, and neighbours are joined in the
//! order of the merge rules.

mod bytes;
mod matcher;
mod merges;
mod patterns;

use gguf::Metadata;

use crate::error::TextError;
use crate::vocabulary::{TokenKind, Vocabulary};
use merges::Merges;
use patterns::PreTokeniser;

#[derive(Debug)]
pub(crate) struct BytePairs {
    pre: &'static PreTokeniser,
    merges: Merges,
}

impl BytePairs {
    pub fn from_metadata(metadata: &Metadata, vocabulary: &Vocabulary) -> Result<Self, TextError> {
        let name = metadata.find("tokenizer.ggml.pre")?.unwrap_or("default");
        let unknown = || TextError::UnknownPreTokeniser {
            found: name.to_owned(),
            known: patterns::names(),
        };
        let pre = patterns::find(name).ok_or_else(unknown)?;
        let merges = Merges::new(metadata.strings("tokenizer.ggml.merges")?, vocabulary)?;
        Ok(Self { pre, merges })
    }

    /// Whether a begin token goes first where the file does not say.
    pub fn begins(&self) -> bool {
        self.pre.begins
    }

    /// Ids of `text`, which holds no special token.
    pub fn encode(&self, vocabulary: &Vocabulary, text: &str, ids: &mut Vec<u32>) {
        let mut written = String::new();
        for word in matcher::split(self.pre.stages, text) {
            if self.pre.whole_words {
                written.clear();
                written.extend(word.bytes().map(bytes::character));
                if let Some(id) = vocabulary.id(&written) {
                    ids.push(id);
                    continue;
                }
            }
            self.merges.encode(vocabulary, word, ids);
        }
    }

    /// Adds the bytes that a token stands for.
    pub fn decode(&self, vocabulary: &Vocabulary, id: u32, out: &mut Vec<u8>) {
        let text = vocabulary.text(id);
        match vocabulary.kinds[id as usize] {
            TokenKind::Normal => {
                for character in text.chars() {
                    match bytes::byte(character) {
                        Some(byte) => out.push(byte),
                        // No byte is written so: the file's token was never encoded. Its own text is the best there is.
                        None => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
                    }
                }
            }
            TokenKind::Byte => out.extend(crate::sentencepiece::byte_of(text)),
            TokenKind::Control | TokenKind::Unknown | TokenKind::UserDefined => out.extend_from_slice(text.as_bytes()),
            TokenKind::Unused | TokenKind::Undefined => {}
        }
    }
}
