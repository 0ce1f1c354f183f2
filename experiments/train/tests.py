"""Tests of this project: python -m unittest tests (from this folder)."""

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import unittest
from collections import Counter
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path
from unittest import mock

import gguf
import numpy as np
import torch

import half_memory
import operating_point
import paired
import parity
import provenance
import train
from agreement import faults
from data import Tokens, held_out
from evaluate import evaluate, evaluate_kept, scored
from experts import ExpertFfn
from export import adjacent, export
from model import Model, Shape
from operating_point import choose
from optimiser import orthogonal
from precision import use
from prepare import encoded, normalised, sampled, train_tokeniser
from report import branch_rows, expert_rows, greedy, hours, keeping_rows, over_windows, seed_rows, seeds_told, twins

TINY = Shape("smallthinker", vocabulary=300, context=32, hidden=32, layers=2, heads=2, kv_heads=1, head_dim=16, neurons=32, experts=4, experts_used=2)


def plainly(x, logits, gate_up, down, used, double):
    """Expert FFN and Hoyer's square by autograd, token by token."""
    probabilities, chosen = logits.softmax(-1).topk(used, dim=-1)
    weights = probabilities / probabilities.sum(-1, keepdim=True)
    neurons = down.shape[2]
    out, squares = 0.0, 0.0
    for place in range(used):
        products = torch.einsum("td,tnd->tn", x, gate_up[chosen[:, place]])
        gates, ups = products[:, :neurons].relu(), products[:, neurons:]
        inner = gates * (ups.relu() if double else ups)
        out = out + weights[:, place : place + 1] * torch.einsum("tn,tdn->td", inner, down[chosen[:, place]])
        squares = squares + (gates.sum(1) ** 2 / (gates**2).sum(1)).mean() / neurons / used
    return out, squares, weights, chosen


class Experts(unittest.TestCase):
    def test_the_gradient_is_that_of_autograd_and_the_sparsity_term_is_in_it(self):
        torch.manual_seed(0)
        for double in (False, True):
            x, logits = torch.randn(40, 32, requires_grad=True), torch.randn(40, 4, requires_grad=True)
            gate_up, down = torch.randn(4, 128, 32, requires_grad=True), torch.randn(4, 32, 64, requires_grad=True)
            leaves, direction = [x, logits, gate_up, down], torch.randn(40, 32)
            wanted, squares, weights, chosen = plainly(x, logits, gate_up, down, 2, double)
            told = []
            found = ExpertFfn.apply(x, weights, chosen, gate_up, down, double, 0.7, told)
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-3)
            self.assertAlmostEqual(told[0][1], squares.item(), places=5)
            by_autograd = torch.autograd.grad((wanted * direction).sum() + 0.7 * squares, leaves, retain_graph=True)
            for one, other in zip(torch.autograd.grad((found * direction).sum(), leaves), by_autograd):
                torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()))

    def test_what_fired_is_told_by_expert_and_then_by_token(self):
        x = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        gate_up = torch.tensor([[[-1.0, 1.0], [1.0, 1.0]], [[1.0, -1.0], [1.0, 1.0]]])
        told = []
        ExpertFfn.apply(x, torch.ones(2, 1), torch.tensor([[1], [0]]), gate_up, torch.ones(2, 2, 1), False, 0.0, told)
        self.assertEqual(told[0][0], 1.0)
        self.assertEqual(told[0][2].tolist(), [[True], [True]])

    def test_what_is_kept_is_the_strongest_of_each_token(self):
        torch.manual_seed(0)
        x, gate_up, down = torch.randn(5, 8), torch.randn(2, 20, 8), torch.randn(2, 8, 10)
        chosen, weights = torch.tensor([[0], [1], [1], [0], [1]]), torch.ones(5, 1)
        whole = lambda keep: ExpertFfn.apply(x, weights, chosen, gate_up, down, False, 0.0, None, keep)
        torch.testing.assert_close(whole(1.0), whole(None))
        for token, expert in enumerate(chosen[:, 0].tolist()):
            products = gate_up[expert] @ x[token]
            inner = products[:10].relu() * products[10:]
            added = [(float((inner[n] * down[expert][:, n]).norm()), n) for n in range(10)]
            strongest = [n for _, n in sorted(added, reverse=True)[:3]]
            torch.testing.assert_close(whole(0.25)[token], down[expert][:, strongest] @ inner[strongest], rtol=1e-4, atol=1e-4)


class Optimiser(unittest.TestCase):
    def test_singular_values_come_close_to_one(self):
        torch.manual_seed(0)
        for shape in ((3, 64, 32), (2, 32, 96)):
            values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
            self.assertGreater(values.min().item(), 0.3)
            self.assertLess(values.max().item(), 1.4)


class Preparing(unittest.TestCase):
    def test_prose_is_unwrapped_and_verse_is_not(self):
        prose = "“It is a truth universally acknowledged, that a single man in\npossession of a good fortune, must be in want_ed_ of\na wife.”"
        verse = "Shall I compare thee\nto a summer's day?\nThou art"
        text = normalised(f"Produced by Somebody\n\n\n{prose}\n\n\n\n{verse}\n")
        self.assertEqual(text, f'"It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in wanted of a wife."\n\n{verse}\n')

    def test_tokens_come_back_as_text(self):
        text = normalised("The quick brown fox, it's said, jumps over 17 lazy dogs -- ünd naïvely so.\n\nYes.\n" * 40)
        tokeniser = train_tokeniser([text], 300)
        ids = encoded(tokeniser, [text])
        self.assertEqual(tokeniser.decode(ids.tolist(), skip_special_tokens=True), text)
        self.assertEqual(ids[-1], tokeniser.token_to_id("<|endoftext|>"))
        self.assertEqual(ids.dtype, np.dtype("<u2"))

    def test_a_sample_is_whole_paragraphs(self):
        text = "\n\n".join(f"paragraph {number} " * 20 for number in range(200))
        sample = sampled(text, 2000)
        self.assertGreater(len(sample), 1990)
        self.assertIn(sample.strip(), text)
        self.assertTrue(sample.startswith("paragraph"))


class Data(unittest.TestCase):
    def test_an_epoch_has_every_window_once_and_a_resumed_run_reads_the_same(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "train.bin"
            np.arange(1000, dtype="<u2").tofile(path)
            tokens = Tokens(path, 16, seed=1)
            starts = sorted(int(tokens.window(place)[0]) for place in range(tokens.windows))
            self.assertEqual({later - earlier for earlier, later in zip(starts, starts[1:])}, {16})
            again = Tokens(path, 16, seed=1)
            late = 3 * tokens.windows + 5
            np.testing.assert_array_equal(tokens.window(late), again.window(late))
            self.assertNotEqual(tokens.window(0)[0], tokens.window(tokens.windows)[0])
            self.assertEqual(held_out(path, 16, 3)[:, 0].tolist(), [0, 320, 656])


class Training(unittest.TestCase):
    def run_steps(self, folder: Path, name: str, *words: str):
        train.SHAPES["tiny"] = TINY
        with mock.patch.object(sys, "argv", ["train.py", "--data", str(folder), "--run", str(folder / name), "--shape", "tiny", "--windows", "2", "--parts", "2", *words]), mock.patch("builtins.print"):
            train.main()
        return torch.load(folder / name / "checkpoint.pt", weights_only=True)

    def test_a_run_that_was_cut_off_ends_as_one_that_was_not_and_branches_go_on_from_it(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "data.json").write_text('{"vocabulary": 290}')
            np.random.default_rng(1).integers(0, 290, 4000, dtype="<u2").tofile(folder / "train.bin")
            np.random.default_rng(2).integers(0, 290, 400, dtype="<u2").tofile(folder / "held-out.bin")
            whole = self.run_steps(folder, "whole", "--steps", "6")
            self.run_steps(folder, "parts", "--steps", "3")
            parts = self.run_steps(folder, "parts", "--steps", "6")
            self.assertEqual((whole["step"], parts["step"]), (6, 6))
            # The tokeniser's, whatever the shape says.
            self.assertEqual((whole["shape"]["vocabulary"], len(whole["model"]["embedding"])), (290, 290))
            for key, value in whole["model"].items():
                self.assertTrue(torch.equal(value, parts["model"][key]), key)
            branch = self.run_steps(folder, "branch", "--from", str(folder / "whole/checkpoint.pt"), "--hold", "2", "--decay", "3", "--strength", "0.1")
            self.assertEqual((branch["step"], branch["begin"]), (11, 6))
            again = self.run_steps(folder, "branch", "--from", str(folder / "whole/checkpoint.pt"), "--hold", "2", "--decay", "3", "--strength", "0.1")
            self.assertEqual((again["step"], again["begin"]), (11, 6))
            # What was trained is not relabelled: other options, or a run that has gone on since, are another branch.
            written = (folder / "branch/checkpoint.pt").stat().st_mtime_ns
            for other, told in ((("--strength", "0.2"), "--strength 0.2 (was 0.1)"), (("--decay", "4"), "--decay 4 (was 3)"), (("--seed", "2"), "--seed 2 (was 1)"), (("--from", str(folder / "parts/longer.pt")), "--from a run that stands at step 8 (was 6)")):
                torch.save(parts | {"step": 8}, folder / "parts/longer.pt")
                with self.assertRaises(SystemExit) as ended:
                    self.run_steps(folder, "branch", "--from", str(folder / "whole/checkpoint.pt"), "--hold", "2", "--decay", "3", "--strength", "0.1", *other)
                self.assertIn(told, str(ended.exception))
            with self.assertRaises(SystemExit) as ended:
                self.run_steps(folder, "whole", "--steps", "9", "--shape", "mixture")
            self.assertIn("--shape mixture (was tiny)", str(ended.exception))
            self.assertEqual((folder / "branch/checkpoint.pt").stat().st_mtime_ns, written)

    def gradient_of(self, folder: Path, parts: int, strength: float) -> torch.Tensor:
        """Of one step of eight windows, by float32 products, not clipped. One expert: what keeps several busy is not the mean over parts."""
        model = Model(replace(TINY, experts=1, experts_used=1))
        options = type("Options", (), {"rate": 1.0, "decay": 0, "end": 9, "begin": 0, "hold": 0, "strength": strength, "parts": parts, "windows": 8 // parts})
        train.train_step(model, [], Tokens(folder / "train.bin", 32, seed=1), 2, options)
        return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])

    def test_in_how_many_parts_a_step_is_taken_changes_neither_its_loss_nor_its_sparsity_term(self):
        use("float32")
        self.addCleanup(use, "bfloat16")
        with tempfile.TemporaryDirectory() as name, mock.patch.object(train, "LARGEST_GRADIENT", math.inf):
            folder = Path(name)
            np.random.default_rng(1).integers(0, 300, 4000, dtype="<u2").tofile(folder / "train.bin")
            for strength in (0.0, 1.0):
                whole = self.gradient_of(folder, 1, strength)
                for parts in (2, 4):
                    torch.testing.assert_close(self.gradient_of(folder, parts, strength), whole, rtol=1e-3, atol=1e-6)
            # The term is not so small that it would not show.
            term = whole - self.gradient_of(folder, 1, 0.0)
            self.assertGreater(float(term.norm() / whole.norm()), 0.01)

    def test_the_rate_falls_to_nothing_and_the_strength_grows(self):
        options = type("Options", (), {"rate": 1.0, "decay": 10, "end": 1000, "begin": 980, "hold": 10, "strength": 0.5})
        self.assertEqual([train.rate_at(step, options) for step in (0, 989, 990, 995, 999)], [0.01, 1.0, 1.0, 0.5, 0.1])
        self.assertEqual([train.strength_at(step, options) for step in (980, 984, 989, 999)], [0.05, 0.25, 0.5, 0.5])


class Evaluating(unittest.TestCase):
    def fires_of(self, model: Model, window: torch.Tensor) -> list[list[dict[int, set[int]]]]:
        """By layer and token: the experts in use, and which of their neurons have a positive gate."""
        told, routes = [], []
        with torch.no_grad():
            model(window[None, :-1], window[None, 1:], 0.0, told, routes)
        layers = []
        for chosen, (_, _, fired) in zip(routes, told):
            # Rows are ordered by expert and then by token.
            slots = sorted((expert, token) for token, experts in enumerate(chosen.tolist()) for expert in experts)
            by_token = [{} for _ in chosen]
            for (expert, token), row in zip(slots, fired.tolist()):
                by_token[token][expert] = {neuron for neuron, fires in enumerate(row) if fires}
            layers.append(by_token)
        return layers

    def test_the_tokens_scored_are_those_that_llama_perplexity_scores(self):
        # The loss at place i is of token i + 1; of 512 tokens 257 to 511 are scored.
        for length in (32, 512):
            self.assertEqual([place + 1 for place in scored(torch.arange(length)).tolist()], list(range(length // 2 + 1, length)))

    def test_perplexity_and_its_error_are_those_of_the_tokens_scored_one_by_one(self):
        model = Model(TINY)
        windows = torch.randint(0, 300, (3, 33), generator=torch.Generator().manual_seed(1))
        for found, keep in ((evaluate(model, windows), None), *((evaluate_kept(model, windows, share), share) for share in (0.05, 0.25))):
            with torch.no_grad():
                losses = [model(window[None, :-1], window[None, 1:], reduction="none", keep=keep)[0].tolist() for window in windows]
            surprises = [each[token - 1] for each in losses for token in range(17, 32)]
            perplexity = math.exp(statistics.fmean(surprises))
            self.assertAlmostEqual(found["perplexity"], perplexity, places=3)
            # An error of the mean moves its exponential by perplexity times as much.
            self.assertAlmostEqual(found["standardError"], perplexity * statistics.stdev(surprises) / math.sqrt(45), places=3)

    def test_counts_are_those_of_a_slow_count(self):
        model = Model(TINY)
        windows = torch.randint(0, 300, (3, 33), generator=torch.Generator().manual_seed(1))
        found = evaluate(model, windows)
        self.assertEqual((found["scored"], found["windows"]), (3 * 15, 3))
        fires = [self.fires_of(model, window) for window in windows]
        for layer, counted in enumerate(found["layers"]):
            uses, times, before, again, repeats = Counter(), Counter(), Counter(), Counter(), 0
            for window in fires:
                for place, now in enumerate(window[layer]):
                    earlier = window[layer][place - 1] if place > 0 else {}
                    for expert, neurons in now.items():
                        uses[expert] += 1
                        times.update((expert, neuron) for neuron in neurons)
                        if expert in earlier:
                            repeats += 1
                            before.update((expert, neuron) for neuron in earlier[expert])
                            again.update((expert, neuron) for neuron in earlier[expert] & neurons)
            rates = {(expert, neuron): times[expert, neuron] / uses[expert] if uses[expert] else 0.0 for expert in range(4) for neuron in range(32)}
            hottest, chance = sorted(rates.values(), reverse=True), sum(count * rates[key] for key, count in before.items())
            self.assertAlmostEqual(counted["activeShare"], times.total() / uses.total() / 32, places=4)
            self.assertAlmostEqual(counted["hottestCarry"]["0.1"], sum(hottest[:12]) / sum(hottest), places=3)
            self.assertAlmostEqual(counted["tokenOverlap"], (again.total() - chance) / (before.total() - chance), places=3)
            self.assertAlmostEqual(counted["expertRepeat"], repeats / (3 * 31 * 2), places=4)
            np.testing.assert_allclose(counted["expertUse"], [uses[expert] / uses.total() for expert in range(4)], atol=1e-4)
            self.assertEqual(counted["neverFired"], sum(rate == 0 for rate in rates.values()))
        self.assertEqual(evaluate_kept(model, windows, 1.0)["perplexity"], found["perplexity"])
        self.assertNotEqual(evaluate_kept(model, windows, 0.05)["perplexity"], found["perplexity"])


class Exporting(unittest.TestCase):
    def test_the_file_has_the_weights_and_sizes(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            tokeniser = train_tokeniser(["the rain in spain stays mainly in the plain " * 50 + "abcdefghijklmnopqrstuvwxyz" * 9 + "of another time and other places than these here were"], 270)
            tokeniser.save(str(folder / "tokeniser.json"))
            for architecture, experts in (("smallthinker", 4), ("smallthinker", 1), ("llama", 1)):
                shape = replace(TINY, architecture=architecture, experts=experts, experts_used=min(2, experts), vocabulary=270)
                model = Model(shape)
                export(model.state_dict(), shape, folder / "tokeniser.json", folder / "m.gguf", "f32", "a model")
                reader = gguf.GGUFReader(folder / "m.gguf")
                tensors = {tensor.name: tensor for tensor in reader.tensors}
                part = "ffn_gate" if architecture == "llama" else "ffn_gate_exps"
                gate = model.layers[1].gate_up.detach().numpy()[:, :32]
                np.testing.assert_array_equal(np.asarray(tensors[f"blk.1.{part}.weight"].data).reshape(gate.shape), gate)
                self.assertEqual("blk.0.ffn_gate_inp.weight" in tensors, architecture == "smallthinker")
                self.assertEqual("neuronlab.activation" in reader.fields, architecture == "llama")

    def test_adjacent_rows_turn_as_halves_do(self):
        rows = np.arange(16, dtype=np.float32).reshape(16, 1)
        self.assertEqual(adjacent(rows, 2)[:8, 0].tolist(), [0, 4, 1, 5, 2, 6, 3, 7])


class OperatingPoint(unittest.TestCase):
    def test_the_least_neurons_at_a_bearable_cost_else_the_least_cost(self):
        rows = [{"asked": asked, "predicted": predicted, "cost": cost, "error": 0.0004} for asked, predicted, cost in ((90, 0.1, 0.03), (95, 0.2, 0.009), (99, 0.4, 0.001))]
        self.assertEqual(choose(rows)[0]["asked"], 95)
        # One that may as well cost more than 1 % is not good enough.
        self.assertEqual(choose([rows[0], rows[1] | {"error": 0.0006}, rows[2]])[0]["asked"], 99)
        self.assertEqual(choose([rows[0]])[0]["asked"], 90)
        self.assertIn("none costs", choose([rows[0]])[1])


    def test_a_predictor_that_makes_the_text_more_surprising_costs(self):
        with tempfile.TemporaryDirectory() as name:
            folder, losses = Path(name), [3.0, 3.2, 3.1]
            write = lambda file, found: (folder / file).write_text(json.dumps(found))
            write("predictors.json", [90, 95, 99])
            write("predicted-none.json", {"perplexity": 22.2, "windows": 3, "windowLosses": losses})
            for asked, predicted, more in ((90, 0.1, 0.03), (95, 0.2, 0.005), (99, 0.4, 0.001)):
                write(f"predicted-{asked}.json", {"perplexity": 22.3, "predicted": predicted, "recall": asked / 100, "windowLosses": [loss + more for loss in losses]})
                write(f"train-predictor-{asked}.json", {"overall": {}})
            with mock.patch.object(sys, "argv", ["operating_point.py", "--folder", name]), mock.patch("builtins.print") as printed:
                operating_point.main()
            found = json.loads(printed.call_args.args[0])
            np.testing.assert_allclose([row["cost"] for row in found["rows"]], [math.exp(more) - 1 for more in (0.03, 0.005, 0.001)])
            self.assertEqual(found["chosen"], 95)


class Parity(unittest.TestCase):
    def test_a_text_may_part_only_where_ours_is_the_second_of_two_that_are_close(self):
        words = list(range(parity.TOKENS))
        self.assertEqual(parity.agreed(words, words), parity.TOKENS)
        self.assertEqual(parity.agreed(words, [*words[:7], -1, *words[8:]]), 7)
        self.assertRaises(ValueError, parity.agreed, words[:-1], words)
        self.assertRaises(ValueError, parity.agreed, [], words)
        row = lambda margin, second: {"margin": margin, "second": second}
        self.assertEqual([parity.is_close(each, 0.001) for each in (row(None, None), row(0.0005, True), row(0.0005, False), row(0.01, True))], [True, True, False, False])
        part = {"same": 3, "prompt": "It was"}
        self.assertEqual(parity.told(part | row(0.0273, True), 0.02), "after 3 tokens ours is another word than llama.cpp's, which prefers its own by 0.0273 of a logit, more than 0.02: It was")
        self.assertIn("and ours is not its second best", parity.told(part | row(0.001, False), 0.02))

    def test_the_second_best_of_a_step_is_read_where_that_step_was_written(self):
        prompt, steps = np.float32([[9, 8, 7], [1, 3, 2]]), np.float32([[5, 6, 4], [0, 1, 2]])

        def theirs(programs, model, text, *words):
            prompt.tofile(words[1])
            steps.tofile(words[3])
            return {"vocabulary": 3}

        with mock.patch.object(parity, "theirs", theirs):
            # After the prompt's last token, after the first greedy one, after the second.
            self.assertEqual([parity.second_of({}, "m", "text", step) for step in (0, 1, 2)], [2, 0, 1])

    def half_memory_of(self, wrong: int | None) -> tuple[int, dict]:
        """Exit code and findings of an engine that holds all that it may, and writes another text with half in memory where a prompt is `wrong`."""

        def generate(program, model, prompt, *more):
            words, text = dict(zip(more[::2], more[1::2])), [prompt, 7, 8]
            # The packed file's FFNs are the larger ones.
            memory = {"ffnBytes": 1000 if model == "m.gguf" else 1400}
            if "--save" in words:
                Path(words["--save"]).write_text(json.dumps({"plan": {"cache": {"hot": "4GB", "cold": "4GB"}}}))
            if "--plan" in words:
                memory |= {segment: int(held.removesuffix("B")) for segment, held in json.loads(Path(words["--plan"]).read_text())["cache"].items()}
                text = [prompt, 7, 9] if prompt == wrong else text
            return {"tokens": text, "memory": memory, "labels": ["lossless"], "bytesReadPerToken": 7e6}

        with tempfile.TemporaryDirectory() as name, mock.patch.object(half_memory, "generate", generate), mock.patch("builtins.print") as printed:
            (Path(name) / "pack.json").write_text('{"payloadBytes": 1400, "padding": 0.3}')
            with mock.patch.object(sys, "argv", ["half_memory.py", "--model", "m.gguf", "--packed", "m.flash", "--pack", f"{name}/pack.json", "--program", "p"]), self.assertRaises(SystemExit) as ended:
                half_memory.main()
        return ended.exception.code, json.loads(printed.call_args.args[0])

    def test_half_is_of_the_bytes_of_the_file_and_every_text_must_be_the_same(self):
        code, found = self.half_memory_of(None)
        self.assertEqual((code, found["held"], found["ffnBytes"], found["same"]), (0, 500, 1000, True))
        for wrong in range(len(half_memory.PROMPTS)):
            code, found = self.half_memory_of(wrong)
            self.assertEqual((code, found["same"]), (1, False))

    def test_half_memory_that_shows_nothing_is_no_proof(self):
        found = {"same": True, "labels": ["lossless"], "held": 50, "ffnBytes": 100, "bytesReadPerToken": 7e6}
        self.assertTrue(half_memory.is_shown(found))
        self.assertEqual(half_memory.told(found), "the same, 7.00 MB a token read")
        self.assertEqual([half_memory.told(found | wrong) for wrong in ({"same": False}, {"labels": ["requantised"]})], ["NOT the same", "NOT shown"])
        for wrong in ({"same": False}, {"labels": ["requantised"]}, {"held": 51}, {"bytesReadPerToken": 0}):
            self.assertFalse(half_memory.is_shown(found | wrong), wrong)


class Agreement(unittest.TestCase):
    def test_what_is_not_of_one_model_is_told(self):
        one = lambda perplexity, theirs: {"perplexity": perplexity, "llamaCpp": None if theirs is None else {"perplexity": theirs}, "gap": "it crashed"}
        good = {"f32": one(50.0, 50.001), "q8_0": one(50.1, 50.11), "q4_0": one(51.0, 51.04)}
        self.assertEqual(faults({"perplexity": 50.004}, good, False), [])
        self.assertEqual(faults({"perplexity": 50.01}, good, False), ["f32: 50.0 here, 50.01 in PyTorch"])
        self.assertEqual(faults({"perplexity": 50.0}, good | {"q4_0": one(51.0, 51.06)}, False), ["q4_0: 51.0 here, 51.06 by llama.cpp"])
        self.assertEqual(faults({"perplexity": 50.0}, good | {"q8_0": one(50.1, None)}, False), ["q8_0: llama.cpp gave nothing: it crashed"])
        self.assertEqual(faults({"perplexity": 50.0}, {form: one(50.0, None) for form in good}, True), [])


class Pairing(unittest.TestCase):
    def test_a_cost_is_of_the_same_windows_and_its_error_is_of_their_differences(self):
        found = paired.cost([3.0, 4.01, 2.02], [3.0, 4.0, 2.0])
        self.assertAlmostEqual(found["cost"], math.exp(0.01) - 1)
        self.assertAlmostEqual(found["error"], math.exp(0.01) * 0.01 / math.sqrt(3))
        self.assertEqual(paired.told({"cost": 0.0042, "error": 0.0005}), "+0.42 ± 0.05 %")
        self.assertRaises(ValueError, paired.cost, [1.0, 2.0], [1.0])

    def test_over_seeds_the_error_is_that_of_their_mean(self):
        found = paired.over_seeds([0.001, 0.004, 0.007])
        self.assertAlmostEqual(found["cost"], 0.004)
        self.assertAlmostEqual(found["error"], 0.003 / math.sqrt(3))
        self.assertRaises(ValueError, paired.over_seeds, [0.001])


class Provenance(unittest.TestCase):
    def run_in(self, work: Path, name: str, strength: float, losses: list[float], **other) -> dict:
        folder = work / "runs" / name
        folder.mkdir(parents=True)
        options = {"run": name, "strength": strength, "hold": 5, "rate": 0.003} | other
        torch.save({"options": options, "begin": 20, "step": 30, "shape": {"layers": 2}}, folder / "checkpoint.pt")
        evaluation = {"perplexity": math.exp(sum(losses) / len(losses)), "windows": len(losses), "windowLosses": losses, "activeShare": 0.2 / (1 + strength)}
        (folder / "evaluation.json").write_text(json.dumps(evaluation))
        return evaluation

    def test_sparsity_has_a_cost_only_beside_a_twin(self):
        losses, unknown = [3.0, 3.2, 3.1], "what sparsity costs is not known"
        for plain, known in (({}, True), ({"hold": 6}, False), ({"losses": losses[:2]}, False), ({"strength": 0.5}, False), (None, False)):
            with tempfile.TemporaryDirectory() as name:
                own = self.run_in(Path(name), "a-sparse", 1.0, [loss + 0.01 for loss in losses])
                if plain is not None:
                    self.run_in(Path(name), "a-plain", **({"strength": 0.0, "losses": losses} | plain))
                words = provenance.cost_of_sparsity(Path(name), "a-sparse", own)
                self.assertEqual(unknown not in words, known, plain)
                if known:
                    self.assertIn("20.0 % of the neurons are active instead of 10.0 %, at a perplexity of 22.20 instead of 22.42: **+1.01 ± 0.00 %** (3 windows", words)

    def test_twins_of_other_seeds_are_told_where_nothing_else_differs(self):
        losses = [3.0, 3.2, 3.1]
        for other, known in (({}, True), ({"hold": 6}, False)):
            with tempfile.TemporaryDirectory() as name:
                work = Path(name)
                own = self.run_in(work, "a-sparse", 1.0, [loss + 0.01 for loss in losses], seed=1, branch="runs/a/checkpoint.pt")
                self.run_in(work, "a-plain", 0.0, losses, seed=1, branch="runs/a/checkpoint.pt")
                # How a path was typed makes no other run of it.
                self.run_in(work, "a-sparse-seed2", 1.0, [loss + 0.03 for loss in losses], seed=2, branch=f"{name}/runs/a/checkpoint.pt", **other)
                self.run_in(work, "a-plain-seed2", 0.0, losses, seed=2, branch="../runs/a/checkpoint.pt", **other)
                words = provenance.cost_of_sparsity(work, "a-sparse", own)
                self.assertIn("**+1.01 ± 0.00 %**", words)
                self.assertIn("twins of 1 other seed cost +3.05 ± 0.00 %: in the mean +2.03 ± 1.02 %, the error over seeds" if known else "one seed was trained", words)

    def test_a_predictor_is_confirmed_on_windows_that_did_not_choose_it(self):
        with tempfile.TemporaryDirectory() as name:
            made = Path(name)
            (made / "chosen-none.json").write_text(json.dumps({"windowLosses": [3.0, 3.0, 4.0, 4.0, 4.0]}))
            (made / "chosen.json").write_text(json.dumps({"windowLosses": [9.0, 9.0, 4.01, 4.01, 4.01], "predicted": 0.168}))
            words = provenance.confirmed(made, 2)
            self.assertIn("On the other 3 windows it costs **+1.01 ± 0.00 %**, with 16.8 % of the neurons", words)
            self.assertIn("is not confirmed", provenance.confirmed(made, 4))

    def test_tables_say_what_files_say_and_where_llama_cpp_gave_nothing(self):
        with tempfile.TemporaryDirectory() as name:
            made = Path(name)
            self.assertEqual(provenance.greedy(made), "llama.cpp does not run this architecture.")
            for form, more in (("f32", {"llamaCpp": {"perplexity": 20.5}, "difference": -0.00012}), ("q8_0", {"llamaCpp": None, "gap": "it crashed"}), ("q4_0", {})):
                (made / f"perplexity-{form}.json").write_text(json.dumps({"perplexity": 20.4975, "standardError": 0.25} | more))
                (made / f"parity-{form}.json").write_text(json.dumps({"tokens": 48, "prompts": [{"same": 48, "itself": 7}, {"same": 48, "itself": 48}, {"same": 47, "itself": 6}]}))
            self.assertEqual(provenance.perplexities(made).splitlines()[2:], ["| f32 | 20.4975 ± 0.2500 | 20.5000 | -0.012 % |", "| q8_0 | 20.4975 ± 0.2500 | none: it crashed | -- |", "| q4_0 | 20.4975 ± 0.2500 | none: not asked | -- |"])
            self.assertEqual(provenance.greedy(made).splitlines()[2:], [f"| {form} | 2 of 3 | 1 of 3 |" for form in ("f32", "q8_0", "q4_0")])


class Reporting(unittest.TestCase):
    def run_of(self, name: str, strength: float, perplexity: float, step: int = 30) -> dict:
        return {"run": name, "strength": strength, "branchedAt": 20, "step": step, "shape": {"layers": 1}, "options": {"hold": 5, "decay": 5}, "evaluation": {"perplexity": perplexity, "windowLosses": [math.log(perplexity) + bit for bit in (-0.1, 0.0, 0.1)], "activeShare": 0.1, "layers": [{"activeShare": 0.1}]}}

    def test_a_cost_is_against_the_branch_without_the_term_and_is_told_only_where_there_is_one(self):
        groups = [[self.run_of("a-sparse", 1, 50.5), self.run_of("a-plain", 0, 50.0)], [self.run_of("b-sparse", 1, 60.0)]]
        rows = branch_rows(groups)
        self.assertEqual([(row[0].split("`")[1], row[3], row[4]) for row in rows], [("a-plain", "50.00", "--"), ("a-sparse", "50.50", "+1.00 ± 0.00 %"), ("b-sparse", "60.00", "--")])
        self.assertEqual(rows[1][1], "20 + 10")

    def test_twins_differ_in_nothing_but_the_term(self):
        own = self.run_of("a-sparse", 1, 50.5)
        self.assertEqual(len(twins([own, self.run_of("a-plain", 0, 50.0)])), 1)
        for other in ({"options": {"hold": 6, "decay": 4}}, {"shape": {"layers": 2}}, {"step": 31}, {"branchedAt": 19}):
            self.assertEqual(twins([own, self.run_of("a-plain", 0, 50.0) | other]), [], other)

    def test_what_two_seeds_say_of_one_strength_is_put_together_and_nothing_else_is(self):
        def of(name: str, strength: float, perplexity: float, seed: int, hold: int = 5) -> dict:
            return self.run_of(name, strength, perplexity) | {"options": {"hold": hold, "decay": 5, "seed": seed}}

        pairs = [of("a-plain", 0, 50.0, 1), of("a-sparse", 1, 50.5, 1), of("a-plain-seed2", 0, 50.0, 2), of("a-sparse-seed2", 1, 51.0, 2)]
        (row,) = seed_rows(twins(pairs))
        self.assertEqual(row[:5], ["`a-sparse`", "1", "1, 2", "+1.00 ± 0.00 %; +2.00 ± 0.00 %", "**+1.50 ± 0.50 %**"])
        self.assertIn("is the same one", seeds_told([row]))
        for others in ([of("b-plain", 0, 50.0, 2, hold=6), of("b-sparse", 1, 51.0, 2, hold=6)], [of("b-sparse", 1, 51.0, 2)], [of("b-plain", 0, 50.0, 2), of("b-sparse", 2, 51.0, 2)]):
            self.assertEqual(seed_rows(twins(pairs[:2] + others)), [])
        self.assertIn("is not known", seeds_told([]))

    def test_popularity_alone_brings_back_what_tokens_share_that_know_nothing_of_each_other(self):
        # Two of four experts a token: how likely each pair is.
        chances = dict(zip(combinations(range(4), 2), (0.4, 0.2, 0.1, 0.1, 0.12, 0.08)))
        uses = [sum(chance for pair, chance in chances.items() if expert in pair) / 2 for expert in range(4)]
        shared = sum(chances[last] * chances[now] * len({*last} & {*now}) / 2 for last, now in product(chances, repeat=2))
        of = lambda run, experts, used, uses: {"run": run, "shape": {"experts": experts, "experts_used": used}, "evaluation": {"layers": [{"expertRepeat": 0.9, "expertUse": uses}]}}
        rows = expert_rows([of("a-sparse", 4, 2, uses), of("b-sparse", 1, 1, [1.0])])
        self.assertEqual(rows, [["`a-sparse`", "0", "0.900", f"{shared:.3f}", f"{min(uses):.3f} to {max(uses):.3f}"]])

    def test_what_keeping_fewer_neurons_costs_is_against_the_model_with_all_of_them(self):
        of = lambda run, perplexity, *kept: {"run": run, "evaluation": {"perplexity": perplexity, "kept": [{"share": 0.1 * place, "perplexity": one} for place, one in enumerate(kept, 1)]}, "pytorch": {"perplexity": 30.0}}
        self.assertEqual(keeping_rows([of("a-sparse", 20.0, 25.0, 20.1), of("b-sparse", 40.0, 44.0, 39.0)]), [["`a-sparse`", "+25.00 %", "+0.50 %"], ["`b-sparse`", "+10.00 %", "-2.50 %"]])

    def test_texts_that_part_are_told_with_how_close_the_choice_was(self):
        rows = [{"same": 48, "margin": None, "itself": 48}, {"same": 3, "margin": 0.02, "itself": 9}, {"same": 9, "margin": 0.001, "itself": 48}]
        self.assertEqual(greedy({"tokens": 48, "prompts": rows}), "1 of 3 (margins 0.0010, 0.0200); 2")
        self.assertEqual(greedy({"tokens": 48, "prompts": rows[:1]}), "1 of 1; 1")

    def test_the_error_of_a_perplexity_is_over_windows(self):
        self.assertAlmostEqual(over_windows({"perplexity": 50.0, "windowLosses": [3.0, 3.1, 3.2, 3.3]}), 50.0 * math.sqrt(0.05 / 3) / 2)

    def test_hours_leave_out_what_the_machine_did_besides(self):
        log = [{"tokensPerSecond": speed} for speed in (2000, 40, 2000, 2000)]
        self.assertAlmostEqual(hours(log, 7_200_000), 1.0)


# In Python's place: notes what it is called with, and makes the folder of a run.
RECORDER = """#!/bin/sh
echo "$*" >>"$CALLS"
for word; do [ "$before" != --run ] || mkdir -p "$word"; before=$word; done
"""


class Recipe(unittest.TestCase):
    def calls(self, work: Path, **settings: str) -> list[list[str]]:
        """Script and words of every call that recipe.sh makes."""
        python, noted = work / "python", work / "calls"
        python.write_text(RECORDER)
        python.chmod(0o755)
        environment = {"PATH": os.environ["PATH"], "PYTHON": str(python), "CALLS": str(noted)} | settings
        subprocess.run([Path(__file__).with_name("recipe.sh"), work], env=environment, check=True)
        return [[Path(script).name, *words] for script, *words in map(str.split, noted.read_text().splitlines())]

    def test_branches_differ_in_nothing_but_strength_and_seed_and_their_names_say_which(self):
        with tempfile.TemporaryDirectory() as name:
            calls = self.calls(Path(name), SHAPES="dense", SEEDS="2")
            trained = []
            for call in calls:
                if call[0] == "train.py":
                    with mock.patch.object(sys, "argv", call):
                        trained.append(vars(train.read_options()))
            first, *branches = trained
            told = [(one.pop("run").name, one.pop("strength"), one.pop("seed")) for one in branches]
            self.assertEqual(told, [("dense-sparse", 1, 1), ("dense-plain", 0, 1), ("dense-sparse-seed2", 1, 2), ("dense-plain-seed2", 0, 2)])
            self.assertTrue(all(one == branches[0] for one in branches))
            self.assertEqual((first["run"].name, first["shape"], first["branch"], branches[0]["branch"]), ("dense", "dense", None, first["run"] / "checkpoint.pt"))
            self.assertEqual([call[0] for call in calls], ["prepare.py", "train.py", *["train.py", "evaluate.py"] * 4])
            evaluated = [call[call.index("--checkpoint") + 1] for call in calls if call[0] == "evaluate.py"]
            self.assertEqual(evaluated, [f"{name}/runs/{run}/checkpoint.pt" for run, _, _ in told])


if __name__ == "__main__":
    unittest.main()
