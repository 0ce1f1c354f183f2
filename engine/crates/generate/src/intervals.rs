//! Lengths of unions and intersections of intervals of time.

/// From, to.
pub(crate) type Interval = (u64, u64);

/// Disjoint intervals, ascending, that cover what these cover.
pub(crate) fn joined(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.sort_unstable();
    intervals.dedup_by(|next, last| {
        let touches = next.0 <= last.1;
        if touches {
            last.1 = last.1.max(next.1);
        }
        touches
    });
    intervals
}

/// The length of disjoint intervals.
pub(crate) fn covered(intervals: &[Interval]) -> u64 {
    intervals.iter().map(|(from, to)| to - from).sum()
}

/// The length of what both cover. Each is disjoint and ascending.
pub(crate) fn shared(one: &[Interval], other: &[Interval]) -> u64 {
    let (mut i, mut j, mut length) = (0, 0, 0);
    while let (Some(a), Some(b)) = (one.get(i), other.get(j)) {
        length += a.1.min(b.1).saturating_sub(a.0.max(b.0));
        if a.1 <= b.1 {
            i += 1;
        } else {
            j += 1;
        }
    }
    length
}

#[cfg(test)]
mod tests {
    use super::{Interval, covered, joined, shared};

    /// The same, moment by moment.
    fn slowly(one: &[Interval], other: &[Interval]) -> u64 {
        let holds = |all: &[Interval], at: u64| all.iter().any(|(from, to)| (*from..*to).contains(&at));
        (0..200).filter(|&at| holds(one, at) && holds(other, at)).count() as u64
    }

    #[test]
    fn lengths_are_those_of_counting_moments() {
        // A small generator of its own: which intervals hardly matters, that there are many does.
        let mut state = 7u64;
        let mut random = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for round in 0..300 {
            let mut some = || -> Vec<Interval> {
                (0..random(12))
                    .map(|_| {
                        let from = random(190);
                        (from, from + random(10))
                    })
                    .collect()
            };
            let (one, other) = (some(), some());
            let (a, b) = (joined(one.clone()), joined(other.clone()));
            assert_eq!(covered(&a), slowly(&one, &one), "round {round}: {one:?}");
            assert_eq!(shared(&a, &b), slowly(&one, &other), "round {round}: {one:?} {other:?}");
            assert!(a.windows(2).all(|pair| pair[0].1 < pair[1].0), "{a:?}");
        }
    }
}
