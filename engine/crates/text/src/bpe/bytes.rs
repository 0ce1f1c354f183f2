//! GPT-2's way to write bytes as characters that can be seen: printable ones of Latin-1 stand for themselves, the others, in
//! order, for the characters from U+0100 on.

const fn stands_for_itself(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff)
}

const CHARACTERS: [char; 256] = {
    let mut all = ['\0'; 256];
    let mut next = 0x100;
    let mut byte = 0;
    while byte < 256 {
        all[byte] = if stands_for_itself(byte as u8) {
            byte as u8 as char
        } else {
            next += 1;
            match char::from_u32(next - 1) {
                Some(character) => character,
                None => '\0',
            }
        };
        byte += 1;
    }
    all
};

/// The character that a byte is written as.
pub(super) const fn character(byte: u8) -> char {
    CHARACTERS[byte as usize]
}

/// The byte that a character stands for.
pub(super) fn byte(character: char) -> Option<u8> {
    match character as u32 {
        point @ 0..=0xff => Some(point as u8).filter(|&byte| stands_for_itself(byte)),
        0x100.. => CHARACTERS.iter().position(|&other| other == character).map(|byte| byte as u8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_own_character_and_comes_back() {
        let all: std::collections::HashSet<char> = (0..=255).map(character).collect();
        assert_eq!(all.len(), 256);
        assert!((0..=255).all(|b| byte(character(b)) == Some(b)));
        assert_eq!(
            (character(b' '), character(b'\n'), character(b'A'), character(0xad)),
            ('Ġ', 'Ċ', 'A', 'Ń')
        );
        assert_eq!((byte(' '), byte('中')), (None, None));
    }
}
