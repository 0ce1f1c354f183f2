"""Whether the perplexities that measure.sh took are those of one model.

    python agreement.py --made WORK/ship/RUN [--alone]

F32 must be PyTorch's to 1e-4 of itself, and every format llama.cpp's to 1e-3 (--alone: it does not run this architecture). Says what is not, and exits with 1.
"""

import argparse
import json
import sys
from pathlib import Path

OF_PYTORCH, OF_LLAMA_CPP = 1e-4, 1e-3


def faults(pytorch: dict, formats: dict, alone: bool) -> list[str]:
    found = []
    ours = formats["f32"]["perplexity"]
    if not abs(ours / pytorch["perplexity"] - 1) <= OF_PYTORCH:
        found.append(f"f32: {ours} here, {pytorch['perplexity']} in PyTorch")
    for form, one in formats.items():
        theirs = one.get("llamaCpp")
        if theirs is None:
            if not alone:
                found.append(f"{form}: llama.cpp gave nothing: {one.get('gap')}")
        elif not abs(one["perplexity"] / theirs["perplexity"] - 1) <= OF_LLAMA_CPP:
            found.append(f"{form}: {one['perplexity']} here, {theirs['perplexity']} by llama.cpp")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--made", type=Path, required=True)
    parser.add_argument("--alone", action="store_true")
    options = parser.parse_args()
    read = lambda name: json.loads((options.made / f"{name}.json").read_text(encoding="utf-8"))
    found = faults(read("pytorch"), {form: read(f"perplexity-{form}") for form in ("f32", "q8_0", "q4_0")}, options.alone)
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
