import { describe, expect, it } from "vitest";
import { E, TE } from "../../sim/base/fp.js";
import { badInput, disk } from "../../sim/base/errors.js";
import { execute } from "../../cli/run.js";
import { synthProgram } from "../../cli/programs/synth/synth.js";
import type { Engine, SynthRequest, VerifyReport, VerifyRequest } from "../../engine/index.js";
import { commandNamed, fake, given } from "../fakes/capabilities.js";

const verified: VerifyReport = {
  tokens: 512, seconds: 1.25,
  rows: [
    { what: "share active", planted: 0.1, measured: 0.101, low: 0.1, high: 0.102, tolerance: 0.01, holds: true },
    { what: "activations of the hottest 10 %", planted: 0.4656, measured: 0.4618, tolerance: 0.03, holds: true },
  ],
  unverified: [],
};

const start = async (named: Readonly<Record<string, unknown>>, engine: Partial<Pick<Engine, "synth" | "verify">> = {}) => {
  const made: Array<SynthRequest> = [];
  const checked: Array<VerifyRequest> = [];
  const f = fake({
    engine: {
      synth: (request, hooks) => (made.push(request), (engine.synth ?? (() => TE.right({ bytes: 9.6e6, seconds: 0.12 })))(request, hooks)),
      verify: (request, hooks) => (checked.push(request), (engine.verify ?? (() => TE.right(verified)))(request, hooks)),
    },
  });
  const code = await execute(synthProgram(commandNamed("synth"))(given(named)), f.capabilities);
  return { code, made, checked, stdout: f.stdout(), stderr: f.stderr() };
};

const plain: SynthRequest = {
  out: "m.gguf", name: "synth", architecture: "smallthinker", activation: "relu", weights: "q4_0", hidden: 512, neurons: 1536, layers: 4, heads: 8, kvHeads: 4, headDim: 64,
  experts: 1, expertsUsed: 1, vocabulary: 4096, context: 4096, share: 0.1, skew: "bamboo", overlap: 0.3, repeat: null, upShare: 0.8, gateRank: null, seed: 1, threads: null,
};

describe("synth", () => {
  it("makes what was typed, with the defaults of --help, and verifies it", async () => {
    const { made, checked } = await start({ out: "m.gguf" });
    expect(made).toEqual([plain]);
    expect(checked).toEqual([{ model: "m.gguf", tokens: null, seed: 1, threads: null }]);
    const typed = { out: "x.gguf", layers: "2", hidden: "256", neurons: "512", experts: "8", used: "2", heads: "4", "kv-heads": "2", "head-dim": "64", vocabulary: "2048", context: "1024", arch: "llama", activation: "drelu", weights: "f16", share: "20%", skew: "0.1:0.5", overlap: "0.2", repeat: "0.6", "up-share": "0.7", "gate-rank": "96", name: "mine", "verify-tokens": "100", threads: "2", seed: "7" };
    const all = await start(typed);
    expect(all.made).toEqual([
      { out: "x.gguf", name: "mine", architecture: "llama", activation: "drelu", weights: "f16", hidden: 256, neurons: 512, layers: 2, heads: 4, kvHeads: 2, headDim: 64, experts: 8, expertsUsed: 2, vocabulary: 2048, context: 1024, share: 0.2, skew: "0.1:0.5", overlap: 0.2, repeat: 0.6, upShare: 0.7, gateRank: 96, seed: 7, threads: 2 },
    ]);
    expect(all.checked).toEqual([{ model: "x.gguf", tokens: 100, seed: 7, threads: 2 }]);
  });

  it("takes shape, weights and statistics of a known model, cut and changed by flags", async () => {
    const { made, stdout } = await start({ out: "b.gguf", model: "bamboo-7b", layers: "2", overlap: "0.25" });
    expect(made).toMatchObject([{ name: "bamboo-7b", architecture: "llama", activation: "drelu", weights: "q4_0", hidden: 4096, neurons: 14336, layers: 2, heads: 32, kvHeads: 8, headDim: 128, experts: 1, expertsUsed: 1, vocabulary: 32000, share: 0.161, overlap: 0.25, repeat: null, upShare: 0.8 }]);
    expect(made[0]!.skew).toMatch(/^0:0,0\.05:0\.28,0\.1:0\.466,.*,1:1$/);
    expect(stdout).toContain("\nnot planted: the variation of a token's activity");
    const mixture = await start({ out: "t.gguf", model: "turbosparse-mixtral-47b" });
    expect(mixture.made).toMatchObject([{ experts: 8, expertsUsed: 2, layers: 32, activation: "drelu" }]);
    expect(mixture.made[0]!.repeat).toBeGreaterThanOrEqual(0.25);
    // All neurons of a silu model are active: nothing of them is planted.
    expect((await start({ out: "s.gguf", model: "mistral-7b" })).made).toMatchObject([{ activation: "silu", architecture: "llama", share: 0.1, skew: "bamboo" }]);
  });

  it("prints planted beside measured, and says misses as misses and exits 0 all the same", async () => {
    expect((await start({ out: "m.gguf" })).stdout).toBe(
      [
        "m.gguf: 9.6MB in 0.1 s",
        "smallthinker, relu, q4_0; 4 layers of 1536 neurons, hidden 512, vocabulary 4096",
        "",
        "statistic                        planted  measured  by layer          tolerance",
        "share active                      0.1000    0.1010  0.1000 to 0.1020    ±0.0100",
        "activations of the hottest 10 %   0.4656    0.4618                      ±0.0300",
        "",
        "all 2 statistics are as planted, by 512 tokens in 1.3 s",
        "",
      ].join("\n"),
    );
    const rows = [{ ...verified.rows[0]!, measured: 0.2, holds: false }, verified.rows[1]!];
    const missed = await start({ out: "m.gguf" }, { verify: () => TE.right({ ...verified, rows }) });
    expect(missed.code).toBe(0);
    expect(missed.stdout).toMatch(/\nshare active .*0\.2000 .* MISSED\n/);
    expect(missed.stdout).toContain("\n1 of 2 statistics MISSED what was planted, by 512 tokens");
    const again = await start({ check: "m.gguf" }, { verify: () => TE.right({ ...verified, rows }) });
    expect([again.code, again.stdout]).toEqual([0, expect.stringContaining("1 of 2 statistics MISSED")]);
    const json = JSON.parse((await start({ out: "m.gguf", format: "json" }, { verify: () => TE.right({ ...verified, rows }) })).stdout) as unknown;
    expect(json).toEqual({ file: "m.gguf", bytes: 9.6e6, seconds: 0.12, inputs: plain, notPlanted: [], verified: { ...verified, rows, misses: 1 }, notVerified: null });
    const ranked = { ...verified, unverified: [{ what: "gate rank", planted: 96 }] };
    const asked = (format: string) => start({ check: "m.gguf", format }, { verify: () => TE.right(ranked) });
    expect((await asked("table")).stdout).toMatch(/ as planted, by 512 tokens in 1\.3 s\ngate rank: planted 96, not verified\n$/);
    expect(JSON.parse((await asked("json")).stdout)).toMatchObject({ verified: { unverified: ranked.unverified } });
  });

  it("keeps a file whose verification does not fit or is not wanted, and says so", async () => {
    const tooLarge = await start({ out: "m.gguf" }, { verify: () => TE.left({ _tag: "DoesNotFit", needed: 30e9, allowed: 20e9, parts: [], hint: "the whole model is held while it is verified" }) });
    expect([tooLarge.code, tooLarge.stderr]).toEqual([0, ""]);
    expect(tooLarge.stdout).toContain("\nnot verified: does not fit: needs 30.00GB, allowed 20.00GB; the whole model is held while it is verified\n");
    const unwanted = await start({ out: "m.gguf", "verify-tokens": "0" });
    expect([unwanted.checked, unwanted.stdout.endsWith("\nnot verified: --verify-tokens 0\n")]).toEqual([[], true]);
  });

  it("verifies a file that is there, and does not fit is then the answer", async () => {
    const { code, made, checked, stdout } = await start({ check: "m.gguf", "verify-tokens": "64", seed: "3" });
    expect([code, made, checked]).toEqual([0, [], [{ model: "m.gguf", tokens: 64, seed: 3, threads: null }]]);
    expect(stdout).toMatch(/^statistic /);
    const large = await start({ check: "m.gguf" }, { verify: () => TE.left({ _tag: "DoesNotFit", needed: 2, allowed: 1, parts: [], hint: "-" }) });
    expect([large.code, large.stdout]).toEqual([3, ""]);
    expect((await start({ check: "m.gguf" }, { verify: () => TE.right({ tokens: 2, seconds: 0, rows: [], unverified: [] }) })).stdout).toBe("nothing is planted in this model: all its neurons are active for every token\n");
  });

  it("tells all mistakes at once and starts nothing", async () => {
    const { code, made, stderr } = await start({ layers: "0", share: "120%", activation: "gelu", seed: "-1", model: "bamboo-8b", shape: "large" });
    expect([code, made]).toEqual([2, []]);
    for (const line of ["--shape: unknown flag", "--layers: should be a whole number between 1 and", "--share: should be between 0% and 100%, got 120%", '--activation: should be one of relu, drelu, silu, got "gelu"', "--seed: should be", "--out: is missing; name the file to write", "unknown model: bamboo-8b; did you mean bamboo-7b?"]) expect(stderr).toContain(line);
    const mixed = await start({ check: "m.gguf", out: "m.gguf", layers: "4", "verify-tokens": "0" });
    expect([mixed.code, mixed.stderr.split("\n")[0]]).toEqual([2, "neuronlab synth: 3 mistakes"]);
  });

  it("refuses flags that would be without effect", async () => {
    const message = async (named: Readonly<Record<string, unknown>>): Promise<string> => (await start({ out: "m.gguf", ...named })).stderr;
    expect(await message({ activation: "silu", share: "10%", skew: "even" })).toBe("neuronlab synth: 2 mistakes\n  --share: is of neurons that can be inactive, and silu leaves none; take relu or drelu, or leave it out\n  --skew: is of neurons that can be inactive, and silu leaves none; take relu or drelu, or leave it out\n");
    expect(await message({ "up-share": "70%" })).toBe("neuronlab synth: 1 mistake\n  --up-share: is for drelu, and the activation is relu; leave it out\n");
    expect(await message({ repeat: "0.5" })).toBe("neuronlab synth: 1 mistake\n  --repeat: is for experts that can change, and all are used for every token; give more --experts, or leave it out\n");
  });

  it("passes on what the engine answers, and says that nothing was written when it was interrupted", async () => {
    const spec = await start({ out: "m.gguf" }, { synth: () => TE.left(badInput("m.gguf", [{ path: "(whole)", message: "the overlap cannot be made: 0.97; must be at most 0.83" }])) });
    expect([spec.code, spec.stderr]).toEqual([2, "neuronlab synth: 1 mistake\n  (flags): the overlap cannot be made: 0.97; must be at most 0.83\n"]);
    const skew = await start({ out: "m.gguf", skew: "steep" }, { synth: () => TE.left(badInput("m.gguf", [{ path: "skew", message: "steep" }])) });
    expect(skew.stderr).toBe("neuronlab synth: 1 mistake\n  --skew: steep\n");
    const full = await start({ out: "m.gguf" }, { synth: () => TE.left(disk("m.gguf", "no room")) });
    expect([full.code, full.checked]).toEqual([74, []]);
    const stopped = await start({ out: "m.gguf" }, { synth: () => TE.right(null) });
    expect([stopped.code, stopped.stdout, stopped.stderr, stopped.checked]).toEqual([0, "", "interrupted: nothing was written\n", []]);
    const late = await start({ out: "m.gguf" }, { verify: () => () => Promise.resolve(E.right(null)) });
    expect(late.stdout).toContain("\nnot verified: interrupted\n");
  });
});
