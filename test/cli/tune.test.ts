import { describe, expect, it } from "vitest";
import { E, pipe } from "../../sim/base/fp.js";
import { decode } from "../../sim/base/decode.js";
import { planCodec } from "../../sim/domain/plan.js";
import type { RunInputs } from "../../cli/program.js";
import { mapPlan } from "../../cli/programs/generate/engine-plan.js";
import { tuneProgram, type Workshop } from "../../cli/programs/tune/tune.js";
import { drive } from "../../cli/programs/drive.js";
import { execute } from "../../cli/run.js";
import { simulate } from "../../sim/inference/simulate.js";
import type { Study } from "../../experiments/study.js";
import { aRecord, commandNamed, fake, given } from "../fakes/capabilities.js";

/** Speed follows from the plan, so that one plan is the best: few clusters in flight, small ones; and from one estimated fact. */
const played = ({ request, device }: RunInputs) => {
  const plan = request.plan;
  if (plan === undefined) return E.right(aRecord(request));
  return E.right(aRecord(request, { plan, tokensPerSec: 20 - Math.log2(plan.pipeline.depth) - Math.abs(Math.log2(plan.cluster.neurons / 512)) + plan.compute.threads.mid / 10 - device.cpu.barrier.value / 2e4, bound: { lower: 1, upper: 30 } }));
};

const study: Study = function* (shelf, log) {
  log("studying");
  const device = shelf.device("oneplus-12");
  yield [];
  return E.isLeft(device) ? device : E.right({ files: [{ path: "one.json", text: `"${device.right.name}"\n` }], text: "studied", json: { cells: 1 } });
};
const workshop: Workshop = { draw: ({ title, tokens, marks }) => `<svg>${title} ${marks.filter((m) => m.chosen).length} over ${tokens}</svg>`, png: () => Uint8Array.of(1, 2), published: study, regretStudy: study, adaptationStudy: study };
const command = commandNamed("tune");
const tune = async (named: Readonly<Record<string, unknown>>, options: Parameters<typeof fake>[0] = {}) => {
  const f = fake({ simulate: played, ...options });
  const code = await execute(tuneProgram(workshop)(command)(given({ model: "bamboo-7b", ...named })), f.capabilities);
  return { code, stdout: f.stdout(), stderr: f.stderr(), f };
};
const studied = async (named: Readonly<Record<string, unknown>>, options: Parameters<typeof fake>[0] = {}) => {
  const f = fake({ simulate: played, ...options });
  const code = await execute(tuneProgram(workshop)(command)(given(named)), f.capabilities);
  return { code, stdout: f.stdout(), stderr: f.stderr(), f };
};

describe("tune", () => {
  it("says every mistake at once", async () => {
    const { code, stdout, stderr } = await tune({ device: "oneplus12", memory: "19", objective: "speed", planner: "z3", batch: "0", "at-least": "x", out: "" });
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr.match(/^ {2}--[\w-]+/gm)?.map((line) => line.trim()).sort()).toEqual(["--at-least", "--batch", "--device", "--memory", "--objective", "--out", "--planner"]);
    expect(stderr).toContain('--objective: should be one of tokens/s, p99, J/token, memory, got "speed"');
    expect(stderr).toContain("--device: unknown device: oneplus12; did you mean oneplus-12?");
  });

  it("refuses what contradicts itself", async () => {
    const wrong = async (named: Readonly<Record<string, unknown>>): Promise<string> => (await studied(named)).stderr;
    expect(await wrong({ "at-least": "3" })).toContain("--at-least: is for --objective memory");
    expect(await wrong({ check: true })).toContain("--check: compares with what is stored; give --published, --regret or --adaptation too");
    expect(await wrong({ published: true, regret: true, memory: "3GB" })).toMatch(/--regret: is a study of its own[^]*--memory: is fixed by --published/);
    expect(await wrong({ front: "a.pdf" })).toContain("--front: should end in .svg or .png, got a.pdf");
    expect(await wrong({ out: "a.svg", front: "./a.svg" })).toContain("--front: names the same file as --out");
    expect(await wrong({ planner: "powerinfer-2", front: "a.svg" })).toContain("--front: needs a search");
    expect(await wrong({ device: "./d.json", out: "d.json" })).toContain("--out: names the file that --device reads");
  });

  it("gives the stable JSON, whatever the number of workers, and nothing else on stdout", async () => {
    const [one, three] = [await tune({ memory: "3GiB", format: "json", workers: "1" }), await tune({ memory: "3GiB", format: "json", workers: "3" })];
    expect([one.code, three.code]).toEqual([0, 0]);
    expect(three.stdout).toBe(one.stdout);
    const json = JSON.parse(one.stdout) as Record<string, unknown> & { readonly explanation: Record<string, unknown> };
    for (const key of ["plan", "tokensPerSec", "evaluated", "spaceSize", "seconds", "explanation"]) expect(json).toHaveProperty(key);
    for (const key of ["limits", "decisions", "nextBest", "sensitivity", "warnings"]) expect(json.explanation).toHaveProperty(key);
    const plan = decode(planCodec, "plan")(json.plan);
    if (E.isLeft(plan)) throw new Error(JSON.stringify(plan.left));
    expect([plan.right.pipeline.depth, plan.right.cluster.neurons]).toEqual([2, 512]);
    expect(three.f.workers).toContain(3);
  });

  it("writes a plan that simulate reads unchanged and the engine is given what it can do of", async () => {
    const { code, f, stderr } = await tune({ memory: "3GiB", out: "plan.json", front: "front.svg" });
    expect(code).toBe(0);
    expect(stderr).toContain("wrote plan.json");
    expect(f.files.get("front.svg")).toBe("<svg>bamboo-7b on oneplus-12: what speed costs (chosen for tokens/s) 1 over 128</svg>");
    const plan = decode(planCodec, "plan.json")(JSON.parse(f.files.get("plan.json")!));
    if (E.isLeft(plan)) throw new Error(JSON.stringify(plan.left));
    const mapped = mapPlan(plan.right, 2, false);
    expect(mapped.request).toMatchObject({ depth: 2, cluster: 512, threads: 2, overlap: plan.right.mechanisms.overlap, memory: plan.right.memory });
    expect(mapped.unmapped.join("\n")).toContain("all is computed on the CPU here");
    const again = fake({ simulate, files: { "plan.json": f.files.get("plan.json")! } });
    const { simulateProgram } = await import("../../cli/programs/simulate.js");
    expect(await execute(simulateProgram(commandNamed("simulate"))(given({ plan: "plan.json", tokens: "2", format: "json" })), again.capabilities)).toBe(0);
    expect((JSON.parse(again.stdout()) as { readonly plan: unknown }).plan).toEqual(JSON.parse(f.files.get("plan.json")!));
  });

  it("tells in words: the gain, the planners beside each other, what decides, what is in doubt", async () => {
    const { stdout } = await tune({ memory: "3GiB" });
    for (const words of ["default plan", "powerinfer-2-v1", "ours (this plan)", "clusters in flight", "next best", "if this weak fact is off", "plans in the space", "settled"]) expect(stdout).toContain(words);
  });

  /** Four figures that do not go together, so that a front has many plans. */
  const priced = (inputs: RunInputs): ReturnType<typeof played> => {
    const run = played(inputs);
    const plan = inputs.request.plan;
    if (E.isLeft(run) || plan === undefined) return run;
    const depth = Math.log2(plan.pipeline.depth);
    return E.right({ ...run.right, tokensPerSec: run.right.tokensPerSec + (plan.cache.hot + plan.cache.cold) / 1e10, msPerToken: { ...run.right.msPerToken, p99: 200 - 10 * depth - plan.compute.threads.mid }, energy: { ...run.right.energy, joulesPerToken: 2 / (1 + depth + plan.compute.threads.mid / 2 + plan.cluster.neurons / 4096) } });
  };

  it.each([
    ["tokens/s", /^best {5}\d[\d.]* tokens\/s \(default plan [\d.]+, \+[\d.]+%\); bounds 1.00 to 30.0\ncosts {4}P99 .* ms, .* J\/token, .* held\n/m, /this plan against it\n/],
    ["p99", /^best {5}P99 [\d.]+ ms \(default plan [\d.]+, -[\d.]+%\)\nspeed {4}[\d.]+ tokens\/s \(default plan [\d.]+, .*%\); bounds 1.00 to 30.0\ncosts {4}[\d.]+ J\/token, .* held\n/m, /this plan against it, p99\n/],
    ["J/token", /^best {5}[\d.]+ J\/token \(default plan [\d.]+, -[\d.]+%\)\nspeed {4}[\d.]+ tokens\/s \(default plan .*\); bounds 1.00 to 30.0\ncosts {4}P99 [\d.]+ ms, .* held\n/m, /this plan against it, J\/token\n/],
    ["memory", /^best {5}[\d.]+[GM]B held \(default plan [\d.]+GB, -[\d.]+%\)\nspeed {4}[\d.]+ tokens\/s \(default plan .*\); bounds 1.00 to 30.0\ncosts {4}P99 [\d.]+ ms, [\d.]+ J\/token\n/m, /this plan against it, memory\n/],
  ])("leads with what was asked for: %s", async (objective, head, column) => {
    const { stdout } = await tune({ memory: "3GiB", objective }, { simulate: priced });
    expect(stdout).toMatch(head);
    expect(stdout).toMatch(column);
    const json = JSON.parse((await tune({ memory: "3GiB", objective, format: "json" }, { simulate: priced })).stdout) as { readonly objectiveFigure: { readonly name: string; readonly value: number; readonly ofDefaultPlan: number; readonly change: number } };
    expect(json.objectiveFigure.name).toBe(objective);
    expect(json.objectiveFigure.change).toBeCloseTo(json.objectiveFigure.value / json.objectiveFigure.ofDefaultPlan - 1, 9);
  });

  it("prints every plan of the front, with the chosen one marked and the length of all runs", async () => {
    const { stdout } = await tune({ memory: "3GiB" }, { simulate: priced });
    const [, count, rows] = /^front of (\d+) .*\n([^]*?)each of the front and of the planners above was run for 128 tokens$/m.exec(stdout)!;
    expect(Number(count)).toBeGreaterThan(3);
    expect(rows!.trimEnd().split("\n")).toHaveLength(Number(count));
    expect(rows!.match(/^this plan /gm)).toHaveLength(1);
    const json = JSON.parse((await tune({ memory: "3GiB", format: "json" }, { simulate: priced })).stdout) as { readonly tokens: number; readonly front: ReadonlyArray<{ readonly tokens: number; readonly chosen: boolean }> };
    expect(json.tokens).toBe(128);
    expect(json.front.map(({ tokens }) => tokens)).toEqual(json.front.map(() => 128));
    expect(json.front.filter(({ chosen }) => chosen)).toHaveLength(1);
  });

  it("says so where the chosen plan is not on the front", async () => {
    // Here less memory costs no speed, and the objective does not ask for it.
    const careless = (inputs: RunInputs): ReturnType<typeof played> => pipe(priced(inputs), E.map((run) => ({ ...run, tokensPerSec: pipe(played(inputs), E.fold(() => 0, (r) => r.tokensPerSec)) })));
    const { stdout } = await tune({ memory: "3GiB" }, { simulate: careless });
    expect(stdout).not.toMatch(/^this plan /m);
    expect(stdout).toContain("run for 128 tokens; this plan is not on the front: one there is no worse in anything and better in something");
  });

  it("warns where the budget lies under one token's demand", async () => {
    expect((await tune({ memory: "2GiB" })).stdout).toContain("LRU cliff: the FFN cache holds");
    expect((await tune({ memory: "6GiB" })).stdout).not.toContain("LRU cliff");
  });

  it("the paper's planners choose without a search", async () => {
    const { code, stdout } = await tune({ memory: "3GiB", planner: "powerinfer-2-v1", format: "json" });
    const json = JSON.parse(stdout) as { readonly plan: { readonly note: string }; readonly evaluated: number };
    expect([code, json.evaluated]).toEqual([0, 1]);
    expect(json.plan.note).toContain("planner powerinfer-2-v1");
  });

  it("a device without an NPU gets the system without one; a budget without room is exit 3", async () => {
    expect(JSON.parse((await tune({ device: "oneplus-15r", memory: "3GiB", format: "json" })).stdout)).toMatchObject({ plan: { system: "powerinfer-2-cpu-only", compute: { attentionOn: "cpu" } } });
    const none = await tune({ memory: "1GB" });
    expect([none.code, none.stdout]).toEqual([3, ""]);
    expect(none.stderr).toContain("does not fit: needs");
  });
});

describe("a gain for our own engine", () => {
  /** Clusters of 512 are the best, and its own choices have 256. */
  const worth = (octave: number) => ({ request, device }: RunInputs) => {
    const plan = request.plan;
    const speed = plan === undefined ? 20 - octave : 20 - octave * Math.abs(Math.log2(plan.cluster.neurons / 512));
    return E.right(aRecord(request, { ...(plan === undefined ? {} : { plan }), tokensPerSec: speed + device.cpu.barrier.value / 1e9, bound: { lower: 1, upper: 30 } }));
  };

  it("is no promise where predictions were off by more, and is told without that where it is larger, or of another system", async () => {
    const small = await tune({ memory: "3GiB", system: "neuronlab" }, { simulate: worth(0.5) });
    expect([small.code, small.stdout]).toEqual([0, expect.stringMatching(/^warning {2}this plan is expected to be \+2\.\d%.*beside the engine's own choices.*neuronlab validate tuned/m)]);
    for (const [system, octave] of [["neuronlab", 5], ["powerinfer-2", 0.5]] as const) expect((await tune({ memory: "3GiB", system }, { simulate: worth(octave) })).stdout, system).not.toContain("is expected to be");
    expect((await tune({ memory: "3GiB", system: "neuronlab", objective: "memory", "at-least": "1" }, { simulate: worth(0.5) })).stdout).not.toContain("is expected to be");
  });
});

describe("studies", () => {
  it("write under results/tuned, or compare with what is there", async () => {
    const made = await studied({ published: true });
    expect([made.code, made.stdout, [...made.f.files]]).toEqual([0, "studied\n", [["/home/results/tuned/one.json", '"oneplus-12"\n']]]);
    expect(made.stderr).toContain("studying");
    expect(await studied({ regret: true, check: true }, { files: { "/home/results/tuned/one.json": '"oneplus-12"\n' } })).toMatchObject({ code: 0 });
    const differs = await studied({ published: true, check: true }, { files: { "/home/results/tuned/one.json": "{}\n" } });
    expect([differs.code, differs.f.files.get("/home/results/tuned/one.json")]).toEqual([70, "{}\n"]);
    expect(differs.stdout).toContain("one.json: differs from what comes out now");
    expect((await studied({ published: true, check: true })).stdout).toContain("one.json: not stored yet");
  });
});

describe("driving a search", () => {
  it("hands each round over once and in order, closed forms to this thread and the rest to the pool", async () => {
    const f = fake({ simulate: played });
    const inputs = (fidelity: "analytic" | "cluster", tokens: number): RunInputs => ({ request: { device: "d", model: "m", system: "s", memory: { _tag: "All" }, phase: "decode", prompt: 1, tokens, batch: 1, seed: 1, fidelity } }) as unknown as RunInputs;
    function* asking() {
      const first: ReadonlyArray<unknown> = yield [inputs("analytic", 1), inputs("analytic", 2)];
      const second: ReadonlyArray<unknown> = yield [inputs("cluster", 3)];
      return [first.length, second.length];
    }
    const done = await drive(asking() as never, f.capabilities, 4)();
    expect(E.isRight(done) && done.right).toEqual([2, 1]);
    expect(f.ran.map(({ request }) => request.tokens)).toEqual([1, 2, 3]);
    expect(f.workers).toEqual([1, 4]);
  });
});
