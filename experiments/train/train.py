"""Trains a model, resuming where an earlier call was stopped or killed.

    python train.py --data DATA --run RUN --shape mixture --steps 3000
    python train.py --data DATA --run RUN2 --from RUN/checkpoint.pt --hold 300 --decay 700 --strength 2

The first form warms up and goes on at one rate. The second branches off from a checkpoint of the first: `hold` steps at that rate,
in which the sparsity term grows to its strength, then `decay` steps in which the rate falls to nothing. (Warm-up, stable, decay: Hu and
others, arXiv 2404.06395, section 4.) So one long run can be ended at any length, and branches with and without the sparsity term
differ in nothing else.

RUN gets checkpoint.pt (model, optimisers, step; written whole or not at all, every two minutes and at the end), log.jsonl (a line
every 20 steps) and pid. All that a step draws is a function of seed and step, so a checkpoint needs no state of a generator.
"""

import argparse
import fcntl
import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from data import Tokens, held_out
from model import SHAPES, Model, Shape
from optimiser import optimisers
from precision import FORMATS, use

WARM_UP_STEPS = 100
SECONDS_BETWEEN_CHECKPOINTS = 120
STEPS_BETWEEN_LINES = 20
STEPS_BETWEEN_HELD_OUT = 100
HELD_OUT_WINDOWS = 16
BALANCE = 0.01
LARGEST_GRADIENT = 1.0


def save(path: Path, state: dict) -> None:
    """Whole or not at all, and on the disk before the name is there."""
    part = path.with_name(path.name + ".part")
    with open(part, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def rate_at(step: int, options) -> float:
    """The rate of a step, counted from the beginning of the first run."""
    warmed = min(1.0, (step + 1) / WARM_UP_STEPS)
    left = options.end - step
    return options.rate * warmed * (min(1.0, left / options.decay) if options.decay > 0 else 1.0)


def strength_at(step: int, options) -> float:
    """The sparsity term's strength: from nothing at the branch to all of it at the end of `hold`."""
    return options.strength * min(1.0, (step - options.begin + 1) / max(1, options.hold))


@torch.no_grad()
def held_out_loss(model: Model, windows: torch.Tensor) -> float:
    """Nats a token."""
    losses = [model(batch[:, :-1], batch[:, 1:])[0].item() for batch in windows.split(4)]
    return sum(losses) / len(losses)


def train_step(model, opts, tokens: Tokens, step: int, options) -> dict:
    """One step of all optimisers; what is to be told of it."""
    rate, strength = rate_at(step, options), strength_at(step, options)
    loss_sum, balance_sum = 0.0, 0.0
    told = [] if (step + 1) % STEPS_BETWEEN_LINES == 0 or step + 1 == options.end else None
    for part in range(options.parts):
        batch = tokens.batch((step * options.parts + part) * options.windows, options.windows)
        loss, balance = model(batch[:, :-1], batch[:, 1:], strength / options.parts, told if part == 0 else None)
        ((loss + BALANCE * balance) / options.parts).backward()
        loss_sum += loss.item() / options.parts
        balance_sum += balance.item() / options.parts
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), LARGEST_GRADIENT).item()
    if norm != norm:
        raise SystemExit(f"step {step}: the gradient is not a number; the last checkpoint is sound: try a lower --rate")
    for opt in opts:
        for group in opt.param_groups:
            group["lr"] = rate
        opt.step()
        opt.zero_grad(set_to_none=True)
    return {
        "loss": round(loss_sum, 4),
        "rate": rate,
        "strength": round(strength, 5),
        "norm": round(norm, 3),
        "balance": round(balance_sum, 3),
        "active": [round(active, 3) for active, _, _ in told or []],
        "hoyer": [round(hoyer, 3) for _, hoyer, _ in told or []],
    }


def refuse_another(options, state: dict) -> None:
    """A run that goes on is the run that was begun: other options would be written beside weights that were not trained with them."""
    kept = state["options"]
    names = ["seed", "rate", "windows", "parts", "products", *(("shape",) if options.branch is None else ("strength", "hold", "decay"))]
    others = [f"--{name} {getattr(options, name)} (was {kept[name]})" for name in names if name in kept and kept[name] != getattr(options, name)]
    if options.branch is not None and options.branch.exists():
        stands = torch.load(options.branch, weights_only=True)["step"]
        if stands != state["begin"]:
            others.append(f"--from a run that stands at step {stands} (was {state['begin']})")
    if others:
        raise SystemExit(f"--run: {options.run} was begun otherwise, and goes on as it was begun: {', '.join(others)}. Name another folder, or delete that one")


def start(options):
    """Model, optimisers, first step and facts: from RUN's own checkpoint, else from --from, else new."""
    own = options.run / "checkpoint.pt"
    source = own if own.exists() else options.branch
    if source is None:
        shape = replace(SHAPES[options.shape], vocabulary=json.loads((options.data / "data.json").read_text(encoding="utf-8"))["vocabulary"])
        model = Model(shape, options.seed)
        return model, optimisers(model, options.rate), 0, 0, shape
    state = torch.load(source, weights_only=True)
    if source == own:
        refuse_another(options, state)
    shape = Shape(**state["shape"])
    model = Model(shape, options.seed)
    model.load_state_dict(state["model"])
    opts = optimisers(model, options.rate)
    for opt, kept in zip(opts, state["optimisers"]):
        opt.load_state_dict(kept)
    begin = state["begin"] if source == own else state["step"]
    return model, opts, state["step"], begin, shape


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="mixture", help="of a new run")
    parser.add_argument("--steps", type=int, default=0, help="the step at which a run without --from ends")
    parser.add_argument("--from", dest="branch", type=Path, help="the checkpoint that this run branches off from")
    parser.add_argument("--hold", type=int, default=0, help="steps of a branch before its rate falls")
    parser.add_argument("--decay", type=int, default=0, help="steps in which the rate falls to nothing")
    parser.add_argument("--strength", type=float, default=0.0, help="of the sparsity term")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--windows", type=int, default=8, help="windows of 512 tokens that are computed together")
    parser.add_argument("--parts", type=int, default=2, help="such batches in a step")
    parser.add_argument("--products", choices=sorted(FORMATS), default="bfloat16", help="format of matrix products: the faster one on this machine")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.branch is None and options.steps < 1:
        raise SystemExit("--steps: must be at least 1 where there is no --from")
    if options.branch is not None and options.hold + options.decay < 1:
        raise SystemExit("--hold and --decay: one of them must be at least 1 where there is --from")
    return options


def main() -> None:
    options = read_options()
    torch.set_num_threads(options.threads)
    use(options.products)
    options.run.mkdir(parents=True, exist_ok=True)
    alone = open(options.run / "pid", "a+")
    try:
        # Held until this process is gone, however it goes: two writers of one checkpoint would undo each other's steps.
        fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        alone.seek(0)
        raise SystemExit(f"--run: {options.run} is in use by process {alone.read().strip()}; end that first, or name another folder")
    alone.truncate(0)
    alone.write(f"{os.getpid()}\n")
    alone.flush()
    model, opts, step, options.begin, shape = start(options)
    options.end = options.begin + options.hold + options.decay if options.branch else options.steps
    length = shape.context
    tokens = Tokens(options.data / "train.bin", length, options.seed)
    windows = held_out(options.data / "held-out.bin", length, HELD_OUT_WINDOWS)
    stopped = []
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stopped.append(True))

    def keep() -> None:
        state = {"model": model.state_dict(), "optimisers": [opt.state_dict() for opt in opts], "shape": shape.describe()}
        words = {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()}
        save(options.run / "checkpoint.pt", state | {"step": step, "begin": options.begin, "options": words})

    a_step = options.windows * options.parts * length
    print(f"{model.parameters_in_all()} parameters, {model.parameters_used()} of them used by a token; {a_step} tokens a step; from step {step} to {options.end}", flush=True)
    kept_at = lined_at = time.monotonic()
    lined_step = began = step
    while step < options.end and not stopped:
        told = train_step(model, opts, tokens, step, options)
        step += 1
        now = time.monotonic()
        if step % STEPS_BETWEEN_LINES == 0 or step == options.end:
            line = {"time": time.strftime("%H:%M:%S", time.gmtime()), "step": step, "tokens": step * a_step, "epoch": round(step * options.windows * options.parts / tokens.windows, 2)}
            if step % STEPS_BETWEEN_HELD_OUT == 0 or step == options.end:
                line["heldOut"] = round(held_out_loss(model, windows), 4)
            line |= told | {"tokensPerSecond": round((step - lined_step) * a_step / (now - lined_at))}
            with open(options.run / "log.jsonl", "a") as log:
                log.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)
            lined_at, lined_step = time.monotonic(), step
        if now - kept_at > SECONDS_BETWEEN_CHECKPOINTS:
            keep()
            kept_at = time.monotonic()
    if step > began:
        keep()
    if stopped:
        sys.exit(f"stopped at step {step} of {options.end}; the same call goes on from there")


if __name__ == "__main__":
    main()
