import { describe, expect, it } from "vitest";
import { TE } from "../../sim/base/fp.js";
import { badInput, disk, unsupported } from "../../sim/base/errors.js";
import { execute } from "../../cli/run.js";
import { trainPredictorProgram } from "../../cli/programs/train-predictor.js";
import type { Engine, TrainReport, TrainRequest } from "../../engine/index.js";
import { commandNamed, fake, given } from "../fakes/capabilities.js";

const report: TrainReport = {
  bytes: 1.4e6, model: "00ff", rank: 128, weights: "q8_0", learnt: 3276, calibrated: 410, heldOut: 410,
  layers: [
    { layer: 0, shares: { recall: 0.96, falsePositives: 0.2, predicted: 0.276, fired: 0.1 }, blindExperts: 0 },
    { layer: 1, shares: { recall: 0.91, falsePositives: 0.25, predicted: 0.316, fired: 0.1 }, blindExperts: 2 },
    { layer: 2, shares: { falsePositives: 0.5, predicted: 0.5, fired: 0 }, blindExperts: 0 },
  ],
  overall: { recall: 0.935, falsePositives: 0.22, predicted: 0.29, fired: 0.1 },
  losslessPerplexity: 8, predictedPerplexity: 8.1, scored: 192, runningRecall: 0.93, recordingSeconds: 5.21, fittingSeconds: 16.04, seed: 1,
};

const start = async (named: Readonly<Record<string, unknown>>, trainPredictor?: Engine["trainPredictor"]) => {
  const asked: Array<TrainRequest> = [];
  const f = fake({ engine: { trainPredictor: (request, hooks) => (asked.push(request), (trainPredictor ?? (() => TE.right(report)))(request, hooks)) } });
  const code = await execute(trainPredictorProgram(commandNamed("train-predictor"))(given(named)), f.capabilities);
  return { code, asked, stdout: f.stdout(), stderr: f.stderr() };
};

describe("train-predictor", () => {
  it("asks for what was typed, with the defaults of --help", async () => {
    expect((await start({ model: "m.gguf", out: "p.gguf" })).asked).toEqual([
      { model: "m.gguf", out: "p.gguf", text: null, tokens: 4096, rank: null, recall: 0.95, hidden: "identity", weights: "auto", passes: 10, seed: 1, threads: null },
    ]);
    const typed = { model: "m.gguf", out: "p.gguf", text: "book.txt", tokens: "20000", rank: "64", recall: "98%", hidden: "relu", weights: "f16", passes: "3", seed: "7", threads: "2" };
    expect((await start(typed)).asked).toEqual([
      { model: "m.gguf", out: "p.gguf", text: "book.txt", tokens: 20000, rank: 64, recall: 0.98, hidden: "relu", weights: "f16", passes: 3, seed: 7, threads: 2 },
    ]);
  });

  it("says how good it is, the worst layer first and one without firing neurons last", async () => {
    const { code, stdout, stderr } = await start({ model: "m.gguf", out: "p.gguf" });
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toBe(
      [
        "p.gguf: 1.4MB; rank 128, q8_0, for model 00ff",
        "3276 tokens learnt from, thresholds set by 410; run and recorded in 5.2 s, fitted in 16.0 s",
        "",
        "on 410 tokens held out, the worst layer first:",
        "layer  recall  false positives  predicted  fired",
        "1       91.0%            25.0%      31.6%  10.0%",
        "0       96.0%            20.0%      27.6%  10.0%",
        "2          --            50.0%      50.0%   0.0%",
        "all     93.5%            22.0%      29.0%  10.0%",
        "",
        "perplexity of 192 of them: 8.0000 lossless, 8.1000 predicted (+1.25%); recall meanwhile 93.0%",
        "2 experts were met too seldom to fit anything: all their neurons are predicted; more --tokens help",
        "",
      ].join("\n"),
    );
  });

  it("prints only JSON when JSON is asked for", async () => {
    const { stdout } = await start({ model: "m.gguf", out: "p.gguf", format: "json" });
    const json = JSON.parse(stdout) as { readonly layers: ReadonlyArray<{ readonly layer: number }> };
    expect(json).toMatchObject({ origin: "measured", out: "p.gguf", overall: report.overall, losslessPerplexity: 8, runningRecall: 0.93, inputs: { recall: 0.95 } });
    expect(json.layers.map((layer) => layer.layer)).toEqual([1, 0, 2]);
  });

  it("tells all mistakes at once and starts nothing", async () => {
    const { code, asked, stderr } = await start({ out: "book.txt", text: "./book.txt", tokens: "10", rank: "0", recall: "0%", hidden: "tanh", pases: "3" });
    expect([code, asked]).toEqual([2, []]);
    expect(stderr).toBe(
      "neuronlab train-predictor: 7 mistakes\n" +
        "  --pases: unknown flag; did you mean --passes? known: --model, --out, --text, --tokens, --rank, --recall, --hidden, --weights, --passes, --threads, --format, --seed\n" +
        "  --model: is missing\n" +
        "  --tokens: should be a whole number between 256 and 16777216, got 10\n" +
        "  --rank: should be a whole number between 1 and 1048576, got 0\n" +
        "  --hidden: should be one of identity, relu, got \"tanh\"\n" +
        "  --out: names the file that is read: ./book.txt\n" +
        "  --recall: should be above 0%: a predictor that may miss everything predicts nothing\n",
    );
  });

  it("says what the engine said of an argument under its flag, and keeps the exit codes", async () => {
    const rank = await start({ model: "m.gguf", out: "p.gguf" }, () => TE.left(badInput("m.gguf", [{ path: "rank", message: "should be from 1 to 64, the model's width, got 128" }])));
    expect([rank.code, rank.stderr]).toEqual([2, "neuronlab train-predictor: 1 mistake\n  --rank: should be from 1 to 64, the model's width, got 128\n"]);
    expect((await start({ model: "m.gguf", out: "p.gguf" }, () => TE.left(unsupported("m.gguf", "nothing to predict")))).code).toBe(3);
    expect((await start({ model: "m.gguf", out: "p.gguf" }, () => TE.left(disk("p.gguf", "the disk is full")))).code).toBe(74);
    const stopped = await start({ model: "m.gguf", out: "p.gguf" }, () => TE.right(null));
    expect([stopped.stdout, stopped.stderr]).toEqual(["", "interrupted: nothing was written\n"]);
  });
});
