//! How the reader of a packed file is made: its lanes and their core, and the device that it is slowed down to.

use std::sync::Arc;

use flash::{Arrangement, BackendChoice, FlashCurve, FlashError, FlashFile, FlashReader, Reader, ReaderOptions, Shaper};

use crate::{GenerateError, Options};

/// A device whose flash this disk is to behave like.
#[derive(Clone, Debug, PartialEq)]
pub struct FlashShape {
    /// Its curve.
    pub curve: FlashCurve,
    /// Rate of the core that issues reads, relative to the device's best.
    pub core_ratio: f64,
}

/// A reader, and the modelled device in front of it where there is one.
pub(crate) type Opened = (Arc<dyn FlashReader>, Option<Arc<Shaper>>);

/// Opens both. Reads of decoding jump about in one expert's region at a time, so that is the range of addresses at work.
pub(crate) fn open(options: &Options, file: &Arc<FlashFile>, most_buffer_bytes: usize) -> Result<Opened, GenerateError> {
    let (lanes, submitters) = match options.backend {
        BackendChoice::Lanes(lanes) => (lanes, lanes),
        // One queue, however many reads are in it.
        BackendChoice::Uring(_) => (1, 1),
    };
    let shaper = match &options.shape {
        None => None,
        Some(FlashShape { curve, core_ratio }) => {
            let range = file.layers().first().map_or(0, |layout| layout.expert_bytes());
            let shaper = Shaper::new(curve.clone(), range, submitters, *core_ratio);
            Some(Arc::new(shaper.map_err(|error| named("shape-flash", error))?))
        }
    };
    let reading = ReaderOptions {
        backend: options.backend,
        pin: options.io_core.map_or(Vec::new(), |core| vec![core; lanes as usize]),
        most_buffer_bytes,
        largest_gap: gap_worth_reading(file),
        shaper: shaper.clone(),
        ..ReaderOptions::default()
    };
    match Reader::open(file, reading) {
        Ok(reader) => Ok((Arc::new(reader), shaper)),
        Err(error) if options.io_core.is_some() => Err(named("pin-io", error)),
        Err(error) => Err(error.into()),
    }
}

/// Gates lie between bundles of up and down. Reading over a bundle of a page or two costs a disk less than beginning anew behind it
/// (here 11 microseconds a read of 4 KiB, 0.9 a KiB of a large one), and the system far less.
pub(crate) fn gap_worth_reading(file: &FlashFile) -> u64 {
    const WORTH: u64 = 2 * flash::PAGE;
    let between = file
        .layers()
        .first()
        .filter(|layout| layout.arrangement() == Arrangement::Bundles)
        .map_or(0, |layout| layout.part_span(0, 1).bytes);
    if between <= WORTH { between } else { 0 }
}

/// What is wrong with an argument, where it is that.
fn named(name: &'static str, error: FlashError) -> GenerateError {
    match error {
        FlashError::Input { .. } => GenerateError::Input {
            name,
            what: error.to_string(),
        },
        other => other.into(),
    }
}
