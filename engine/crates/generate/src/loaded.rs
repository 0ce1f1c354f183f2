//! A model that is loaded: a session for tokens, what it is, and meters for what it spends.

use std::time::{Duration, Instant};

use model::{ModelConfig, ModelError, Session, Want};
use pool::{Pool, PoolError};

use crate::budget::Budget;
use crate::meter::{Meter, MeteredReader};
use crate::open::{Weights, weights};
use crate::place::{Placed, Wish};
use crate::{GenerateError, ModelFile, ModelShape, Options};

/// What a loaded model is.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What `general.architecture` says.
    pub architecture: &'static str,
    /// Its sizes.
    pub shape: ModelShape,
    /// `gguf` or `packed`.
    pub file: &'static str,
    /// The weights of the source file.
    pub weights: Weights,
    /// Where and how FFNs are computed: `dense in memory`, `sparse in memory` or `from flash`.
    pub ffn: &'static str,
    /// `lossless`, or what departs from the source's numbers: `requantised`.
    pub labels: Vec<&'static str>,
    /// The kernels' name.
    pub kernels: &'static str,
    /// Compute threads.
    pub threads: usize,
    /// The division of memory.
    pub budget: Budget,
    /// Loading.
    pub load: Duration,
}

/// A model with an empty KV cache, ready for tokens.
pub struct Loaded {
    pub(crate) facts: Facts,
    pub(crate) session: Session,
    pub(crate) meter: Meter,
}

impl Loaded {
    /// Opens and loads what `options` name (its prompt, tokens and sampler aside), for texts of at most `positions` tokens of
    /// which at most `together` are read at once.
    pub fn open(options: &Options, positions: usize, together: usize) -> Result<Self, GenerateError> {
        let file = ModelFile::open(&options.model)?;
        let config = ModelConfig::from_gguf(file.source().gguf())?;
        Self::load(&file, config, options, positions, (together, 1))
    }

    /// `together`: tokens that are read at once, and those of them whose logits are wanted, both at most.
    pub(crate) fn load(
        file: &ModelFile,
        config: ModelConfig,
        options: &Options,
        positions: usize,
        together: (usize, usize),
    ) -> Result<Self, GenerateError> {
        if let Some(planned) = &options.planned {
            planned.agrees(ModelShape::of(&config))?;
        }
        let begun = Instant::now();
        let wish = Wish {
            options,
            config: &config,
            positions,
            prompt: together.0,
            lines: together.1,
        };
        let Placed {
            model,
            ffn,
            name,
            budget,
            reader,
            watch,
            decisions,
        } = wish.place(file)?;
        let kernels = model.kernels().name();
        let pool = pool::Options {
            cores: options.cores.clone(),
            ..pool::Options::new(options.threads)
        };
        let pool = Pool::new(&pool).map_err(of_pool)?;
        let session = Session::new(model, ffn, pool, options.kv, positions)?;
        let labels = match session.ffn().labels() {
            [] => vec!["lossless"],
            labels => labels.to_vec(),
        };
        Ok(Self {
            facts: Facts {
                architecture: config.architecture.name(),
                shape: ModelShape::of(&config),
                file: match file {
                    ModelFile::Gguf(_) => "gguf",
                    ModelFile::Packed(_) => "packed",
                },
                weights: weights(file),
                ffn: name,
                labels,
                kernels,
                threads: options.threads,
                budget,
                load: begun.elapsed(),
            },
            session,
            meter: Meter {
                watch,
                reader: reader.map(|reader| MeteredReader::new(reader, options.preload)),
                decisions,
            },
        })
    }

    /// What it is.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Tokens that the model knows.
    pub fn vocabulary(&self) -> usize {
        self.session.model().config().vocabulary
    }

    /// Empties the KV cache. The neuron cache keeps what it holds.
    pub fn clear(&mut self) -> Result<(), GenerateError> {
        Ok(self.session.truncate(0)?)
    }

    /// Divides memory for generating tokens, before the first of them is timed.
    pub fn prepare_to_decode(&mut self) -> Result<(), GenerateError> {
        Ok(self.session.prepare_to_decode()?)
    }

    /// Runs `tokens` after those before, and computes the logits after the last.
    pub fn pass(&mut self, tokens: &[u32]) -> Result<(), GenerateError> {
        self.session.forward(tokens, Want::Last)?;
        Ok(())
    }
}

/// A core that there is not is the caller's to mend.
fn of_pool(error: PoolError) -> GenerateError {
    match error {
        PoolError::Cores { .. } | PoolError::Pin { .. } => GenerateError::Input {
            name: "pin",
            what: error.to_string(),
        },
        other => ModelError::from(other).into(),
    }
}
