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
    let asked = |memory, segments| run(&limit(memory, segments), &mut |_| ControlFlow::Continue(()));
    // What a process holds is counted in steps of 64 MiB, and a run leaves it holding more than it found: the first run goes before the
    // question, and a later one that stands a step higher says what it needs now.
    report(&limit(1 << 30, None));
    let mut needed = 1;
    let (wanted, free) = loop {
        match (asked(needed, Some((u64::MAX, 0))), asked(needed, None)) {
            (Ok(wanted), Ok(free)) => break (wanted, free),
            (Err(GenerateError::DoesNotFit { needed: more, .. }), _)
            | (_, Err(GenerateError::DoesNotFit { needed: more, .. })) => {
                assert!(more + (4 << 20) > needed && more < 512 << 20, "{more} after {needed}");
                needed = more + (4 << 20);
            }
            (Err(other), _) | (_, Err(other)) => panic!("{other}"),
        }
    };
    assert_eq!((wanted.ffn, free.ffn), ("from flash", "from flash"), "{:?}", wanted.budget);
    assert_eq!(tokens(&wanted), tokens(&free));
    let roomy = report(&limit(needed + (256 << 20), Some((u64::MAX, 0))));
    assert_eq!((roomy.ffn, tokens(&roomy)), ("sparse in memory", tokens(&free)));
    assert!(roomy.peak_resident.unwrap() <= needed + (256 << 20));
}
