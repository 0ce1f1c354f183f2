//! Small GGUF models with known weights, packed files from them, and the comparison of what was read with the source.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod packing;
pub mod reading;

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use flash::{Data, DownForm, FlashFile, PackOptions, PackReport, Part, WeightFormat, pack};
use gguf::{TensorType, Writer};

/// A folder of its own for one test, removed at the end.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // Not in a tmpfs: direct reads are the point.
        let root = std::env::var_os("FLASH_TEST_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let path = root.join(format!("neuronlab-flash-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for scratch files");
        Self(path)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Names of all files in it.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).expect("the scratch folder");
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A small fast generator, the same on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, self.below(index + 1));
        }
    }
}

/// What to build.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub layers: u32,
    /// 0 for a dense FFN (architecture llama), else experts (smallthinker).
    pub experts: u32,
    pub width: u32,
    pub neurons: u32,
    pub format: WeightFormat,
    /// The file carries `ffn_down_t` instead of `ffn_down`.
    pub transposed: bool,
}

pub const SMALL: Shape = Shape {
    layers: 2,
    experts: 0,
    width: 256,
    neurons: 352,
    format: WeightFormat::Q4_0,
    transposed: false,
};

pub struct Model {
    pub shape: Shape,
    pub path: PathBuf,
    pub tensors: HashMap<String, Vec<u8>>,
}

fn kind_of(format: WeightFormat) -> TensorType {
    TensorType::from_code(format.code()).expect("the codes are GGUF's")
}

/// `count` weights: finite scales near 0.01, all other bits random.
pub fn random_weights(random: &mut Random, format: WeightFormat, count: usize) -> Vec<u8> {
    let block = format.block_bytes() as usize;
    let mut bytes = Vec::with_capacity(count / format.block_weights() as usize * block);
    for _ in 0..count / format.block_weights() as usize {
        match format {
            WeightFormat::F32 => bytes.extend((random.below(2000) as f32 / 1000.0 - 1.0).to_le_bytes()),
            WeightFormat::F16 => bytes.extend((0x2000 + random.below(0x1000) as u16).to_le_bytes()),
            WeightFormat::Q8_0 | WeightFormat::Q4_0 => {
                bytes.extend((0x2000 + random.below(0x400) as u16).to_le_bytes());
                bytes.extend((2..block).map(|_| random.next() as u8));
            }
        }
    }
    bytes
}

impl Model {
    pub fn write(scratch: &Scratch, shape: Shape) -> Self {
        Self::write_as(&scratch.file("model.gguf"), shape)
    }

    pub fn write_as(path: &Path, shape: Shape) -> Self {
        let architecture = if shape.experts == 0 { "llama" } else { "smallthinker" };
        let mut writer = Writer::new(path);
        writer.metadata("general.architecture", architecture).unwrap();
        writer.metadata(&format!("{architecture}.block_count"), shape.layers).unwrap();
        writer
            .metadata(&format!("{architecture}.embedding_length"), shape.width)
            .unwrap();
        let (width, neurons) = (u64::from(shape.width), u64::from(shape.neurons));
        let mut list: Vec<(String, Vec<u64>, WeightFormat)> =
            vec![("token_embd.weight".into(), vec![width, 40], WeightFormat::F16)];
        for layer in 0..shape.layers {
            let named = |part: &str| match shape.experts {
                0 => format!("blk.{layer}.ffn_{part}.weight"),
                _ => format!("blk.{layer}.ffn_{part}_exps.weight"),
            };
            let sides = |first: u64, second: u64| match shape.experts {
                0 => vec![first, second],
                experts => vec![first, second, u64::from(experts)],
            };
            list.push((format!("blk.{layer}.attn_norm.weight"), vec![width], WeightFormat::F32));
            list.push((named("gate"), sides(width, neurons), shape.format));
            list.push((named("up"), sides(width, neurons), shape.format));
            if shape.transposed {
                list.push((named("down_t"), sides(width, neurons), shape.format));
            } else {
                list.push((named("down"), sides(neurons, width), shape.format));
            }
            // Seven numbers: a tensor that ends in the middle of everything.
            list.push((format!("blk.{layer}.odd.weight"), vec![7], WeightFormat::F32));
        }
        for (name, sides, format) in &list {
            writer.tensor(name, sides, kind_of(*format)).unwrap();
        }
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let mut data = writer.start().unwrap();
        let mut tensors = HashMap::new();
        for (name, sides, format) in &list {
            let bytes = random_weights(&mut random, *format, sides.iter().product::<u64>() as usize);
            data.write(name, &bytes).unwrap();
            tensors.insert(name.clone(), bytes);
        }
        data.finish().unwrap();
        Self {
            shape,
            path: path.to_path_buf(),
            tensors,
        }
    }

    pub fn pack(&self, out: &Path, options: &PackOptions) -> (Arc<FlashFile>, PackReport) {
        let report = pack(&self.path, out, options, &mut |_| ControlFlow::Continue(())).expect("packing succeeds");
        (Arc::new(FlashFile::open(out).expect("the packed file opens")), report)
    }

    fn tensor(&self, layer: u32, part: &str) -> &[u8] {
        let suffix = if self.shape.experts == 0 { "" } else { "_exps" };
        &self.tensors[&format!("blk.{layer}.ffn_{part}{suffix}.weight")]
    }

    fn experts(&self) -> usize {
        self.shape.experts.max(1) as usize
    }

    /// A source row of gate or up, or of `down_t`.
    pub fn row(&self, layer: u32, expert: u32, part: &str, neuron: u32) -> &[u8] {
        let tensor = self.tensor(layer, part);
        let row = tensor.len() / self.experts() / self.shape.neurons as usize;
        let index = expert as usize * self.shape.neurons as usize + neuron as usize;
        &tensor[index * row..(index + 1) * row]
    }

    /// The tile of `ffn_down` that holds `neuron`: one block of each output row.
    pub fn tile(&self, layer: u32, expert: u32, neuron: u32) -> Vec<u8> {
        let tensor = self.tensor(layer, "down");
        let one = tensor.len() / self.experts();
        let block = self.shape.format.block_bytes() as usize;
        let row = one / self.shape.width as usize;
        let at = |output: usize| expert as usize * one + output * row + neuron as usize / 32 * block;
        (0..self.shape.width as usize)
            .flat_map(|output| tensor[at(output)..at(output) + block].iter().copied())
            .collect()
    }

    /// A neuron's column of `ffn_down`, for formats whose weights stand alone.
    pub fn column(&self, layer: u32, expert: u32, neuron: u32) -> Vec<u8> {
        let tensor = self.tensor(layer, "down");
        let one = tensor.len() / self.experts();
        let bytes = self.shape.format.block_bytes() as usize;
        let row = one / self.shape.width as usize;
        let at = |output: usize| expert as usize * one + output * row + neuron as usize * bytes;
        (0..self.shape.width as usize)
            .flat_map(|output| tensor[at(output)..at(output) + bytes].iter().copied())
            .collect()
    }

    /// Compares what `data` brought for these positions with the source, bit for bit. Requantised down is only required to
    /// be there.
    pub fn check(&self, file: &FlashFile, data: &Data, at: (u32, u32), part: Part, positions: Range<u32>) {
        let (layer, expert) = at;
        let layout = &file.layers()[layer as usize];
        for position in positions {
            let neuron = file.order().neuron(layer, expert, position);
            let place = format!("layer {layer} expert {expert} position {position} neuron {neuron}");
            if part != Part::UpDown {
                let got = data.bytes_of(layout.gate_row(expert, position)).expect("the gate row came");
                assert!(got == self.row(layer, expert, "gate", neuron), "gate differs: {place}");
            }
            if part != Part::Gate {
                let got = data.bytes_of(layout.up_row(expert, position)).expect("the up row came");
                assert!(got == self.row(layer, expert, "up", neuron), "up differs: {place}");
                let got = data.bytes_of(layout.down_unit(expert, position)).expect("down came");
                let shape = layout.shape();
                if shape.down_requantised {
                    assert_eq!(got.len() as u64, shape.down.row_bytes(shape.width).unwrap());
                } else if self.shape.transposed {
                    assert!(got == self.row(layer, expert, "down_t", neuron), "down_t differs: {place}");
                } else if shape.down_form == DownForm::Tiles {
                    assert!(got == self.tile(layer, expert, neuron), "down tile differs: {place}");
                } else {
                    assert!(got == self.column(layer, expert, neuron), "down column differs: {place}");
                }
            }
        }
    }
}

/// The value of each weight in a row, by the formats' definitions (a second implementation, beside the crate's own).
pub fn numbers(format: WeightFormat, row: &[u8]) -> Vec<f32> {
    let half = |bytes: &[u8]| {
        let bits = u16::from_le_bytes([bytes[0], bytes[1]]);
        let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
        let magnitude = if exponent == 0 {
            fraction * 2f32.powi(-24)
        } else {
            (1024.0 + fraction) * 2f32.powi(exponent - 25)
        };
        if bits >> 15 == 1 { -magnitude } else { magnitude }
    };
    match format {
        WeightFormat::F32 => row
            .chunks(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
            .collect(),
        WeightFormat::F16 => row.chunks(2).map(half).collect(),
        WeightFormat::Q8_0 => row
            .chunks(34)
            .flat_map(|block| block[2..].iter().map(move |byte| half(block) * f32::from(*byte as i8)))
            .collect(),
        WeightFormat::Q4_0 => row
            .chunks(18)
            .flat_map(|block| {
                let number = move |nibble: u8| half(block) * (f32::from(nibble) - 8.0);
                let low = block[2..].iter().map(move |byte| number(byte & 15));
                low.chain(block[2..].iter().map(move |byte| number(byte >> 4)))
                    .collect::<Vec<_>>()
            })
            .collect(),
    }
}
