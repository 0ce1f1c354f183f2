//! Where each weight of a layer's FFN lies in the packed file: closed forms, so that the index needs no table of offsets.
//!
//! `Bundles`: group after group of `group` neurons; of each group first the gate rows in whole pages, then the up rows and
//! the down weights in whole pages. Two-phase loading reads the first part, and the second only where the gate fires.
//! `Matrices`: gate, up and down of an expert as three contiguous regions, for systems without bundles.

use crate::WeightFormat;

/// Alignment and granule of reads: a flash page.
pub const PAGE: u64 = 4096;
/// Neurons whose down weights share scales in a GGUF block format: down is cut in tiles of so many.
pub const TILE: u32 = 32;

/// Rounds up to whole pages. The caller keeps `bytes` below 2^63.
pub const fn page_ceil(bytes: u64) -> u64 {
    bytes.div_ceil(PAGE) * PAGE
}

/// Rounds down to whole pages.
pub const fn page_floor(bytes: u64) -> u64 {
    bytes / PAGE * PAGE
}

/// How the FFN section is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrangement {
    /// Gate, up and down of a group of neurons together.
    Bundles,
    /// Three contiguous matrices an expert.
    Matrices,
}

/// Form of the down weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownForm {
    /// Transposed: a row of `width` weights a neuron.
    Rows,
    /// Tiles of 32 neurons: for each of the `width` outputs one block of 32 weights with its scale, as in the source file.
    Tiles,
}

/// One of the three matrices of an FFN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matrix {
    /// Gate projection.
    Gate,
    /// Up projection.
    Up,
    /// Down projection.
    Down,
}

/// A range of bytes of the packed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub offset: u64,
    /// Length in bytes.
    pub bytes: u64,
}

impl Span {
    /// One past the last byte.
    pub fn end(self) -> u64 {
        self.offset + self.bytes
    }

    /// The whole pages that cover it.
    pub fn pages(self) -> Self {
        let offset = page_floor(self.offset);
        Self {
            offset,
            bytes: page_ceil(self.end()) - offset,
        }
    }
}

/// Shape and formats of one layer's FFN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerShape {
    /// Experts; 1 in a dense layer.
    pub experts: u32,
    /// Neurons of one expert.
    pub neurons: u32,
    /// Width of the residual stream: weights of a gate row, of an up row and of a transposed down row.
    pub width: u32,
    /// Format of gate rows.
    pub gate: WeightFormat,
    /// Format of up rows.
    pub up: WeightFormat,
    /// Format in which down is stored here.
    pub down: WeightFormat,
    /// Form in which down is stored here.
    pub down_form: DownForm,
    /// Down was requantised while packing: the file is numerically another model than its source.
    pub down_requantised: bool,
    /// Neurons of a group, the granule of reads: a power of two; a multiple of 32 where down is in tiles.
    pub group: u32,
}

/// A layer's shape with its place in the file. Only [`LayerLayout::new`] makes one, so its arithmetic cannot overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerLayout {
    shape: LayerShape,
    arrangement: Arrangement,
    offset: u64,
    gate_row: u64,
    up_row: u64,
    down_row: u64,
    gate_part: u64,
    up_down_part: u64,
    expert: u64,
}

/// No layer of a file is larger (1 EiB), so sums of a few such numbers stay inside 64 bits.
const LARGEST: u128 = 1 << 60;

impl LayerLayout {
    /// Lays a layer out from `offset`, or says which field of the shape is wrong and what would be right.
    pub fn new(shape: LayerShape, arrangement: Arrangement, offset: u64) -> Result<Self, String> {
        let LayerShape {
            experts,
            neurons,
            width,
            group,
            ..
        } = shape;
        if experts == 0 || neurons == 0 || width == 0 {
            return Err(format!(
                "empty layer: {experts} experts of {neurons} neurons of width {width}; each is at least 1"
            ));
        }
        if !group.is_power_of_two() || group > 1 << 20 {
            return Err(format!("group of {group} neurons; a power of two of at most {}", 1 << 20));
        }
        let row = |format: WeightFormat, what: &str| {
            format
                .row_bytes(width)
                .ok_or_else(|| format!("width {width} of {what} in {}; a multiple of 32", format.name()))
        };
        let gate_row = row(shape.gate, "gate")?;
        let up_row = row(shape.up, "up")?;
        // A row of down, or a whole tile of 32 neurons: `width` blocks.
        let down_row = match shape.down_form {
            DownForm::Rows => row(shape.down, "down")?,
            DownForm::Tiles => {
                if !group.is_multiple_of(TILE) || !neurons.is_multiple_of(TILE) {
                    return Err(format!(
                        "down in tiles with groups of {group} of {neurons} neurons; multiples of {TILE}"
                    ));
                }
                if shape.down.block_weights() != TILE {
                    return Err(format!(
                        "down in tiles of {}; tiles are for formats with blocks of {TILE}",
                        shape.down.name()
                    ));
                }
                u64::from(shape.down.block_bytes()) * u64::from(width)
            }
        };
        let part = |bytes: u128| bytes.div_ceil(u128::from(PAGE)) * u128::from(PAGE);
        let down_of = |count: u32| match shape.down_form {
            DownForm::Rows => u128::from(count) * u128::from(down_row),
            DownForm::Tiles => u128::from(count / TILE) * u128::from(down_row),
        };
        let (gate_part, up_down_part, expert) = match arrangement {
            Arrangement::Bundles => {
                let gate = part(u128::from(group) * u128::from(gate_row));
                let up_down = part(u128::from(group) * u128::from(up_row) + down_of(group));
                (gate, up_down, (gate + up_down) * u128::from(neurons.div_ceil(group)))
            }
            Arrangement::Matrices => {
                let gate = part(u128::from(neurons) * u128::from(gate_row));
                let up = part(u128::from(neurons) * u128::from(up_row));
                (gate, up, gate + up + part(down_of(neurons)))
            }
        };
        let whole = expert * u128::from(experts);
        if u128::from(offset) + whole > LARGEST {
            return Err(format!("layer of {whole} bytes at offset {offset}; at most {LARGEST} bytes"));
        }
        Ok(Self {
            shape,
            arrangement,
            offset,
            gate_row,
            up_row,
            down_row,
            gate_part: gate_part as u64,
            up_down_part: up_down_part as u64,
            expert: expert as u64,
        })
    }

    /// Shape and formats.
    pub fn shape(&self) -> &LayerShape {
        &self.shape
    }

    /// How its bytes are laid out.
    pub fn arrangement(&self) -> Arrangement {
        self.arrangement
    }

    /// First byte of the layer.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes of the layer, padding included.
    pub fn bytes(&self) -> u64 {
        self.expert * u64::from(self.shape.experts)
    }

    /// Bytes of one expert, padding included.
    pub fn expert_bytes(&self) -> u64 {
        self.expert
    }

    /// Groups of an expert; the last may hold fewer neurons.
    pub fn groups(&self) -> u32 {
        self.shape.neurons.div_ceil(self.shape.group)
    }

    /// Neurons of one group.
    pub fn neurons_of(&self, group: u32) -> u32 {
        self.shape.group.min(self.shape.neurons - group * self.shape.group)
    }

    /// Bytes of a gate row.
    pub fn gate_row_bytes(&self) -> u64 {
        self.gate_row
    }

    /// Bytes of an up row.
    pub fn up_row_bytes(&self) -> u64 {
        self.up_row
    }

    /// Bytes of what down holds together: a transposed row, or a whole tile of 32 neurons.
    pub fn down_unit_bytes(&self) -> u64 {
        self.down_row
    }

    /// Neurons of such a unit: 1 or 32.
    pub fn down_unit_neurons(&self) -> u32 {
        match self.shape.down_form {
            DownForm::Rows => 1,
            DownForm::Tiles => TILE,
        }
    }

    /// Bytes of weights in an expert, without padding.
    pub fn payload_bytes(&self) -> u64 {
        let units = u64::from(self.shape.neurons / self.down_unit_neurons());
        u64::from(self.shape.neurons) * (self.gate_row + self.up_row) + units * self.down_row
    }

    /// Bytes of weights in all experts, without padding.
    pub fn weight_bytes(&self) -> u64 {
        u64::from(self.shape.experts) * self.payload_bytes()
    }

    /// Parts of an expert that carry a checksum each: the gate part and the up-and-down part of every group, or three matrices.
    pub fn parts_of_expert(&self) -> u64 {
        match self.arrangement {
            Arrangement::Bundles => 2 * u64::from(self.groups()),
            Arrangement::Matrices => 3,
        }
    }

    /// Whole pages of part `part` (see [`Self::parts_of_expert`]) of an expert.
    pub fn part_span(&self, expert: u32, part: u64) -> Span {
        let base = self.expert_span(expert).offset;
        match self.arrangement {
            Arrangement::Bundles => {
                let bundle = base + part / 2 * (self.gate_part + self.up_down_part);
                match part % 2 {
                    0 => Span {
                        offset: bundle,
                        bytes: self.gate_part,
                    },
                    _ => Span {
                        offset: bundle + self.gate_part,
                        bytes: self.up_down_part,
                    },
                }
            }
            Arrangement::Matrices => match part {
                0 => Span {
                    offset: base,
                    bytes: self.gate_part,
                },
                1 => Span {
                    offset: base + self.gate_part,
                    bytes: self.up_down_part,
                },
                _ => {
                    let before = self.gate_part + self.up_down_part;
                    Span {
                        offset: base + before,
                        bytes: self.expert - before,
                    }
                }
            },
        }
    }

    /// Pages of a whole expert.
    pub fn expert_span(&self, expert: u32) -> Span {
        Span {
            offset: self.offset + u64::from(expert) * self.expert,
            bytes: self.expert,
        }
    }

    /// Gate row of the neuron at `position` (its place in the packed order).
    pub fn gate_row(&self, expert: u32, position: u32) -> Span {
        let (base, index) = self.place(expert, position, 0);
        Span {
            offset: base + index * self.gate_row,
            bytes: self.gate_row,
        }
    }

    /// Up row of the neuron at `position`.
    pub fn up_row(&self, expert: u32, position: u32) -> Span {
        let (base, index) = self.place(expert, position, 1);
        Span {
            offset: base + index * self.up_row,
            bytes: self.up_row,
        }
    }

    /// Transposed down row of the neuron at `position`, or the tile that holds it.
    pub fn down_unit(&self, expert: u32, position: u32) -> Span {
        let unit = u64::from(self.down_unit_neurons());
        let (base, index) = match self.arrangement {
            Arrangement::Bundles => {
                let (base, index) = self.place(expert, position, 1);
                (base + u64::from(self.shape.group) * self.up_row, index)
            }
            Arrangement::Matrices => self.place(expert, position, 2),
        };
        Span {
            offset: base + index / unit * self.down_row,
            bytes: self.down_row,
        }
    }

    /// Start of the rows of part `part` in the position's group (or matrix), and the neuron's index there.
    fn place(&self, expert: u32, position: u32, part: u64) -> (u64, u64) {
        match self.arrangement {
            Arrangement::Bundles => {
                let group = u64::from(position / self.shape.group);
                (
                    self.part_span(expert, 2 * group + part).offset,
                    u64::from(position % self.shape.group),
                )
            }
            Arrangement::Matrices => (self.part_span(expert, part).offset, u64::from(position)),
        }
    }
}
