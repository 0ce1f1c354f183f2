//! General categories of characters, as far as pre-tokenisers ask for them.

use crate::categories::RUNS;

/// The first letter of a character's general category; separators, controls and unassigned characters are `Other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Category {
    Other,
    Letter,
    Number,
    Mark,
    Punctuation,
    Symbol,
}

/// The category of `character` in Unicode 15.1.
pub(crate) fn category(character: char) -> Category {
    if character.is_ascii_lowercase() || character.is_ascii_uppercase() {
        return Category::Letter;
    }
    let point = character as u32;
    // The last run that begins at or before the character; the first begins at 0.
    let next = RUNS.partition_point(|&run| run >> 3 <= point);
    match RUNS[next - 1] & 7 {
        1 => Category::Letter,
        2 => Category::Number,
        3 => Category::Mark,
        4 => Category::Punctuation,
        5 => Category::Symbol,
        _ => Category::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = char> {
        (0..=0x10_ffff).filter_map(char::from_u32)
    }

    #[test]
    fn numbers_are_those_of_the_standard_library_up_to_its_newer_unicode() {
        let differ: Vec<char> = all()
            .filter(|&c| (category(c) == Category::Number) != c.is_numeric())
            .collect();
        // The library knows a later version: it may have more, in blocks that 15.1 leaves unassigned.
        assert!(
            differ.iter().all(|&c| c.is_numeric() && category(c) == Category::Other),
            "{differ:?}"
        );
        assert!(all().filter(|&c| category(c) == Category::Number).count() > 1_800);
    }

    #[test]
    fn letters_are_alphabetic_and_white_space_is_none_of_the_named() {
        assert!(all().filter(|&c| category(c) == Category::Letter).all(char::is_alphabetic));
        assert!(all().filter(|c| c.is_whitespace()).all(|c| category(c) == Category::Other));
        // UnicodeData.txt 15.1 has 136,726 letters, if the ranges of ideographs and syllables are counted out.
        assert_eq!(all().filter(|&c| category(c) == Category::Letter).count(), LETTERS);
    }

    /// Counted with Python's unicodedata2 15.1.0, another reading of the same data.
    const LETTERS: usize = 136_726;

    #[test]
    fn each_category_has_its_ascii_characters() {
        let of = |wanted| {
            (0u8..128)
                .map(char::from)
                .filter(|&c| category(c) == wanted)
                .collect::<String>()
        };
        assert_eq!(of(Category::Number), "0123456789");
        assert_eq!(of(Category::Punctuation), "!\"#%&'()*,-./:;?@[\\]_{}");
        assert_eq!(of(Category::Symbol), "$+<=>^`|~");
        assert_eq!(of(Category::Mark), "");
        assert_eq!(category('\u{301}'), Category::Mark);
        assert_eq!(category('中'), Category::Letter);
        assert_eq!(category('Ⅷ'), Category::Number);
    }
}
