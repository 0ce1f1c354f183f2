/** A routing trace: header lines with the sizes of each layer, then every expert that was used, by token, layer and rank. Read strictly. Pure. */
import { E, type Either } from "../../../sim/base/fp.js";
import { badInput, type AppError } from "../../../sim/base/errors.js";
import { linesOf, Mistakes, type Line } from "./read-lines.js";
import type { RecordedFile, RouteFile } from "./recorded.js";

const VERSION = "# route_trace v1";
const COLUMNS = ["turn", "phase", "step", "layer", "slot", "expert", "weight", "residency", "expert_bytes"];
const PROMPT = 0;
const GENERATED = 1;

interface Sizes { readonly expert: Array<number>; readonly dense: Array<number> }

const sizesOf = (mistakes: Mistakes, lines: ReadonlyArray<Line>, layers: number): Sizes => {
  const sizes: Sizes = { expert: [], dense: [] };
  lines.forEach(({ place, text }, i) => {
    const pairs = mistakes.pairs(place, text.slice(2), ["layer", "expert_bytes", "dense_bytes"]);
    if (pairs.has("layer") && pairs.get("layer") !== String(i)) mistakes.add(`${place}.layer`, `should be ${i}, got ${pairs.get("layer")}`);
    sizes.expert.push(mistakes.number(`${place}.expert_bytes`, pairs.get("expert_bytes"), 1, 1e12, true));
    sizes.dense.push(mistakes.number(`${place}.dense_bytes`, pairs.get("dense_bytes"), 1, 1e12, true));
  });
  if (lines.length !== layers) mistakes.add("(whole)", `should have a line of sizes for each of ${layers} layers, has ${lines.length}`);
  return sizes;
};

interface Row { readonly phase: number; readonly step: number; readonly layer: number; readonly slot: number; readonly expert: number; readonly resident: number; readonly bytes: number }

const rowOf = (mistakes: Mistakes, { place, text }: Line, layers: number, experts: number, used: number, sizes: Sizes): Row | null => {
  const cells = text.split(",");
  if (cells.length !== COLUMNS.length) {
    mistakes.add(place, `has ${cells.length} of ${COLUMNS.length} columns${cells.length < COLUMNS.length ? ": the row is cut off" : ""}`);
    return null;
  }
  const before = mistakes.all.length;
  const at = (column: string, high: number, whole = true): number => mistakes.number(`${place}.${column}`, cells[COLUMNS.indexOf(column)], 0, high, whole);
  if (at("turn", 1e6) > 0) mistakes.add(`${place}.turn`, "is above 0; a trace of several turns is not known here");
  const [phase, step, layer, slot, expert, resident] = [at("phase", 1), at("step", 1e9), at("layer", layers - 1), at("slot", used - 1), at("expert", experts - 1), at("residency", 1)];
  at("weight", Infinity, false);
  const bytes = at("expert_bytes", 1e12);
  if (mistakes.all.length > before) return null;
  if (bytes !== 0 && bytes !== sizes.expert[layer]) mistakes.add(`${place}.expert_bytes`, `should be 0 or ${sizes.expert[layer]}, an expert of layer ${layer}, got ${bytes}`);
  if (resident === 1 && bytes > 0) mistakes.add(`${place}.expert_bytes`, `is ${bytes}, and the expert was resident`);
  return { phase, step, layer, slot, expert, resident, bytes };
};

/** Different values in the order of their last appearance. */
const byLastUse = (values: ReadonlyArray<number>): Int32Array => Int32Array.from([...new Set([...values].reverse())].reverse());

export const readRoutes = ({ path, text }: RecordedFile): Either<AppError, RouteFile> => {
  const mistakes = new Mistakes();
  const lines = linesOf(text);
  if (lines[0]!.text !== VERSION) return E.left(badInput(path, [{ path: "line 1", message: `is a version that is not known here: ${lines[0]!.text}; known: ${VERSION}` }]));
  const model = mistakes.pairs("line 2", (lines[1]?.text ?? "").slice(2), ["model", "arch", "n_layer", "n_expert", "n_expert_used"]);
  const [layers, experts, used] = ["n_layer", "n_expert", "n_expert_used"].map((key) => mistakes.number(`line 2.${key}`, model.get(key), 1, 1e6, true)) as [number, number, number];
  const sizeLines = lines.filter((line) => line.text.startsWith("# layer="));
  const sizes = sizesOf(mistakes, sizeLines, layers);
  const columnLine = lines[2 + sizeLines.length];
  if (columnLine?.text !== COLUMNS.join()) mistakes.add(columnLine?.place ?? "(whole)", `should be the columns ${COLUMNS.join()}, got ${columnLine?.text ?? "the end of the file"}`);
  if (mistakes.all.length > 0) return E.left(badInput(path, mistakes.all));
  const rows = lines.slice(3 + sizeLines.length).flatMap((line) => rowOf(mistakes, line, layers, experts, used, sizes) ?? []);
  const generated = rows.filter(({ phase }) => phase === GENERATED);
  const prompt = rows.filter(({ phase }) => phase === PROMPT);
  const first = generated[0]?.step ?? 0;
  const perToken = layers * used;
  const tokens = generated.length / perToken;
  if (mistakes.all.length === 0 && (tokens === 0 || !Number.isInteger(tokens))) mistakes.add("(whole)", `has ${generated.length} rows of generated tokens, which is no multiple of ${perToken} (${layers} layers x ${used} experts): the trace is cut off`);
  const asked = new Int32Array(generated.length);
  const resident = new Uint8Array(generated.length);
  if (mistakes.all.length === 0)
    generated.forEach(({ step, layer, slot, expert, resident: was }, i) => {
      const wanted = [first + Math.floor(i / perToken), Math.floor(i / used) % layers, i % used];
      if ([step, layer, slot].join() !== wanted.join()) mistakes.add(`step ${step}, layer ${layer}, slot ${slot}`, `should be step ${wanted[0]}, layer ${wanted[1]}, slot ${wanted[2]}: rows are missing or out of order`);
      asked[i] = expert;
      resident[i] = was;
    });
  if (mistakes.all.length > 0) return E.left(badInput(path, mistakes.all));
  const ofLayer = Array.from({ length: layers }, (): Array<number> => []);
  for (const { layer, expert } of prompt) ofLayer[layer]!.push(expert);
  return E.right({
    path, architecture: model.get("arch")!, expertBytes: sizes.expert, denseBytes: sizes.dense, resident,
    promptBytes: prompt.reduce((sum, { bytes }) => sum + bytes, 0),
    routing: { layers, experts, active: used, prompt: ofLayer.map(byLastUse), tokens, used: asked },
  });
};
