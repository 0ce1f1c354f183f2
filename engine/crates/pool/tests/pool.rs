//! What the pool promises.

use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pool::{Options, Pool, PoolError, pin_current_thread};

/// Counts allocations of the threads that take part in the allocation test.
struct Counting;
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if std::thread::current()
            .name()
            .is_some_and(|name| name.starts_with("compute-") || name == "counted")
        {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Tests that look at the process as a whole take turns.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> std::sync::MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn pool(threads: usize) -> Pool {
    Pool::new(&Options::new(threads)).unwrap()
}

#[test]
fn every_thread_runs_the_closure_once_per_dispatch() {
    let _turn = turn();
    for threads in [1, 2, 3, 7] {
        let mut pool = pool(threads);
        let seen: Vec<AtomicUsize> = (0..threads).map(|_| AtomicUsize::new(0)).collect();
        for round in 1..=2000 {
            pool.run(|worker| {
                assert_eq!(worker.threads(), threads);
                seen[worker.index()].fetch_add(1, Ordering::Relaxed);
            });
            assert!(
                seen.iter().all(|count| count.load(Ordering::Relaxed) == round),
                "{threads} threads, round {round}"
            );
        }
    }
}

#[test]
fn threads_that_parked_wake_up() {
    let _turn = turn();
    let mut pool = Pool::new(&Options {
        spin: Duration::ZERO,
        ..Options::new(3)
    })
    .unwrap();
    let count = AtomicUsize::new(0);
    for _ in 0..300 {
        pool.run(|worker| {
            // The calling thread is done first now and then, so it parks as well.
            if worker.index() == 2 {
                std::thread::yield_now();
            }
            count.fetch_add(1, Ordering::Relaxed);
        });
        std::thread::sleep(Duration::from_micros(50));
    }
    assert_eq!(count.into_inner(), 900);
}

#[test]
fn idle_threads_use_no_processor_time() {
    let _turn = turn();
    let mut pool = pool(4);
    pool.run(|_| {});
    std::thread::sleep(Duration::from_millis(20));
    let before = processor_ticks();
    std::thread::sleep(Duration::from_millis(400));
    // One tick is 10 ms; spinning threads would have used 120 of them on three cores, 80 on two.
    assert!(processor_ticks() - before <= 5, "{} ticks", processor_ticks() - before);
}

/// Processor time of this process in ticks of the system clock.
fn processor_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(") ").unwrap().1;
    after_name
        .split(' ')
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<u64>().unwrap())
        .sum()
}

#[test]
fn tasks_and_items_and_parts_are_each_done_once() {
    let _turn = turn();
    let mut pool = pool(3);
    for count in [0, 1, 2, 3, 100, 1001] {
        let done: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
        pool.run_tasks(count, |task| {
            done[task].fetch_add(1, Ordering::Relaxed);
        });
        assert!(done.iter().all(|done| done.load(Ordering::Relaxed) == 1));

        let mut items = vec![0usize; count];
        pool.run_each(&mut items, |place, item| *item += place + 1);
        assert!(items.iter().enumerate().all(|(place, &item)| item == place + 1));

        pool.run_split(&mut items, 16, |first, part| {
            assert_eq!(first % 16, 0);
            for (offset, item) in part.iter_mut().enumerate() {
                assert_eq!(*item, first + offset + 1);
                *item = 0;
            }
        });
        assert!(items.iter().all(|&item| item == 0));
    }
}

#[test]
fn nothing_passes_the_barrier_before_all_have_come() {
    let _turn = turn();
    let mut pool = pool(4);
    let stages: Vec<AtomicUsize> = (0..50).map(|_| AtomicUsize::new(0)).collect();
    for round in 1..=20 {
        pool.run(|worker| {
            for stage in &stages {
                stage.fetch_add(1, Ordering::Relaxed);
                worker.barrier();
                assert_eq!(stage.load(Ordering::Relaxed), 4 * round);
                worker.barrier();
            }
        });
    }
}

#[test]
fn a_panic_comes_out_and_the_pool_lives_on() {
    let _turn = turn();
    std::panic::set_hook(Box::new(|_| {}));
    for guilty in 0..3 {
        let mut pool = pool(3);
        let finished = AtomicUsize::new(0);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            pool.run(|worker| {
                assert_ne!(worker.index(), guilty, "the guilty one");
                finished.fetch_add(1, Ordering::Relaxed);
            });
        }));
        let text = *caught.unwrap_err().downcast::<String>().unwrap();
        assert!(text.contains("the guilty one"), "{text}");
        assert_eq!(finished.load(Ordering::Relaxed), 2, "the others finish first");

        // Waiting for the panicked thread must not hang.
        let caught = catch_unwind(AssertUnwindSafe(|| {
            pool.run(|worker| {
                if worker.index() == guilty {
                    panic!("before the barrier");
                }
                worker.barrier();
            });
        }));
        assert!(caught.is_err());

        let after = AtomicUsize::new(0);
        pool.run(|worker| {
            worker.barrier();
            after.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(after.into_inner(), 3);
    }
    let _ = std::panic::take_hook();
}

#[test]
fn a_dispatch_allocates_nothing() {
    let _turn = turn();
    let body = || {
        let mut pool = pool(3);
        let mut items = [0u64; 100];
        pool.run_split(&mut items, 1, |_, part| part.fill(1));
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for _ in 0..100 {
            pool.run(|worker| worker.barrier());
            pool.run_split(&mut items, 1, |_, part| part[0] += 1);
        }
        assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0);
    };
    std::thread::Builder::new()
        .name("counted".into())
        .spawn(body)
        .unwrap()
        .join()
        .unwrap();
    assert!(ALLOCATIONS.load(Ordering::Relaxed) > 0, "the counter counts");
}

#[test]
fn dropping_ends_the_threads() {
    let _turn = turn();
    // By name, because the test harness starts threads of its own.
    let threads = || {
        let names = std::fs::read_dir("/proc/self/task")
            .unwrap()
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.starts_with("compute-")).count()
    };
    for _ in 0..20 {
        let mut pool = pool(4);
        pool.run(|_| {});
        assert!(threads() >= 3);
    }
    drop(pool(8));
    let deadline = Instant::now() + Duration::from_secs(5);
    while threads() > 0 {
        assert!(Instant::now() < deadline, "threads are left over");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn binding_takes_effect_and_bad_options_are_refused() {
    let _turn = turn();
    let body = || {
        let mut pool = Pool::new(&Options {
            cores: vec![0, 0],
            ..Options::new(2)
        })
        .unwrap();
        pool.run(|_| {
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            let allowed = status
                .lines()
                .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
                .unwrap();
            assert_eq!(allowed.trim(), "0");
        });
    };
    std::thread::spawn(move || {
        let allowed = || {
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            let line = status.lines().find(|line| line.starts_with("Cpus_allowed_list:")).unwrap();
            line.to_owned()
        };
        let before = allowed();
        body();
        assert_eq!(allowed(), before, "the calling thread is free again when the pool is gone");
    })
    .join()
    .unwrap();

    assert!(matches!(Pool::new(&Options::new(0)), Err(PoolError::NoThreads)));
    let lopsided = Pool::new(&Options {
        cores: vec![0],
        ..Options::new(2)
    });
    assert!(matches!(lopsided, Err(PoolError::Cores { got: 1, threads: 2 })));
    let nowhere = Pool::new(&Options {
        cores: vec![0, 1023],
        ..Options::new(2)
    })
    .err()
    .unwrap();
    assert!(
        nowhere.to_string().starts_with("cannot bind a thread to core 1023: "),
        "{nowhere}"
    );
    assert!(pin_current_thread(usize::MAX).is_err());
}
