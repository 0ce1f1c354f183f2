//! How unevenly activations are spread over neurons.

use std::str::FromStr;

use crate::SynthError;

/// No neuron is active for more than this share of tokens: one that always is would be a bias, not a neuron.
pub(crate) const GREATEST_RATE: f64 = 0.98;

/// A curve: the hottest share `neurons` of the neurons has the share `activations` of all activations.
#[derive(Clone, Debug, PartialEq)]
pub struct Skew {
    points: Vec<(f64, f64)>,
}

impl Skew {
    /// Every neuron as often as any other.
    pub fn even() -> Self {
        Self {
            points: vec![(0.0, 0.0), (1.0, 1.0)],
        }
    }

    /// Bamboo-7B: the mean over layers of SJTU-IPADS/Bamboo, figures/cdf.svg, as in models/bamboo-7b.json.
    pub fn bamboo() -> Self {
        const POINTS: [(f64, f64); 11] = [
            (0.0, 0.0),
            (0.05, 0.28),
            (0.1, 0.466),
            (0.2, 0.608),
            (0.25, 0.656),
            (0.3, 0.699),
            (0.5, 0.832),
            (0.628, 0.9),
            (0.763, 0.95),
            (0.919, 0.99),
            (1.0, 1.0),
        ];
        Self { points: POINTS.to_vec() }
    }

    /// Rates fall with rank^-exponent: the share x of the neurons has x^(1 - exponent) of the activations. `exponent` is at
    /// least 0 and below 1.
    pub fn power(exponent: f64) -> Result<Self, SynthError> {
        if !(0.0..1.0).contains(&exponent) {
            return Err(SynthError::spec(
                "the exponent of the skew",
                exponent,
                "at least 0 and below 1",
            ));
        }
        // Geometric at the hot end, where the curve bends.
        let mut shares: Vec<f64> = (0..24).map(|i| 0.5f64.powf(0.5 * f64::from(24 - i))).collect();
        shares.insert(0, 0.0);
        shares.extend([0.8, 0.9, 1.0]);
        let points = shares.iter().map(|&share| (share, share.powf(1.0 - exponent))).collect();
        Self::curve(points)
    }

    /// The curve through `points`, straight between them: shares of neurons and of activations, from (0, 0) to (1, 1), rising
    /// ever less steeply (neurons come hottest first).
    pub fn curve(points: Vec<(f64, f64)>) -> Result<Self, SynthError> {
        let wanted = "points from (0, 0) to (1, 1) that rise ever less steeply";
        let wrong = |found: String| SynthError::spec("the skew", found, wanted);
        if points.first() != Some(&(0.0, 0.0)) || points.last() != Some(&(1.0, 1.0)) {
            return Err(wrong(format!("from {:?} to {:?}", points.first(), points.last())));
        }
        let mut before = f64::INFINITY;
        for pair in points.windows(2) {
            let slope = (pair[1].1 - pair[0].1) / (pair[1].0 - pair[0].0);
            // A little over the slope before is rounding of the points.
            if pair[1].0 <= pair[0].0 || slope < 0.0 || slope > before * (1.0 + 1e-9) + 1e-9 {
                return Err(wrong(format!("{:?} after {:?}", pair[1], pair[0])));
            }
            before = slope;
        }
        Ok(Self { points })
    }

    /// The points of the curve.
    pub fn points(&self) -> &[(f64, f64)] {
        &self.points
    }

    /// The share of activations of the hottest `neurons` (a share too).
    pub fn activations(&self, neurons: f64) -> f64 {
        let after = self
            .points
            .partition_point(|point| point.0 < neurons)
            .clamp(1, self.points.len() - 1);
        let ((left, low), (right, high)) = (self.points[after - 1], self.points[after]);
        low + (high - low) * (neurons - left) / (right - left)
    }

    /// The rates of `neurons` neurons, hottest first, whose mean is `share`. Where the curve asks for rates above 0.98 these
    /// are cut there and the rest take over; the curve of what results is [`Skew::of_rates`].
    pub(crate) fn rates(&self, neurons: usize, share: f64) -> Vec<f64> {
        let place = |rank: usize| self.activations(rank as f64 / neurons as f64);
        let own: Vec<f64> = (0..neurons)
            .map(|rank| (place(rank + 1) - place(rank)) * neurons as f64)
            .collect();
        let cut = |scale: f64| own.iter().map(|rate| (rate * scale).min(GREATEST_RATE)).sum::<f64>() / neurons as f64;
        let mut high = share;
        // Rates of zero can take over nothing, so the scale is bounded.
        while cut(high) < share && high < 1e6 {
            high *= 2.0;
        }
        let scale = crate::normal::bisect(0.0, high, |scale| cut(scale) < share);
        own.iter().map(|rate| (rate * scale).clamp(1e-6, GREATEST_RATE)).collect()
    }

    /// The share of all activations that the hottest `neurons` (a share) have, of neurons with these rates, hottest first.
    pub(crate) fn of_rates(rates: &[f64], neurons: f64) -> f64 {
        let (total, end) = (rates.iter().sum::<f64>(), neurons * rates.len() as f64);
        let whole = (end.floor() as usize).min(rates.len());
        let part = rates.get(whole).map_or(0.0, |rate| rate * (end - whole as f64));
        if total > 0.0 {
            (rates[..whole].iter().sum::<f64>() + part) / total
        } else {
            0.0
        }
    }
}

impl FromStr for Skew {
    type Err = SynthError;

    /// `even`, `bamboo`, the exponent of a power law, or points `neurons:activations,...` between (0, 0) and (1, 1), which may
    /// be left out.
    fn from_str(text: &str) -> Result<Self, SynthError> {
        let wrong = || {
            let wanted = "even, bamboo, an exponent such as 0.6, or points such as 0.1:0.47,0.5:0.83";
            SynthError::spec("the skew", text, wanted)
        };
        let number = |text: &str| text.trim().parse::<f64>().map_err(|_| wrong());
        match text {
            "even" => Ok(Self::even()),
            "bamboo" => Ok(Self::bamboo()),
            _ if text.contains(':') => {
                let pair = |pair: &str| {
                    let (neurons, activations) = pair.split_once(':').ok_or_else(wrong)?;
                    Ok::<_, SynthError>((number(neurons)?, number(activations)?))
                };
                let mut points = text.split(',').map(pair).collect::<Result<Vec<_>, _>>()?;
                if points.first() != Some(&(0.0, 0.0)) {
                    points.insert(0, (0.0, 0.0));
                }
                if points.last() != Some(&(1.0, 1.0)) {
                    points.push((1.0, 1.0));
                }
                Self::curve(points)
            }
            _ => Self::power(number(text)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Skew;

    #[test]
    fn rates_follow_the_curve_and_have_the_mean_asked_for() {
        for neurons in [96, 1000, 14_336] {
            let rates = Skew::bamboo().rates(neurons, 0.1);
            assert!((rates.iter().sum::<f64>() / neurons as f64 - 0.1).abs() < 1e-6);
            // A neuron that a point falls into has one rate where the curve has two: at most a neuron's activity, 1 / neurons.
            let bound = 1.0 / neurons as f64;
            assert!((Skew::of_rates(&rates, 0.1) - 0.466).abs() < bound);
            assert!((Skew::of_rates(&rates, 0.5) - 0.832).abs() < bound);
            assert!(rates.windows(2).all(|pair| pair[0] >= pair[1] - 1e-9));
        }
    }

    #[test]
    fn rates_above_the_greatest_are_cut_and_the_mean_is_kept() {
        let rates = Skew::bamboo().rates(1000, 0.4);
        assert!((rates.iter().sum::<f64>() / 1000.0 - 0.4).abs() < 1e-6);
        assert!(rates[0] <= super::GREATEST_RATE);
    }

    #[test]
    fn a_power_law_is_itself_at_its_points() {
        let skew = Skew::power(0.6).unwrap();
        assert!((skew.activations(0.5) - 0.5f64.powf(0.4)).abs() < 0.01);
        assert!(Skew::power(1.0).is_err());
    }

    #[test]
    fn curves_that_do_not_end_or_bend_upwards_are_refused() {
        assert!(Skew::curve(vec![(0.0, 0.0), (0.5, 0.6)]).is_err());
        assert!(Skew::curve(vec![(0.0, 0.0), (0.5, 0.2), (1.0, 1.0)]).is_err());
    }

    #[test]
    fn what_people_type_is_the_curve_they_mean() {
        let read = |text: &str| text.parse::<Skew>();
        assert_eq!(read("even").unwrap(), Skew::even());
        assert_eq!(read("bamboo").unwrap(), Skew::bamboo());
        assert_eq!(read("0.6").unwrap(), Skew::power(0.6).unwrap());
        let curve = Skew::curve(vec![(0.0, 0.0), (0.1, 0.5), (0.5, 0.8), (1.0, 1.0)]).unwrap();
        assert_eq!(read("0.1:0.5, 0.5:0.8").unwrap(), curve);
        assert_eq!(read("0:0,0.1:0.5,0.5:0.8,1:1").unwrap(), curve);
        for text in ["", "steep", "0.1:", "0.1:x", "0.1:0.5,0.5", "nan", "1.5", "0.5:0.2"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
