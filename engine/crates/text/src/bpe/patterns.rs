//! The pre-tokenisers that files name in `tokenizer.ggml.pre`: how a text is split into words before its bytes are joined.
//!
//! Each is one or more stages of ordered alternatives. They follow llama.cpp (v0.5.0), also where that simplifies a model's
//! original pattern: its `tekken` and `gpt-4o` know upper and lower case of ASCII letters only, and leave marks to the
//! symbols. A name that llama.cpp knows and this table does not is refused, with the names that are known.

use super::matcher::Step::{Any, Group, NotBefore, One, Optional, OptionalGroup, Some, UpTo};
use super::matcher::{Alternative, Class, Stage};
use crate::unicode::{Category, category};

/// One pre-tokeniser.
pub(super) struct PreTokeniser {
    names: &'static [&'static str],
    pub stages: &'static [Stage],
    /// A word that is a token is taken whole, whatever the merge rules would make of it.
    pub whole_words: bool,
    /// A begin token goes first where the file does not say.
    pub begins: bool,
}

impl std::fmt::Debug for PreTokeniser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PreTokeniser {:?}", self.names)
    }
}

pub(super) fn find(name: &str) -> Option<&'static PreTokeniser> {
    ALL.iter().find(|pre| pre.names.contains(&name))
}

pub(super) fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = ALL.iter().flat_map(|pre| pre.names).copied().collect();
    names.sort_unstable();
    names
}

const fn plain(names: &'static [&'static str], stages: &'static [Stage]) -> PreTokeniser {
    PreTokeniser {
        names,
        stages,
        whole_words: false,
        begins: false,
    }
}

const fn whole(names: &'static [&'static str], stages: &'static [Stage], begins: bool) -> PreTokeniser {
    PreTokeniser {
        names,
        stages,
        whole_words: true,
        begins,
    }
}

static ALL: &[PreTokeniser] = &[
    plain(&["default"], &[DEFAULT_PUNCTUATION, GPT2, NUMBERS, THREE_DIGITS]),
    plain(
        &[
            "gpt-2",
            "phi-2",
            "jina-es",
            "jina-de",
            "jina-v2-es",
            "jina-v2-de",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "modern-bert",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "granite-docling",
            "exaone4",
        ],
        &[GPT2],
    ),
    plain(
        &[
            "smollm",
            "starcoder",
            "refact",
            "command-r",
            "codeshell",
            "exaone",
            "minerva-7b",
            "mellum2",
        ],
        &[DIGIT, GPT2],
    ),
    plain(&["falcon"], &[FALCON_PUNCTUATION, GPT2, THREE_DIGITS]),
    whole(
        &[
            "llama-bpe",
            "llama3",
            "llama-v3",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
            "jina-v5-nano",
        ],
        &[LLAMA3],
        true,
    ),
    plain(&["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"], &[LLAMA3]),
    plain(
        &[
            "qwen2",
            "deepseek-r1-qwen",
            "kormo",
            "f2llmv2",
            "stablelm2",
            "megrez",
            "hunyuan",
            "solar-open",
            "grok-2",
            "bailingmoe",
            "bailingmoe2",
            "llada-moe",
        ],
        &[QWEN2],
    ),
    plain(&["qwen35"], &[QWEN35]),
    plain(&["ufakzeka"], &[UFAKZEKA]),
    plain(&["laguna"], &[LINES, QWEN2]),
    plain(&["seed-coder"], &[SEED_CODER]),
    whole(&["minicpm5"], &[UP_TO_THREE_DIGITS, MINICPM5], false),
    whole(&["tekken"], &[TEKKEN], true),
    plain(&["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"], &[GPT4O]),
    plain(
        &["deepseek-coder"],
        &[LINE_BREAK, SPACED_LETTERS, SPACED_PUNCTUATION, DEEPSEEK_CJK, DIGIT],
    ),
    plain(
        &["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"],
        &[UP_TO_THREE_DIGITS, CJK_AND_KANA, DEEPSEEK3],
    ),
    plain(&["poro-chat", "bloom", "gpt3-finnish"], &[BLOOM]),
    plain(&["viking"], &[BLOOM, DIGIT]),
];

// Classes.

const L: Class = |c| category(c) == Category::Letter;
const N: Class = |c| category(c) == Category::Number;
const P: Class = |c| category(c) == Category::Punctuation;
const LETTER_OR_MARK: Class = |c| matches!(category(c), Category::Letter | Category::Mark);
const SPACE: Class = char::is_whitespace;
const NOT_SPACE: Class = |c| !c.is_whitespace();
const BLANK: Class = |c| c == ' ';
const RETURN: Class = |c| matches!(c, '\r' | '\n');
const RETURN_OR_SLASH: Class = |c| matches!(c, '\r' | '\n' | '/');
const NEW_LINE: Class = |c| c == '\n';
const NOT_NEW_LINE: Class = |c| c != '\n';
/// `[^\s\p{L}\p{N}]`
const SIGN: Class = |c| !c.is_whitespace() && !matches!(category(c), Category::Letter | Category::Number);
/// `[^\s\p{L}\p{M}\p{N}]`
const BARE_SIGN: Class = |c| SIGN(c) && category(c) != Category::Mark;
/// `[^\r\n\p{L}\p{N}]`
const LEAD: Class = |c| !RETURN(c) && !matches!(category(c), Category::Letter | Category::Number);
/// A letter other than a to z, or other than A to Z.
const UPPER_LIKE: Class = |c| !c.is_ascii_lowercase() && L(c);
const LOWER_LIKE: Class = |c| !c.is_ascii_uppercase() && L(c);
const APOSTROPHE: Class = |c| c == '\'';
const ASCII_DIGIT: Class = |c| c.is_ascii_digit();
const ASCII_LETTER: Class = |c| c.is_ascii_alphabetic();
/// What ASCII calls punctuation, Unicode's symbols among it.
const ASCII_SIGN: Class = |c| c.is_ascii_punctuation();
/// `[\p{P}\p{S}]`
const PUNCTUATION_OR_SYMBOL: Class = |c| matches!(category(c), Category::Punctuation | Category::Symbol);
/// `[^\r\n\p{L}\p{P}\p{S}]`
const QUIET: Class = |c| !RETURN(c) && !L(c) && !PUNCTUATION_OR_SYMBOL(c);

const R: Class = |c| c.eq_ignore_ascii_case(&'r');
const E: Class = |c| c.eq_ignore_ascii_case(&'e');
const V: Class = |c| c.eq_ignore_ascii_case(&'v');
const LL: Class = |c| c.eq_ignore_ascii_case(&'l');

// Stages, each with the expression that it stands for.

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
const GPT2: Stage = &[
    &[One(APOSTROPHE), One(|c| matches!(c, 's' | 't' | 'm' | 'd'))],
    &[One(APOSTROPHE), One(|c| c == 'r'), One(|c| c == 'e')],
    &[One(APOSTROPHE), One(|c| c == 'v'), One(|c| c == 'e')],
    &[One(APOSTROPHE), One(|c| c == 'l'), One(|c| c == 'l')],
    &[Optional(BLANK), Some(L)],
    &[Optional(BLANK), Some(N)],
    &[Optional(BLANK), Some(SIGN)],
    &[Some(SPACE), NotBefore(NOT_SPACE)],
    &[Some(SPACE)],
];

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)`
const CONTRACTIONS: Stage = &[
    &[
        One(APOSTROPHE),
        One(|c| matches!(c.to_ascii_lowercase(), 's' | 't' | 'm' | 'd')),
    ],
    &[One(APOSTROPHE), One(R), One(E)],
    &[One(APOSTROPHE), One(V), One(E)],
    &[One(APOSTROPHE), One(LL), One(LL)],
];

// Alternatives that many stages share.

const CONTRACTION: Alternative = &[Group(CONTRACTIONS)];
/// `[^\r\n\p{L}\p{N}]?\p{L}+`
const LED_LETTERS: Alternative = &[Optional(LEAD), Some(L)];
/// ` ?[^\s\p{L}\p{N}]+[\r\n]*`
const SIGNS: Alternative = &[Optional(BLANK), Some(SIGN), Any(RETURN)];
/// ` ?[^\s\p{L}\p{N}]+[\r\n/]*`
const SIGNS_AND_SLASHES: Alternative = &[Optional(BLANK), Some(SIGN), Any(RETURN_OR_SLASH)];
/// `\s*[\r\n]+`
const LINE_END: Alternative = &[Any(SPACE), Some(RETURN)];
/// `\s+(?!\S)`
const SPACES_BUT_LAST: Alternative = &[Some(SPACE), NotBefore(NOT_SPACE)];
/// `\s+`
const SPACES: Alternative = &[Some(SPACE)];

const LLAMA3: Stage = &[
    CONTRACTION,
    LED_LETTERS,
    &[UpTo(N, 3)],
    SIGNS,
    LINE_END,
    SPACES_BUT_LAST,
    SPACES,
];
const QWEN2: Stage = &[CONTRACTION, LED_LETTERS, &[One(N)], SIGNS, LINE_END, SPACES_BUT_LAST, SPACES];
const MINICPM5: Stage = &[CONTRACTION, LED_LETTERS, &[Some(N)], SIGNS, LINE_END, SPACES_BUT_LAST, SPACES];
/// Qwen2's without contractions: Turkish suffixes after an apostrophe stay whole.
const UFAKZEKA: Stage = &[LED_LETTERS, &[One(N)], SIGNS, LINE_END, SPACES_BUT_LAST, SPACES];
/// Qwen2's with marks among the letters.
const QWEN35: Stage = &[
    CONTRACTION,
    &[Optional(LEAD), Some(LETTER_OR_MARK)],
    &[One(N)],
    &[Optional(BLANK), Some(BARE_SIGN), Any(RETURN)],
    LINE_END,
    SPACES_BUT_LAST,
    SPACES,
];
/// Qwen2's with signs apart (a line break is a space, so signs hold none) from the line breaks after them.
const SEED_CODER: Stage = &[
    CONTRACTION,
    LED_LETTERS,
    &[One(N)],
    &[Optional(BLANK), Some(SIGN)],
    LINE_END,
    SPACES_BUT_LAST,
    SPACES,
];

/// `[^\r\n\p{L}\p{N}]?((?=\p{L})[^a-z])*((?=\p{L})[^A-Z])+`, and with `+` and `*` changed over.
const TEKKEN: Stage = &[
    &[Optional(LEAD), Any(UPPER_LIKE), Some(LOWER_LIKE)],
    &[Optional(LEAD), Some(UPPER_LIKE), Any(LOWER_LIKE)],
    &[One(N)],
    SIGNS_AND_SLASHES,
    LINE_END,
    SPACES_BUT_LAST,
    SPACES,
];
const GPT4O: Stage = &[
    &[Optional(LEAD), Any(UPPER_LIKE), Some(LOWER_LIKE), OptionalGroup(CONTRACTIONS)],
    &[Optional(LEAD), Some(UPPER_LIKE), Any(LOWER_LIKE), OptionalGroup(CONTRACTIONS)],
    &[UpTo(N, 3)],
    SIGNS_AND_SLASHES,
    LINE_END,
    SPACES_BUT_LAST,
    SPACES,
];

/// `[ASCII punctuation][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
const DEEPSEEK3: Stage = &[
    &[One(ASCII_SIGN), Some(ASCII_LETTER)],
    &[Optional(QUIET), Some(LETTER_OR_MARK)],
    &[Optional(BLANK), Some(PUNCTUATION_OR_SYMBOL), Any(RETURN)],
    LINE_END,
    SPACES_BUT_LAST,
    SPACES,
];

const DIGIT: Stage = &[&[One(N)]];
const NUMBERS: Stage = &[&[Some(N)]];
const UP_TO_THREE_DIGITS: Stage = &[&[UpTo(N, 3)]];
const THREE_DIGITS: Stage = &[&[One(ASCII_DIGIT), One(ASCII_DIGIT), One(ASCII_DIGIT)]];
const LINES: Stage = &[&[Some(NOT_NEW_LINE)], &[Some(NEW_LINE)]];
const LINE_BREAK: Stage = &[&[One(RETURN)]];
const SPACED_LETTERS: Stage = &[&[Optional(SPACE), Some(L)]];
const SPACED_PUNCTUATION: Stage = &[&[Optional(SPACE), Some(P)]];
/// `[\p{P}\$\+<=>\^~\|]+`
const DEFAULT_PUNCTUATION: Stage = &[&[Some(|c| P(c) || "$+<=>^~|".contains(c))]];
const FALCON_PUNCTUATION: Stage = &[&[Some(|c| P(c) || "$+<=>^~|`".contains(c))]];
/// `[一-龥ࠀ-一가-퟿]+`, whose ranges hold spaces such as U+3000; llama.cpp writes those as a tab before it matches.
const DEEPSEEK_CJK: Stage = &[&[Some(|c| {
    NOT_SPACE(c) && matches!(c, '\u{800}'..='\u{9fa5}' | '\u{ac00}'..='\u{d7ff}')
})]];
/// `[一-龥぀-ゟ゠-ヿ]+`
const CJK_AND_KANA: Stage = &[&[Some(|c| matches!(c, '\u{4e00}'..='\u{9fa5}' | '\u{3040}'..='\u{30ff}'))]];
/// ` ?[^(\s|.,!?…。，、।۔،)]+`
const BLOOM: Stage = &[&[Optional(BLANK), Some(|c| NOT_SPACE(c) && !"(|.,!?…。，、।۔،)".contains(c))]];
