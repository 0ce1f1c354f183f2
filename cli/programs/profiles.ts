/** What is known of devices, models and systems; with a name, every fact and where it is from, the weakest first. */
import { RTE, pipe } from "../../sim/base/fp.js";
import { showBytes } from "../../sim/base/units.js";
import type { DeviceProfile } from "../../sim/domain/device.js";
import { KINDS, type Kind } from "../../sim/domain/fact.js";
import { sizesOf, type ModelSpec } from "../../sim/domain/model.js";
import type { SystemSpec } from "../../sim/domain/system.js";
import { table, type Column } from "../../sim/report/table.js";
import { absent, argument, readWords, shared, word } from "../args.js";
import type { Command, Words } from "../command.js";
import { gather, gatherEach, inFormat, type Answer, type Loaded, type Program, type ProfileKind } from "../program.js";
import { loadDevice, loadModel, loadSystem } from "./load.js";

export interface FactRow { readonly path: string; readonly value: number; readonly unit: string; readonly written: string; readonly kind: Kind; readonly source: string; readonly note: string }

/** "43.9GB/s" → 43.9 and "GB/s"; the value stays in the unit that the file uses. */
const splitUnit = (written: unknown): { readonly value: number; readonly unit: string } => {
  if (typeof written === "number") return { value: written, unit: "" };
  const match = /^\s*([+-]?[\d.]+(?:[eE][+-]?\d+)?)\s*(.*?)\s*$/.exec(String(written));
  return match === null ? { value: NaN, unit: "" } : { value: Number(match[1]), unit: match[2] };
};

const isFact = (node: object): node is { readonly value: unknown; readonly kind: Kind; readonly source: string; readonly note?: string } => "value" in node && "kind" in node && "source" in node;

/** All facts of a decoded document, in its order. A list entry that has a kind of its own is named by it. */
const factsIn = (node: unknown, path: string): ReadonlyArray<FactRow> => {
  if (typeof node !== "object" || node === null) return [];
  if (isFact(node)) return [{ path, ...splitUnit(node.value), written: String(node.value), kind: node.kind, source: node.source, note: node.note ?? "" }];
  if (Array.isArray(node)) return node.flatMap((item: unknown, i) => factsIn(item, `${path}[${i}]`));
  return Object.entries(node).flatMap(([key, value]) => factsIn(value, path === "" ? key : `${path}.${key}`));
};

/** Weakest first: what is only estimated or fitted before what somebody printed. */
export const factsOf = (raw: unknown): ReadonlyArray<FactRow> => {
  const facts = factsIn(raw, "");
  return [...KINDS].reverse().flatMap((kind) => facts.filter((fact) => fact.kind === kind));
};

const counted = (facts: ReadonlyArray<FactRow>): string => [...KINDS].reverse().map((kind) => [kind, facts.filter((fact) => fact.kind === kind).length] as const).filter(([, n]) => n > 0).map(([kind, n]) => `${n} ${kind}`).join(", ");

/** Everything in a document that is not a fact: shapes, names, switches. */
const plainOf = (raw: unknown): ReadonlyArray<readonly [string, string]> => {
  const walk = (node: unknown, path: string): ReadonlyArray<readonly [string, string]> => {
    if (typeof node !== "object" || node === null) return [[path, String(node)]];
    if (isFact(node)) return [];
    if (Array.isArray(node)) return node.every((item) => typeof item !== "object") ? [[path, node.join(", ")]] : node.flatMap((item: unknown, i) => walk(item, `${path}[${i}]`));
    return Object.entries(node).flatMap(([key, value]) => walk(value, path === "" ? key : `${path}.${key}`));
  };
  // A probed device's tables are thousands of rows, which probe shows.
  return walk(raw, "").filter(([path]) => path !== "schema" && !path.startsWith("measurements"));
};

interface Shelf<A> {
  readonly kind: ProfileKind;
  readonly load: (name: string) => Program<A>;
  readonly columns: ReadonlyArray<Column>;
  readonly row: (profile: A) => ReadonlyArray<string>;
}

const devices: Shelf<DeviceProfile> = {
  kind: "device",
  load: loadDevice,
  columns: [{ title: "device" }, { title: "what" }, { title: "chip" }, { title: "cores" }, { title: "npu" }, { title: "memory", align: "right" }, { title: "for an app", align: "right" }, { title: "flash" }],
  row: (d) => [d.name, d.title, d.soc, d.cpu.clusters.map((c) => `${c.count.value} ${c.kind}`).join(" + "), d.npu?.name ?? "none", showBytes(d.dram.total.value), showBytes(d.dram.usable.value), d.flash.name],
};

const models: Shelf<ModelSpec> = {
  kind: "model",
  load: loadModel,
  columns: [{ title: "model" }, { title: "what" }, { title: "layers", align: "right" }, { title: "hidden", align: "right" }, { title: "ffn", align: "right" }, { title: "experts" }, { title: "activation" }, { title: "bytes", align: "right" }, { title: "active", align: "right" }],
  row: (m) => {
    const sizes = sizesOf(m);
    return [m.name, m.title, String(m.layers), String(m.hidden), String(m.ffn), m.experts.count === 1 ? "-" : `${m.experts.active} of ${m.experts.count}`, m.activation, showBytes(sizes.ffnBytes + sizes.nonFfnBytes), `${(100 * m.activations.activeShare.value).toFixed(1)}%`];
  },
};

const systems: Shelf<SystemSpec> = {
  kind: "system",
  load: loadSystem,
  columns: [{ title: "system" }, { title: "what" }, { title: "computes" }, { title: "decode on" }, { title: "prefill on" }, { title: "loading" }, { title: "cache" }, { title: "overlap" }, { title: "offload" }],
  row: ({ name, title, mechanisms: m }) => [name, title, m.computation, m.decodeOn, m.prefillOn, m.loading, m.cache, m.overlap, m.offload],
};

const listAll = <A>(shelf: Shelf<A>, format: "table" | "json"): Program<Answer> =>
  pipe(
    ((capabilities) => capabilities.profileNames(shelf.kind)) as Program<ReadonlyArray<string>>,
    RTE.chain(gatherEach(shelf.load)),
    RTE.map((profiles): Answer => {
      const rows = profiles.map(shelf.row);
      return { stdout: inFormat(format, { text: table(shelf.columns, rows), json: rows.map((row) => Object.fromEntries(shelf.columns.map((column, j) => [column.title, row[j]]))) }) };
    }),
  );

const showOne = <A>(shelf: Shelf<A>, name: string, format: "table" | "json"): Program<Answer> =>
  pipe(
    ((capabilities) => capabilities.readProfile(shelf.kind, name)) as Program<Loaded>,
    RTE.map(({ raw }): Answer => {
      const facts = factsOf(raw);
      const text = [
        table([{ title: shelf.kind }, { title: "", wrap: 100 }], plainOf(raw).map(([path, value]) => [path, value])),
        "",
        table(
          [{ title: "fact" }, { title: "value", align: "right" }, { title: "kind" }, { title: "source", wrap: 48 }, { title: "note", wrap: 60 }],
          facts.map((fact) => [fact.path, fact.written, fact.kind, fact.source, fact.note]),
        ),
        "",
        `${facts.length} facts, the weakest first: ${counted(facts)}`,
      ];
      return { stdout: inFormat(format, { text: text.join("\n"), json: { name, kind: shelf.kind, facts: facts.map(({ path, value, unit, kind, source, note }) => ({ path, value, unit, kind, source, note })), profile: raw } }) };
    }),
  );

const programOf = <A>(shelf: Shelf<A>) => (command: Command) => (given: Words): Program<Answer> => {
  const reading = readWords(command, { ...shared, name: absent(word(`name a known ${shelf.kind}, or a path to your own .json`)) })(given);
  const named = pipe(RTE.fromEither(argument(reading, "name")), RTE.chain((name): Program<unknown> => (name === null ? RTE.right(null) : shelf.load(name))));
  return pipe(
    gather({ args: RTE.fromEither(reading.args), named }),
    RTE.chain(({ args }) => (args.name === null ? listAll(shelf, args.format) : showOne(shelf, args.name, args.format))),
  );
};

export const devicesProgram = programOf(devices);
export const modelsProgram = programOf(models);
export const systemsProgram = programOf(systems);
