#!/usr/bin/env bash
# A checkpoint to what the repository ships: the model, its predictor, its traces, and a page that says how good they are.
#
#   experiments/train/ship.sh WORK RUN [OUT]
#
# WORK   the folder of recipe.sh; RUN: a run in it, such as mixture-sparse
# OUT    where it goes (default: models/novels)
# PYTHON of a virtual environment with requirements.txt (default: python3)
# NAME    of the model, before its shape (default: novels)
# ABOUT   what it was trained on, in words, and LICENCE of the weights, for the page and the file (default: texts of your own, whatever they allow)
# NOISE   of logits that rounding explains, for measure.sh
# LARGEST bytes of a model (default 25000000): Q8_0 where it is no larger, else Q4_0
# WINDOWS of 512 tokens that formats and predictors are compared over, from the beginning of the text (default: all, and 40 of them); what the chosen
#         predictor costs is always of all
#
# Needs the built program (npm run build) and, for the comparison, llama.cpp (node engine/rivals/llama.cpp/build.mjs). Nothing in OUT is
# touched before everything is measured and holds. Minutes: about ten on two idle cores.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
[ $# -ge 2 ] || { sed -n '2,18s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
work=$1 run=$2 out=${3:-$root/models/novels}
python=${PYTHON:-python3}
data=$work/data
checkpoint=$work/runs/$run/checkpoint.pt
name=${NAME:-novels}-$(basename "$run" | sed 's/-.*//')
made=$work/ship/$run
LARGEST=${LARGEST:-25000000}
mkdir -p "$made" "$out"
neuronlab() { node "$root/bin/neuronlab.js" "$@"; }

"$here/measure.sh" "$work" "$run"

# The finest format that may be committed is the model.
model=
for format in q8_0 q4_0; do
  [ "$(stat -c %s "$made/$name-$format.gguf")" -gt "$LARGEST" ] || { model=$made/$name-$format.gguf; break; }
done
[ -n "$model" ] || { echo "ship.sh: $made/$name-q4_0.gguf is larger than $LARGEST bytes; LARGEST=… ship.sh ships it all the same" >&2; exit 1; }

# One predictor for each recall; the one to ship is chosen by the rule in operating_point.py.
recalls=(50 70 80 90 95 98 99)
(IFS=,; echo "[${recalls[*]}]") >"$made/predictors.json"
for recall in "${recalls[@]}"; do
  neuronlab train-predictor --model "$model" --out "$made/predictor-$recall.gguf" --text "$data/sample.txt" --tokens 32768 --recall "$recall%" --format json >"$made/train-predictor-$recall.json"
  neuronlab perplexity --model "$model" --text "$data/held-out.txt" --windows "${WINDOWS:-40}" --predictor "$made/predictor-$recall.gguf" --audit --format json >"$made/predicted-$recall.json"
done
neuronlab perplexity --model "$model" --text "$data/held-out.txt" --windows "${WINDOWS:-40}" --format json >"$made/predicted-none.json"
"$python" "$here/operating_point.py" --folder "$made" >"$made/operating-point.json"
recall=$("$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["chosen"])' "$made/operating-point.json")

# The choice was made on those windows; what the chosen one costs on the others needs all of the text.
neuronlab perplexity --model "$model" --text "$data/held-out.txt" --predictor "$made/predictor-$recall.gguf" --format json >"$made/chosen.json"
neuronlab perplexity --model "$model" --text "$data/held-out.txt" --format json >"$made/chosen-none.json"

# Four thousand tokens from the middle of the text held out: no title page, no last words.
"$python" -c 'import sys; text = open(sys.argv[1], encoding="utf-8").read(); start = text.index("\n\n", len(text) // 2) + 2; sys.stdout.write(text[start:start + 15000])' "$data/held-out.txt" >"$made/trace.txt"
neuronlab record --model "$model" --out "$made/$name.trace" --prompt-file "$made/trace.txt" --window 512 --tokens 0 --spec "$made/$name.json" --format json >"$made/record.json"

"$python" "$here/provenance.py" --work "$work" --run "$run" --made "$made" --model "$model" ${ABOUT:+--about "$ABOUT"} ${LICENCE:+--licence "$LICENCE"} >"$made/README.md"
# All that takes time is done beside the names; what is left between the first of them and the last is five renames.
ship() { install -m 644 "$1" "$out/.$2.part"; shipped+=("$2"); }
shipped=()
ship "$model" "$name.gguf"
ship "$made/predictor-$recall.gguf" "$name.predictor.gguf"
ship "$made/$name.trace" "$name.trace"
ship "$made/$name.json" "$name.json"
ship "$made/README.md" README.md
for file in "${shipped[@]}"; do mv "$out/.$file.part" "$out/$file"; done
ls -l "$out" >&2
