//! IEEE binary16, bit by bit: the portable conversions that every backend's instructions must equal.

/// The value of a binary16 number. Exact; a NaN stays a NaN.
#[inline(always)]
pub fn f16_to_f32(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let magnitude = u32::from(half & 0x7fff) << 13;
    // The exponent biases differ by 112; multiplying also normalises subnormals, exactly.
    let scaled = f32::from_bits(magnitude) * f32::from_bits((127 + 112) << 23);
    let bits = if half & 0x7c00 == 0x7c00 {
        magnitude | 0x7f80_0000
    } else {
        scaled.to_bits()
    };
    f32::from_bits(sign | bits)
}

/// The nearest binary16 number, ties to even; too large becomes infinity, a NaN stays a (quiet) NaN.
#[inline(always)]
pub fn f32_to_f16(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = ((bits >> 16) & 0x8000) as u16;
    let magnitude = bits & 0x7fff_ffff;
    let half = if magnitude > 0x7f80_0000 {
        0x7e00
    } else if magnitude >= 0x4780_0000 {
        0x7c00
    } else if magnitude < 0x3880_0000 {
        // Below 2^-14: adding 0.5 puts the last subnormal bit (2^-24) in the last place of the sum, so the adder rounds.
        (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0.5f32.to_bits())
    } else {
        // Rebias the exponent and round to nearest even on the 13 bits that go. A carry into infinity is right.
        (magnitude - (112 << 23) + 0xfff + ((magnitude >> 13) & 1)) >> 13
    };
    sign | half as u16
}
