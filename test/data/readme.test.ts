/** The tables of the two READMEs say what the files say. */
import { describe, expect, it } from "vitest";
import { KINDS } from "../../sim/domain/fact.js";
import { countByKind, filesIn, rawOf, readText } from "./profiles.js";

/** Rows `| \`name\` | cell | … |` as name and cells. */
const rowsOf = (markdown: string): ReadonlyArray<{ readonly name: string; readonly cells: ReadonlyArray<string> }> =>
  markdown.split("\n").flatMap((line) => {
    const match = /^\| `([a-z0-9.-]+)` \| (.+) \|$/.exec(line);
    return match === null ? [] : [{ name: match[1]!, cells: match[2]!.split(" | ") }];
  });

/** Rows of the first table after "What ships". */
const shipped = (folder: string): ReturnType<typeof rowsOf> => rowsOf(readText(`${folder}/README.md`).split("## What ships")[1]!.split("\n## ")[0]!);

describe.each(["devices", "models"])("%s/README.md", (folder) => {
  it("lists every file once", () => {
    expect(shipped(folder).map((row) => `${row.name}.json`).sort()).toEqual(filesIn(folder));
  });

  it("counts the facts of each kind as the files hold them", () => {
    const told = Object.fromEntries(shipped(folder).map((row) => [row.name, row.cells.slice(1, 6).map(Number)]));
    const held = Object.fromEntries(filesIn(folder).map((file) => {
      const counts = countByKind(rawOf(`${folder}/${file}`));
      return [file.replace(/\.json$/, ""), KINDS.map((kind) => counts[kind])];
    }));
    expect(told).toEqual(held);
  });
});

describe("models/README.md", () => {
  it("gives each model's active share", () => {
    for (const row of shipped("models")) {
      const model = rawOf(`models/${row.name}.json`) as { readonly activations: { readonly activeShare: { readonly value: unknown } } };
      expect([row.name, row.cells[6]]).toEqual([row.name, String(model.activations.activeShare.value)]);
    }
  });
});
