//! The curve decides as the simulator's does: `vectors/flash-curve.tsv` was made by `sim/hardware/flash.ts` from
//! `devices/oneplus-12.json` (its points first, then times over a grid of block, range, core and submitters).

use flash::{FlashCurve, RandomPoint, SequentialPoint};

#[test]
fn every_time_of_the_simulator_is_met() {
    let mut curve = FlashCurve {
        sequential: Vec::new(),
        random: Vec::new(),
        queues: 0,
        contention_floor: 0.0,
        contention_submitters: 0,
        latency_ns: 0.0,
        second_phase_ratio: 0.0,
    };
    let mut compared = 0;
    let mut same = |got: f64, want: f64, line: &str| {
        // Logarithms and powers differ between the two languages' libraries by a few of the last bits.
        assert!((got - want).abs() <= 1e-9 * want, "{line}: {got}");
        compared += 1;
    };
    for line in include_str!("vectors/flash-curve.tsv").lines() {
        let (word, rest) = line.split_once('\t').expect("a word and numbers");
        let numbers: Vec<f64> = rest.split('\t').map(|number| number.parse().expect(line)).collect();
        match (word, numbers.as_slice()) {
            ("sequential", &[block, rate]) => curve.sequential.push(SequentialPoint {
                block: block as u64,
                rate,
            }),
            ("random", &[block, range, rate]) => {
                curve.random.push(RandomPoint {
                    block: block as u64,
                    range: range as u64,
                    rate,
                });
            }
            ("device", &[queues, floor, submitters, latency, second]) => {
                (curve.queues, curve.contention_floor) = (queues as u32, floor);
                (curve.contention_submitters, curve.latency_ns) = (submitters as u32, latency);
                curve.second_phase_ratio = second;
                curve.check().expect("the phone's own curve can be read off");
            }
            ("stream", &[block, rate]) => same(curve.sequential_rate(block as u64), rate, line),
            ("read", &[block, range, core, submitters, ns]) => {
                same(
                    curve.random_read_ns(block as u64, range as u64, core, submitters as u32),
                    ns,
                    line,
                );
            }
            _ => panic!("not a line of this file: {line}"),
        }
    }
    assert_eq!(compared, 9 + 9 * 7 * 3 * 4);
}
