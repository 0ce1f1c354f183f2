//! A small matcher for pre-tokenisers: what a regular expression with classes, greedy repetition, ordered alternatives and a
//! look-ahead of one character would do, and nothing more. Patterns are data (`patterns.rs`), checked by the compiler.

/// A class of characters.
pub(super) type Class = fn(char) -> bool;

/// One step of an alternative. Repetition is greedy and gives back one character at a time.
pub(super) enum Step {
    /// `[class]`
    One(Class),
    /// `[class]?`
    Optional(Class),
    /// `[class]*`
    Any(Class),
    /// `[class]+`
    Some(Class),
    /// `[class]{1,n}`
    UpTo(Class, usize),
    /// `(?![class])`
    NotBefore(Class),
    /// `(?:a|b|…)`
    Group(&'static [Alternative]),
    /// `(?:a|b|…)?`
    OptionalGroup(&'static [Alternative]),
}

/// Steps one after the other.
pub(super) type Alternative = &'static [Step];

/// Alternatives in order: the first that matches counts, not the longest.
pub(super) type Stage = &'static [Alternative];

/// Splits `text` at every stage in turn: what a stage matches and what lies between become pieces for the next.
pub(super) fn split<'a>(stages: &[Stage], text: &'a str) -> Vec<&'a str> {
    stages.iter().fold(vec![text], |pieces, stage| {
        let mut finer = Vec::with_capacity(pieces.len());
        pieces.into_iter().for_each(|piece| split_piece(stage, piece, &mut finer));
        finer
    })
}

fn split_piece<'a>(stage: Stage, piece: &'a str, finer: &mut Vec<&'a str>) {
    let mut unmatched = 0;
    let mut at = 0;
    while at < piece.len() {
        match stage
            .iter()
            .find_map(|steps| match_end(steps, piece, at))
            .filter(|&end| end > at)
        {
            Some(end) => {
                if unmatched < at {
                    finer.push(&piece[unmatched..at]);
                }
                finer.push(&piece[at..end]);
                (at, unmatched) = (end, end);
            }
            None => at += next_char(piece, at).map_or(1, char::len_utf8),
        }
    }
    if unmatched < piece.len() {
        finer.push(&piece[unmatched..]);
    }
}

fn next_char(text: &str, at: usize) -> Option<char> {
    text[at..].chars().next()
}

/// Where the steps end that begin at byte `at`; `None` when they do not match there.
fn match_end(steps: &[Step], text: &str, at: usize) -> Option<usize> {
    let Some((step, rest)) = steps.split_first() else {
        return Some(at);
    };
    match step {
        Step::One(class) => repeat(*class, 1, 1, rest, text, at),
        Step::Optional(class) => repeat(*class, 0, 1, rest, text, at),
        Step::Any(class) => repeat(*class, 0, usize::MAX, rest, text, at),
        Step::Some(class) => repeat(*class, 1, usize::MAX, rest, text, at),
        Step::UpTo(class, most) => repeat(*class, 1, *most, rest, text, at),
        Step::NotBefore(class) if next_char(text, at).is_some_and(class) => None,
        Step::NotBefore(_) => match_end(rest, text, at),
        Step::Group(group) => group
            .iter()
            .find_map(|steps| match_end(rest, text, match_end(steps, text, at)?)),
        Step::OptionalGroup(group) => {
            let with = group
                .iter()
                .find_map(|steps| match_end(rest, text, match_end(steps, text, at)?));
            with.or_else(|| match_end(rest, text, at))
        }
    }
}

/// As many of `class` as there are, then fewer, until the rest matches; the depth of recursion is that of the steps.
fn repeat(class: Class, least: usize, most: usize, rest: &[Step], text: &str, at: usize) -> Option<usize> {
    let mut count = 0;
    let mut end = at;
    while count < most {
        match next_char(text, end) {
            Some(character) if class(character) => end += character.len_utf8(),
            _ => break,
        }
        count += 1;
    }
    loop {
        if count < least {
            return None;
        }
        if let Some(found) = match_end(rest, text, end) {
            return Some(found);
        }
        let last = text[at..end].chars().next_back()?;
        end -= last.len_utf8();
        count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Class = |c| c == 'a';
    const B: Class = |c| c == 'b';
    const NOT_SPACE: Class = |c| !c.is_whitespace();
    const SPACE: Class = char::is_whitespace;

    #[test]
    fn repetition_gives_back_what_the_rest_needs() {
        assert_eq!(match_end(&[Step::Any(A), Step::One(A)], "aaab", 0), Some(3));
        assert_eq!(match_end(&[Step::UpTo(A, 2), Step::One(A)], "aaab", 0), Some(3));
        assert_eq!(match_end(&[Step::Some(A), Step::One(B)], "aaab", 0), Some(4));
        assert_eq!(match_end(&[Step::UpTo(A, 2), Step::One(B)], "aaab", 0), None);
        assert_eq!(
            match_end(&[Step::Some(SPACE), Step::NotBefore(NOT_SPACE)], "   x", 0),
            Some(2)
        );
        assert_eq!(match_end(&[Step::Some(SPACE), Step::NotBefore(NOT_SPACE)], " x", 0), None);
        assert_eq!(match_end(&[Step::Some(SPACE), Step::NotBefore(NOT_SPACE)], "  ", 0), Some(2));
    }

    #[test]
    fn the_first_alternative_counts_not_the_longest() {
        const STAGE: Stage = &[&[Step::One(A)], &[Step::Some(A)]];
        assert_eq!(split(&[STAGE], "aab"), ["a", "a", "b"]);
    }

    #[test]
    fn pieces_joined_are_the_text_and_what_no_stage_matches_stays_whole() {
        const STAGE: Stage = &[&[Step::Some(A)]];
        assert_eq!(split(&[STAGE], "xyaazé"), ["xy", "aa", "zé"]);
        assert_eq!(split(&[STAGE, &[&[Step::One(A)]]], "xaa"), ["x", "a", "a"]);
        assert!(split(&[STAGE], "").iter().all(|piece| piece.is_empty()));
    }

    #[test]
    fn an_optional_group_is_taken_when_it_can_be() {
        const STEPS: Alternative = &[Step::Some(A), Step::OptionalGroup(&[&[Step::One(B)]])];
        assert_eq!(match_end(STEPS, "aab", 0), Some(3));
        assert_eq!(match_end(STEPS, "aa", 0), Some(2));
    }
}
