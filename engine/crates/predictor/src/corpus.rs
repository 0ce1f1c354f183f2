//! The tokens that a predictor is fitted on: a text's, or what the model itself says.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use model::{Session, Want};
use text::{EncodeOptions, Sampler, SamplerOptions, Tokeniser};

use crate::PredictorError;

/// Positions of a window: the model reads its tokens in pieces of so many, each from an empty KV cache.
pub(crate) const WINDOW: usize = 512;

/// Fewest tokens that anything can be learnt and checked on.
pub(crate) const FEWEST: usize = 256;

/// Bytes of text read for each token that is wanted; pieces of English have about four.
const BYTES_PER_TOKEN: u64 = 16;

/// The first tokens of a text, at most `tokens` of them.
pub(crate) fn of_file(path: &Path, tokeniser: &Tokeniser, tokens: usize) -> Result<Vec<u32>, PredictorError> {
    let failed = |doing| {
        move |source| PredictorError::Io {
            path: path.to_path_buf(),
            doing,
            source,
        }
    };
    let file = File::open(path).map_err(failed("opening"))?;
    let mut bytes = Vec::new();
    file.take(tokens as u64 * BYTES_PER_TOKEN)
        .read_to_end(&mut bytes)
        .map_err(failed("reading"))?;
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        // Cut off in the middle of a character.
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
        Err(error) => {
            let what = format!(
                "{} is no text: byte {} is not UTF-8; must be a plain text file",
                path.display(),
                error.valid_up_to()
            );
            return Err(PredictorError::Input { name: "text", what });
        }
    };
    let mut found = tokeniser.encode(text, EncodeOptions::PROMPT);
    found.truncate(tokens);
    if found.len() < FEWEST {
        let what = format!("{} has {} tokens; must have at least {FEWEST}", path.display(), found.len());
        return Err(PredictorError::Input { name: "text", what });
    }
    Ok(found)
}

/// What the model says at temperature 1, window after window, each from the token that begins a text. `told` hears how many
/// tokens there are and may stop it.
pub(crate) fn of_model(
    session: &mut Session,
    tokeniser: &Tokeniser,
    tokens: usize,
    window: usize,
    seed: u64,
    told: &mut dyn FnMut(usize) -> Result<(), PredictorError>,
) -> Result<Vec<u32>, PredictorError> {
    let options = SamplerOptions {
        temperature: 1.0,
        seed,
        ..SamplerOptions::default()
    };
    let mut sampler = Sampler::new(options)?;
    let begin = tokeniser.begin().unwrap_or(0);
    let mut said = Vec::with_capacity(tokens);
    while said.len() < tokens {
        session.truncate(0)?;
        let mut next = begin;
        for _ in 0..window.min(tokens - said.len()) {
            said.push(next);
            next = sampler.sample(session.forward(&[next], Want::Last)?)?;
            told(said.len())?;
            if tokeniser.ends_generation(next) {
                break;
            }
        }
    }
    session.truncate(0)?;
    Ok(said)
}
