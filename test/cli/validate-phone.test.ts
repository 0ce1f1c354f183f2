/** neuronlab validate phone, whole: made-up recordings through the readers, the fit and the report; and, where they lie on this machine, the real ones. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { JSDOM } from "jsdom";
import { describe, expect, it } from "vitest";
import { E } from "../../sim/base/fp.js";
import { describeError } from "../../sim/base/errors.js";
import { decode } from "../../sim/base/decode.js";
import { systemCodec } from "../../sim/domain/system.js";
import { simulate } from "../../sim/inference/simulate.js";
import { reuseOf, repeatOf } from "../../sim/neurons/expert-reuse.js";
import { readFolder } from "../../experiments/validate/phone/read-folder.js";
import { cellsOf, PHONE_MODELS } from "../../experiments/validate/phone/cells.js";
import { checkResidency, comparePolicies, curveOf } from "../../experiments/validate/phone/replay.js";
import { reportPhone } from "../../experiments/validate/phone/report.js";
import { execute } from "../../cli/run.js";
import { validatePhoneProgram } from "../../cli/programs/validate/phone.js";
import { validateProgram } from "../../cli/programs/validate/validate.js";
import { modelNamed, systemNamed } from "../arb/runs.js";
import { commandNamed, fake, given } from "../fakes/capabilities.js";
import { bare, headed, routes, state } from "../experiments/phone/recordings.js";

const report = reportPhone({ document: new JSDOM("").window.document, png: null });

/** Serial and overlapped runs of one setting, one below the cliff, one short of memory, one traced. */
const RECORDED = [
  bare("2026-07-12/gemma_stream.csv", { tokens: 36, io: 450, compute: 170 }), bare("2026-07-12/gemma_stream_ov.csv", { tokens: 36, io: 1500, compute: 180, stall: 370 }),
  bare("2026-07-12/gemma_c2000_l4.csv", { tokens: 36, io: 220, compute: 230 }), state("2026-07-12/gemma_c2000_l4.metrics"),
  bare("2026-07-13/gemma_auto_ov.csv", { tokens: 36, io: 160, compute: 130, stall: 60 }), state("2026-07-13/gemma_auto_ov.metrics", 1_000_000),
  headed("later/cliff.csv", { tokens: 36, io: 4000, compute: 200, stall: 450, management: 200 }, { cacheMib: 1500, lanes: 8 }),
  bare("2026-07-15-route-trace/gptoss.metrics", { tokens: 36, io: 600, compute: 200, stall: 150 }), routes("2026-07-15-route-trace/gptoss.route.csv", "gpt-oss", "gpt-oss-120b", 2, 36),
];

const typed = async (named: Readonly<Record<string, unknown>>, files = RECORDED) => {
  const f = fake({ files: Object.fromEntries(files.map(({ path, text }) => [`/phone/${path}`, text])), simulate });
  const command = commandNamed("validate");
  const code = await execute(validateProgram({ host: () => () => { throw new Error("not asked"); }, tuned: () => () => { throw new Error("not asked"); }, phone: validatePhoneProgram(report), trace: () => () => { throw new Error("not asked"); } })(command)(given({ format: "json", out: "/out", ...named })), f.capabilities);
  return { code, f, json: !f.stdout().startsWith("{") ? null : (JSON.parse(f.stdout()) as Readonly<Record<string, never>>) };
};

describe("validate phone", () => {
  it("predicts every cell, fits to the serial ones, and writes a page, cells, rows, a system and a picture", async () => {
    const { code, f, json } = await typed({ what: ["phone", "/phone"] });
    expect(f.stderr()).not.toMatch(/mistake/);
    expect(code).toBe(0);
    const cells = json!["cells"] as ReadonlyArray<{ readonly id: string; readonly role: string; readonly predicted: number; readonly measured: number; readonly signedError: number; readonly parts: Readonly<Record<string, Readonly<Record<string, number>>>> }>;
    expect(Object.fromEntries(cells.map(({ id, role }) => [id, role]))).toEqual({
      "2026-07-12/gemma_stream": "calibration", "2026-07-12/gemma_c2000_l4": "calibration", "2026-07-12/gemma_stream_ov": "check", "later/cliff": "check", "2026-07-13/gemma_auto_ov": "contaminated", "2026-07-15-route-trace/gptoss": "traced",
    });
    for (const { predicted, measured, signedError } of cells) expect(signedError).toBeCloseTo(predicted / measured - 1, 9);
    expect(cells.map(({ signedError }) => Math.abs(signedError))).toEqual([...cells].map(({ signedError }) => Math.abs(signedError)).sort((a, b) => b - a));
    expect(Object.keys(json!["summary"])).toEqual(["medianAbsError", "meanAbsError", "worstAbsError", "kendallTau"]);
    const calibration = cells.filter(({ role }) => role === "calibration");
    for (const { parts } of calibration) expect(Math.abs(parts["predicted"]!["rest"]! / parts["measured"]!["rest"]! - 1)).toBeLessThan(0.05);
    expect(cells.find(({ id }) => id === "later/cliff")!.parts["predicted"]!["hitRate"]).toBe(0);
    expect(json!["residency"]).toMatchObject([{ lookups: 36 * 36 * 2 }]);
    expect([...f.files.keys()].filter((path) => path.startsWith("/out/")).sort()).toEqual(["/out/README.md", "/out/cells.json", "/out/policies.csv", "/out/system.json", "/out/validation.svg"]);
    expect(decode(systemCodec, "system.json")(JSON.parse(f.files.get("/out/system.json")!))).toMatchObject({ _tag: "Right", right: { software: { denseEfficiency: { kind: "calibrated" } } } });
    expect(f.files.get("/out/README.md")).toMatch(/commit 2d4f2b1, Apache-2\.0/);
  });

  it("gives the same bytes again", async () => {
    const [one, other] = [await typed({ what: ["phone", "/phone"] }), await typed({ what: ["phone", "/phone"] })];
    // Plot numbers its clip paths through the life of a process.
    const withoutClips = (files: ReadonlyMap<string, string>) => [...files].map(([path, text]) => [path, text.replaceAll(/plot-clip-\d+/g, "plot-clip")]);
    expect(withoutClips(one.f.files)).toEqual(withoutClips(other.f.files));
  });

  it("without a serial run fits nothing and says so", async () => {
    const { code, f } = await typed({ what: ["phone", "/phone"], format: "table" }, RECORDED.filter(({ path }) => path.startsWith("later")));
    expect(code).toBe(0);
    expect(f.stdout()).toMatch(/nothing was fitted: there are no calibration cells among these files/);
  });

  it.each<[Readonly<Record<string, unknown>>, RegExp]>([
    [{ what: ["phone"] }, /^neuronlab validate: 1 mistake\n {2}phone DIR: is missing\n$/],
    [{ what: ["phone", " "] }, / {2}phone DIR: has no value; name the folder with the recordings, such as /],
    [{ what: ["phone", "/nowhere"] }, /\/nowhere: 1 mistake\n {2}\(whole\): there is no such folder/],
    [{ what: ["phone", "/phone", "/other"] }, /\/other: nothing is expected here/],
    [{ what: ["phone", "/phone"], quick: true }, /--quick: is for validate host/],
    [{ what: ["phone", "/phone"], device: "oneplus-99" }, /--device: unknown device: oneplus-99; did you mean/],
    [{ what: ["phone", "/phone"], out: "/phone" }, /--out: is the folder with the recordings/],
  ])("%j is refused with what would be right", async (named, message) => {
    const { code, f } = await typed(named);
    expect([code, f.stderr()]).toEqual([2, expect.stringMatching(message)]);
  });
});

const REAL = process.env["NEURONLAB_PHONE_DATA"] ?? ["../shared/data/bigmoe-oneplus15r", "/work/shared/data/bigmoe-oneplus15r"].find((folder) => existsSync(folder)) ?? null;
if (REAL === null) console.log("the recordings of Helldez/BigMoeOnEdge are not on this machine (NEURONLAB_PHONE_DATA or ../shared/data/bigmoe-oneplus15r): their tests are passed over");

describe.skipIf(REAL === null)("the recordings themselves", () => {
  const load = () => {
    const paths = (readdirSync(REAL!, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)).sort();
    const recordings = readFolder(REAL!, paths.map((path) => ({ path: path.slice(REAL!.length + 1), text: readFileSync(path, "utf8") })));
    if (E.isLeft(recordings)) throw new Error(describeError(recordings.left));
    return recordings.right;
  };

  it("are read whole, and each routing played through the cache hits where its trace says, look-up by look-up", () => {
    const recordings = load();
    const cells = cellsOf(REAL!, recordings, new Map(PHONE_MODELS.map((name) => [name, modelNamed(name)])));
    if (E.isLeft(cells)) throw new Error(describeError(cells.left));
    expect(cells.right.filter(({ role }) => role === "calibration").every(({ setting }) => !setting.overlaps)).toBe(true);
    for (const { route, setting } of cells.right) {
      if (route === null) continue;
      const { differing, hits, recordedHits, mib, recordedMib } = checkResidency(route, setting.cacheMib);
      expect([differing, hits, mib]).toEqual([0, recordedHits, recordedMib]);
    }
  });

  it("replayed by policy, give the recorded hit rates: LRU and counts to the last digit, hindsight within ties", () => {
    const recordings = load();
    for (const route of recordings.routes) {
      const rows = comparePolicies(route, curveOf(route, recordings.curves)!, 1);
      for (const { policy, recorded, ours } of rows) expect(Math.abs(recorded - ours)).toBeLessThan(policy === "random" ? 1.5 : policy === "belady" ? 0.05 : 1e-3);
    }
  });

  it("give the statistics that the models' files ship, and those the constants that the system's file ships", () => {
    for (const { routing, architecture } of load().routes) {
      const { reuse, repeat } = modelNamed(architecture === "gemma4" ? "gemma-4-26b-a4b" : "gpt-oss-120b").experts;
      expect(reuseOf(routing)).toEqual(reuse!.ranks);
      expect(Math.round(1e4 * repeatOf(routing)) / 1e4).toBe(repeat.value);
    }
    const stored = decode(systemCodec, "results/phone/system.json")(JSON.parse(readFileSync("results/phone/system.json", "utf8")));
    const shipped = systemNamed("expert-streaming").software;
    for (const key of ["denseEfficiency", "cacheUpkeep", "readStart"] as const) expect(E.isRight(stored) && stored.right.software[key]!.value).toBe(shipped[key]!.value);
  });
});
