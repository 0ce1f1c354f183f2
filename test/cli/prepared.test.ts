/** What a comparison is prepared from: models that came along, and the format of a file's weights. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { shippedModels } from "../../cli/node/profiles.js";
import { weightsOf } from "../../cli/programs/models/packed-model.js";
import type { PackReport, RecordReport } from "../../engine/index.js";

const folders: Array<string> = [];
const home = (files: ReadonlyArray<string>): string => {
  const folder = mkdtempSync(join(tmpdir(), "neuronlab-models-"));
  folders.push(folder);
  for (const file of files) {
    mkdirSync(join(folder, file, ".."), { recursive: true });
    writeFileSync(join(folder, file), "");
  }
  return folder;
};
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

describe("models that came along", () => {
  it("are GGUF files of models/ and of its folders, in one order, and no predictors", async () => {
    const folder = home(["models/b/z.gguf", "models/b/z.predictor.gguf", "models/a.gguf", "models/a.json", "models/b/c/deep.gguf"]);
    expect(await shippedModels(folder)()).toEqual({ _tag: "Right", right: [join(folder, "models/a.gguf"), join(folder, "models/b/z.gguf")] });
  });

  it("may be none; without the folder the package is broken", async () => {
    expect(await shippedModels(home(["models/a.json"]))()).toEqual({ _tag: "Right", right: [] });
    expect(await shippedModels(home([]))()).toMatchObject({ _tag: "Left", left: { _tag: "Disk" } });
  });
});

describe("the format of gate and up", () => {
  const [hidden, layers, experts, neurons] = [256, 6, 8, 384];
  const recorded = { layers, experts, neurons, hidden } as RecordReport;
  const rows = { f32: 4 * hidden, f16: 2 * hidden, q8_0: (34 * hidden) / 32, q4_0: (18 * hidden) / 32 } as const;
  const formats = ["f32", "f16", "q8_0", "q4_0"] as const;
  const packed = (neuronBytes: number, down: string): PackReport => ({ payloadBytes: layers * experts * neurons * neuronBytes, down }) as PackReport;

  it.each(formats.flatMap((weights) => formats.map((down) => [weights, down] as const)))("%s is told beside a down in %s", (weights, down) => {
    expect(weightsOf(recorded, packed(2 * rows[weights] + rows[down], down.toUpperCase()))).toBe(weights);
  });

  it("is none where the two differ, or down is in a format that the simulator does not know", () => {
    expect(weightsOf(recorded, packed(rows.q8_0 + rows.q4_0 + rows.q8_0, "q8_0"))).toBeNull();
    expect(weightsOf(recorded, packed(3 * rows.q4_0, "q6_k"))).toBeNull();
  });
});
