//! Decisions of adapting: what `sim/policies/adaptation` made of some windows, to the last bit.

#[path = "../../cache/tests/support/json.rs"]
#[allow(dead_code, reason = "eviction's vectors use more of it")]
mod json;

use json::Json;
use offload::{AdaptSetting, Adapting, GateReads, Rates, Window, Work};

fn number(of: &Json, name: &str) -> f64 {
    of.get(name).number()
}

fn way(of: &Json) -> GateReads {
    let known = |gates: &GateReads| gates.name() == of.text();
    GateReads::ALL
        .into_iter()
        .find(known)
        .unwrap_or_else(|| panic!("no way: {of:?}"))
}

fn rates(of: &Json) -> Rates {
    Rates {
        command_ns: number(of, "commandNs"),
        byte_ns: number(of, "byteNs"),
    }
}

fn work(of: &Json) -> Work {
    Work {
        reads: number(of, "reads"),
        bytes: number(of, "bytes"),
        cpu_ns: number(of, "cpuNs"),
    }
}

fn setting(of: &Json) -> AdaptSetting {
    AdaptSetting {
        every: of.get("every").integer() as u32,
        rates: rates(of.get("rates")),
        choices: of.get("choices").list().iter().map(way).collect(),
        gates: GateReads::ALL.map(|gates| work(of.get("gates").get(gates.name()))),
        unit: work(of.get("unit")),
    }
}

fn window(of: &Json) -> Window {
    Window {
        tokens: number(of, "tokens"),
        wall_ns: number(of, "wallNs"),
        waited_ns: number(of, "waitedNs"),
        reading_ns: number(of, "readingNs"),
        reads: number(of, "reads"),
        bytes: number(of, "bytes"),
        look_ups: number(of, "lookUps"),
        clusters: number(of, "clusters"),
        units: number(of, "units"),
        beside: number(of, "beside"),
    }
}

#[test]
fn windows_are_decided_as_the_simulator_decides_them() {
    let vectors = Json::lines(include_str!("../../../../test/vectors/adaptation.jsonl"));
    assert!(vectors.len() > 10);
    let mut decisions = 0;
    for vector in &vectors {
        let told = vector.get("situation").text();
        let mut adapting = Adapting::new(setting(vector.get("setting")), way(vector.get("gates")));
        for step in vector.get("steps").list() {
            let token = step.get("token").integer() as u64;
            let told = format!("{told}, after {token} tokens");
            let found = adapting.adapt(&window(step.get("window")), token);
            assert_eq!(adapting.gates(), way(step.get("gates")), "{told}");
            let wanted = step.get("decision");
            let Some(found) = found else {
                assert_eq!(*wanted, Json::Null, "{told}");
                continue;
            };
            decisions += 1;
            assert_ne!(*wanted, Json::Null, "{told}: {found:?}");
            assert_eq!(
                (found.token, found.verdict.name(), found.cause.name()),
                (token, wanted.get("verdict").text(), wanted.get("cause").text()),
                "{told}"
            );
            let seen = wanted.get("measured");
            for (name, value) in [
                ("wallNs", found.measured.wall_ns),
                ("computeNs", found.measured.compute_ns),
                ("readingNs", found.measured.reading_ns),
                ("waitedShare", found.measured.waited_share),
                ("reads", found.measured.reads),
                ("bytes", found.measured.bytes),
                ("readsPerSec", found.measured.reads_per_sec),
                ("bytesPerSec", found.measured.bytes_per_sec),
                ("hitRate", found.measured.hit_rate),
            ] {
                assert_eq!(value, number(seen, name), "{told}: {name}");
            }
            let predicted = wanted.get("predicted");
            assert_eq!(found.predicted_reading_ns, number(predicted, "readingNs"), "{told}");
            let compute = match predicted.get("computeNs") {
                Json::Null => None,
                known => Some(known.number()),
            };
            assert_eq!(found.predicted_compute_ns, compute, "{told}");
            let of = wanted.get("rates");
            assert_eq!(found.rates, [rates(of.get("from")), rates(of.get("to"))], "{told}");
            let of = wanted.get("gates");
            assert_eq!(found.gates, [way(of.get("from")), way(of.get("to"))], "{told}");
            let saves = match wanted.get("saves") {
                Json::Null => None,
                known => Some([number(known, "least"), number(known, "most")]),
            };
            assert_eq!(found.saves, saves, "{told}");
        }
    }
    assert!(decisions > 20, "{decisions}");
}
