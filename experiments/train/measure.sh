#!/usr/bin/env bash
# A checkpoint as files, and whether they are right: perplexity in every format beside PyTorch's and llama.cpp's, greedy text beside
# llama.cpp's, the same text with half of its FFNs in memory.
#
#   experiments/train/measure.sh WORK RUN
#
# WORK    the folder of recipe.sh; RUN: a run in it, such as dense-sparse. All goes to WORK/ship/RUN
# PYTHON  of a virtual environment with requirements.txt (default: python3)
# NAME    of the model, before its shape (default: novels)
# LICENCE of the weights, for the files (default: they say nothing of it)
# NOISE   of logits that rounding explains in Q8_0 and Q4_0 (default 0.02): where llama.cpp prefers its own word by no more than that, ours may be its second best.
#         A model trained for minutes is near to undecided everywhere, and may need 0.05
# WINDOWS of 512 tokens that perplexities are over, from the beginning of the text (default: all)
#
# Needs the built program (npm run build) and llama.cpp (node engine/rivals/llama.cpp/build.mjs). Ends with an error where something differs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
[ $# -eq 2 ] || { sed -n '2,16s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
work=$1 run=$2
python=${PYTHON:-python3}
data=$work/data
checkpoint=$work/runs/$run/checkpoint.pt
shape=${run%%-*}
name=${NAME:-novels}-$shape
made=$work/ship/$run
mkdir -p "$made"
# Nothing of an earlier checkpoint stands beside what is measured now.
rm -f "$made"/{evaluation,pytorch,pack,half-memory}.json "$made"/{perplexity,parity}-*.json
neuronlab() { node "$root/bin/neuronlab.js" "$@"; }
# llama.cpp has no dReLU: it would take the file and compute SiLU.
versus=(--vs llama.cpp)
[ "$shape" != drelu ] || versus=()

echo "evaluating $checkpoint" >&2
"$python" "$here/evaluate.py" --data "$data" --checkpoint "$checkpoint" --windows 128 --keep 0.01 0.02 0.05 0.1 0.2 0.5 >"$made/evaluation.json"
"$python" "$here/evaluate.py" --data "$data" --checkpoint "$checkpoint" ${WINDOWS:+--first "$WINDOWS"} >"$made/pytorch.json"
for format in f32 q8_0 q4_0; do
  "$python" "$here/export.py" --data "$data" --checkpoint "$checkpoint" --out "$made/$name-$format.gguf" --format "$format" --name "neuronlab $name" ${LICENCE:+--licence "$LICENCE"} >&2
  neuronlab perplexity --ffn dense --model "$made/$name-$format.gguf" --text "$data/held-out.txt" ${WINDOWS:+--windows "$WINDOWS"} "${versus[@]}" --format json >"$made/perplexity-$format.json"
done
"$python" "$here/agreement.py" --made "$made" $([ "$shape" != drelu ] || echo --alone)
# Down as numbers: neurons can be read one by one, and no weight is changed.
neuronlab pack --model "$made/$name-q8_0.gguf" --out "$made/$name.flash" --down f32 --format json >"$made/pack.json"
for format in f32 q8_0 q4_0; do
  [ "$shape" != drelu ] || break
  # Where activations are rounded to eight bits a sum in another order now and then moves a code, and that a logit by thousandths.
  noise=0.001
  [ "$format" = f32 ] || noise=${NOISE:-0.02}
  "$python" "$here/parity.py" --model "$made/$name-$format.gguf" --prompts "$data/held-out.txt" --program "$root/bin/neuronlab.js" --noise "$noise" >"$made/parity-$format.json"
done
"$python" "$here/half_memory.py" --model "$made/$name-q8_0.gguf" --packed "$made/$name.flash" --program "$root/bin/neuronlab.js" --pack "$made/pack.json" >"$made/half-memory.json"
