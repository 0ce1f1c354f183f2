"""Two small vocabularies, trained on the corpus, written as GGUF files without tensors."""

import json
import random
import struct
import tempfile
from pathlib import Path

# Texts whose frequent parts become tokens, so that a pre-tokeniser that splits elsewhere gives other ids.
SHAPES = [
    "it's IT'S we'll WE'LL they've THEY'VE you're YOU'RE I'm I'M he'd HE'D don't DON'T 's 'S 'll 'LL",
    "1 12 123 1234 12345 123456 1234567 12345678 3.14159 1,000,000 2026-11-21 ٣٤٥ ½ Ⅷ",
    "a  b   c    d        e\t\tf\n\ng\n\n\nh\r\ni\r\n\r\nj \n k  \n  l\n \n",
    "!!! ??? ... --- *** === <= >= != && || :: -> => // /* */ \"\" '' (x) [y] {z} $5 +7 #8 @9 ~a `b` ^c a/b/ ./c/\n",
    "HelloWorld helloWorld HELLOworld camelCase snake_case kebab-case SCREAMING_CASE x1y2 abc123 123abc",
    "été ÉTÉ Straße ÀÉÎ naïve cœur façade Ünïcödé привет ПРИВЕТ Привет мир καλημέρα ΚΑΛΗ",
    "日本語 東京 中文 你好，世界。 カタカナ ひらがな 한국어 안녕하세요 สวัสดี नमस्ते مرحبا، שלום",
    "e\u0301 o\u0308 n\u0303 क्षि 👍🏽 👩‍👩‍👧 🎉🎉 ★★ →→ €5 £6 ™ ©",
    "\u00a0x\u00a0y \u3000あ\u3000 \u2003z \u2028w \u0085v\u200bu",
]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_start|>user"]
SHOWN = ["<tool>", "  <pad2>"]


def corpus_sample(corpus):
    lines = []
    for path in sorted(Path(corpus).glob("*.txt")):
        if path.stem == "emma-158":
            continue  # Held out: nothing is trained on it.
        lines += path.read_text(encoding="utf-8").splitlines(keepends=True)[500:1500]
    return lines + [shape + "\n" for shape in SHAPES * 60]


def byte_pairs(corpus):
    """Tokens and merges trained with no pre-tokeniser: merges that cross every boundary show where one splits."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=2200, initial_alphabet=alphabet, show_progress=False, max_token_length=16)
    tokenizer.train_from_iterator(corpus_sample(corpus), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = [text for text, _ in sorted(model["vocab"].items(), key=lambda item: item[1])]
    merges = [rule if isinstance(rule, str) else " ".join(rule) for rule in model["merges"]]
    # Merges of any two of the characters that patterns ask for, after the trained ones: a split between them shows.
    alphabet = "'sStTrReEvVlLmMdD\u0120\u010a\u010da1,/!"
    pairs = [left + " " + right for left in alphabet for right in alphabet]
    random.Random(1).shuffle(pairs)
    merges += [pair for pair in pairs if pair not in set(merges)]
    known = set(tokens)
    tokens += [text for text in (pair.replace(" ", "") for pair in pairs) if text not in known]
    # Words that no merge makes: only a pre-tokeniser that takes whole words finds them.
    whole = [word for word in ["Ġquokka", "zebra123", "ĠZyx", "qqqq", "ÃīTÃī"] if word not in tokens]
    kinds = [1] * len(tokens + whole) + [3] * len(SPECIAL) + [4] * len(SHOWN)
    tokens = tokens + whole + SPECIAL + SHOWN
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": tokens.index("<|im_start|>"),
        "tokenizer.ggml.eos_token_id": tokens.index("<|endoftext|>"),
    }


def sentence_pieces(corpus):
    """A SentencePiece vocabulary with scores and byte tokens, as Llama's is."""
    import sentencepiece

    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder, "text")
        text.write_text("".join(corpus_sample(corpus)), encoding="utf-8")
        sentencepiece.SentencePieceTrainer.train(
            input=str(text), model_prefix=f"{folder}/model", vocab_size=1800, model_type="bpe", byte_fallback=True,
            character_coverage=0.999, split_digits=True, allow_whitespace_only_pieces=True, normalization_rule_name="identity",
            remove_extra_whitespaces=False, user_defined_symbols=["<tool>", "▁▁<pad2>"], control_symbols=["<|im_end|>", "[INST]"],
            num_threads=1, minloglevel=2,
        )
        model = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/model.model")
    ids = range(model.get_piece_size())

    def kind(index):
        if model.is_unknown(index):
            return 2
        if model.is_control(index):
            return 3
        if model.is_byte(index):
            return 6
        return 4 if model.id_to_piece(index) in ("<tool>", "▁▁<pad2>") else 1

    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [model.id_to_piece(index) for index in ids],
        "tokenizer.ggml.scores": [float(model.get_score(index)) for index in ids],
        "tokenizer.ggml.token_type": [kind(index) for index in ids],
        "tokenizer.ggml.bos_token_id": model.bos_id(),
        "tokenizer.ggml.eos_token_id": model.eos_id(),
        "tokenizer.ggml.unknown_token_id": model.unk_id(),
    }


def gguf(metadata):
    """The bytes of a GGUF file, version 3, with this metadata and no tensors."""

    def text(value):
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def value(item):
        if isinstance(item, bool):
            return struct.pack("<IB", 7, item)
        if isinstance(item, int):
            return struct.pack("<II", 4, item)
        if isinstance(item, str):
            return struct.pack("<I", 8) + text(item)
        head = {str: 8, float: 6, int: 5}[type(item[0])]
        body = b"".join(map(text, item)) if head == 8 else struct.pack(f"<{len(item)}{'f' if head == 6 else 'i'}", *item)
        return struct.pack("<IIQ", 9, head, len(item)) + body

    metadata = {"general.architecture": "llama", **metadata}
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(metadata)) + b"".join(text(key) + value(metadata[key]) for key in metadata)
