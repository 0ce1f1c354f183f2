/** The table of claims says what the results say, and README's figures are theirs. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { claimsProgram } from "../../cli/programs/claims.js";
import { execute } from "../../cli/run.js";
import { CLAIM_SOURCES, claimRows, claimsPage, verdictOf } from "../../experiments/claims-table/page.js";
import { HOST, PHONE, SECOND_HOST, type PhoneCells } from "../../experiments/claims-table/own.js";
import { NEURONS, worstOf } from "../../experiments/claims-table/neurons.js";
import { checkErrors, headline, storedPoints } from "../../experiments/claims-table/paper.js";
import type { Stored } from "../../experiments/validate/trace/stored.js";
import { commandNamed, fake, given } from "../fakes/capabilities.js";

const read = (path: string): unknown => JSON.parse(readFileSync(path, "utf8"));
const documents = Object.fromEntries(CLAIM_SOURCES.map((path) => [path, read(path)]));
const rows = claimRows(documents);
const program = claimsProgram({ sources: CLAIM_SOURCES, rows: claimRows, page: claimsPage });

describe("the table of claims", () => {
  it("as it is stored is what the results say", () => {
    expect(claimsPage(rows)).toBe(readFileSync("docs/claims.md", "utf8"));
  });

  it("has every experiment, and names each claim of the paper that is missed", () => {
    const page = claimsPage(rows);
    for (const { paper, claims } of storedPoints(documents)) {
      expect(rows.some(({ claim }) => claim.startsWith(`[${paper}]`))).toBe(true);
      for (const { text, holds } of claims) expect([text, page.includes(`${text.replace(/ \(holds.*\)$/, "")}: `)]).toEqual([text, !holds]);
    }
  });

  it("calls a miss a miss: a figure beyond its aim does not hold", () => {
    const file = "results/host/figures.json";
    const figures = (documents[file] as { readonly figures: ReadonlyArray<{ readonly aim: { readonly atLeast?: number } | null; readonly value: unknown }> }).figures;
    const spoilt = { ...documents, [file]: { figures: figures.map((one) => (one.aim?.atLeast === undefined ? one : { ...one, value: one.aim.atLeast / 2 })) } };
    const missed = (all: typeof rows): number => all.filter((row) => verdictOf(row).includes("missed")).length;
    const held = figures.filter(({ aim, value }) => aim?.atLeast !== undefined && Number(value) >= aim.atLeast).length;
    expect(held).toBeGreaterThan(0);
    expect(missed(claimRows(spoilt)) - missed(rows)).toBe(held);
  });
});

describe("neuronlab claims", () => {
  const run = async (named: Readonly<Record<string, unknown>>, change: (path: string, text: string) => string | null = (_, text) => text) => {
    const world = fake({});
    const capabilities = { ...world.capabilities, home: "", readStored: (path: string) => async () => ({ _tag: "Right" as const, right: change(path, readFileSync(path, "utf8")) }) };
    return { code: await execute(program(commandNamed("claims"))(given(named)), capabilities), stdout: world.stdout(), stderr: world.stderr() };
  };

  it("--check passes on the stored page, and exits 70 when a result has moved", async () => {
    expect((await run({ check: true })).code).toBe(0);
    const moved = await run({ check: true }, (path, text) => (path === "results/paper/f10/points.json" ? text.replace('"holds": true', '"holds": false') : text));
    expect([moved.code, moved.stdout]).toEqual([70, expect.stringContaining("run neuronlab claims")]);
  });

  it("without a result says which is missing", async () => {
    const { code, stderr } = await run({}, (path, text) => (path === HOST ? null : text));
    expect([code, stderr]).toEqual([2, expect.stringContaining(HOST)]);
  });
});

describe("README's figures", () => {
  const readme = readFileSync("README.md", "utf8").split("## How far to trust it")[1]!.split("\n## ")[0]!.replace(/\s+/g, " ");
  const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)} %`;

  it("of the paper are those of results/paper", () => {
    const all = storedPoints(documents);
    const errors = checkErrors(all);
    expect(readme).toContain(`Over the ${errors.points} points that nothing was fitted to, the median error is ${percent(errors.medianAbsError!)} and the mean ${percent(errors.meanAbsError!)}`);
    const top = headline(all);
    expect(readme).toContain(`47B at 19 GB: ${top.simulated!.toFixed(1)} tokens/s, printed ${top.reported}`);
    const at19 = (system: string) => all.find(({ id }) => id === "f10")!.points.find(({ id }) => id === `f10.${system}.19GB`)!;
    const ratio = (system: string, of: "simulated" | "reported"): string => (at19(system)[of]! / at19("llama.cpp")[of]!).toFixed(0);
    expect(readme).toContain(`at 19 GB, ours is ${ratio("powerinfer-2", "simulated")} times faster (${ratio("powerinfer-2-v1", "simulated")} as v1 was, which that figure shows) where the paper has ${ratio("powerinfer-2", "reported")}`);
  });

  it("of neurons are those of results/model", () => {
    const { lru, speed, large } = worstOf(documents[NEURONS] as Stored);
    const digits = (share: number): string => Math.abs(100 * share).toFixed(1);
    const [single, four] = lru;
    expect([single!.unit, four!.unit, lru.length]).toEqual([1, 4, 2]);
    expect(readme).toContain(`LRU's hit rate up to ${digits(single!.means.error)} points off (${digits(four!.means.error)} where four neurons are kept together, as the engine keeps short rows) and a run's speed up to ${digits(speed.means.by)} %; ${digits(single!.byLayer.error)} points and ${digits(speed.byLayer.by)} % where`);
    expect(readme).toContain(`With this model's ${large.of} the 47B would be ${percent(-large.by, 0)} slower at ${large.where}`);
  });

  it("of two machines are those of results/host", () => {
    interface Errors { readonly medianAbsError: number; readonly meanAbsError: number; readonly worstAbsError: number }
    interface Validated { readonly summary: Errors; readonly exactCells: number; readonly cells: ReadonlyArray<unknown>; readonly self?: { readonly medianAbsError: number }; readonly elsewhere?: { readonly check: Errors } }
    const [first, second] = [documents[HOST], documents[SECOND_HOST]] as unknown as readonly [Validated, Validated];
    const digits = (share: number): string => (100 * share).toFixed(1);
    expect(readme).toContain(`median error ${percent(first.summary.medianAbsError)}, mean ${percent(first.summary.meanAbsError)}, worst ${percent(first.summary.worstAbsError)}`);
    expect(readme).toContain(`${digits(second.summary.medianAbsError)}, ${digits(second.summary.meanAbsError)} and ${percent(second.summary.worstAbsError)}, where 5 % and 8 % were aimed at`);
    expect(readme).toContain(`The second machine is ${percent(second.self!.medianAbsError)} off from itself`);
    const { medianAbsError, meanAbsError, worstAbsError } = second.elsewhere!.check;
    expect(readme).toContain(`it is ${percent(medianAbsError)} there (mean ${digits(meanAbsError)}, worst ${digits(worstAbsError)})`);
    for (const { exactCells, cells } of [first, second]) expect([exactCells, readme.includes(`equal in all ${cells.length} plans`)]).toEqual([cells.length, true]);
  });

  it("of the recorded phone are those of results/phone", () => {
    const { streamed: { mean }, cells } = documents[PHONE] as PhoneCells;
    expect(mean.cells).toBe(9);
    expect(readme).toContain(`the nine overlapped ones with a median error of ${percent(mean.medianAbsError, 0)} and a worst of ${percent(mean.worstAbsError, 0)}`);
    const mapped = cells.find(({ id }) => id.endsWith("gemma_mmap"))!;
    expect(mapped.predicted / mapped.measured).toBeGreaterThan(6.5);
    expect(mapped.predicted / mapped.measured).toBeLessThan(7);
  });
});
