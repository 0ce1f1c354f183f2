//! Planted beside measured.

use std::fmt;

use crate::planted::Planted;

/// How far measured may lie from planted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Of the share of every layer, relative.
    pub share: f64,
    /// Of the points of the skew, mean over layers, absolute.
    pub skew: f64,
    /// Of overlap and repetition, mean over layers, absolute.
    pub overlap: f64,
}

/// What [`SynthReport::rows`] is usually asked with.
pub const TOLERANCE: Tolerance = Tolerance {
    share: 0.1,
    skew: 0.03,
    overlap: 0.05,
};

/// What the engine saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Tokens run.
    pub tokens: usize,
    /// Share of active neurons by layer; empty in a model that is not sparse, as the next two.
    pub share: Vec<f64>,
    /// Share of activations at the planted points' shares of neurons, mean over layers.
    pub skew: Vec<(f64, f64)>,
    /// Overlap by layer.
    pub overlap: Vec<f64>,
    /// Repetition of experts by layer, those left out whose router sees the token alone.
    pub repeat: Vec<f64>,
}

/// Planted beside measured.
#[derive(Clone, Debug, PartialEq)]
pub struct SynthReport {
    /// From the file's metadata.
    pub planted: Planted,
    /// From the run.
    pub measured: Measured,
}

/// One statistic.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Such as `share active`, or `activations of the hottest 10 %`.
    pub what: String,
    /// As the file says.
    pub planted: f64,
    /// Mean over layers; not a number where nothing was measured.
    pub measured: f64,
    /// The least and the greatest layer, where it was measured by layer.
    pub layers: Option<(f64, f64)>,
    /// How far measured may lie from planted, absolute: every layer where `each_layer`, else the mean.
    pub tolerance: f64,
    /// See `tolerance`.
    pub each_layer: bool,
}

pub(crate) fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

impl Row {
    fn by_layer(what: &str, planted: Option<f64>, seen: &[f64], tolerance: f64, each_layer: bool) -> Option<Self> {
        let widest = |(low, high): (f64, f64), &one: &f64| (low.min(one), high.max(one));
        planted.map(|planted| Self {
            what: what.to_owned(),
            planted,
            measured: mean(seen),
            layers: seen.first().map(|&first| seen.iter().fold((first, first), widest)),
            tolerance,
            each_layer,
        })
    }

    /// Whether measured lies as near to planted as it should. What was not measured does not.
    pub fn holds(&self) -> bool {
        let near = |seen: f64| (seen - self.planted).abs() <= self.tolerance;
        match self.layers {
            Some((low, high)) if self.each_layer => near(low) && near(high),
            _ => near(self.measured),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what, planted, measured, ..
        } = self;
        write!(out, "{what:34}{planted:8.4}  {measured:8.4}")?;
        if let Some((low, high)) = self.layers {
            write!(out, "  {low:.4} to {high:.4}")?;
        }
        Ok(())
    }
}

impl SynthReport {
    /// Every statistic that was planted; none where the file says of none.
    pub fn rows(&self, tolerance: &Tolerance) -> Vec<Row> {
        let (planted, measured) = (&self.planted, &self.measured);
        let share = tolerance.share * planted.share.unwrap_or(0.0);
        let by_layer = [
            Row::by_layer("share active", planted.share, &measured.share, share, true),
            Row::by_layer("overlap", planted.overlap, &measured.overlap, tolerance.overlap, false),
            Row::by_layer("expert repeat", planted.repeat, &measured.repeat, tolerance.overlap, false),
        ];
        let points = planted.skew.iter().zip(&measured.skew);
        let skew = points.map(|(&(neurons, planted), &(_, measured))| Row {
            what: format!("activations of the hottest {:.0} %", 100.0 * neurons),
            planted,
            measured,
            layers: None,
            tolerance: tolerance.skew,
            each_layer: false,
        });
        by_layer.into_iter().flatten().chain(skew).collect()
    }

    /// What the file says was planted and no run of it shows: name and number. A rank is seen in the weights before they are rounded, and
    /// after that in how well a predictor of that rank fits.
    pub fn unverified(&self) -> Vec<(&'static str, u64)> {
        self.planted.gate_rank.map(|rank| ("gate rank", rank)).into_iter().collect()
    }

    /// What lies further from the planted than `tolerance`; none when all is well.
    pub fn misses(&self, tolerance: &Tolerance) -> Vec<Row> {
        self.rows(tolerance).into_iter().filter(|row| !row.holds()).collect()
    }
}

impl fmt::Display for SynthReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{:<34}{:>8}  {:>8}  by layer",
            format!("{} tokens", self.measured.tokens),
            "planted",
            "measured"
        )?;
        self.rows(&TOLERANCE).iter().try_for_each(|row| writeln!(out, "{row}"))?;
        let mut unverified = self.unverified().into_iter();
        unverified.try_for_each(|(what, planted)| writeln!(out, "{what}: planted {planted}, not verified"))
    }
}
