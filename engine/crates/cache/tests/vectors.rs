//! Decisions shared with the simulator: its vectors are replayed here, and ours (written here, replayed by its tests) are
//! what these policies decide today.

mod slow;
mod support;

use std::fs;
use std::path::PathBuf;

use cache::PolicyKind;
use support::Random;
use support::json::Json;
use support::situation::Situation;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../test/vectors")
}

fn replay_file(path: PathBuf, kind: PolicyKind) -> usize {
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines = Json::lines(&text);
    for line in &lines {
        let (named, situation, decisions) = Situation::read(line);
        assert_eq!(named, kind, "{}", path.display());
        let mut policy = kind.build(&situation.setting()).unwrap();
        assert_eq!(situation.decide(&mut *policy), decisions, "{kind}: {}", situation.name);
    }
    lines.len()
}

#[test]
fn the_simulator_decides_alike() {
    for kind in PolicyKind::ALL {
        let lines = replay_file(folder().join(format!("eviction-{kind}.jsonl")), kind);
        assert!(lines >= 11, "{kind}: {lines} situations");
    }
}

#[test]
fn every_file_of_vectors_is_a_policys() {
    let known: Vec<String> = PolicyKind::ALL
        .iter()
        .flat_map(|kind| [format!("eviction-{kind}.jsonl"), format!("eviction-rust-{kind}.jsonl")])
        .collect();
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            !name.starts_with("eviction-") || known.contains(&name),
            "{name} belongs to no policy"
        );
    }
}

/// The text of eviction-rust-<policy>.jsonl: larger situations than the simulator's own, at random.
fn written(kind: PolicyKind) -> String {
    let mut random = Random::new(20_240_610);
    [
        ("random, tight", 120, 12, 14, 0),
        ("random, half fits", 90, 45, 12, 0),
        ("random, drifting heat", 100, 30, 14, 3),
        ("random, one slot", 20, 1, 8, 1),
        ("random, nearly all fits", 64, 60, 14, 1),
    ]
    .map(|(name, keys, slots, tokens, drift)| {
        let situation = Situation::random(name, &mut random, keys, slots, tokens, drift);
        let decisions = situation.decide(&mut *kind.build(&situation.setting()).unwrap());
        assert_eq!(decisions, slow::decide_slow(kind, &situation), "{kind}: {name}");
        situation.line(kind, &decisions)
    })
    .concat()
}

#[test]
fn our_vectors_are_what_we_decide_today() {
    for kind in PolicyKind::ALL {
        let path = folder().join(format!("eviction-rust-{kind}.jsonl"));
        let text = written(kind);
        if std::env::var_os("UPDATE_VECTORS").is_some_and(|value| value == "1") {
            fs::write(&path, &text).unwrap();
        }
        let stored = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            stored == text,
            "{} differs from today's decisions; UPDATE_VECTORS=1 cargo test -p neuronlab-cache",
            path.display()
        );
        assert_eq!(replay_file(path, kind), 5);
    }
}
