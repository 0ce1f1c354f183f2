import { describe, expect, it } from "vitest";
import { existsSync, readFileSync } from "node:fs";
import { experiments } from "../../experiments/index.js";
import { filesIn } from "../data/profiles.js";
import { fakeLab } from "./fake-lab.js";

const points = experiments.flatMap((e) => e.points);
const cases = experiments.flatMap((e) => e.cases);
const duplicates = (ids: ReadonlyArray<string>): ReadonlyArray<string> => ids.filter((id, i) => ids.indexOf(id) !== i);

describe("the paper's experiments", () => {
  it("cover every figure and table that was promised", () => {
    expect(experiments.map((e) => e.id).sort()).toEqual(["f10", "f11", "f12", "f13", "f14", "f2", "f3a", "f3b", "f7", "f8", "f9", "t1", "t2", "t4", "t5", "t6", "t7", "t8", "ts-t9"]);
  });

  it("have unique ids for experiments, points and claims", () => {
    expect(duplicates(experiments.map((e) => e.id))).toEqual([]);
    expect(duplicates(points.map((p) => p.id))).toEqual([]);
    expect(duplicates(experiments.flatMap((e) => e.claims).map((c) => c.id))).toEqual([]);
  });

  it("calibrate on at most a third of the points, over all", () => {
    const calibration = points.filter((p) => p.role === "calibration").length;
    expect(calibration / points.length).toBeLessThanOrEqual(1 / 3);
  });

  it("leave every figure that measures a system something to check", () => {
    for (const e of experiments) if (e.points.length > 0 && e.id !== "t1" && e.id !== "f3b") expect(e.points.some((p) => p.role === "check"), e.id).toBe(true);
  });

  it("give one request to one case key wherever it is used", () => {
    const byKey = new Map<string, string>();
    for (const c of cases) {
      const text = JSON.stringify(c.request);
      expect(byKey.get(c.key) ?? text).toBe(text);
      byKey.set(c.key, text);
    }
    expect(new Set(byKey.values()).size).toBe(byKey.size);
  });

  it("name only devices, models and systems that exist", () => {
    for (const [folder, key] of [["devices", "device"], ["models", "model"], ["systems", "system"]] as const) {
      const known = filesIn(folder).map((file) => file.replace(/\.json$/, ""));
      expect([...new Set(cases.map((c) => c.request[key]))].filter((name) => !known.includes(name))).toEqual([]);
    }
  });

  it("list every run that their points use among their cases", () => {
    for (const e of experiments) {
      const listed = new Set(e.cases.map((c) => c.key));
      expect(e.points.flatMap((p) => p.uses).filter((c) => !listed.has(c.key)), e.id).toEqual([]);
    }
  });

  it("ask for no run that they do not list, in points, curves and claims", () => {
    for (const e of experiments) {
      const listed = new Set(e.cases.map((c) => c.key));
      const lab = fakeLab();
      const guarded = { ...lab, run: (key: string) => (listed.has(key) ? lab.run(key) : expect.fail(`${e.id} asks for ${key}`)) };
      const values = e.points.map((p) => p.simulated(guarded));
      e.curves?.(guarded);
      expect(values.every((v) => v === null || Number.isFinite(v)), e.id).toBe(true);
    }
  });

  it("print positive values with their rounding", () => {
    for (const p of points) {
      expect(p.reported, p.id).toBeGreaterThan(0);
      expect(p.printed, p.id).toBeGreaterThan(0);
      expect(p.printed, p.id).toBeLessThan(p.reported);
    }
  });

  it("draw every point, curve and gap in a panel that exists", () => {
    for (const e of experiments) {
      const panels = e.chart.panels.map((p) => p.key);
      const used = [...e.points.map((p) => p.panel), ...(e.gaps ?? []).map((g) => g.panel), ...(e.reportedOnly ?? []).map((r) => r.panel), ...(e.curves?.(fakeLab()) ?? []).map((c) => c.panel ?? "")];
      expect([...new Set(used)].filter((key) => !panels.includes(key)), e.id).toEqual([]);
    }
  });

  it("have a folder with a README that names the paper's figure", () => {
    for (const e of experiments) {
      const path = new URL(`../../experiments/${e.id}/README.md`, import.meta.url);
      expect(existsSync(path), e.id).toBe(true);
      expect(readFileSync(path, "utf8")).toContain(e.paper);
    }
  });

  it("take each step of Figure 14 by switching mechanisms of the step before, and end with the system's own", () => {
    const steps = experiments.find((e) => e.id === "f14")!.cases.map((c) => c.request.mechanisms);
    expect(steps).toHaveLength(5);
    expect(steps[0]).toEqual({ decodeOn: "cpu", loading: "rows", cache: "none", overlap: "none", submitters: "compute-threads", prefetchHot: "off" });
    expect(steps[3]).toEqual({ decodeOn: "cpu", loading: "two-phase", cache: "segmented", overlap: "cluster", submitters: "io-thread", prefetchHot: "under-attention" });
    expect(steps[4]).toBeUndefined();
  });
});
