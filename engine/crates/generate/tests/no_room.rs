//! FFNs that are wanted in memory whole, under a limit that has no room for them. The only test of this file: what the process holds when a
//! run begins is part of what the run needs, and other tests would change it.

use std::ops::ControlFlow;

use flash::PackOptions;
use generate::{GenerateError, Options, run};
use model::Activation;

mod common;
use common::{Folder, LARGE, report, tokens};

#[test]
fn what_has_no_room_whole_runs_from_flash_as_if_no_sizes_were_given() {
    let folder = Folder::new();
    let source = folder.planted(Activation::Relu, LARGE);
    let packed = folder.packed(&source, &PackOptions::default());
    let limit = |memory, segments| Options {
        memory: Some(memory),
        segments,
        tokens: 4,
        threads: 2,
        stop_at_end: false,
        ..Options::new(&packed, "one two three")
    };
    let Err(GenerateError::DoesNotFit { needed, .. }) = run(&limit(1, None), &mut |_| ControlFlow::Continue(())) else {
        panic!("one byte is not enough");
    };
    let least = needed + (4 << 20);
    let (wanted, free) = (report(&limit(least, Some((u64::MAX, 0)))), report(&limit(least, None)));
    assert_eq!((wanted.ffn, free.ffn), ("from flash", "from flash"), "{:?}", wanted.budget);
    assert_eq!(tokens(&wanted), tokens(&free));
    let roomy = report(&limit(needed + (256 << 20), Some((u64::MAX, 0))));
    assert_eq!((roomy.ffn, tokens(&roomy)), ("sparse in memory", tokens(&free)));
    assert!(roomy.peak_resident.unwrap() <= needed + (256 << 20));
}
