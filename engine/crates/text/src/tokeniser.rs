//! The tokeniser of a file.

use gguf::Metadata;

use crate::bpe::BytePairs;
use crate::error::TextError;
use crate::sentencepiece::SentencePiece;
use crate::special::{Fragment, Specials};
use crate::stream::Detokeniser;
use crate::vocabulary::{TokenKind, Vocabulary};

/// Text to ids and back, as the file's metadata say. Immutable, so one may serve many threads.
#[derive(Debug)]
pub struct Tokeniser {
    vocabulary: Vocabulary,
    specials: Specials,
    model: Model,
    add_begin: bool,
    add_end: bool,
}

// One a process: its size is of no matter.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
enum Model {
    SentencePiece(SentencePiece),
    BytePairs(BytePairs),
}

/// How a text is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Add begin and end tokens where the file says that the model wants them.
    pub add_special: bool,
    /// Take the texts of control tokens in the text for these tokens. Off for text from a stranger: then they are plain text.
    pub parse_special: bool,
}

impl EncodeOptions {
    /// A prompt as typed: begin token as the model wants it, control tokens are plain text.
    pub const PROMPT: Self = Self {
        add_special: true,
        parse_special: false,
    };
    /// A prompt in which control tokens are written out, such as one made by a chat template.
    pub const TEMPLATE: Self = Self {
        add_special: true,
        parse_special: true,
    };
    /// A piece in the middle of a text.
    pub const PLAIN: Self = Self {
        add_special: false,
        parse_special: false,
    };
}

impl Tokeniser {
    /// Reads the tokeniser that a GGUF file holds.
    pub fn from_metadata(metadata: &Metadata) -> Result<Self, TextError> {
        let name = metadata.str("tokenizer.ggml.model")?;
        let sentence_piece = match name {
            "llama" => true,
            "gpt2" => false,
            other => {
                return Err(TextError::UnknownModel {
                    found: other.chars().take(80).collect(),
                });
            }
        };
        let mut vocabulary = Vocabulary::from_metadata(metadata)?;
        // Where a file names no special tokens: those of the first Llama, and of GPT-2.
        let defaults = if sentence_piece {
            [Some(1), Some(2), Some(0)]
        } else {
            [Some(11), Some(11), None]
        };
        let specials = Specials::from_metadata(metadata, &mut vocabulary, defaults)?;
        let (model, begins) = if sentence_piece {
            let prefix = metadata.bool_or("tokenizer.ggml.add_space_prefix", true)?;
            (Model::SentencePiece(SentencePiece::new(&vocabulary, prefix)), true)
        } else {
            let pairs = BytePairs::from_metadata(metadata, &vocabulary)?;
            let begins = pairs.begins();
            (Model::BytePairs(pairs), begins)
        };
        let add_begin = metadata.bool_or("tokenizer.ggml.add_bos_token", begins)?;
        let add_end = metadata.bool_or("tokenizer.ggml.add_eos_token", false)?;
        Ok(Self {
            vocabulary,
            specials,
            model,
            add_begin,
            add_end,
        })
    }

    /// Ids of `text`.
    pub fn encode(&self, text: &str, options: EncodeOptions) -> Vec<u32> {
        let mut ids = Vec::new();
        if options.add_special && self.add_begin {
            ids.extend(self.specials.begin);
        }
        let mut follows_text = false;
        for fragment in self.specials.cut(&self.vocabulary, text, options.parse_special) {
            match (fragment, &self.model) {
                (Fragment::Token(id), _) => ids.push(id),
                (Fragment::Text(text), Model::SentencePiece(model)) => {
                    model.encode(&self.vocabulary, &self.specials, text, !follows_text, &mut ids);
                }
                (Fragment::Text(text), Model::BytePairs(model)) => model.encode(&self.vocabulary, text, &mut ids),
            }
            follows_text = matches!(fragment, Fragment::Text(_));
        }
        if options.add_special && self.add_end {
            ids.extend(self.specials.end);
        }
        ids
    }

    /// Text of `ids`, special tokens left out. The space that SentencePiece puts before a text is taken away again, so that a
    /// text comes back as it was. For text that continues another, and for ids one at a time, use [`Detokeniser`].
    pub fn decode(&self, ids: &[u32]) -> Result<String, TextError> {
        let mut text = String::new();
        let mut stream = Detokeniser::new(self);
        ids.iter().try_for_each(|&id| stream.push(id, &mut text))?;
        stream.finish(&mut text);
        let prefixed = matches!(&self.model, Model::SentencePiece(model) if model.space_prefix);
        if prefixed && text.starts_with(' ') {
            text.remove(0);
        }
        Ok(text)
    }

    /// Adds the bytes of one token to `bytes`; none for a special token, unless `show_special`.
    pub fn token_bytes_into(&self, id: u32, show_special: bool, bytes: &mut Vec<u8>) -> Result<(), TextError> {
        self.check(id)?;
        if self.specials.is_hidden(id) {
            if show_special {
                bytes.extend_from_slice(self.vocabulary.text(id).as_bytes());
            }
            return Ok(());
        }
        match &self.model {
            Model::SentencePiece(model) => model.decode(&self.vocabulary, id, bytes),
            Model::BytePairs(model) => model.decode(&self.vocabulary, id, bytes),
        }
        Ok(())
    }

    /// How many tokens there are: ids go from 0 up to, not including, this.
    pub fn tokens(&self) -> usize {
        self.vocabulary.len()
    }

    /// A token as it stands in the file.
    pub fn token_text(&self, id: u32) -> Result<&str, TextError> {
        self.check(id)?;
        Ok(self.vocabulary.text(id))
    }

    /// What a token is for.
    pub fn token_kind(&self, id: u32) -> Result<TokenKind, TextError> {
        self.check(id)?;
        Ok(self.vocabulary.kinds[id as usize])
    }

    /// The id of the token that stands in the file as exactly this text.
    pub fn token_id(&self, text: &str) -> Option<u32> {
        self.vocabulary.id(text)
    }

    /// The token that begins a text.
    pub fn begin(&self) -> Option<u32> {
        self.specials.begin
    }

    /// The token that goes before every text, in models that want one.
    pub fn added_begin(&self) -> Option<u32> {
        self.specials.begin.filter(|_| self.add_begin)
    }

    /// The token that the file names as the end of a text.
    pub fn end(&self) -> Option<u32> {
        self.specials.end
    }

    /// Whether a generation stops at this token: the file's end token, or one of those that end a turn.
    pub fn ends_generation(&self, id: u32) -> bool {
        self.specials.ends.binary_search(&id).is_ok()
    }

    fn check(&self, id: u32) -> Result<(), TextError> {
        match (id as usize) < self.vocabulary.len() {
            true => Ok(()),
            false => Err(TextError::NoSuchToken {
                id,
                tokens: self.vocabulary.len(),
            }),
        }
    }
}
