//! Mutates packed files and opens them: whatever the bytes say, the answer is a value or an error, never a panic, never a
//! read outside the file, never memory in proportion to a lie. Deterministic: the same seed tries the same inputs.
//!
//! `cargo run --release -p neuronlab-flash --example fuzz -- --seconds 60 [--seed 1]`
//!
//! With `--write-seeds FOLDER` it only writes the files that it begins with, as inputs of the target `flash` in engine/fuzz.

use std::fs::File;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flash::{
    Arrangement, DownChoice, FlashError, FlashFile, FlashReader, GroupChoice, NeuronOrder, PAGE, PackOptions, Reader,
    ReaderOptions, Request, Section, Span, Target, pack, xxh64,
};
use gguf::{TensorType, Writer};

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}

/// A small packed file with experts, an order and every table in use, as bytes with its sections.
fn seed_file(
    folder: &Path,
    arrangement: Arrangement,
    down: DownChoice,
) -> Result<(Vec<u8>, Vec<Span>), Box<dyn std::error::Error>> {
    const NEURONS: u32 = 64;
    let source = folder.join("seed.gguf");
    let mut writer = Writer::new(&source);
    writer.metadata("general.architecture", "smallthinker")?;
    let mut names = Vec::new();
    for layer in 0..2 {
        names.push((format!("blk.{layer}.attn_norm.weight"), vec![32], TensorType::F32));
        names.push((
            format!("blk.{layer}.ffn_gate_exps.weight"),
            vec![32, u64::from(NEURONS), 2],
            TensorType::Q4_0,
        ));
        names.push((
            format!("blk.{layer}.ffn_up_exps.weight"),
            vec![32, u64::from(NEURONS), 2],
            TensorType::Q8_0,
        ));
        names.push((
            format!("blk.{layer}.ffn_down_exps.weight"),
            vec![u64::from(NEURONS), 32, 2],
            TensorType::Q4_0,
        ));
    }
    for (name, shape, kind) in &names {
        writer.tensor(name, shape, *kind)?;
    }
    let mut data = writer.start()?;
    while let Some(tensor) = data.current() {
        let (name, bytes) = (tensor.name.clone(), vec![0x21; tensor.bytes as usize]);
        data.write(&name, &bytes)?;
    }
    data.finish()?;
    let order: Vec<u32> = (NEURONS / 2..NEURONS).chain(0..NEURONS / 2).collect();
    let order = NeuronOrder {
        layers: vec![None, Some(vec![order.clone(), order])],
    };
    let out = folder.join("seed.packed");
    let options = PackOptions {
        arrangement,
        down,
        group: GroupChoice::Fixed(32),
        order,
        threads: 1,
    };
    pack(&source, &out, &options, &mut |_| ControlFlow::Continue(()))?;
    let file = FlashFile::open(&out)?;
    Ok((
        std::fs::read(&out)?,
        Section::ALL.iter().map(|section| file.section(*section)).collect(),
    ))
}

/// Changes a few bytes or numbers, mostly where tables are; sometimes cuts or extends the file.
fn mutate(random: &mut Random, bytes: &mut Vec<u8>, tables_end: u64) {
    const NUMBERS: [u64; 12] = [
        0,
        1,
        2,
        31,
        32,
        4095,
        4096,
        0x7fff_ffff,
        0xffff_ffff,
        1 << 40,
        i64::MAX as u64,
        u64::MAX,
    ];
    for _ in 0..=random.below(4) {
        let place = match random.below(4) {
            0 => random.below(232),
            1 => random.below(bytes.len() as u64),
            _ => PAGE + random.below(tables_end - PAGE),
        };
        let at = place as usize;
        match random.below(5) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 | 3 => {
                let at = at / 4 * 4;
                let number = NUMBERS[random.below(NUMBERS.len() as u64) as usize]
                    .wrapping_add(random.below(3))
                    .wrapping_sub(1);
                let raw = number.to_le_bytes();
                let width = if random.below(2) == 0 { 4 } else { 8 };
                let end = (at + width).min(bytes.len());
                bytes[at..end].copy_from_slice(&raw[..end - at]);
            }
            _ => {
                let from = random.below(bytes.len() as u64) as usize;
                let count = (1 + random.below(64) as usize).min(bytes.len() - from).min(bytes.len() - at);
                bytes.copy_within(from..from + count, at);
            }
        }
    }
    match random.below(12) {
        0 => bytes.truncate(random.below(bytes.len() as u64) as usize),
        1 => bytes.extend(vec![0; random.below(3 * PAGE) as usize]),
        _ => {}
    }
}

/// Makes the checksums fit, so that the lie gets past them. The header's own length is made to fit too, at times.
fn reseal(random: &mut Random, bytes: &mut [u8], sections: &[Span]) {
    if bytes.len() < PAGE as usize {
        return;
    }
    if random.below(4) == 0 {
        let length = bytes.len() as u64;
        bytes[32..40].copy_from_slice(&length.to_le_bytes());
    }
    for (index, span) in sections
        .iter()
        .enumerate()
        .filter(|(index, _)| Section::ALL[*index].is_table())
    {
        if let Some(table) = bytes.get(span.offset as usize..span.end() as usize) {
            let sum = xxh64(table);
            bytes[56 + 24 * index..64 + 24 * index].copy_from_slice(&sum.to_le_bytes());
        }
    }
    let sum = xxh64(&bytes[..4088]);
    bytes[4088..4096].copy_from_slice(&sum.to_le_bytes());
}

/// Opens, and where that succeeds walks everything the file says of itself.
fn walk(path: &Path, read: bool) -> Result<(), FlashError> {
    let file = Arc::new(FlashFile::open(path)?);
    // A header that is no GGUF is an error of its own; it must only not panic.
    drop(file.gguf());
    for (index, layout) in file.layers().iter().enumerate() {
        let layer = index as u32;
        for expert in 0..layout.shape().experts.min(4) {
            for position in (0..layout.shape().neurons).step_by(17) {
                for span in [
                    layout.gate_row(expert, position),
                    layout.up_row(expert, position),
                    layout.down_unit(expert, position),
                ] {
                    assert!(
                        span.offset >= layout.offset() && span.end() <= file.bytes(),
                        "a row lies inside the file"
                    );
                }
                assert!(file.order().neuron(layer, expert, position) < layout.shape().neurons);
            }
        }
    }
    drop(file.verify(&mut |_| ControlFlow::Continue(())));
    if read {
        let reader = Reader::open(
            &file,
            ReaderOptions {
                verify: true,
                ..ReaderOptions::default()
            },
        )?;
        let layers = (0..file.layers().len() as u32).map(|layer| Target::Layer { layer });
        let tensors = (0..file.dense().len() as u32).map(|index| Target::Tensor { index });
        let requests: Vec<Request> = layers.chain(tensors).map(|target| Request { tag: 0, target }).collect();
        reader.submit(&requests)?;
        let completions = std::iter::from_fn(|| reader.wait()).count();
        assert_eq!(completions, requests.len(), "each request completes once");
    }
    Ok(())
}

/// The target takes a byte before the file: whether checksums are made to fit.
fn write_seeds(folder: &Path, seeds: &[(Vec<u8>, Vec<Span>)]) -> Result<(), Box<dyn std::error::Error>> {
    std::fs::create_dir_all(folder)?;
    for (index, (bytes, _)) in seeds.iter().enumerate() {
        for sealed in [0, 1] {
            std::fs::write(
                folder.join(format!("seed-{index}-{sealed}")),
                [&[sealed], &bytes[..]].concat(),
            )?;
        }
    }
    Ok(())
}

fn text_option(name: &str) -> Option<String> {
    std::env::args().skip_while(|argument| argument != name).nth(1)
}

fn option(name: &str, default: u64) -> u64 {
    text_option(name).map_or(default, |value| {
        value.parse().unwrap_or_else(|_| panic!("{name} {value}: not a whole number"))
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (seconds, seed) = (option("--seconds", 10), option("--seed", 1));
    let folder = std::env::temp_dir().join(format!("neuronlab-flash-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let seeds = [
        seed_file(&folder, Arrangement::Bundles, DownChoice::Exact)?,
        seed_file(&folder, Arrangement::Bundles, DownChoice::TransposedQ8)?,
        seed_file(&folder, Arrangement::Matrices, DownChoice::Exact)?,
    ];
    if let Some(seeds_folder) = text_option("--write-seeds") {
        let written = write_seeds(Path::new(&seeds_folder), &seeds);
        std::fs::remove_dir_all(&folder)?;
        return written;
    }
    let path = folder.join("input");
    let file = File::create(&path)?;
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let (mut tried, mut opened) = (0u64, 0u64);
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        let (whole, sections) = &seeds[random.below(3) as usize];
        let mut input = whole.clone();
        mutate(&mut random, &mut input, sections[Section::DenseData as usize].offset);
        if random.below(8) != 0 {
            reseal(&mut random, &mut input, sections);
        }
        file.set_len(input.len() as u64)?;
        file.write_all_at(&input, 0)?;
        // Direct reads are slow, so only some inputs go through a reader.
        let read = random.below(64) == 0;
        if let Err(panic) = std::panic::catch_unwind(|| walk(&path, read).is_ok()).map(|ok| opened += u64::from(ok)) {
            let kept = std::env::temp_dir().join(format!("flash-fuzz-crash-{seed}-{tried}"));
            std::fs::write(&kept, &input)?;
            eprintln!("input {tried} of seed {seed} panicked; kept as {}", kept.display());
            std::panic::resume_unwind(panic);
        }
        tried += 1;
    }
    std::fs::remove_dir_all(&folder)?;
    println!(
        "{tried} inputs from seed {seed} in {seconds} s: {opened} opened, {} refused, 0 panics",
        tried - opened
    );
    Ok(())
}
