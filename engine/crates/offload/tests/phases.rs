//! Memory is divided in one way for prompts and in another for generating, and the results know nothing of it.

mod common;

use std::sync::Arc;

use cache::PolicyKind;
use common::*;
use flash::{BackendChoice, FlashFile};
use model::{FeedForward, Route};
use neuron::{Gating, Kernels};
use offload::{Division, Offload, OffloadOptions};
use pool::{Options, Pool};

const ALL: Choice<'static> = &|_, _, _, slots| slots;

/// A third of the gates and a tenth of the rest for a prompt; all gates and half of the rest for generating.
fn divided(file: &FlashFile) -> OffloadOptions {
    let (small, large) = (options(0.34, 0.1, file), options(1.0, 0.5, file));
    OffloadOptions {
        prefill: Division {
            reads: 1 << 23,
            ..small.decode
        },
        decode: Division {
            reads: 1 << 16,
            ..large.decode
        },
        ..large
    }
}

/// The first layer of all tokens together.
fn prompt(offload: &mut Offload, work: &Work) -> Vec<u32> {
    let of_layer: Vec<usize> = (0..work.inputs.len()).step_by(LAYERS as usize).collect();
    let input: Vec<f32> = of_layer.iter().flat_map(|step| work.inputs[*step].clone()).collect();
    let routes: Vec<Route> = of_layer.iter().flat_map(|step| work.routes[*step].clone()).collect();
    let mut out = vec![f32::NAN; input.len()];
    let mut pool = Pool::new(&Options::new(2)).unwrap();
    offload.prefill(&mut pool, 0, &routes, 2, &input, &mut out).unwrap();
    out.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn segments_grow_when_generating_begins_and_shrink_for_the_next_prompt() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(6);
    let wanted = reference(&file, &work, Gating::Relu, ALL);
    let width = WIDTH as usize;
    let of_prompt: Vec<u32> = wanted.chunks(width).step_by(LAYERS as usize).flatten().copied().collect();
    for policy in PolicyKind::ALL.into_iter().filter(|policy| *policy != PolicyKind::Belady) {
        let mut options = divided(&file);
        options.policy = policy;
        let mut offload = offload_with(&file, BackendChoice::Lanes(2), options);
        let small = offload.cache().slots();
        let mut sizes = Vec::new();
        for _ in 0..2 {
            assert!(prompt(&mut offload, &work) == of_prompt, "{}", policy.name());
            sizes.push(offload.cache().slots());
            assert!(offload.cache().accounted_bytes() <= offload.cache().budget_bytes());
            let (bits, _) = decode_all(&mut offload, 2, &work).unwrap();
            assert!(bits == wanted, "{}", policy.name());
            sizes.push(offload.cache().slots());
        }
        let large = &sizes[1];
        assert!(large[0] > 2 * small[0] && large[1] > 4 * small[1], "{small:?} {large:?}");
        assert_eq!(
            sizes,
            [small.clone(), large.clone(), small, large.clone()],
            "{}",
            policy.name()
        );
    }
}

#[test]
fn what_a_prompt_left_is_there_when_generating_begins_and_buffers_are_not() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(6);
    let options = divided(&file);
    let kept = options.decode.reads as u64;
    let flash_reader = Arc::new(
        flash::Reader::open(
            &file,
            flash::ReaderOptions {
                most_buffer_bytes: options.prefill.reads,
                ..flash::ReaderOptions::default()
            },
        )
        .unwrap(),
    );
    let reader: Arc<dyn flash::FlashReader> = flash_reader.clone();
    let mut offload = Offload::new(reader, Kernels::best(), Gating::Relu, 2, options).unwrap();
    prompt(&mut offload, &work);
    assert!(flash_reader.pool().free_bytes() > kept, "kept for the next block");
    let held = |offload: &Offload| -> Vec<u32> {
        let segment = &offload.cache().segments()[0];
        (0..segment.ids()).filter(|id| segment.is_resident(*id)).collect()
    };
    let before = held(&offload);
    offload.prepare_to_decode().unwrap();
    assert!(flash_reader.pool().free_bytes() <= kept);
    assert!(!before.is_empty());
    assert_eq!(held(&offload), before, "growing drops nothing");
    let resident = offload.cache().resident_bytes();
    // It was taken before; asking again takes nothing, and says whether this system can.
    let is_taken = offload.cache().populate();
    let of_slots = |segment: &cache::Segment| segment.counts().slots as usize * segment.slot_bytes();
    let slots: usize = offload.cache().segments().iter().map(of_slots).sum();
    assert!(
        !is_taken || resident >= slots,
        "{resident} of {slots} bytes are there before the first token"
    );
    decode_all(&mut offload, 1, &work).unwrap();
    assert!(
        !is_taken || offload.cache().resident_bytes() == resident,
        "no token takes any"
    );
    let after = held(&offload).len();
    offload.begin_pass(6).unwrap();
    let resident = held(&offload).len();
    assert!(resident > 0 && resident < after, "{resident} of {after}");
    // Nothing is announced to a prompt, and what was announced before it is taken in.
    offload.begin_pass(1).unwrap();
    offload.announce(0, &work.routes[0], 1).unwrap();
    offload.begin_pass(6).unwrap();
    offload.begin_pass(1).unwrap();
    decode_all(&mut offload, 2, &work).unwrap();
}
