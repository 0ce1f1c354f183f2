//! The normal distribution: of one variable, and of two that are correlated.

use std::f64::consts::{PI, TAU};

/// P(X <= x) of a standard normal X. Error below 1e-14 (Marsaglia's series, "Evaluating the Normal Distribution", 2004).
pub(crate) fn below(x: f64) -> f64 {
    if x.abs() > 8.0 {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let (square, mut term, mut sum, mut odd) = (x * x, x, x, 1.0);
    while sum + term != sum {
        odd += 2.0;
        term *= square / odd;
        sum += term;
    }
    0.5 + sum * density(x)
}

/// The density of a standard normal.
pub(crate) fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / TAU.sqrt()
}

/// The x that a standard normal exceeds with probability `rate`, which lies between 0 and 1.
pub(crate) fn threshold(rate: f64) -> f64 {
    bisect(-8.0, 8.0, |x| below(-x) > rate)
}

/// P(X > x and Y > x) of two standard normals with this correlation (0 to 1): the integral over the angle whose sine is the
/// correlation (Drezner and Wesolowsky, 1990), by Simpson's rule.
pub(crate) fn both_above(x: f64, correlation: f64) -> f64 {
    const STEPS: usize = 24;
    let (single, end) = (below(-x), correlation.clamp(0.0, 1.0).asin());
    let value = |angle: f64| (-x * x / (1.0 + angle.sin())).exp();
    let step = end / STEPS as f64;
    let inner: f64 = (1..STEPS)
        .map(|i| if i % 2 == 1 { 4.0 } else { 2.0 } * value(i as f64 * step))
        .sum();
    single * single + (value(0.0) + inner + value(end)) * step / 3.0 / (2.0 * PI)
}

/// E[relu(X - x)^2] of a standard normal X.
pub(crate) fn square_above(x: f64) -> f64 {
    (1.0 + x * x) * below(-x) - x * density(x)
}

/// E[silu(X)^2] of a standard normal X, by the trapezoid rule, which is exact to rounding for such an integrand.
pub(crate) fn square_of_silu() -> f64 {
    let value = |x: f64| (x / (1.0 + (-x).exp())).powi(2) * density(x);
    (-800..=800).map(|i| value(f64::from(i) / 100.0)).sum::<f64>() / 100.0
}

/// Where `still_low` turns from true to false, between `low` and `high`.
pub(crate) fn bisect(mut low: f64, mut high: f64, still_low: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..44 {
        let middle = (low + high) / 2.0;
        if still_low(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::{below, both_above, square_above, square_of_silu, threshold};

    #[test]
    fn known_values_of_the_distribution() {
        assert!((below(1.0) - 0.841_344_746_068_543).abs() < 1e-14);
        assert!((below(-3.0) - 0.001_349_898_031_630_1).abs() < 1e-14);
        assert!((threshold(0.1) - 1.281_551_565_544_6).abs() < 1e-9);
    }

    #[test]
    fn both_above_zero_is_a_quarter_and_the_arcsine() {
        // Sheppard's formula.
        for correlation in [0.0f64, 0.3, 0.8, 1.0] {
            let wanted = 0.25 + correlation.asin() / std::f64::consts::TAU;
            assert!((both_above(0.0, correlation) - wanted).abs() < 1e-9);
        }
        assert!((both_above(1.5, 0.0) - below(-1.5).powi(2)).abs() < 1e-15);
        // Simpson's rule is at its worst where the two are one.
        assert!((both_above(2.0, 1.0) - below(-2.0)).abs() < 1e-5);
    }

    #[test]
    fn squares_agree_with_sums_over_a_fine_grid() {
        let sum = |of: &dyn Fn(f64) -> f64| {
            (-80_000..80_000)
                .map(|i| of(f64::from(i) / 1e4) * super::density(f64::from(i) / 1e4))
                .sum::<f64>()
                / 1e4
        };
        let relu = sum(&|x| (x - 0.7).max(0.0).powi(2));
        assert!((square_above(0.7) - relu).abs() < 1e-7);
        let silu = sum(&|x| (x / (1.0 + (-x).exp())).powi(2));
        assert!((square_of_silu() - silu).abs() < 1e-9);
    }
}
