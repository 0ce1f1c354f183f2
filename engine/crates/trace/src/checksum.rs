//! CRC-32 as in Ethernet, zlib and PNG: reflected, polynomial 0x04c11db7. (ISO 3309)

const fn table() -> [u32; 256] {
    let mut table = [0u32; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut remainder = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            remainder = (remainder >> 1) ^ (if remainder & 1 == 1 { 0xedb8_8320 } else { 0 });
            bit += 1;
        }
        table[byte] = remainder;
        byte += 1;
    }
    table
}

static TABLE: [u32; 256] = table();

/// Of all `bytes`.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, &byte| {
        TABLE[((sum ^ u32::from(byte)) & 0xff) as usize] ^ (sum >> 8)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_check_value_is_that_of_the_catalogues() {
        assert_eq!(super::crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(super::crc32(b""), 0);
    }
}
