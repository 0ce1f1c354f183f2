/**
 * A request as it travels to another machine: what leaves is what arrives, to the last bit, so that its hash is the same there. A plan's file rounds
 * sizes down to whole bytes; here they are written as they are.
 */
import { E, type Either } from "../base/fp.js";
import { custom, decode, exactly, flag, formed, mapped, nullable, number, oneOf, optional, text, type Codec, type Exact, type Fields } from "../base/decode.js";
import { encodePlan, planCodec, type Plan } from "./plan.js";
import type { MemoryRequest, RunRequest } from "./run.js";
import { mechanismsCodec, type Mechanisms } from "./system.js";

const memory = <P extends Fields>(fields: P, make: (read: Exact<P>) => MemoryRequest): Codec<MemoryRequest> => mapped(exactly(fields), make);

const MEMORY: Readonly<Record<MemoryRequest["_tag"], Codec<MemoryRequest>>> = {
  All: memory({ _tag: oneOf("All") }, () => ({ _tag: "All" })),
  Bytes: memory({ _tag: oneOf("Bytes"), bytes: number(0, Number.MAX_SAFE_INTEGER) }, ({ bytes }) => ({ _tag: "Bytes", bytes })),
  OffloadFfn: memory({ _tag: oneOf("OffloadFfn"), share: number(0, 1) }, ({ share }) => ({ _tag: "OffloadFfn", share })),
};

const unknownMemory: Codec<MemoryRequest> = custom("memory", () => E.left(`should be one of ${Object.keys(MEMORY).join(", ")}`));

const memoryCodec: Codec<MemoryRequest> = formed((raw) => {
  const tag = typeof raw === "object" && raw !== null && "_tag" in raw ? raw._tag : null;
  return typeof tag === "string" && Object.hasOwn(MEMORY, tag) ? MEMORY[tag as MemoryRequest["_tag"]] : unknownMemory;
});

/** Some of the mechanisms, each as the whole of them has it. */
const someMechanisms: Codec<Partial<Mechanisms>> = custom("mechanisms", (raw): Either<string, Partial<Mechanisms>> => {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) return E.left("should be an object of mechanisms");
  const read = decode(mechanismsCodec, "")(raw);
  const wrong = E.isLeft(read) && read.left._tag === "BadInput" ? read.left.mistakes.find(({ path }) => Object.hasOwn(raw, path)) : undefined;
  return wrong === undefined ? E.right(raw as Partial<Mechanisms>) : E.left(`${wrong.path}: ${wrong.message}`);
});

interface Travelling { readonly mechanisms: Partial<Mechanisms> | null; readonly plan: Plan | null }

/** What may be left out is left out again: a key that is there and empty would be another request. */
const asAsked = ({ mechanisms, plan, trace, ...request }: Omit<RunRequest, keyof Travelling> & Travelling): RunRequest => ({
  ...request, ...(mechanisms === null ? {} : { mechanisms }), ...(plan === null ? {} : { plan }), ...(trace === true ? { trace } : {}),
});

/** Requests that need no file: a recorded trace would have to be where the run is made. */
export const requestCodec: Codec<RunRequest> = mapped(
  exactly({
    device: text, model: text, system: text,
    memory: memoryCodec,
    phase: oneOf("prefill", "decode"),
    prompt: number(1, 1 << 20, true),
    tokens: number(1, 1 << 20, true),
    batch: number(1, 4096, true),
    seed: number(0, 2 ** 32 - 1, true),
    fidelity: oneOf("analytic", "cluster", "neuron"),
    mechanisms: optional(nullable(someMechanisms), null),
    plan: optional(nullable(planCodec), null),
    trace: optional(flag, false),
  }),
  asAsked,
);

const inBytes = (bytes: number): string => `${bytes}B`;

const exactPlan = (plan: Plan): unknown => {
  const written = encodePlan(plan) as { readonly io: object };
  return {
    ...written,
    memory: inBytes(plan.memory),
    cache: Object.fromEntries(Object.entries(plan.cache).map(([part, bytes]) => [part, inBytes(bytes)])),
    io: { ...written.io, streamBlock: inBytes(plan.io.streamBlock) },
  };
};

export const travelling = ({ plan, ...request }: RunRequest): unknown => (plan === undefined ? request : { ...request, plan: exactPlan(plan) });
