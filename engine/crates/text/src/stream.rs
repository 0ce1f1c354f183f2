//! Ids to text as they come.

use crate::error::TextError;
use crate::tokeniser::Tokeniser;

/// Gathers the bytes of tokens and gives out whole characters only. Bytes that can be no part of any character become U+FFFD,
/// one for each longest piece that could have begun one (the practice that Unicode recommends).
#[derive(Debug)]
pub struct Detokeniser<'a> {
    tokeniser: &'a Tokeniser,
    waiting: Vec<u8>,
    show_special: bool,
}

impl<'a> Detokeniser<'a> {
    /// For text that continues other text: nothing is taken from its start. Special tokens are left out.
    pub fn new(tokeniser: &'a Tokeniser) -> Self {
        Self {
            tokeniser,
            waiting: Vec::new(),
            show_special: false,
        }
    }

    /// Shows special tokens by their text.
    pub fn with_special(mut self) -> Self {
        self.show_special = true;
        self
    }

    /// Takes the next id; adds the characters that are now complete to `out`.
    pub fn push(&mut self, id: u32, out: &mut String) -> Result<(), TextError> {
        self.tokeniser.token_bytes_into(id, self.show_special, &mut self.waiting)?;
        self.give_out(out);
        Ok(())
    }

    /// The end: what still waits is the start of a character that never came, and becomes U+FFFD.
    pub fn finish(&mut self, out: &mut String) {
        self.give_out(out);
        if !self.waiting.is_empty() {
            self.waiting.clear();
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }

    fn give_out(&mut self, out: &mut String) {
        loop {
            let error = match std::str::from_utf8(&self.waiting) {
                Ok(text) => {
                    out.push_str(text);
                    self.waiting.clear();
                    return;
                }
                Err(error) => error,
            };
            let good = error.valid_up_to();
            out.push_str(std::str::from_utf8(&self.waiting[..good]).unwrap_or_default());
            match error.error_len() {
                Some(bad) => {
                    out.push(char::REPLACEMENT_CHARACTER);
                    self.waiting.drain(..good + bad);
                }
                None => {
                    // The start of a character: its other bytes may come.
                    self.waiting.drain(..good);
                    return;
                }
            }
        }
    }
}
