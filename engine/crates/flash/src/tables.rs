//! The tables of a packed file, to bytes and back. Decoding recomputes what can be computed and trusts nothing: a table that
//! lies about a place, a count or a size is refused with the offset of the lie.

use std::path::Path;

use crate::file::DenseTensor;
use crate::order::{self, NeuronOrder};
use crate::{Arrangement, DownForm, FlashError, LayerLayout, LayerShape, Span, WeightFormat, page_ceil};

/// Bytes of one layer in the layer table.
pub(crate) const LAYER_ENTRY: u64 = 48;
/// Bytes of the checksum of a page.
pub(crate) const PAGE_SUM: u64 = 4;
/// GGUF's limit on dimensions.
const MOST_DIMENSIONS: u32 = 4;

/// Reads numbers from a table; `base` is the table's place in the file, for messages.
struct Cursor<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
    base: u64,
}

impl<'a> Cursor<'a> {
    fn new(path: &'a Path, bytes: &'a [u8], base: u64) -> Self {
        Self {
            path,
            bytes,
            at: 0,
            base,
        }
    }

    fn place(&self) -> u64 {
        self.base + self.at as u64
    }

    fn bad(&self, back: u64, what: String) -> FlashError {
        FlashError::malformed(self.path, self.place() - back, what)
    }

    fn take(&mut self, count: usize, what: &str) -> Result<&'a [u8], FlashError> {
        let left = self.bytes.len() - self.at;
        if count > left {
            return Err(self.bad(0, format!("{what} needs {count} bytes; the table has {left} left")));
        }
        let slice = &self.bytes[self.at..self.at + count];
        self.at += count;
        Ok(slice)
    }

    fn u32(&mut self, what: &str) -> Result<u32, FlashError> {
        Ok(u32::from_le_bytes(self.take(4, what)?.try_into().expect("four bytes")))
    }

    fn u64(&mut self, what: &str) -> Result<u64, FlashError> {
        Ok(u64::from_le_bytes(self.take(8, what)?.try_into().expect("eight bytes")))
    }

    fn end(&self, what: &str) -> Result<(), FlashError> {
        let left = self.bytes.len() - self.at;
        if left == 0 {
            Ok(())
        } else {
            Err(self.bad(0, format!("{left} bytes after the last {what}; none")))
        }
    }
}

pub(crate) fn encode_dense(tensors: &[DenseTensor]) -> Vec<u8> {
    let mut out = Vec::new();
    for tensor in tensors {
        out.extend((tensor.name.len() as u32).to_le_bytes());
        out.extend(tensor.name.as_bytes());
        out.extend(tensor.kind.to_le_bytes());
        out.extend((tensor.shape.len() as u32).to_le_bytes());
        for value in tensor.shape.iter().chain([&tensor.offset, &tensor.bytes]) {
            out.extend(value.to_le_bytes());
        }
    }
    out
}

/// `data` is the section that the tensors fill, one after the other, each from a page on.
pub(crate) fn decode_dense(path: &Path, bytes: &[u8], base: u64, count: u32, data: Span) -> Result<Vec<DenseTensor>, FlashError> {
    let mut cursor = Cursor::new(path, bytes, base);
    let mut tensors = Vec::new();
    let mut next = data.offset;
    for _ in 0..count {
        let length = cursor.u32("length of a name")?;
        let raw = cursor.take(length as usize, "name")?;
        let name = match str::from_utf8(raw) {
            Ok(name) => name.to_string(),
            Err(_) => return Err(cursor.bad(u64::from(length), "tensor name is not UTF-8".to_string())),
        };
        let kind = cursor.u32("type")?;
        let dimensions = cursor.u32("dimensions")?;
        if dimensions > MOST_DIMENSIONS {
            return Err(cursor.bad(4, format!("{dimensions} dimensions of {name}; at most {MOST_DIMENSIONS}")));
        }
        let shape = (0..dimensions).map(|_| cursor.u64("shape")).collect::<Result<Vec<_>, _>>()?;
        let offset = cursor.u64("offset")?;
        if offset != next {
            return Err(cursor.bad(8, format!("{name} at {offset}; it begins at {next}")));
        }
        let size = cursor.u64("size")?;
        let left = data.end() - offset;
        if size > left {
            return Err(cursor.bad(8, format!("{name} of {size} bytes; {left} are left in the section")));
        }
        if let Some(wanted) = bytes_of(kind, &shape)
            && u128::from(size) != wanted
        {
            return Err(cursor.bad(8, format!("{name} of {size} bytes; its shape {shape:?} takes {wanted}")));
        }
        next = page_ceil(offset + size);
        if next > page_ceil(data.end()) {
            return Err(cursor.bad(8, format!("{name} ends at {next}; its section at {}", data.end())));
        }
        tensors.push(DenseTensor {
            name,
            kind,
            shape,
            offset,
            bytes: size,
        });
    }
    cursor.end("tensor")?;
    if next != data.end() {
        return Err(FlashError::malformed(
            path,
            base,
            format!("dense tensors end at {next}, their section at {}", data.end()),
        ));
    }
    Ok(tensors)
}

/// Bytes of a tensor in a format known here; `None` for other types, whose readers check them.
fn bytes_of(kind: u32, shape: &[u64]) -> Option<u128> {
    let format = WeightFormat::from_code(kind)?;
    let elements = shape
        .iter()
        .try_fold(1u128, |product, &side| product.checked_mul(u128::from(side)))?;
    Some(elements.div_ceil(u128::from(format.block_weights())) * u128::from(format.block_bytes()))
}

pub(crate) fn encode_layers(layers: &[LayerLayout]) -> Vec<u8> {
    let mut out = Vec::new();
    for layout in layers {
        let shape = layout.shape();
        let numbers = [
            shape.experts,
            shape.neurons,
            shape.width,
            shape.gate.code(),
            shape.up.code(),
            shape.down.code(),
            u32::from(shape.down_form == DownForm::Tiles),
            u32::from(shape.down_requantised),
            shape.group,
            0,
        ];
        numbers.iter().for_each(|number| out.extend(number.to_le_bytes()));
        out.extend(layout.offset().to_le_bytes());
    }
    out
}

pub(crate) fn decode_layers(
    path: &Path,
    bytes: &[u8],
    base: u64,
    count: u32,
    arrangement: Arrangement,
    data: Span,
) -> Result<Vec<LayerLayout>, FlashError> {
    let mut cursor = Cursor::new(path, bytes, base);
    let mut layers = Vec::new();
    let mut next = data.offset;
    for layer in 0..count {
        let begin = cursor.place();
        let mut number = |what: &str| cursor.u32(what);
        let (experts, neurons, width) = (number("experts")?, number("neurons")?, number("width")?);
        let mut format = |what: &str| {
            let code = number(what)?;
            WeightFormat::from_code(code).ok_or_else(|| {
                FlashError::malformed(
                    path,
                    begin + 12,
                    format!("type {code} of {what}; 0 (f32), 1 (f16), 2 (q4_0) or 8 (q8_0)"),
                )
            })
        };
        let (gate, up, down) = (format("gate")?, format("up")?, format("down")?);
        let mut flag = |what: &str, at: u64| match number(what)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(FlashError::malformed(path, begin + at, format!("{what} {other}; 0 or 1"))),
        };
        let down_form = if flag("form of down", 24)? {
            DownForm::Tiles
        } else {
            DownForm::Rows
        };
        let down_requantised = flag("requantised", 28)?;
        let (group, _reserved) = (number("group")?, number("reserved")?);
        let offset = cursor.u64("offset")?;
        let shape = LayerShape {
            experts,
            neurons,
            width,
            gate,
            up,
            down,
            down_form,
            down_requantised,
            group,
        };
        let bad = |what: String| FlashError::malformed(path, begin, format!("layer {layer}: {what}"));
        let layout = LayerLayout::new(shape, arrangement, offset).map_err(bad)?;
        if offset != next {
            return Err(bad(format!("offset {offset}; it begins at {next}")));
        }
        if layout.bytes() > data.end() - offset {
            return Err(bad(format!(
                "{} bytes; {} are left in the section",
                layout.bytes(),
                data.end() - offset
            )));
        }
        next = offset + layout.bytes();
        layers.push(layout);
    }
    cursor.end("layer")?;
    if next != data.end() {
        return Err(FlashError::malformed(
            path,
            base,
            format!("layers end at {next}, their section at {}", data.end()),
        ));
    }
    Ok(layers)
}

/// One number a layer, 0 for the source's order or 1, then `experts x neurons` numbers.
pub(crate) fn encode_order(order: &NeuronOrder, layers: &[LayerLayout]) -> Vec<u8> {
    let mut out = Vec::new();
    for index in 0..layers.len() {
        match order.layers.get(index) {
            Some(Some(experts)) => {
                out.extend(1u32.to_le_bytes());
                experts.iter().flatten().for_each(|neuron| out.extend(neuron.to_le_bytes()));
            }
            _ => out.extend(0u32.to_le_bytes()),
        }
    }
    out
}

pub(crate) fn decode_order(path: &Path, bytes: &[u8], base: u64, layers: &[LayerLayout]) -> Result<NeuronOrder, FlashError> {
    let mut cursor = Cursor::new(path, bytes, base);
    let mut order = NeuronOrder {
        layers: Vec::with_capacity(layers.len()),
    };
    for (index, layout) in layers.iter().enumerate() {
        match cursor.u32("order flag")? {
            0 => order.layers.push(None),
            1 => {
                let shape = layout.shape();
                let mut experts = Vec::new();
                for expert in 0..shape.experts {
                    let raw = cursor.take(shape.neurons as usize * 4, "order")?;
                    let numbers: Vec<u32> = raw
                        .as_chunks::<4>()
                        .0
                        .iter()
                        .map(|number| u32::from_le_bytes(*number))
                        .collect();
                    if let Some(fault) = order::fault_of(&numbers, shape.neurons, shape.down_form == DownForm::Tiles) {
                        return Err(cursor.bad(raw.len() as u64, format!("layer {index} expert {expert}: {fault}")));
                    }
                    experts.push(numbers);
                }
                order.layers.push(Some(experts));
            }
            other => return Err(cursor.bad(4, format!("order flag {other} of layer {index}; 0 or 1"))),
        }
    }
    cursor.end("order")?;
    Ok(order)
}

pub(crate) fn encode_page_sums(sums: &[u32]) -> Vec<u8> {
    sums.iter().flat_map(|sum| sum.to_le_bytes()).collect()
}

/// `pages` is how many the data has.
pub(crate) fn decode_page_sums(path: &Path, bytes: &[u8], base: u64, pages: u64) -> Result<Vec<u32>, FlashError> {
    if bytes.len() as u64 != pages * PAGE_SUM {
        return Err(FlashError::malformed(
            path,
            base,
            format!("{} bytes of checksums; {PAGE_SUM} for each of {pages} pages", bytes.len()),
        ));
    }
    let (sums, _) = bytes.as_chunks::<4>();
    Ok(sums.iter().map(|sum| u32::from_le_bytes(*sum)).collect())
}
