//! e^x in f32 from fused multiply-adds only, so that every backend gets the same bits.

/// ln 2 in two parts: the first has so few bits that its product with any exponent is exact.
const LN_2_HIGH: f32 = 355.0 / 512.0;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// Adding and taking away 1.5 * 2^23 rounds to the nearest integer.
const ROUND: f32 = 12_582_912.0;
/// Below this the result would be subnormal; it becomes 0.
const LEAST: f32 = -87.336_54;
/// Above this the result would overflow; it stays at the greatest.
const GREATEST: f32 = 88.376_26;

/// e^x, within 2 units in the last place for x in [-87.33, 88.37]; 0 below, e^88.37 above.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let clamped = if x > GREATEST { GREATEST } else { x };
    let clamped = if clamped < LEAST { LEAST } else { clamped };
    let shifted = clamped.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, clamped));
    // e^r on [-ln2/2, ln2/2]: the Taylor polynomial of degree 7, whose first missing term is below 6e-9.
    let p = r.mul_add(1.0 / 5040.0, 1.0 / 720.0);
    let p = p.mul_add(r, 1.0 / 120.0);
    let p = p.mul_add(r, 1.0 / 24.0);
    let p = p.mul_add(r, 1.0 / 6.0);
    let p = p.mul_add(r, 0.5);
    let p = p.mul_add(r, 1.0);
    let p = p.mul_add(r, 1.0);
    // The low bits of `shifted` are n; moved into the exponent they are 2^n.
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    if x < LEAST { 0.0 } else { p * power }
}
