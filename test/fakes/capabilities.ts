/** In-memory Capabilities: profiles from the repository's own files, everything else from and to maps. */
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { E, TE, pipe } from "../../sim/base/fp.js";
import { parseJson } from "../../sim/base/decode.js";
import { badInput, disk, unknownName, unsupported } from "../../sim/base/errors.js";
import { nearest } from "../../sim/base/nearest.js";
import type { Plan } from "../../sim/domain/plan.js";
import type { SimulatedRun, RunRequest } from "../../sim/domain/run.js";
import { commands } from "../../cli/commands/index.js";
import type { Words } from "../../cli/command.js";
import type { Engine } from "../../engine/index.js";
import type { Where } from "../../cli/executor.js";
import { findingOf } from "../../cli/finding.js";
import type { Serving, Sharing } from "../../cli/worker.js";
import type { Line, Store, StoredRun } from "../../cli/store.js";
import { THIS_HOST, contentOf, type Capabilities, type HostFacts, type Loaded, type Measuring, type Outcome, type ProfileKind, type RunInputs } from "../../cli/program.js";

const FOLDER = { device: "devices", model: "models", system: "systems" } as const;

/** Where a fake machine keeps its own profile. */
export const HOST_PROFILE = "/cache/this-host.json";

const notBuilt = () => TE.left(unsupported("the native engine is not built", "this is a test"));

const namesIn = (kind: ProfileKind): ReadonlyArray<string> => readdirSync(FOLDER[kind]).filter((f) => f.endsWith(".json")).map((f) => f.slice(0, -5)).sort();

export const aPlan: Plan = {
  schema: "neuronlab/plan@1",
  note: "-",
  device: "oneplus-12",
  model: "bamboo-7b",
  shape: null,
  system: "powerinfer-2",
  memory: 4e9,
  mechanisms: { computation: "predicted", decodeOn: "cpu+npu", prefillOn: "npu", loading: "two-phase", cache: "segmented", overlap: "cluster", submitters: "io-thread", prefetchHot: "under-attention", prefillOverlap: "next-layer", scalesResident: "yes", offload: "yes" },
  compute: { threads: { big: 0, mid: 4, little: 0 }, ioCore: "big", attentionOn: "cpu+npu", npuRows: [{ batch: 1, share: 0.3 }] },
  cluster: { neurons: 64 },
  cache: { fixed: 1e9, predictors: 2e8, scales: 1e8, kv: 5e7, runtime: 1.5e8, hot: 1.5e9, cold: 5e8 },
  pipeline: { depth: 4 },
  io: { streamBlock: 524288, lanes: 1, gates: "joined" },
};

/** A finished run whose speed follows from its request, so that runs can be told apart. */
export const aRecord = (request: RunRequest, more: Partial<SimulatedRun> = {}): SimulatedRun => {
  const latency = 100 + request.batch + request.seed / 10;
  return {
    schema: "neuronlab/run@1",
    origin: "simulated",
    inputs: request,
    plan: aPlan,
    tokensPerSec: 1000 / latency,
    wallNs: latency * 1e6 * request.tokens,
    msPerToken: { mean: latency, p50: latency, p90: latency + 1, p99: latency + 2, max: latency + 3 },
    tokens: [],
    bytesReadPerToken: 12.5e6,
    cacheHitRate: 0.9,
    predictor: { selected: 1000, fires: 800, inVain: 200, lost: 42, falsePositives: 0.03 },
    missOfComputed: { mean: 0.05, p50: 0.05, p90: 0.06, p99: 0.07, max: 0.08 },
    breakdown: [{ activity: "attention", nsPerToken: latency * 0.25e6 }, { activity: "read gate", nsPerToken: latency * 0.75e6 }],
    exposedIoShare: 0.5,
    lanes: [{ lane: "cpu mid 0", busyNs: latency * 0.5e6 * request.tokens, servers: 1 }, { lane: "flash", busyNs: latency * 0.75e6 * request.tokens, servers: 1 }, { lane: "reads in flight", busyNs: latency * 2e6 * request.tokens, servers: 1 << 20 }, { lane: "gpu", busyNs: 0, servers: 1 }],
    cpuUtilisation: 0.5,
    dramBytesPerToken: 2e9,
    dramBandwidth: 20,
    energy: { joulesPerToken: 0.4, peakWatts: 5, meanWatts: 4, byPart: [{ part: "idle phone", joules: 1 }], hottestC: 30 },
    bound: { lower: 5, upper: 20 },
    limits: [{ part: "flash, random reads", share: 0.75 }, { part: "attention", share: 0.25 }],
    adaptation: null, violations: [],
    spans: request.trace === true ? [{ lane: "flash", what: "read gate", startNs: 0, endNs: 2000, token: 0, layer: 0, critical: true }, { lane: "cpu mid 0", what: "attention", startNs: 500, endNs: 1500, token: 0, layer: 0, critical: false }] : [],
    ...more,
  };
};

export const aHost: HostFacts = { kernel: "Linux 6", node: "20.20.2", cores: 4, cpu: "a test", memoryBytes: 16e9, freeMemoryBytes: 8e9, freeDiskBytes: 50e9, resultsWritable: true, cargo: "cargo 1.95.0", simpy: null, ns3: null, sbatch: null, sbatchAt: null, bullmq: "BullMQ 6.7.0", nativeEngine: null };

/** A store in memory: what was appended is known. */
export const aStore = (path: string, lines: Array<Line> = []): Store => {
  const known = (keys: ReadonlyArray<string>): TE.TaskEither<never, ReadonlyMap<string, StoredRun>> =>
    TE.right(new Map(lines.flatMap((line) => (line.line === "run" && keys.includes(line.key) ? [[line.key, line] as const] : []))));
  const unasked = () => TE.left(unsupported("no questions are asked", "this is a test"));
  return {
    path,
    known,
    peek: known,
    journal: () => TE.right({ append: (more) => (lines.push(...more), E.right(undefined)), elsewhere: () => ({ writers: 0, runs: [] }), close: TE.right(undefined) }),
    absorb: TE.right(0),
    ask: unasked,
    exported: unasked,
  };
};

export interface Fake {
  readonly capabilities: Capabilities;
  /** What lies on the disk, and comes to lie there. */
  readonly files: Map<string, string>;
  readonly ran: Array<RunInputs>;
  readonly workers: Array<number | null>;
  /** Who was asked to make runs, and what workers were asked to do. */
  readonly asked: Array<Where>;
  readonly served: Array<Serving | Sharing>;
  readonly stdout: () => string;
  readonly stderr: () => string;
}

export const fake = (options: { readonly files?: Readonly<Record<string, string>>; readonly simulate?: (inputs: RunInputs) => Outcome; readonly diskIsFull?: boolean; readonly shippedModels?: ReadonlyArray<string>; readonly host?: HostFacts; readonly engine?: Partial<Engine>; readonly measuring?: Partial<Measuring>; readonly store?: Capabilities["store"]; readonly environment?: Readonly<Record<string, string>>; readonly rivals?: Partial<Pick<Capabilities, "runProgram" | "memoryLimits" | "rival">> } = {}): Fake => {
  const files = new Map(Object.entries(options.files ?? {}));
  const ran: Array<RunInputs> = [];
  const workers: Array<number | null> = [];
  const asked: Array<Where> = [];
  const served: Array<Serving | Sharing> = [];
  const out: Array<string> = [];
  const err: Array<string> = [];
  const readJson = (path: string): TE.TaskEither<ReturnType<typeof disk>, Loaded> => {
    const text = files.get(path);
    return text === undefined ? TE.left(badInput(path, [{ path: "(whole)", message: "there is no such file" }])) : pipe(TE.fromEither(parseJson(path, text)), TE.map((raw) => ({ where: path, raw })));
  };
  const simulate = options.simulate ?? ((inputs: RunInputs): Outcome => E.right(aRecord(inputs.request)));
  return {
    files,
    ran,
    workers,
    asked,
    served,
    stdout: () => out.join(""),
    stderr: () => err.join(""),
    capabilities: {
      profileNames: (kind) => TE.right(namesIn(kind)),
      readProfile: (kind, name) => {
        if (files.has(name)) return readJson(name);
        if (kind === "device" && name === THIS_HOST) return readJson(HOST_PROFILE);
        const names = namesIn(kind);
        if (!names.includes(name)) return TE.left(unknownName(kind, name, names, nearest(name, names)));
        const where = `${FOLDER[kind]}/${name}.json`;
        return TE.right({ where, raw: JSON.parse(readFileSync(where, "utf8")) as unknown });
      },
      shippedModels: TE.right(options.shippedModels ?? []),
      thisHost: HOST_PROFILE,
      readJson,
      readBytes: (path) => TE.right(Buffer.from(files.get(path) ?? "", "latin1")),
      readFolder: (folder) => {
        const found = [...files].filter(([path]) => path.startsWith(`${folder}/`)).map(([path, text]) => ({ path: path.slice(folder.length + 1), text })).sort((a, b) => (a.path < b.path ? -1 : 1));
        return found.length === 0 ? TE.left(badInput(folder, [{ path: "(whole)", message: "there is no such folder" }])) : TE.right(found);
      },
      readStored: (path) => TE.right(files.get(path) ?? null),
      runMany: (inputs, { workers: count }) => () => {
        workers.push(count);
        ran.push(...inputs);
        return Promise.resolve(E.right(inputs.map(simulate)));
      },
      execute: (where, feed) => () => {
        asked.push(where);
        for (let wanted = feed.next(); wanted !== null; wanted = feed.next()) {
          ran.push(wanted.inputs);
          if (!feed.settled(wanted.of, findingOf(simulate(wanted.inputs)), 0.25)) break;
        }
        return Promise.resolve(E.right({ notes: [] }));
      },
      workers: { serve: (how) => () => (served.push(how), TE.right({ made: 2, refused: 0, givenBack: 0, late: 0 })), share: (how) => () => (served.push(how), TE.right({ made: 1, refused: 0, givenBack: 0, late: 0 })) },
      environment: (name) => options.environment?.[name] ?? null,
      readDeclaration: readJson,
      store: options.store ?? ((path) => aStore(path)),
      digest: (text) => createHash("sha256").update(text).digest("hex").slice(0, 32),
      code: TE.right({ hash: "code", commit: null, dirty: null }),
      clock: () => new Date(0),
      hostName: "a test",
      processId: 1,
      nodeVersion: "20.20.2",
      engine: {
        pack: notBuilt,
        trainPredictor: notBuilt,
        generate: notBuilt,
        bench: notBuilt,
        probe: notBuilt,
        perplexity: notBuilt,
        replay: notBuilt,
        record: notBuilt,
        synth: notBuilt,
        verify: notBuilt,
        ...options.engine,
      },
      measuring: {
        nativeModule: TE.right({ path: "engine.node", hash: "native" }),
        contentHash: (path) => (path.startsWith("none") ? TE.left(badInput(path, [{ path: "(whole)", message: "there is no such file" }])) : TE.right(`content of ${path}`)),
        load: () => [0.5, 0.25, 0.125],
        alone: (work) => work,
        ...options.measuring,
      },
      runProgram: () => TE.left(unsupported("no programs are run", "this is a test")),
      memoryLimits: TE.right({ kind: "none", reason: "this is a test" }),
      rival: () => TE.left(unsupported("llama.cpp is not built", "this is a test")),
      fileFacts: (path) => (path.startsWith("none") ? TE.left(badInput(path, [{ path: "(whole)", message: "there is no such file" }])) : TE.right({ bytes: 1e9, modifiedMs: 1 })),
      diskFacts: () => TE.right({ filesystem: "ext4", sequential: 1.1e9, random: null, how: "a test" }),
      ...options.rivals,
      self: ["neuronlab"],
      version: "1.2.3",
      serve: () => TE.left(unsupported("nothing is served", "this is a test")),
    interruptible: (work) => work(new AbortController().signal),
      gauge: () => ({ at: () => undefined, end: () => undefined }),
      write: (given) => () => {
        if (options.diskIsFull === true) return Promise.resolve(E.left(disk(given[0].path, "the disk is full")));
        for (const file of given) files.set(file.path, String(contentOf(file)));
        return Promise.resolve(E.right(undefined));
      },
      print: (text) => () => void out.push(text),
      log: (text) => () => void err.push(`${text}\n`),
      machine: options.host ?? aHost,
      host: TE.right(options.host ?? aHost),
      now: () => 0,
      home: "/home",
    },
  };
};

export const commandNamed = (name: string) => commands.find((command) => command.name === name)!;
export const given = (named: Readonly<Record<string, unknown>>, extra: ReadonlyArray<string> = []): Words => ({ named, extra });
