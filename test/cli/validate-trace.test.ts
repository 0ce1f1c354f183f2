/** neuronlab validate trace, whole, on the beginning of the text that comes along: what it writes, what it checks, and what it refuses. */
import { readFileSync } from "node:fs";
import { JSDOM } from "jsdom";
import { describe, expect, it } from "vitest";
import { E, TE } from "../../sim/base/fp.js";
import { decodeTrace } from "../../sim/neurons/trace.js";
import { reportTrace } from "../../experiments/validate/trace/report.js";
import { execute } from "../../cli/run.js";
import { validateProgram } from "../../cli/programs/validate/validate.js";
import { validateTraceProgram } from "../../cli/programs/validate/trace.js";
import { commandNamed, fake, given } from "../fakes/capabilities.js";
import { told, writeSlow } from "../fakes/trace-writer.js";

const report = reportTrace({ document: new JSDOM("").window.document, png: null });
const SHIPPED = "models/novels/novels-mixture";
/** The beginning of the text: what is tested is the way from a file to a page, and the numbers of all of it take minutes. */
const TOKENS = 160;
const recorded = decodeTrace(SHIPPED)(new Uint8Array(readFileSync(`${SHIPPED}.trace`)));
if (E.isLeft(recorded)) throw new Error("the trace that comes along cannot be read");
const short = writeSlow(recorded.right, told({ ...recorded.right, tokens: TOKENS }));
const other = () => () => { throw new Error("not asked"); };

const typed = async (named: Readonly<Record<string, unknown>>, stored: Readonly<Record<string, string>> = {}) => {
  const f = fake({ files: { "/t/model.json": readFileSync(`${SHIPPED}.json`, "utf8"), ...stored } });
  const capabilities = { ...f.capabilities, readBytes: () => TE.right(short) };
  const code = await execute(validateProgram({ host: other, tuned: other, phone: other, trace: validateTraceProgram(report) })(commandNamed("validate"))(given({ format: "json", ...named })), capabilities);
  return { code, f };
};

describe("validate trace", () => {
  it("writes a page, numbers and a picture; --check knows them again, and another byte", async () => {
    const { code, f } = await typed({ what: ["trace", "/t/model.trace"], out: "/out" });
    expect(f.stderr()).not.toMatch(/mistake/);
    expect(code).toBe(0);
    const written = Object.fromEntries([...f.files].filter(([path]) => path.startsWith("/out/")));
    expect(Object.keys(written).sort()).toEqual(["/out/README.md", "/out/figure.svg", "/out/statistics.json"]);
    const { steps, cells, layers } = JSON.parse(written["/out/statistics.json"]!) as { readonly steps: ReadonlyArray<Readonly<Record<string, number>>>; readonly cells: ReadonlyArray<{ readonly policy: string; readonly unit: number; readonly budget: number; readonly closedForm: number }>; readonly layers: ReadonlyArray<unknown> };
    expect(layers).toHaveLength(6);
    // The steps are a way from the replayed hit rate to the predicted one, and leave nothing out.
    for (const { budget, replayed, independence, evenExperts, sharedRates, givenBack, closedForm } of steps as ReadonlyArray<Readonly<Record<"budget" | "replayed" | "independence" | "evenExperts" | "sharedRates" | "givenBack" | "closedForm", number>>>)
      expect(replayed + independence + evenExperts + sharedRates + givenBack + closedForm).toBeCloseTo(cells.find((cell) => cell.policy === "lru" && cell.unit === 1 && cell.budget === budget)!.closedForm, 3);
    expect((await typed({ what: ["trace", "/t/model.trace"], out: "/out", check: true }, written)).code).toBe(0);
    const changed = await typed({ what: ["trace", "/t/model.trace"], out: "/out", check: true }, { ...written, "/out/README.md": `${written["/out/README.md"]!} ` });
    expect([changed.code, changed.f.stdout()]).toEqual([70, expect.stringContaining("README.md: differs")]);
  }, 120_000);

  it.each([
    [{ what: ["trace", "/t/model.json"] }, /should be an activation trace/],
    [{ what: ["trace"] }, /no model came along/],
    [{ what: ["trace", "/t/model.trace"], quick: true }, /--quick: is for validate host/],
    [{ what: ["trace", "/t/model.trace"], seed: "2" }, /--seed: changes what is kept/],
    [{ what: ["trace", "/t/model.trace", "more"] }, /more/],
    [{ what: ["host"], check: true }, /--check: is for validate trace/],
  ])("refuses %j", async (named, says) => {
    const { code, f } = await typed(named);
    expect([code, f.stderr()]).toEqual([2, expect.stringMatching(says)]);
  });

  it("refuses a model of another shape than its trace", async () => {
    const { code, f } = await typed({ what: ["trace", "/t/model.trace"] }, { "/t/model.json": readFileSync("models/bamboo-7b.json", "utf8") });
    expect([code, f.stderr()]).toEqual([2, expect.stringMatching(/layers: is 32; the trace has 6/)]);
  });
});
