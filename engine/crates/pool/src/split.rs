//! Cutting work into even parts.

use std::ops::Range;

/// The part of `0..items` that belongs to thread `index` of `threads`: contiguous, parts differ by at most one grain, and
/// every boundary except the last end is a multiple of `grain`. Empty for a thread without work. `grain` 0 counts as 1.
pub fn share(items: usize, grain: usize, index: usize, threads: usize) -> Range<usize> {
    let grain = grain.max(1);
    let grains = items.div_ceil(grain);
    let (each, more) = (grains / threads.max(1), grains % threads.max(1));
    let boundary = |index: usize| (each * index + more.min(index)).saturating_mul(grain).min(items);
    boundary(index)..boundary(index + 1)
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn parts_cover_everything_once_in_order_and_evenly() {
        for items in [0, 1, 2, 7, 31, 32, 33, 1000, 4097] {
            for grain in [0, 1, 3, 16, 64] {
                for threads in [1, 2, 3, 8] {
                    let parts: Vec<_> = (0..threads).map(|index| share(items, grain, index, threads)).collect();
                    let mut at = 0;
                    for part in &parts {
                        assert_eq!(part.start, at, "{items} {grain} {threads}");
                        assert!(
                            part.end == items || part.end % grain.max(1) == 0,
                            "{part:?} of {items} by {grain}"
                        );
                        at = part.end;
                    }
                    assert_eq!(at, items);
                    let lengths = parts.iter().map(|part| part.len().div_ceil(grain.max(1)));
                    assert!(lengths.clone().max().unwrap() - lengths.min().unwrap() <= 1);
                }
            }
        }
    }
}
