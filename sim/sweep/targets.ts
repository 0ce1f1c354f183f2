/**
 * What an axis may move. A target is known by its word; each says what it takes, and how it enters the run: as a part of the request, a
 * mechanism, a choice of the plan, or an edit of a profile's document.
 */
import { E, type Either } from "../base/fp.js";
import { decode, type Codec, number, oneOf, text } from "../base/decode.js";
import { nearest } from "../base/nearest.js";
import { parseQuantity } from "../base/units.js";
import type { MemoryRequest } from "../domain/run.js";
import { mechanismsCodec, type Mechanisms } from "../domain/system.js";
import { CORE_KINDS } from "../domain/core-kind.js";
import { acceptsWord, isWholeWord, type EngineWord } from "./engine-words.js";
import { numberOf, type Value } from "./values.js";

export type Profile = "device" | "model" | "system";
export const PROFILES: ReadonlyArray<Profile> = ["device", "model", "system"];

/** What of a request an axis may move, memory apart. */
export const REQUEST_FIELDS = ["phase", "prompt", "tokens", "batch", "fidelity", "seed"] as const;
export type RequestField = (typeof REQUEST_FIELDS)[number];

/** Decisions of a plan by the plan's own words; two are shares that a plan has only in bytes or by batch. */
export const PLAN_FIELDS = [
  "cluster.neurons", "pipeline.depth", "io.lanes", "io.streamBlock", "compute.threads.big", "compute.threads.mid", "compute.threads.little", "compute.ioCore", "compute.attentionOn", "npuShare", "hotShare", "keep",
] as const;
export type PlanField = (typeof PLAN_FIELDS)[number];

export type Target =
  | { readonly _tag: "Name"; readonly profile: Profile }
  | { readonly _tag: "Memory" }
  | { readonly _tag: "Offload" }
  | { readonly _tag: "Request"; readonly field: RequestField }
  | { readonly _tag: "Mechanism"; readonly name: keyof Mechanisms }
  | { readonly _tag: "Plan"; readonly field: PlanField }
  /** A number of a profile's document, by its path in the file. */
  | { readonly _tag: "Fact"; readonly profile: Profile; readonly path: string }
  /** A word of `generate`, where the points are runs of the engine. */
  | { readonly _tag: "Engine"; readonly word: EngineWord };

const MECHANISMS = ["computation", "decodeOn", "prefillOn", "loading", "cache", "overlap", "submitters", "prefetchHot", "prefillOverlap", "scalesResident", "offload"] as const satisfies ReadonlyArray<keyof Mechanisms>;

const WORDS: ReadonlyMap<string, Target> = new Map<string, Target>([
  ...PROFILES.map((profile) => [profile, { _tag: "Name", profile }] as const),
  ["memory", { _tag: "Memory" }],
  ["offload", { _tag: "Offload" }],
  ...REQUEST_FIELDS.map((field) => [field, { _tag: "Request", field }] as const),
  ...MECHANISMS.map((name) => [`mechanisms.${name}`, { _tag: "Mechanism", name }] as const),
  ...PLAN_FIELDS.map((field) => [`plan.${field}`, { _tag: "Plan", field }] as const),
]);

export const targetOf = (word: string): Either<string, Target> => {
  const known = WORDS.get(word);
  if (known !== undefined) return E.right(known);
  const profile = PROFILES.find((one) => word.startsWith(`${one}.`));
  if (profile !== undefined) return E.right({ _tag: "Fact", profile, path: word.slice(profile.length + 1) });
  const words = [...WORDS.keys()];
  const near = nearest(word, words);
  return E.left(`nothing can be varied under the name ${JSON.stringify(word)};${near === null ? "" : ` did you mean ${near}?`} known: ${words.join(", ")}, and device.PATH, model.PATH, system.PATH of a number in a profile's file`);
};

/** Whether only whole numbers make sense: what lies between two values of a range is rounded. */
export const isWhole = (target: Target): boolean => {
  if (target._tag === "Engine") return isWholeWord(target.word);
  if (target._tag === "Request") return target.field !== "phase" && target.field !== "fidelity";
  return target._tag === "Plan" && !["npuShare", "hotShare", "keep", "io.streamBlock", "compute.ioCore", "compute.attentionOn"].includes(target.field);
};

const told = <A>(codec: Codec<A>) => (value: unknown): Either<string, A> => {
  const read = decode(codec, "")(value);
  return E.isRight(read) ? read : E.left(read.left._tag === "BadInput" ? read.left.mistakes.map((m) => m.message).join("; ") : "is not allowed");
};

const share = (low: number) => (value: Value): Either<string, number> => {
  const parsed = parseQuantity("ratio", value);
  return E.isRight(parsed) && (parsed.right < low || parsed.right > 1) ? E.left(`should be between ${100 * low}% and 100%, got ${value}`) : parsed;
};

const bytes = (value: Value): Either<string, number> => {
  const parsed = parseQuantity("bytes", value);
  return E.isRight(parsed) && parsed.right <= 0 ? E.left(`must be above zero: ${value}`) : E.isRight(parsed) ? E.right(Math.floor(parsed.right)) : parsed;
};

const counts: Readonly<Record<Exclude<RequestField, "phase" | "fidelity">, Codec<number>>> = { prompt: number(1, 1 << 20, true), tokens: number(1, 1 << 20, true), batch: number(1, 4096, true), seed: number(0, 2 ** 32 - 1, true) };

export const decodeMemory = (value: Value): Either<string, MemoryRequest> => {
  if (value === "all") return E.right({ _tag: "All" });
  const parsed = bytes(value);
  return E.isRight(parsed) ? E.right({ _tag: "Bytes", bytes: parsed.right }) : parsed;
};

export const decodeOffload = (value: Value): Either<string, MemoryRequest> => {
  const parsed = share(0)(value);
  return E.isRight(parsed) ? E.right({ _tag: "OffloadFfn", share: parsed.right }) : parsed;
};

export const decodeRequestField = (field: RequestField, value: Value): Either<string, unknown> => {
  switch (field) {
    case "phase":
      return told(oneOf("prefill", "decode"))(value);
    case "fidelity":
      return told(oneOf("analytic", "cluster", "neuron"))(value);
    case "prompt":
    case "tokens":
    case "batch":
    case "seed":
      return told(counts[field])(value);
  }
};

export const decodePlanField = (field: PlanField, value: Value): Either<string, number | string> => {
  switch (field) {
    case "io.streamBlock":
      return bytes(value);
    case "hotShare":
    case "npuShare":
      return share(0)(value);
    case "keep":
      return share(0.01)(value);
    case "compute.ioCore":
      return told(oneOf(...CORE_KINDS, "none"))(value);
    case "compute.attentionOn":
      return told(oneOf("cpu", "npu", "gpu", "cpu+npu"))(value);
    case "cluster.neurons":
      return told(number(1, 1 << 20, true))(value);
    case "pipeline.depth":
      return told(number(1, 4096, true))(value);
    case "io.lanes":
      return told(number(1, 64, true))(value);
    case "compute.threads.big":
    case "compute.threads.mid":
    case "compute.threads.little":
      return told(number(0, 64, true))(value);
  }
};

export const decodeMechanism = (name: keyof Mechanisms, value: Value): Either<string, Partial<Mechanisms>> => {
  const read = decode(mechanismsCodec, "")({ [name]: value });
  const wrong = E.isLeft(read) && read.left._tag === "BadInput" ? read.left.mistakes.find((mistake) => mistake.path === name) : undefined;
  return wrong === undefined ? E.right({ [name]: value }) : E.left(wrong.message);
};

/** Whether a target takes a value, whatever the run around it is. A profile's own bounds are its decoder's to check. */
export const accepts = (target: Target, as: "value" | "factor", value: Value): Either<string, unknown> => {
  switch (target._tag) {
    case "Name":
      return told(text)(value);
    case "Memory":
      return decodeMemory(value);
    case "Offload":
      return decodeOffload(value);
    case "Request":
      return decodeRequestField(target.field, value);
    case "Mechanism":
      return decodeMechanism(target.name, value);
    case "Plan":
      return decodePlanField(target.field, value);
    case "Engine":
      return acceptsWord(target.word, value);
    case "Fact":
      if (as === "factor") return typeof value === "number" && value >= 0 ? E.right(value) : E.left(`a factor is a number that is not negative, got ${JSON.stringify(value)}`);
      return numberOf(value) === null ? E.left(`should be a quantity as the profile writes it, got ${JSON.stringify(value)}`) : E.right(value);
  }
};
