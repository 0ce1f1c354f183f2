//! The shaper against the curve it is given: what is read through it takes the modelled time, and never less.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Model, SMALL, Scratch, Shape};
use flash::{
    BackendChoice, DownChoice, FlashCurve, FlashFile, FlashReader, GroupChoice, PackOptions, Part, RandomPoint, Reader,
    ReaderOptions, Request, SequentialPoint, Shaper, Slowdown, Stream, Target,
};

/// `devices/oneplus-12.json`, the points of two ranges.
fn oneplus_12() -> FlashCurve {
    let sequential = [
        (4, 0.45),
        (16, 1.372),
        (32, 2.075),
        (64, 2.791),
        (128, 3.372),
        (256, 3.764),
        (512, 4.0),
    ];
    let random = [
        (4, 128, 1.0761),
        (8, 128, 1.0),
        (16, 128, 1.323),
        (32, 128, 1.75),
        (128, 128, 2.475),
        (512, 128, 3.5),
        (4, 512, 0.84),
        (8, 512, 0.8845),
        (16, 512, 1.218),
        (32, 512, 1.655),
        (128, 512, 2.426),
        (512, 512, 3.475),
    ];
    FlashCurve {
        sequential: sequential
            .map(|(block, rate)| SequentialPoint {
                block: block << 10,
                rate: rate * 1e9,
            })
            .to_vec(),
        random: random
            .map(|(block, range, rate)| RandomPoint {
                block: block << 10,
                range: range * 1_000_000,
                rate: rate * 1e9,
            })
            .to_vec(),
        queues: 1,
        contention_floor: 0.6,
        contention_submitters: 4,
        latency_ns: 60_000.0,
        second_phase_ratio: 0.6213,
    }
}

/// The same curve of a slow device: any disk that runs tests is faster, so times are the model's.
fn slow(factor: f64) -> FlashCurve {
    let mut curve = oneplus_12();
    curve.sequential.iter_mut().for_each(|point| point.rate /= factor);
    curve.random.iter_mut().for_each(|point| point.rate /= factor);
    curve
}

fn close(got: f64, want: f64, share: f64) -> bool {
    (got - want).abs() <= want * share
}

#[test]
fn the_curve_passes_through_its_points_and_between_them_in_log() {
    let curve = oneplus_12();
    curve.check().unwrap();
    assert!(close(curve.sequential_rate(4096), 0.45e9, 1e-9));
    assert!(
        close(curve.sequential_rate(8192), (0.45e9f64 * 1.372e9).sqrt(), 1e-9),
        "half way in log"
    );
    assert!(close(curve.sequential_rate(1 << 24), 4.0e9, 1e-9), "levelled off");
    assert!(
        close(curve.sequential_rate(2048), 0.225e9, 1e-9),
        "half a block costs a block"
    );
    assert!(close(curve.random_rate(4096, 128_000_000), 1.0761e9, 1e-9));
    assert!(
        close(curve.random_rate(4096, 256_000_000), (1.0761e9f64 * 0.84e9).sqrt(), 1e-9),
        "half way between ranges"
    );
    assert!(close(curve.random_rate(4096, 1), 1.0761e9, 1e-9) && close(curve.random_rate(4096, u64::MAX), 0.84e9, 1e-9));
    // Four submitters on one queue get 60 % together (printed: up to 40 % lost).
    assert_eq!(
        [1, 4, 9].map(|submitters| curve.contention_ratio(submitters)),
        [1.0, 0.6, 0.6]
    );
    // A little core at 0.7 of the best: 4 KiB at 0.7 of the rate, large blocks hardly slower.
    let share = |block: u64| curve.random_read_ns(block, 1, 1.0, 1) / curve.random_read_ns(block, 1, 0.7, 1);
    assert!(close(share(4096), 0.7, 1e-9) && share(512 << 10) > 0.98);
}

#[test]
fn a_curve_that_cannot_be_read_off_is_refused() {
    let refuse = |change: &dyn Fn(&mut FlashCurve), words: &str| {
        let mut curve = oneplus_12();
        change(&mut curve);
        let error = Shaper::new(curve, 1, 1, 1.0).err().expect(words).to_string();
        assert!(error.contains(words), "{error}");
    };
    refuse(&|curve| curve.random.clear(), "at least one of each");
    refuse(&|curve| curve.sequential[1].rate = f64::NAN, "rate of the flash curve: NaN");
    refuse(&|curve| curve.sequential.reverse(), "sequential points out of order");
    refuse(&|curve| curve.random.swap(0, 1), "random points out of order");
    refuse(&|curve| curve.random[0].range = 0, "range");
    refuse(&|curve| curve.queues = 0, "0 queues");
    refuse(&|curve| curve.contention_submitters = 1, "contention submitters: 1");
    refuse(&|curve| curve.latency_ns = -1.0, "latency");
    assert!(Shaper::new(oneplus_12(), 1, 1, 1.5).is_err());
    let shaper = Shaper::new(oneplus_12(), 1, 1, 1.0).unwrap();
    assert!(shaper.set_scale(0.0).is_err() && shaper.set_scale(f64::INFINITY).is_err());
}

#[test]
fn the_device_clock_queues_reads_and_keeps_the_latency() {
    let shaper = Shaper::new(oneplus_12(), 128_000_000, 1, 1.0).unwrap();
    let now = Instant::now();
    let one = shaper.read_ns(4096, false, false);
    assert!(close(one, 4096.0 / 1.0761, 1e-9));
    let due: Vec<Duration> = (0..32)
        .map(|index| shaper.begin(index * 1_000_000, 4096, false, now) - now)
        .collect();
    assert_eq!(due[0], Duration::from_micros(60), "a single read takes the latency");
    let last = due[31].as_nanos() as f64;
    assert!(close(last, 32.0 * one, 1e-3), "a full queue takes device time: {last}");
    assert!(due.windows(2).all(|pair| pair[0] <= pair[1]));
    // Reads that go on where one ended are sequential, here with four streams interleaved.
    let before = shaper.report();
    for index in 0..40u64 {
        shaper.begin((1 << 40) * (1 + index % 4) + index / 4 * 65536, 65536, false, now);
    }
    assert_eq!(shaper.report().sequential - before.sequential, 36);
    // A second phase costs its share.
    assert!(close(
        shaper.read_ns(8192, false, true),
        0.6213 * shaper.read_ns(8192, false, false),
        1e-9
    ));
}

#[test]
fn bytes_and_commands_slow_down_by_themselves() {
    let curve = oneplus_12();
    let (command, byte) = curve.command_and_byte_ns(128_000_000);
    assert!(close(byte, 0.25, 1e-9), "the fastest stream is 4 GB/s");
    assert!(
        close(command + 4096.0 * byte, 4096.0 / 1.0761, 1e-9),
        "a page is a command and its bytes"
    );
    let shaper = Shaper::new(curve, 128_000_000, 1, 1.0).unwrap();
    let now = Instant::now();
    let (mut offset, mut before) = (0, 0);
    let mut device_ns = |bytes: u64| {
        offset += 1 << 30;
        shaper.begin(offset, bytes, false, now);
        let after = shaper.report().device_ns;
        (after - std::mem::replace(&mut before, after)) as f64
    };
    for bytes in [4096u64, 524_288] {
        let plain = device_ns(bytes);
        for (slowdown, wanted) in [
            (Slowdown::All(3.0), 3.0 * plain),
            (Slowdown::Bytes(3.0), plain + 2.0 * byte * bytes as f64),
            (Slowdown::Reads(3.0), plain + 2.0 * command),
            (Slowdown::Reads(1.0), plain),
        ] {
            shaper.slow_down(slowdown).unwrap();
            let found = device_ns(bytes);
            assert!((found - wanted).abs() <= 2.0, "{slowdown:?} of {bytes}: {found} for {wanted}");
        }
        shaper.slow_down(Slowdown::All(1.0)).unwrap();
    }
    assert!(shaper.slow_down(Slowdown::Bytes(0.0)).is_err() && shaper.slow_down(Slowdown::Reads(f64::NAN)).is_err());
}

fn packed(scratch: &Scratch) -> (Model, Arc<FlashFile>) {
    let model = Model::write(
        scratch,
        Shape {
            width: 1024,
            neurons: 512,
            ..SMALL
        },
    );
    let options = PackOptions {
        down: DownChoice::TransposedQ8,
        group: GroupChoice::Fixed(2),
        ..PackOptions::default()
    };
    let (file, _) = model.pack(&scratch.file("packed"), &options);
    (model, file)
}

/// Reads every other group's gate through a shaper; returns the model's device time and the time it took.
fn shaped(file: &Arc<FlashFile>, backend: BackendChoice, shaper: &Arc<Shaper>) -> (f64, f64) {
    let options = ReaderOptions {
        backend,
        shaper: Some(Arc::clone(shaper)),
        ..ReaderOptions::default()
    };
    let reader = Reader::open(file, options).unwrap();
    let groups = (0..file.layers()[0].groups()).step_by(2);
    let requests: Vec<Request> = groups
        .map(|group| Request {
            tag: 0,
            target: Target::Cluster {
                layer: 0,
                expert: 0,
                part: Part::Gate,
                groups: group..group + 1,
            },
        })
        .collect();
    let before = shaper.report().device_ns;
    let start = Instant::now();
    reader.submit(&requests).unwrap();
    while let Some(completion) = reader.wait() {
        completion.outcome.unwrap();
    }
    ((shaper.report().device_ns - before) as f64, start.elapsed().as_nanos() as f64)
}

#[test]
fn reads_take_the_modelled_time_through_every_backend_and_never_less() {
    let scratch = Scratch::new();
    let (_, file) = packed(&scratch);
    for backend in [
        BackendChoice::Lanes(4),
        BackendChoice::Lanes(8),
        BackendChoice::Uring(16),
        BackendChoice::Uring(1),
    ] {
        // 100 times slower: 0.4 ms a read, 50 ms together.
        let shaper = Arc::new(Shaper::new(slow(100.0), 128_000_000, 1, 1.0).unwrap());
        // Never less than the model's time; and not much more but when the machine is busy with something else, which it is not always.
        let mut turns = 0;
        let device = loop {
            let (device, took) = shaped(&file, backend, &shaper);
            turns += 1;
            assert!(device > 40e6, "{device}");
            assert!(took >= device * 0.999, "{backend:?}: {took} ns against {device} modelled");
            if took < device * 2.5 {
                break device;
            }
            assert!(turns < 20, "{backend:?}: {took} ns against {device} modelled, {turns} times");
        };
        assert_eq!(shaper.report().reads, 128 * turns);
        // The same, slowed to a third in mid-run.
        shaper.set_scale(3.0).unwrap();
        let (slower, took) = shaped(&file, backend, &shaper);
        assert!(close(slower, 3.0 * device, 1e-3) && took >= slower * 0.999, "{backend:?}");
    }
}

#[test]
fn a_disk_slower_than_the_model_is_counted() {
    let scratch = Scratch::new();
    let (_, file) = packed(&scratch);
    let mut impossible = slow(1e-6);
    impossible.latency_ns = 0.0;
    let shaper = Arc::new(Shaper::new(impossible, 1, 1, 1.0).unwrap());
    shaped(&file, BackendChoice::Lanes(2), &shaper);
    assert_eq!(shaper.report().late_share(), 1.0, "no disk reads a page in 4 picoseconds");
    // 4 ms are enough for a page, unless something else keeps the machine.
    let in_time = || {
        let shaper = Arc::new(Shaper::new(slow(1000.0), 1, 1, 1.0).unwrap());
        shaped(&file, BackendChoice::Lanes(2), &shaper);
        shaper.report().late_share() < 0.1
    };
    assert!((0..10).any(|_| in_time()));
}

#[test]
fn few_lanes_are_limited_by_latency_and_a_stream_is_sequential() {
    let scratch = Scratch::new();
    let (model, file) = packed(&scratch);
    let mut curve = oneplus_12();
    curve.latency_ns = 2e6;
    let shaper = Arc::new(Shaper::new(curve, 128_000_000, 1, 1.0).unwrap());
    let (device, took) = shaped(&file, BackendChoice::Lanes(4), &shaper);
    // 128 reads through 4 lanes are 32 turns of 2 ms; the device itself would need half a millisecond.
    assert!(device < 1e6 && took >= 64e6, "{device} {took}");

    let shaper = Arc::new(Shaper::new(oneplus_12(), 128_000_000, 1, 1.0).unwrap());
    let options = ReaderOptions {
        backend: BackendChoice::Lanes(1),
        shaper: Some(Arc::clone(&shaper)),
        ..ReaderOptions::default()
    };
    let reader = Reader::open(&file, options).unwrap();
    let mut stream = Stream::new(&reader, file.stream_of_expert(1, 0, 64 << 10).unwrap(), 2, 0).unwrap();
    let mut blocks = Vec::new();
    while let Some(block) = stream.next() {
        blocks.push(block.unwrap().1);
    }
    let report = shaper.report();
    assert_eq!(report.sequential, report.reads - 1, "all but the first go on where one ended");
    let row = file.layers()[1].up_row(0, 300);
    assert!(
        blocks
            .iter()
            .any(|data| data.bytes_of(row) == Some(model.row(1, 0, "up", 300))),
        "slower, not different"
    );
}
