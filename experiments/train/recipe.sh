#!/usr/bin/env bash
# Trains everything in turn. Whatever ends it (Ctrl-C, a reboot, kill -9), the same call goes on from the last checkpoints.
#
#   experiments/train/recipe.sh WORK [CORPUS [HELD_OUT]]
#
# WORK       a folder for data and runs, outside the repository (some 2 GB)
# CORPUS     a folder of UTF-8 .txt files (default: ../shared/data/corpus beside the repository)
# HELD_OUT   the file in it that is not trained on (default: emma-158.txt)
# VOCABULARY tokens of the tokeniser (default 4096; of less than 2 MB of text 1024)
# PYTHON     of a virtual environment with requirements.txt (default: python3)
# STEPS      of 8192 tokens at the stable rate (default 1800); HOLD and DECAY those of each branch (200 and 700)
# PRODUCTS   format of matrix products, bfloat16 (default) or float32: the faster one on this machine
# STRENGTH   of the sparsity term (default 1); SHAPES: which of "mixture dense drelu" (default: all, in that order)
# SEEDS      further seeds of the order in which branches read, such as "2 3" (default: none): twins NAME-seed2 and so on, which say how
#            much of a cost is luck
#
# For every shape: one long run at a stable rate, and from its end two branches that differ in nothing but the sparsity term. The
# difference of their perplexities is what sparsity costs. At the lowest priority: nice 19.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 1 ] || { sed -n '2,21s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
work=$1
corpus=${2:-$here/../../../shared/data/corpus}
held_out=${3:-emma-158.txt}
python=${PYTHON:-python3}
mkdir -p "$work/runs"
data=$work/data

# Two threads that wait for each other busily lose most of a shared machine.
export OMP_WAIT_POLICY=PASSIVE

[ -f "$data/data.json" ] || "$python" "$here/prepare.py" --corpus "$corpus" --held-out "$held_out" --out "$data" --vocabulary "${VOCABULARY:-4096}"
# WORK/pid names the process that trains now: SIGSTOP and SIGCONT hold it, SIGTERM ends it with a checkpoint, and then this script.
train() { nice -n 19 "$python" "$here/train.py" --data "$data" --products "${PRODUCTS:-bfloat16}" "$@"; }
begin() { ln -sfn "runs/$1/pid" "$work/pid"; }
branch() { begin "$1"; train --run "$work/runs/$1" --from "$work/runs/$2/checkpoint.pt" --hold "${HOLD:-200}" --decay "${DECAY:-700}" --strength "$3" --seed "${4:-1}"; }
measure() { [ "$work/runs/$1/evaluation.json" -nt "$work/runs/$1/checkpoint.pt" ] || { "$python" "$here/evaluate.py" --data "$data" --checkpoint "$work/runs/$1/checkpoint.pt" --windows 128 >"$work/runs/$1/evaluation.json.part" && mv "$work/runs/$1/evaluation.json.part" "$work/runs/$1/evaluation.json"; }; }

# What serves best is finished first; what only says what sparsity costs comes last.
for shape in ${SHAPES:-mixture dense drelu}; do
  begin "$shape"
  train --run "$work/runs/$shape" --shape "$shape" --steps "${STEPS:-1800}"
  branch "$shape-sparse" "$shape" "${STRENGTH:-1}"
  measure "$shape-sparse"
done
for shape in ${SHAPES:-mixture dense drelu}; do
  branch "$shape-plain" "$shape" 0
  measure "$shape-plain"
done
for seed in ${SEEDS:-}; do
  for shape in ${SHAPES:-mixture dense drelu}; do
    branch "$shape-sparse-seed$seed" "$shape" "${STRENGTH:-1}" "$seed"
    measure "$shape-sparse-seed$seed"
    branch "$shape-plain-seed$seed" "$shape" 0 "$seed"
    measure "$shape-plain-seed$seed"
  done
done
