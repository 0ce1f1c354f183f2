import { JSDOM } from "jsdom";
import { describe, expect, it } from "vitest";
import { evaluate } from "../../experiments/evaluate.js";
import { experiments } from "../../experiments/index.js";
import { report, type ReportFile } from "../../experiments/report.js";
import { summarise, worstFirst } from "../../experiments/summary.js";
import { fakeLab } from "./fake-lab.js";

const document = new JSDOM("").window.document;
const tools = { document, png: () => Uint8Array.of(1), total: experiments.length };
const lab = fakeLab({ missing: (key) => key.startsWith("oneplus-ace-2/turbosparse") });
const results = experiments.map((e) => evaluate(e, lab));
const files = report(tools)(results);
const textOf = (path: string): string => {
  const file = files.find((f) => f.path === path);
  return file !== undefined && "text" in file ? file.text : expect.fail(`no such file: ${path}`);
};
const page = textOf("README.md");
const points = results.flatMap((r) => r.points);

describe("the report", () => {
  it("has a page and five files for each experiment", () => {
    expect(files.map((f: ReportFile) => f.path).sort()).toEqual(["README.md", ...experiments.flatMap((e) => ["figure.png", "figure.svg", "points.csv", "points.json", "table.md"].map((name) => `${e.id}/${name}`))].sort());
  });

  it("writes the page only when every experiment was run", () => {
    expect(report(tools)(results.slice(0, 2)).map((f) => f.path)).not.toContain("README.md");
  });

  it("writes points that a program can read", () => {
    const stored = JSON.parse(textOf("f7/points.json")) as { readonly points: ReadonlyArray<Record<string, unknown>>; readonly claims: ReadonlyArray<Record<string, unknown>> };
    expect(stored.points).toHaveLength(24);
    for (const key of ["id", "series", "x", "unit", "reported", "simulated", "signedError", "role"]) for (const p of stored.points) expect(p).toHaveProperty(key);
    expect(stored.claims.every((c) => typeof c.holds === "boolean")).toBe(true);
    const missing = stored.points.find((p) => p.id === "f7.oneplus-ace-2.turbosparse-mixtral-47b.powerinfer-2");
    expect([missing?.simulated, missing?.signedError]).toEqual([null, null]);
  });

  it("writes a CSV with a line for each point", () => {
    const lines = textOf("f8/points.csv").trim().split("\n");
    expect(lines[0]).toBe("id,panel,series,x,unit,reported,printed,simulated,signedError,withinPrint,role,note");
    expect(lines).toHaveLength(49);
  });

  it("shows every picture and every claim with its verdict", () => {
    for (const { experiment, claims } of results) {
      expect(page).toContain(`](${experiment.id}/figure.svg)`);
      for (const claim of claims) expect(page).toContain(claim.text.replace(/\|/g, "\\|"));
    }
    const claims = results.flatMap((r) => r.claims);
    expect(page).toContain(`## Claims: ${claims.filter((c) => c.holds).length} of ${claims.length} hold`);
  });

  it("lists every point once in the worst-first table, missing runs at the top", () => {
    const rows = page.slice(page.indexOf("## Every point")).split("\n").filter((line) => /^\| (–|[+−])/.test(line));
    expect(rows).toHaveLength(points.length);
    expect(rows[0]).toContain("no run");
    const errors = rows.flatMap((row) => row.match(/^\| [+−](\d+\.\d)/)?.[1] ?? []).map(Number);
    expect(errors).toEqual([...errors].sort((a, b) => b - a));
  });

  it("keeps calibration and check points apart in its summary", () => {
    const count = (role: string): number => points.filter((p) => p.role === role).length;
    expect(page).toMatch(new RegExp(`\\| check \\| ${count("check")}( \\(\\d+ without a run\\))? \\|`));
    expect(page).toMatch(new RegExp(`\\| calibration \\| ${count("calibration")}( \\(\\d+ without a run\\))? \\|`));
  });

  it("says which errors are within print", () => {
    expect(points.some((p) => p.withinPrint)).toBe(true);
    expect(page).toContain("within print |");
  });

  it("shows accuracy as reported, with no simulated column", () => {
    expect(textOf("t7/table.md")).toContain("79.25 %");
    expect(textOf("t7/table.md")).not.toContain("| simulated |");
  });
});

describe("a summary", () => {
  const withError = (signedError: number | null) => ({ ...points[0], simulated: signedError, signedError, withinPrint: signedError !== null && Math.abs(signedError) < 0.02 });
  it("takes the median and mean of absolute errors and leaves gaps out", () => {
    const s = summarise([0.01, -0.2, 0.4, null].map(withError));
    expect([s.points, s.gaps, s.medianAbsError, s.worstAbsError, s.withinPrint, s.within25]).toEqual([4, 1, 0.2, 0.4, 1 / 3, 2 / 3]);
    expect(s.worst?.signedError).toBe(0.4);
  });
  it("is empty, not zero, without values", () => {
    expect(summarise([withError(null)])).toMatchObject({ points: 1, gaps: 1, medianAbsError: null, worst: null, withinPrint: null });
  });
  it("sorts the worst first, gaps before all", () => {
    expect(worstFirst([0.1, null, -0.3].map(withError)).map((p) => p.signedError)).toEqual([null, -0.3, 0.1]);
  });
});
