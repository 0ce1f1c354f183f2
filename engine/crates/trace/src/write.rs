//! Writing: a header, chunks of some tokens, an end.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use gguf::AtomicFile;
use model::Route;
use synth::FiringSink;

use crate::TraceError;
use crate::checksum::crc32;
use crate::form::{MAGIC, MOST_TOGETHER, TraceShape, VERSION};

/// Takes what fired, layer by layer, and writes it in chunks. Holds one chunk: memory does not grow with the text.
#[derive(Debug)]
pub struct TraceWriter {
    path: PathBuf,
    out: AtomicFile,
    shape: TraceShape,
    /// Of the chunk at hand, by layer.
    layers: Vec<Vec<u8>>,
    /// Tokens that each layer has of it.
    told: Vec<u32>,
    tokens: u64,
    bytes: u64,
}

impl TraceWriter {
    /// Opens a temporary file beside `path` and writes the header.
    pub fn create(path: impl AsRef<Path>, shape: TraceShape) -> Result<Self, TraceError> {
        shape.check()?;
        let path = path.as_ref().to_path_buf();
        let out = AtomicFile::create(&path).map_err(|source| failed(&path, source))?;
        let layers = shape.layers as usize;
        let mut writer = Self {
            path,
            out,
            layers: vec![Vec::new(); layers],
            told: vec![0; layers],
            tokens: 0,
            bytes: 0,
            shape,
        };
        let header = header(&writer.shape);
        writer.put(&header)?;
        Ok(writer)
    }

    /// Tokens that every layer was told of since the last chunk.
    pub fn pending(&self) -> usize {
        self.told.iter().copied().min().unwrap_or(0) as usize
    }

    /// Writes a chunk of what every layer was told of since the last one: the tokens with these ids, 1 to 4096.
    pub fn end_chunk(&mut self, ids: &[u32]) -> Result<(), TraceError> {
        let count = ids.len() as u32;
        if ids.is_empty() || ids.len() > MOST_TOGETHER || self.told.iter().any(|&told| told != count) {
            let told = &self.told;
            return Err(TraceError::malformed(format!(
                "a chunk of {count} tokens where layers were told of {told:?}; should be the same, from 1 to {MOST_TOGETHER}"
            )));
        }
        let mut body: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        self.layers.iter().for_each(|layer| body.extend_from_slice(layer));
        let mut head = Vec::with_capacity(12);
        for number in [count, body.len() as u32, crc32(&body)] {
            head.extend_from_slice(&number.to_le_bytes());
        }
        self.put(&head)?;
        self.put(&body)?;
        self.layers.iter_mut().for_each(Vec::clear);
        self.told.fill(0);
        self.tokens += u64::from(count);
        Ok(())
    }

    /// Writes the end and gives the file its name; returns its length (bytes). `prompt`: tokens that were given, not generated.
    pub fn finish(mut self, prompt: u32) -> Result<u64, TraceError> {
        if self.pending() > 0 || self.told.iter().any(|&told| told > 0) {
            return Err(TraceError::malformed("tokens that no chunk has; end the chunk first"));
        }
        let mut counts = Vec::with_capacity(12);
        counts.extend_from_slice(&self.tokens.to_le_bytes());
        counts.extend_from_slice(&prompt.to_le_bytes());
        let mut end = 0u32.to_le_bytes().to_vec();
        end.extend_from_slice(&counts);
        end.extend_from_slice(&crc32(&counts).to_le_bytes());
        self.put(&end)?;
        let Self { path, out, bytes, .. } = self;
        out.commit().map_err(|source| failed(&path, source))?;
        Ok(bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), TraceError> {
        self.out.write_all(bytes).map_err(|source| failed(&self.path, source))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

fn failed(path: &Path, source: io::Error) -> TraceError {
    TraceError::Io {
        path: path.to_path_buf(),
        doing: "writing",
        source,
    }
}

fn header(shape: &TraceShape) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    let numbers = [
        VERSION,
        shape.layers,
        shape.experts,
        shape.experts_used,
        shape.neurons,
        u32::from(shape.neurons_recorded),
        shape.name.len() as u32,
    ];
    numbers
        .iter()
        .for_each(|number| header.extend_from_slice(&number.to_le_bytes()));
    header.extend_from_slice(shape.name.as_bytes());
    let sum = crc32(&header);
    header.extend_from_slice(&sum.to_le_bytes());
    header
}

impl FiringSink for TraceWriter {
    fn token(&mut self, layer: usize, routes: &[Route], fired: &[&[u32]]) {
        let Some(out) = self.layers.get_mut(layer) else { return };
        self.told[layer] += 1;
        for (route, fired) in routes.iter().zip(fired) {
            put_number(out, route.expert);
            if self.shape.neurons_recorded {
                put_set(out, fired, &self.shape);
            }
        }
    }
}

/// Seven bits a byte, the lowest first; the eighth says that more follow. (LEB128)
fn put_number(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

const fn length(number: u32) -> usize {
    match number {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

/// Neurons in ascending order: as distances, or as bits where that is shorter.
fn put_set(out: &mut Vec<u8>, fired: &[u32], shape: &TraceShape) {
    let distances = || {
        let before = std::iter::once(None).chain(fired.iter().map(Some));
        fired
            .iter()
            .zip(before)
            .map(|(&neuron, before)| before.map_or(neuron, |before| neuron - before - 1))
    };
    let as_bits = distances().map(length).sum::<usize>() > shape.bitmap_bytes();
    put_number(out, (fired.len() as u32) << 1 | u32::from(as_bits));
    if as_bits {
        let from = out.len();
        out.resize(from + shape.bitmap_bytes(), 0);
        fired
            .iter()
            .for_each(|&neuron| out[from + neuron as usize / 8] |= 1 << (neuron % 8));
    } else {
        distances().for_each(|distance| put_number(out, distance));
    }
}
