//! What was seen of a model: for every token and layer the FFN's input and the neurons that fired, in a temporary file.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use neuron::{f16_to_f32, f32_to_f16};

use crate::PredictorError;

/// Sizes of a recording.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordShape {
    pub(crate) layers: usize,
    pub(crate) tokens: usize,
    pub(crate) hidden: usize,
    pub(crate) neurons: usize,
    pub(crate) used: usize,
}

impl RecordShape {
    /// Bytes of the bits of one expert's neurons.
    pub(crate) fn bit_bytes(&self) -> usize {
        self.neurons.div_ceil(8)
    }

    fn bytes(&self) -> usize {
        2 * self.hidden + self.used * self.bit_bytes()
    }

    fn offset(&self, layer: usize, token: usize) -> u64 {
        (layer * self.tokens + token) as u64 * self.bytes() as u64
    }
}

/// Inputs in half precision, and a bit for each neuron. Memory holds only who was routed where; the file has no name any more
/// when `create` returns, so nothing of it stays behind, however the process ends.
pub(crate) struct Records {
    shape: RecordShape,
    path: PathBuf,
    file: File,
    /// Experts: layers by tokens by used.
    routes: Vec<u32>,
    buffer: Vec<u8>,
}

impl Records {
    /// An empty recording, on the disk that `beside` is on.
    pub(crate) fn create(beside: &Path, shape: RecordShape) -> Result<Self, PredictorError> {
        let name = format!(".neuronlab-records.{}.partial", std::process::id());
        let path = beside.with_file_name(name);
        let failed = |source| PredictorError::Io {
            path: path.clone(),
            doing: "creating",
            source,
        };
        let open = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let file = open.map_err(failed)?;
        std::fs::remove_file(&path).map_err(failed)?;
        Ok(Self {
            shape,
            file,
            path,
            routes: vec![0; shape.layers * shape.tokens * shape.used],
            buffer: Vec::new(),
        })
    }

    pub(crate) fn shape(&self) -> &RecordShape {
        &self.shape
    }

    /// Notes one token in one layer: its experts, and for each the neurons that fired.
    pub(crate) fn write(
        &mut self,
        layer: usize,
        token: usize,
        input: &[f32],
        experts: impl Iterator<Item = u32>,
        fired: &[&[u32]],
    ) -> io::Result<()> {
        let (shape, buffer) = (self.shape, &mut self.buffer);
        let first = (layer * shape.tokens + token) * shape.used;
        for (place, expert) in self.routes[first..first + shape.used].iter_mut().zip(experts) {
            *place = expert;
        }
        buffer.clear();
        buffer.extend(input.iter().flat_map(|&value| f32_to_f16(value).to_le_bytes()));
        buffer.resize(shape.bytes(), 0);
        for (bits, fired) in buffer[2 * shape.hidden..].chunks_exact_mut(shape.bit_bytes()).zip(fired) {
            for &neuron in *fired {
                bits[neuron as usize / 8] |= 1 << (neuron % 8);
            }
        }
        self.file.write_all_at(buffer, shape.offset(layer, token))
    }

    /// The error of a failed write.
    pub(crate) fn failed(&self, doing: &'static str, source: io::Error) -> PredictorError {
        PredictorError::Io {
            path: self.path.clone(),
            doing,
            source,
        }
    }

    /// The tokens in `tokens` that were routed to an expert, and in which of their slots.
    pub(crate) fn of_expert(&self, layer: usize, expert: usize, tokens: std::ops::Range<usize>) -> Vec<(u32, u32)> {
        let (shape, mut found) = (&self.shape, Vec::new());
        for token in tokens {
            let first = (layer * shape.tokens + token) * shape.used;
            let slots = self.routes[first..first + shape.used].iter();
            let slot = slots.zip(0u32..).find(|(route, _)| **route == expert as u32);
            found.extend(slot.map(|(_, slot)| (token as u32, slot)));
        }
        found
    }

    /// Reads back the input of a token (`hidden` numbers) and the bits of one of its slots.
    pub(crate) fn read(
        &self,
        layer: usize,
        (token, slot): (u32, u32),
        buffer: &mut Vec<u8>,
        input: &mut [f32],
        fired: &mut [u8],
    ) -> Result<(), PredictorError> {
        let shape = &self.shape;
        buffer.resize(shape.bytes(), 0);
        let read = self.file.read_exact_at(buffer, shape.offset(layer, token as usize));
        read.map_err(|source| self.failed("reading", source))?;
        let (halves, bits) = buffer.split_at(2 * shape.hidden);
        for (value, half) in input.iter_mut().zip(halves.chunks_exact(2)) {
            *value = f16_to_f32(u16::from_le_bytes([half[0], half[1]]));
        }
        fired.copy_from_slice(&bits[slot as usize * shape.bit_bytes()..][..shape.bit_bytes()]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{RecordShape, Records};

    #[test]
    fn what_was_noted_is_read_back_and_no_file_is_left() {
        let folder = std::env::temp_dir().join(format!("neuronlab-records-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let shape = RecordShape {
            layers: 2,
            tokens: 3,
            hidden: 4,
            neurons: 11,
            used: 2,
        };
        let mut records = Records::create(&folder.join("out"), shape).unwrap();
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        let input = [1.5, -2.0, 0.25, 1e-3];
        records.write(1, 2, &input, [4, 7].into_iter(), &[&[0, 10], &[3]]).unwrap();
        let (mut buffer, mut read, mut bits) = (Vec::new(), [0.0; 4], [0; 2]);
        records.read(1, (2, 1), &mut buffer, &mut read, &mut bits).unwrap();
        assert_eq!(read[..3], input[..3]);
        assert!((read[3] - 1e-3).abs() < 1e-6);
        assert_eq!(bits, [1 << 3, 0]);
        records.read(1, (2, 0), &mut buffer, &mut read, &mut bits).unwrap();
        assert_eq!(bits, [1, 1 << 2]);
        assert_eq!(records.of_expert(1, 7, 0..3), [(2, 1)]);
        assert_eq!(records.of_expert(1, 4, 0..2), []);
        std::fs::remove_dir(&folder).unwrap();
    }
}
