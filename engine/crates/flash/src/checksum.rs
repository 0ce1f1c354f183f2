//! XXH64, from its specification (github.com/Cyan4973/xxHash, doc/xxhash_spec.md): about a memory copy's speed without
//! special instructions. For the header and the tables; the pages of the data have theirs in `page_sum`.

const P1: u64 = 0x9E37_79B1_85EB_CA87;
const P2: u64 = 0xC2B2_AE3D_27D4_EB4F;
const P3: u64 = 0x1656_67B1_9E37_79F9;
const P4: u64 = 0x85EB_CA77_C2B2_AE63;
const P5: u64 = 0x27D4_EB2F_1656_67C5;

fn round(lane: u64, input: u64) -> u64 {
    lane.wrapping_add(input.wrapping_mul(P2)).rotate_left(31).wrapping_mul(P1)
}

fn merge(hash: u64, lane: u64) -> u64 {
    (hash ^ round(0, lane)).wrapping_mul(P1).wrapping_add(P4)
}

fn word(chunk: &[u8]) -> u64 {
    u64::from_le_bytes(chunk.try_into().expect("eight bytes"))
}

/// Checksum of `bytes` with seed 0.
pub fn xxh64(bytes: &[u8]) -> u64 {
    let (stripes, rest) = bytes.as_chunks::<32>();
    let mut lanes = [P1.wrapping_add(P2), P2, 0, 0u64.wrapping_sub(P1)];
    for stripe in stripes {
        for (lane, chunk) in lanes.iter_mut().zip(stripe.chunks_exact(8)) {
            *lane = round(*lane, word(chunk));
        }
    }
    let mut hash = if stripes.is_empty() {
        P5
    } else {
        let [a, b, c, d] = lanes;
        let sum = a
            .rotate_left(1)
            .wrapping_add(b.rotate_left(7))
            .wrapping_add(c.rotate_left(12))
            .wrapping_add(d.rotate_left(18));
        lanes.into_iter().fold(sum, merge)
    };
    hash = hash.wrapping_add(bytes.len() as u64);
    let mut eights = rest.chunks_exact(8);
    for chunk in &mut eights {
        hash = (hash ^ round(0, word(chunk)))
            .rotate_left(27)
            .wrapping_mul(P1)
            .wrapping_add(P4);
    }
    let mut fours = eights.remainder().chunks_exact(4);
    for chunk in &mut fours {
        let value = u64::from(u32::from_le_bytes(chunk.try_into().expect("four bytes")));
        hash = (hash ^ value.wrapping_mul(P1))
            .rotate_left(23)
            .wrapping_mul(P2)
            .wrapping_add(P3);
    }
    for &byte in fours.remainder() {
        hash = (hash ^ u64::from(byte).wrapping_mul(P5)).rotate_left(11).wrapping_mul(P1);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(P2);
    hash = (hash ^ (hash >> 29)).wrapping_mul(P3);
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::xxh64;

    #[test]
    fn equals_the_published_values() {
        // The values of the `xxhsum` tool (xxhash 0.8), seed 0.
        assert_eq!(xxh64(b""), 0xef46_db37_51d8_e999);
        assert_eq!(xxh64(b"a"), 0xd24e_c4f1_a98c_6e5b);
        assert_eq!(xxh64(b"abc"), 0x44bc_2cf5_ad77_0999);
        assert_eq!(xxh64(b"Nobody inspects the spammish repetition"), 0xfbce_a83c_8a37_8bf1);
    }

    #[test]
    fn changes_with_every_single_bit_of_a_page() {
        let mut page: Vec<u8> = (0..4099u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let whole = xxh64(&page);
        for position in (0..page.len()).step_by(37) {
            page[position] ^= 1 << (position % 8);
            assert_ne!(xxh64(&page), whole, "a flipped bit of byte {position} goes unseen");
            page[position] ^= 1 << (position % 8);
        }
    }
}
