//! Reading: every length is checked before it is believed, every chunk before it is told.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use crate::TraceError;
use crate::checksum::crc32;
use crate::form::{MAGIC, MOST_BODY, MOST_TOGETHER, TraceShape, VERSION};

/// One token in one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fired {
    /// The token's number in the text.
    pub place: u64,
    /// The token.
    pub id: u32,
    /// The layer.
    pub layer: usize,
    /// Its experts in ascending order, each with the neurons that fired, ascending.
    pub experts: Vec<(u32, Vec<u32>)>,
}

/// What a trace is about and how long it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The model.
    pub shape: TraceShape,
    /// Tokens.
    pub tokens: u64,
    /// Of these, tokens that were given and not generated: the first.
    pub prompt: u32,
}

/// Reads a trace: `hear` is told of every token in every layer, chunk by chunk and within a chunk layer by layer.
pub fn read(path: impl AsRef<Path>, hear: &mut dyn FnMut(&TraceShape, Fired)) -> Result<Summary, TraceError> {
    let path = path.as_ref();
    let refused = |source| TraceError::Io {
        path: path.to_path_buf(),
        doing: "reading",
        source,
    };
    let file = File::open(path).map_err(refused)?;
    let mut file = Bytes {
        left: file.metadata().map_err(refused)?.len(),
        from: BufReader::new(file),
        refused: &refused,
    };
    let shape = header(&mut file)?;
    let mut tokens = 0;
    loop {
        let count = file.number("a chunk")? as usize;
        if count == 0 {
            break;
        }
        let (bytes, sum) = (file.number("a chunk")? as usize, file.number("a chunk")?);
        if count > MOST_TOGETHER || bytes > MOST_BODY {
            let what = format!("a chunk of {count} tokens and {bytes} bytes; at most {MOST_TOGETHER} and {MOST_BODY}");
            return Err(TraceError::malformed(what));
        }
        let body = file.take(bytes, "a chunk")?;
        if crc32(&body) != sum {
            return Err(TraceError::malformed(format!(
                "the checksum of the chunk at token {tokens} is wrong"
            )));
        }
        chunk(&shape, tokens, count, &body, hear)?;
        tokens += count as u64;
    }
    let counts = file.take(12, "the end")?;
    if file.number("the end")? != crc32(&counts) || file.left > 0 {
        return Err(TraceError::malformed(
            "the checksum of its end is wrong, or something follows it",
        ));
    }
    let (all, prompt) = counts.split_at(8);
    let said = u64::from_le_bytes(all.try_into().unwrap_or_default());
    let prompt = u32::from_le_bytes(prompt.try_into().unwrap_or_default());
    if said != tokens || u64::from(prompt) > tokens || tokens == 0 {
        return Err(TraceError::malformed(format!(
            "its end says {said} tokens, {prompt} of them given; there are {tokens}"
        )));
    }
    Ok(Summary { shape, tokens, prompt })
}

struct Bytes<'a, R> {
    from: BufReader<R>,
    left: u64,
    refused: &'a dyn Fn(io::Error) -> TraceError,
}

impl<R: Read> Bytes<'_, R> {
    fn take(&mut self, bytes: usize, what: &str) -> Result<Vec<u8>, TraceError> {
        if bytes as u64 > self.left {
            let left = self.left;
            return Err(TraceError::malformed(format!(
                "{what} needs {bytes} bytes; the file has {left} left"
            )));
        }
        let mut taken = vec![0; bytes];
        self.from.read_exact(&mut taken).map_err(self.refused)?;
        self.left -= bytes as u64;
        Ok(taken)
    }

    fn number(&mut self, what: &str) -> Result<u32, TraceError> {
        let bytes = self.take(4, what)?;
        Ok(u32::from_le_bytes(bytes.try_into().unwrap_or_default()))
    }
}

fn header(file: &mut Bytes<'_, File>) -> Result<TraceShape, TraceError> {
    let mut seen = file.take(8, "the header")?;
    if seen != MAGIC {
        return Err(TraceError::malformed("it does not begin with NLABTRCE"));
    }
    let mut numbers = [0; 7];
    for number in &mut numbers {
        *number = file.number("the header")?;
        seen.extend_from_slice(&number.to_le_bytes());
    }
    let [version, layers, experts, experts_used, neurons, flags, name] = numbers;
    if version != VERSION {
        return Err(TraceError::malformed(format!(
            "version {version}; this program reads {VERSION}"
        )));
    }
    if flags > 1 || name as usize > crate::form::MOST_NAME {
        return Err(TraceError::malformed(format!(
            "flags {flags:#x} and a name of {name} bytes in its header"
        )));
    }
    let name = file.take(name as usize, "the header")?;
    seen.extend_from_slice(&name);
    if file.number("the header")? != crc32(&seen) {
        return Err(TraceError::malformed("the checksum of its header is wrong"));
    }
    let shape = TraceShape {
        name: String::from_utf8(name).map_err(|_| TraceError::malformed("its name is not UTF-8"))?,
        layers,
        experts,
        experts_used,
        neurons,
        neurons_recorded: flags == 1,
    };
    shape.check()?;
    Ok(shape)
}

fn chunk(
    shape: &TraceShape,
    first: u64,
    count: usize,
    body: &[u8],
    hear: &mut dyn FnMut(&TraceShape, Fired),
) -> Result<(), TraceError> {
    if body.len() < 4 * count {
        return Err(TraceError::malformed("a chunk shorter than its tokens"));
    }
    let (ids, rest) = body.split_at(4 * count);
    let mut rest = Cursor { rest, shape };
    for layer in 0..shape.layers as usize {
        for (place, id) in ids.chunks_exact(4).enumerate() {
            let experts = rest.experts()?;
            hear(
                shape,
                Fired {
                    place: first + place as u64,
                    id: u32::from_le_bytes(id.try_into().unwrap_or_default()),
                    layer,
                    experts,
                },
            );
        }
    }
    if rest.rest.is_empty() {
        Ok(())
    } else {
        Err(TraceError::malformed("a chunk longer than its tokens"))
    }
}

struct Cursor<'a> {
    rest: &'a [u8],
    shape: &'a TraceShape,
}

impl Cursor<'_> {
    fn experts(&mut self) -> Result<Vec<(u32, Vec<u32>)>, TraceError> {
        let mut experts: Vec<(u32, Vec<u32>)> = Vec::with_capacity(self.shape.experts_used as usize);
        for _ in 0..self.shape.experts_used {
            let expert = self.number()?;
            if expert >= self.shape.experts || experts.last().is_some_and(|last| last.0 >= expert) {
                return Err(TraceError::malformed(format!("expert {expert}, out of range or order")));
            }
            let fired = match self.shape.neurons_recorded {
                true => self.set()?,
                false => Vec::new(),
            };
            experts.push((expert, fired));
        }
        Ok(experts)
    }

    fn set(&mut self) -> Result<Vec<u32>, TraceError> {
        let head = self.number()?;
        let (count, neurons) = ((head >> 1) as usize, self.shape.neurons);
        let wrong = || TraceError::malformed("a set of neurons that does not add up");
        if count > neurons as usize {
            return Err(wrong());
        }
        if head & 1 == 1 {
            let bytes = self.shape.bitmap_bytes();
            if self.rest.len() < bytes {
                return Err(wrong());
            }
            let (bits, rest) = self.rest.split_at(bytes);
            self.rest = rest;
            let set: Vec<u32> = (0..8 * bytes as u32)
                .filter(|&neuron| bits[neuron as usize / 8] >> (neuron % 8) & 1 == 1)
                .collect();
            let sound = set.len() == count && set.last().is_none_or(|&last| last < neurons);
            return if sound { Ok(set) } else { Err(wrong()) };
        }
        let (mut set, mut next) = (Vec::with_capacity(count), 0u32);
        for _ in 0..count {
            let neuron = self
                .number()?
                .checked_add(next)
                .filter(|&neuron| neuron < neurons)
                .ok_or_else(wrong)?;
            set.push(neuron);
            next = neuron + 1;
        }
        Ok(set)
    }

    fn number(&mut self) -> Result<u32, TraceError> {
        let mut number = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let Some((&byte, rest)) = self.rest.split_first() else {
                return Err(TraceError::malformed("a chunk that ends inside a number"));
            };
            self.rest = rest;
            number |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(TraceError::malformed("a number of more than five bytes"))
    }
}
