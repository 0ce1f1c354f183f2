import { existsSync, readFileSync, readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { E } from "../../sim/base/fp.js";
import { decode, parseJson } from "../../sim/base/decode.js";
import { sweepCodec, type Declaration } from "../../sim/sweep/declaration.js";
import { pointsOf } from "../../sim/sweep/points.js";
import { doubtfulFacts, resolver, type Shelf } from "../../sim/sweep/resolve.js";
import { pointMistakes } from "../../cli/programs/sweep/engine/points.js";
import { readDeclaration } from "../../cli/node/declaration.js";

const shelf: Shelf = { document: (profile, name) => JSON.parse(readFileSync(`${profile}s/${name}.json`, "utf8")) as unknown, plan: null };
const right = <A>(found: E.Either<unknown, A>): A => {
  if (E.isLeft(found)) throw new Error(JSON.stringify(found.left));
  return found.right;
};
const read = async (id: string): Promise<Declaration> => right(decode(sweepCodec, id)(right(await readDeclaration(`experiments/sweeps/${id}/sweep.ts`)()).raw));

const ids = readdirSync("experiments/sweeps");

describe.each(ids)("the sweep %s", (id) => {
  it("is called what its folder is, names numbers that are there, and its points become requests or refusals", async () => {
    const declaration = await read(id);
    expect(declaration.id).toBe(id);
    if (declaration.engine !== null) {
      const all = pointsOf(declaration).kept;
      expect([all.length > 0, pointMistakes(declaration, all, "models/novels/novels-mixture.gguf")]).toEqual([true, []]);
      return;
    }
    expect(doubtfulFacts(declaration, shelf)).toEqual([]);
    const resolve = resolver(declaration, shelf);
    for (const at of pointsOf(declaration).kept) {
      const run = resolve(at);
      if (E.isLeft(run)) expect(run.left._tag, JSON.stringify(at)).toMatch(/^(DoesNotFit|Unsupported)$/);
    }
  });

  it("has its table and picture in results/sweeps, with a row for each run, and is listed there", async () => {
    const declaration = await read(id);
    // Measured on one machine, and not the same on another: a stored table is of whoever made it, and may be missing.
    if (declaration.engine !== null && !existsSync(`results/sweeps/${id}/runs.csv`)) return;
    const rows = readFileSync(`results/sweeps/${id}/runs.csv`, "utf8").trim().split("\n").length - 1;
    expect(rows).toBe(pointsOf(declaration).kept.length * declaration.repetitions);
    expect([existsSync(`results/sweeps/${id}/figure.png`), existsSync(`experiments/sweeps/${id}/README.md`)]).toEqual([true, true]);
    expect(readFileSync("results/sweeps/README.md", "utf8")).toContain(`experiments/sweeps/${id}/README.md`);
  });
});

describe("docs/sweeps.md", () => {
  it("shows declarations that decode", () => {
    const shown = [...readFileSync("docs/sweeps.md", "utf8").matchAll(/```json\n([^]*?)```/g)].map(([, one]) => right(decode(sweepCodec, "docs/sweeps.md")(right(parseJson("docs/sweeps.md", one!)))));
    expect(shown.map(({ id }) => id)).toEqual(["depth-by-memory", "depth-here"]);
    expect(pointMistakes(shown[1]!, pointsOf(shown[1]!).kept, "models/novels/novels-mixture.gguf")).toEqual([]);
  });
});

describe("a module that is no declaration", () => {
  it("is refused with what it exports, or with what is wrong in it", async () => {
    expect(await readDeclaration("experiments/cases.ts")()).toMatchObject({ left: { _tag: "BadInput", mistakes: [{ message: expect.stringContaining("exports no sweep") as string }] } });
    expect(await readDeclaration("experiments/none.ts")()).toMatchObject({ left: { _tag: "BadInput", mistakes: [{ message: "there is no such file" }] } });
  });
});
