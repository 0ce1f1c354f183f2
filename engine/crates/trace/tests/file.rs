//! The file: what is written is read, as committed bytes say, and what is damaged is refused.

use std::path::PathBuf;

use model::Route;
use synth::FiringSink;
use text::Random;
use trace::{Fired, TraceError, TraceShape, TraceWriter, read};

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("neuronlab-trace-{}-{name}.trace", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It may never have been made.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn shape(neurons: u32) -> TraceShape {
    TraceShape {
        name: "a näme".to_owned(),
        layers: 3,
        experts: 5,
        experts_used: 2,
        neurons,
        neurons_recorded: true,
    }
}

/// Tokens by layers, drawn: sets from empty to full.
fn drawn(shape: &TraceShape, tokens: u64, seed: u64) -> Vec<Fired> {
    let mut random = Random::new(seed);
    let mut below = |bound: u32| (random.unit() * f64::from(bound)) as u32;
    let mut all = Vec::new();
    for place in 0..tokens {
        for layer in 0..shape.layers as usize {
            let first = below(shape.experts - 1);
            let second = first + 1 + below(shape.experts - first - 1);
            let mut set = || {
                let rate = [0, 2, 10, 50, 100][below(5) as usize];
                (0..shape.neurons).filter(|_| below(100) < rate).collect::<Vec<u32>>()
            };
            all.push(Fired {
                place,
                id: 1000 + place as u32,
                layer,
                experts: vec![(first, set()), (second, set())],
            });
        }
    }
    all
}

fn write(path: &PathBuf, shape: &TraceShape, all: &[Fired], together: u64, prompt: u32) -> u64 {
    let mut writer = TraceWriter::create(path, shape.clone()).unwrap();
    let tokens = all.last().map_or(0, |last| last.place + 1);
    let mut from = 0;
    while from < tokens {
        let chunk = from..(from + together).min(tokens);
        // A batch goes through a layer whole before the next.
        for layer in 0..shape.layers as usize {
            for fired in all
                .iter()
                .filter(|fired| chunk.contains(&fired.place) && fired.layer == layer)
            {
                let routes: Vec<Route> = fired
                    .experts
                    .iter()
                    .map(|&(expert, _)| Route { expert, weight: 0.5 })
                    .collect();
                let sets: Vec<&[u32]> = fired.experts.iter().map(|(_, set)| set.as_slice()).collect();
                writer.token(layer, &routes, &sets);
            }
        }
        let ids: Vec<u32> = chunk.clone().map(|place| 1000 + place as u32).collect();
        writer.end_chunk(&ids).unwrap();
        from = chunk.end;
    }
    writer.finish(prompt).unwrap()
}

fn all_of(path: &PathBuf) -> Result<Vec<Fired>, TraceError> {
    let mut all = Vec::new();
    read(path, &mut |_, fired| all.push(fired))?;
    all.sort_by_key(|fired| (fired.place, fired.layer));
    Ok(all)
}

#[test]
fn what_is_written_is_read_for_any_chunks_and_any_sets() {
    for (neurons, together) in [(1, 1), (7, 3), (8, 64), (200, 5), (1000, 2)] {
        let (file, shape) = (Scratch::new(&format!("round-{neurons}")), shape(neurons));
        let wanted = drawn(&shape, 23, u64::from(neurons));
        let bytes = write(&file.0, &shape, &wanted, together, 9);
        assert_eq!(bytes, std::fs::metadata(&file.0).unwrap().len());
        assert!(all_of(&file.0).unwrap() == wanted, "{neurons} neurons");
        let summary = read(&file.0, &mut |_, _| ()).unwrap();
        assert_eq!((summary.shape, summary.tokens, summary.prompt), (shape, 23, 9));
    }
}

#[test]
fn routes_alone_are_a_trace_of_a_model_whose_neurons_are_all_active() {
    let file = Scratch::new("routes");
    let shape = TraceShape {
        neurons_recorded: false,
        ..shape(64)
    };
    let mut wanted = drawn(&shape, 10, 3);
    wanted
        .iter_mut()
        .flat_map(|fired| &mut fired.experts)
        .for_each(|(_, set)| set.clear());
    write(&file.0, &shape, &wanted, 4, 10);
    assert!(all_of(&file.0).unwrap() == wanted);
    // Two bytes of experts a token and layer, and what frames them.
    assert!(std::fs::metadata(&file.0).unwrap().len() < 2 * 30 + 4 * 10 + 3 * 12 + 100);
}

#[test]
fn sets_take_a_bit_a_neuron_at_most_and_sparse_ones_a_byte_an_active_neuron() {
    let shape = TraceShape {
        experts: 1,
        experts_used: 1,
        layers: 1,
        ..shape(8000)
    };
    let size = |rate: usize| {
        let file = Scratch::new(&format!("size-{rate}"));
        let set: Vec<u32> = (0..8000).step_by(rate).collect();
        let one = Fired {
            place: 0,
            id: 1000,
            layer: 0,
            experts: vec![(0, set)],
        };
        write(&file.0, &shape, &[one], 1, 0)
    };
    let frame = size(8000);
    assert!(size(2) <= frame + 1000 + 2);
    assert!(size(100) <= frame + 80 + 2);
}

#[test]
fn the_bytes_are_the_committed_ones() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../test/vectors/activation-trace.bin");
    let (file, shape) = (Scratch::new("vector"), shape(40));
    write(&file.0, &shape, &drawn(&shape, 12, 1), 5, 7);
    let bytes = std::fs::read(&file.0).unwrap();
    if std::env::var_os("UPDATE_VECTORS").is_some_and(|value| value == "1") {
        std::fs::write(&path, &bytes).unwrap();
        let line = |fired: &Fired| {
            let experts: Vec<String> = fired
                .experts
                .iter()
                .map(|(expert, set)| format!("[{expert},{set:?}]"))
                .collect();
            format!(
                "{{\"token\":{},\"id\":{},\"layer\":{},\"experts\":[{}]}}\n",
                fired.place,
                fired.id,
                fired.layer,
                experts.join(",")
            )
        };
        let lines: String = drawn(&shape, 12, 1).iter().map(line).collect();
        std::fs::write(path.with_extension("jsonl"), lines).unwrap();
    }
    assert!(
        bytes == std::fs::read(&path).unwrap(),
        "{} differs from what is written today; UPDATE_VECTORS=1 cargo test -p neuronlab-trace",
        path.display()
    );
}

#[test]
fn a_file_cut_anywhere_or_changed_anywhere_is_refused() {
    let (file, shape) = (Scratch::new("damaged"), shape(33));
    write(&file.0, &shape, &drawn(&shape, 9, 2), 4, 3);
    let whole = std::fs::read(&file.0).unwrap();
    for length in 0..whole.len() {
        std::fs::write(&file.0, &whole[..length]).unwrap();
        assert!(
            matches!(all_of(&file.0), Err(TraceError::Malformed { .. })),
            "cut at {length}"
        );
    }
    for place in 0..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 0x55;
        std::fs::write(&file.0, &changed).unwrap();
        assert!(
            matches!(all_of(&file.0), Err(TraceError::Malformed { .. })),
            "changed at {place}"
        );
    }
    let mut longer = whole;
    longer.push(0);
    std::fs::write(&file.0, &longer).unwrap();
    assert!(all_of(&file.0).is_err());
}

#[test]
fn a_writer_that_is_dropped_or_misused_leaves_nothing() {
    let file = Scratch::new("dropped");
    let mut writer = TraceWriter::create(&file.0, shape(8)).unwrap();
    assert!(
        writer
            .end_chunk(&[1])
            .unwrap_err()
            .to_string()
            .contains("layers were told of [0, 0, 0]")
    );
    let route = [Route { expert: 0, weight: 1.0 }, Route { expert: 3, weight: 1.0 }];
    writer.token(0, &route, &[&[1], &[2]]);
    assert!(writer.finish(0).is_err());
    assert!(!file.0.exists());
    let wrong = TraceShape {
        experts_used: 6,
        ..shape(8)
    };
    assert!(
        TraceWriter::create(&file.0, wrong)
            .unwrap_err()
            .to_string()
            .contains("experts used: 6")
    );
    let absent = std::env::temp_dir().join("neuronlab-trace-no-such-folder/x.trace");
    assert!(matches!(TraceWriter::create(absent, shape(8)), Err(TraceError::Io { .. })));
}
