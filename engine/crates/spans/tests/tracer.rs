//! What a tracer keeps, and that one that is off keeps nothing.

use std::thread;
use std::time::{Duration, Instant};

use spans::{Activity, Lane, MOST_OF_A_TRACK, Span, Tracer};

fn collected(tracer: &Tracer) -> (Vec<Span>, u64) {
    let mut spans = Vec::new();
    let lost = tracer.collect(&mut spans);
    (spans, lost)
}

#[test]
fn stages_of_threads_work_together_and_reads_are_told_apart() {
    let tracer = Tracer::new(2);
    let begun = tracer.begin();
    thread::sleep(Duration::from_millis(2));
    tracer.together(begun, Activity::Attention, Some(3));
    thread::scope(|scope| {
        for index in 0..2 {
            let tracer = tracer.clone();
            scope.spawn(move || {
                let mut track = tracer.thread(index);
                let begun = track.begin();
                thread::sleep(Duration::from_millis(1));
                track.end(begun, Activity::Gate, 4);
            });
        }
    });
    let now = Instant::now();
    tracer
        .thread(1)
        .read(Activity::ReadUpDown, 4, now, now + Duration::from_micros(90));
    let (spans, lost) = collected(&tracer);
    let seen: Vec<_> = spans.iter().map(|span| (span.lane(), span.what(), span.layer())).collect();
    assert_eq!(
        seen,
        [
            (Lane::Thread(0), Activity::Gate, Some(4)),
            (Lane::Thread(1), Activity::Gate, Some(4)),
            (Lane::Read, Activity::ReadUpDown, Some(4)),
            (Lane::Together, Activity::Attention, Some(3)),
        ]
    );
    assert_eq!(lost, 0);
    assert!(spans[3].took() >= 2_000_000, "{}", spans[3].took());
    assert_eq!(spans[2].took(), 90_000);
    // A gate began after attention ended: all times are of one clock.
    assert!(spans[0].start() >= spans[3].end());
    assert!(collected(&tracer).0.is_empty(), "what was collected is gone");
}

#[test]
fn what_a_thread_does_between_its_stages_is_the_cache_and_only_while_it_holds_the_track() {
    let tracer = Tracer::new(1);
    let stage = |track: &mut spans::Track<'_>, what| {
        let begun = track.begin();
        track.end(begun, what, 0);
    };
    let mut track = tracer.thread(0);
    stage(&mut track, Activity::Gate);
    thread::sleep(Duration::from_millis(1));
    stage(&mut track, Activity::UpDown);
    drop(track);
    thread::sleep(Duration::from_millis(1));
    stage(&mut tracer.thread(0), Activity::Gate);
    let (spans, _) = collected(&tracer);
    let whats: Vec<_> = spans.iter().map(|span| span.what()).collect();
    assert_eq!(whats, [Activity::Gate, Activity::Cache, Activity::UpDown, Activity::Gate]);
    assert!(spans[1].start() == spans[0].end() && spans[1].end() == spans[2].start());
}

#[test]
fn one_that_is_off_records_nothing_and_hands_out_no_track() {
    let tracer = Tracer::off();
    tracer.together(tracer.begin(), Activity::Head, None);
    let mut track = tracer.thread(0);
    let begun = track.begin();
    track.end(begun, Activity::Gate, 0);
    assert!(!tracer.is_on());
    assert_eq!(collected(&tracer), (Vec::new(), 0));
}

#[test]
fn memory_is_bounded_and_what_is_lost_is_counted() {
    let tracer = Tracer::new(1);
    let now = Instant::now();
    let mut track = tracer.thread(0);
    for _ in 0..MOST_OF_A_TRACK + 5 {
        track.read(Activity::ReadGate, 0, now, now);
    }
    drop(track);
    let (spans, lost) = collected(&tracer);
    assert_eq!((spans.len(), lost), (MOST_OF_A_TRACK, 5));
    // A thread that nobody counted with is no panic.
    tracer.thread(9).read(Activity::ReadGate, 0, now, now);
    assert!(collected(&tracer).0.is_empty());
}

#[test]
fn names_are_the_simulators_and_each_activity_is_a_read_or_computing_or_waiting() {
    for what in Activity::ALL {
        let kinds = [what.is_read(), what.is_compute(), what == Activity::Wait];
        assert_eq!(kinds.iter().filter(|is| **is).count(), 1, "{}", what.name());
        assert_eq!(what.is_read(), what.name().starts_with("read ") || what.name() == "stream");
    }
}

#[test]
fn what_takes_longer_than_a_span_can_say_is_several_one_after_the_other() {
    let tracer = Tracer::new(3);
    let (now, took) = (Instant::now(), Duration::from_secs(10));
    tracer.thread(2).read(Activity::Stream, 5, now, now + took);
    let begun = tracer.begin();
    tracer.together(begun, Activity::Head, None);
    let (spans, lost) = collected(&tracer);
    let (read, head) = spans.split_at(3);
    assert_eq!(read.iter().map(Span::took).sum::<u64>(), took.as_nanos() as u64);
    assert!(read.windows(2).all(|pair| pair[0].end() == pair[1].start()));
    assert!(
        read.iter()
            .all(|span| (span.lane(), span.what(), span.layer()) == (Lane::Read, Activity::Stream, Some(5)))
    );
    assert_eq!(
        (head[0].lane(), head[0].what(), head[0].layer()),
        (Lane::Together, Activity::Head, None)
    );
    assert_eq!((head.len(), lost), (1, 0));
}

#[test]
fn a_span_says_every_activity_layer_and_thread() {
    let tracer = Tracer::new(300);
    for (place, what) in Activity::ALL.into_iter().enumerate() {
        let mut track = tracer.thread(299 - place);
        let begun = track.begin();
        track.end(begun, what, 4000 + place as u32);
    }
    let mut spans = collected(&tracer).0;
    spans.reverse();
    for (place, (span, what)) in spans.iter().zip(Activity::ALL).enumerate() {
        assert_eq!(
            (span.lane(), span.what(), span.layer()),
            (Lane::Thread(299 - place as u16), what, Some(4000 + place as u16))
        );
    }
    assert_eq!(spans.len(), Activity::ALL.len());
}
