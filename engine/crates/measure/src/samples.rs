//! Repeated measurements and what is kept of them.

use std::time::{Duration, Instant};

/// How often something is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Time for one cell of a table, set-up not counted.
    pub cell: Duration,
    /// The fewest turns of a cell, whatever they take.
    pub turns: u32,
}

/// What is kept of the turns of a cell: the middle and the quartiles, so that a figure comes with its spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Half of the turns gave less.
    pub median: f64,
    /// A quarter of the turns gave less.
    pub low: f64,
    /// A quarter of the turns gave more.
    pub high: f64,
    /// How many turns.
    pub turns: u32,
}

impl Spread {
    /// Of at least one value. Values between two ranks are interpolated.
    pub fn of(mut values: Vec<f64>) -> Self {
        assert!(!values.is_empty(), "a spread of no values");
        values.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * (values.len() - 1) as f64;
            let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
            below + (above - below) * place.fract()
        };
        Self {
            median: at(0.5),
            low: at(0.25),
            high: at(0.75),
            turns: values.len() as u32,
        }
    }

    /// The same values in another unit.
    pub fn times(self, factor: f64) -> Self {
        Self {
            median: self.median * factor,
            low: self.low * factor,
            high: self.high * factor,
            turns: self.turns,
        }
    }

    /// Of times, the rates at which `amount` was done in each. The longest time is the lowest rate.
    pub fn rates(self, amount: f64) -> Self {
        Self {
            median: amount / self.median,
            low: amount / self.high,
            high: amount / self.low,
            turns: self.turns,
        }
    }
}

/// Nanoseconds that `work` takes, at least one: clocks may be coarse.
pub fn time(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    (start.elapsed().as_nanos() as f64).max(1.0)
}

/// Runs `turn` until the cell's time is over and often enough; it returns the nanoseconds that count. The first turn, which finds
/// buffers and branches cold, does not.
pub fn sample<E>(effort: Effort, mut turn: impl FnMut() -> Result<f64, E>) -> Result<Spread, E> {
    turn()?;
    let begun = Instant::now();
    let mut values = Vec::new();
    while values.len() < effort.turns as usize || begun.elapsed() < effort.cell {
        values.push(turn()?);
    }
    Ok(Spread::of(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_where_they_should_and_rates_turn_them_round() {
        let spread = Spread::of(vec![5.0, 1.0, 3.0, 2.0, 4.0]);
        assert_eq!(
            spread,
            Spread {
                median: 3.0,
                low: 2.0,
                high: 4.0,
                turns: 5
            }
        );
        assert_eq!(Spread::of(vec![1.0, 2.0]).median, 1.5);
        let rates = spread.rates(12.0);
        assert_eq!((rates.low, rates.median, rates.high), (3.0, 4.0, 6.0));
    }

    #[test]
    fn a_cell_has_its_turns_even_when_its_time_is_over_and_drops_the_first() {
        let effort = Effort {
            cell: Duration::ZERO,
            turns: 4,
        };
        let mut count = 0.0;
        let spread = sample(effort, || {
            count += 1.0;
            Ok::<_, ()>(count)
        });
        let spread = spread.expect("no turn fails");
        assert_eq!((spread.turns, spread.median), (4, 3.5));
    }
}
