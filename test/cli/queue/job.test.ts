import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { E } from "../../../sim/base/fp.js";
import { decode } from "../../../sim/base/decode.js";
import { describeError, fault, unsupported } from "../../../sim/base/errors.js";
import { findingCodec, findingOf } from "../../../cli/finding.js";
import { documentsOf, opener, readJob, replyCodec, tame } from "../../../cli/job.js";
import { jobsOf } from "../../../cli/programs/sweep/jobs.js";
import { loadDeclared } from "../../../cli/programs/sweep/load.js";
import { queueOf, withoutSecrets } from "../../../cli/programs/redis-words.js";
import { readDeclaration } from "../../../cli/node/declaration.js";
import { ledgerOf } from "../../../cli/node/queue/ledger.js";
import { jobId, presentIn, queueName } from "../../../cli/node/queue/names.js";
import { redisAt } from "../../../cli/redis-url.js";
import { sweepProgram } from "../../../cli/programs/sweep/program.js";
import { workerProgram } from "../../../cli/programs/worker.js";
import { execute } from "../../../cli/run.js";
import { aRecord, commandNamed, fake, given } from "../../fakes/capabilities.js";

const digest = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 32);
/** Runs of the engine measure the machine on which they are asked for: they have no form in which they travel. */
const READY = readdirSync("experiments/sweeps", { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name).filter((name) => !readFileSync(`experiments/sweeps/${name}/sweep.ts`, "utf8").includes('program: "engine"'));

const parcelsOf = async (file: string, files: Readonly<Record<string, string>> = {}) => {
  const world = fake({ files });
  const declared = await loadDeclared(file)({ ...world.capabilities, readDeclaration: file in files ? world.capabilities.readDeclaration : readDeclaration })();
  if (E.isLeft(declared)) throw new Error(describeError(declared.left));
  const jobs = jobsOf(declared.right, { digest, code: "c0de", manifest: "-", now: () => new Date(0) });
  return declared.right.points.kept.flatMap((_, point) => {
    const wanted = jobs.wantedAt({ point, repetition: 1 });
    return E.isLeft(wanted) ? [] : [{ inputs: wanted.right.inputs, parcel: wanted.right.parcel() }];
  });
};
const SMALL = { "a.json": JSON.stringify({ schema: "neuronlab/sweep@1", id: "a", title: "A sweep", base: { model: "bamboo-7b", offload: "50%", tokens: 4 }, axes: [{ over: "mechanisms.overlap", values: ["none", "cluster"] }, { over: "plan.pipeline.depth", values: [3] }] }) };

describe("a job", () => {
  it.each(READY)("of %s arrives as the very inputs that left, as text between two machines", async (name) => {
    const open = opener(digest, "c0de");
    const sent = await parcelsOf(`experiments/sweeps/${name}/sweep.ts`);
    expect(sent.length).toBeGreaterThan(0);
    for (const { inputs, parcel } of sent) {
      const job = readJob(JSON.parse(JSON.stringify(parcel.job)));
      const documents = new Map([...parcel.documents].map(([hash, content]) => [hash, JSON.parse(JSON.stringify(content)) as unknown]));
      expect(E.isRight(job) && documentsOf(job.right).every((hash) => documents.has(hash))).toBe(true);
      const opened = E.isRight(job) ? open(job.right, documents) : job;
      expect(E.isRight(opened) ? opened.right : describeError(opened.left)).toEqual(inputs);
    }
  });

  it("that was changed anywhere is not run", async () => {
    const [{ parcel }] = (await parcelsOf("a.json", SMALL)) as [Awaited<ReturnType<typeof parcelsOf>>[number]];
    interface Sent { code: string; command?: string; device: { document: string; edits: ReadonlyArray<object> }; request: { tokens: number; seed: number; activations?: string; mechanisms?: object; memory: object; plan: { cache: { hot: string } } } }
    const told = (change: (job: Sent) => void, documents: ReadonlyMap<string, unknown> = parcel.documents, code = "c0de"): string => {
      const raw = JSON.parse(JSON.stringify(parcel.job)) as Sent;
      change(raw);
      const read = readJob(raw);
      const opened = E.isRight(read) ? opener(digest, code)(read.right, documents) : read;
      return E.isLeft(opened) ? describeError(opened.left) : "opened";
    };
    expect(told(() => undefined)).toBe("opened");
    expect(told((job) => (job.request.tokens = 5))).toMatch(/key: is [0-9a-f]{8}, but what it holds has the key [0-9a-f]{8}/);
    expect(told((job) => (job.request.seed = 5))).toMatch(/but what it holds has the key/);
    expect(told((job) => (job.request.plan.cache.hot = "1B"))).toMatch(/but what it holds has the key/);
    expect(told((job) => (job.device.edits = [{ path: "flash.latency", as: "factor", value: 2 }]))).toMatch(/but what it holds has the key/);
    expect(told((job) => (job.code = "other"))).toMatch(/another version: the run is to be made with code other; this worker has c0de/);
    expect(told((job) => (job.request.activations = "/etc/passwd"))).toMatch(/request\.activations: unknown key/);
    expect(told((job) => (job.command = "rm"))).toMatch(/command: unknown key/);
    expect(told((job) => (job.request.tokens = 1e12))).toMatch(/request\.tokens: should be between/);
    expect(told((job) => (job.request.mechanisms = { overlap: "all" }))).toMatch(/request\.mechanisms: overlap: should be one of/);
    expect(told((job) => (job.request.memory = { _tag: "constructor" }))).toMatch(/request\.memory: should be one of/);
    expect(told((job) => (job.device.document = "00"))).toMatch(/device: its document 00 is not there/);
    const swapped = new Map([...parcel.documents].map(([hash, content]) => [hash, { ...(content as object), name: "mine" }]));
    expect(told(() => undefined, swapped)).toMatch(/device: its document [0-9a-f]{8} is not what its hash says/);
  });

  it("what others wrote is told without what a terminal would obey", () => {
    expect(tame("a\u001b[2J\nb\u0007")).toBe("a [2J b");
    expect(tame("x".repeat(1000))).toHaveLength(400);
  });
});

describe("a finding", () => {
  const request = { device: "oneplus-12", model: "bamboo-7b", system: "powerinfer-2", memory: { _tag: "All" }, phase: "decode", prompt: 1, tokens: 1, batch: 1, seed: 1, fidelity: "analytic" } as const;

  it("comes back as it was sent, done, refused and failed", () => {
    for (const outcome of [E.right(aRecord(request)), E.right(aRecord(request, { violations: ["x"] })), E.left(unsupported("it", "cannot")), E.left(fault("broken"))]) {
      const finding = findingOf(outcome);
      expect(decode(replyCodec, "")(JSON.parse(JSON.stringify({ finding, seconds: 0.5 })))).toEqual(E.right({ finding, seconds: 0.5 }));
    }
  });

  it("that makes no sense is not one", () => {
    const finding = findingOf(E.right(aRecord(request)));
    for (const wrong of [{ ...finding, state: "failed" }, { ...finding, exit: 3 }, { ...finding, metrics: { tokensPerSec: "1" } }, { ...finding, metrics: { speed: 1 } }, { ...finding, plan: { schema: "x" } }, { ...finding, more: 1 }, null])
      expect(E.isLeft(decode(findingCodec, "")(wrong)), JSON.stringify(wrong)).toBe(true);
  });
});

describe("the address of a server", () => {
  it("is read with its user, password, database and TLS", () => {
    expect(redisAt("redis://h")).toEqual(E.right({ shown: "h:6379", host: "h", port: 6379, username: null, password: null, db: 0, tls: false, ca: null }));
    expect(redisAt("rediss://me:p%40%2Fs@h.example:7000/3", "PEM")).toEqual(E.right({ shown: "h.example:7000", host: "h.example", port: 7000, username: "me", password: "p@/s", db: 3, tls: true, ca: "PEM" }));
    expect(redisAt("valkey://:x@[::1]:1")).toMatchObject({ right: { host: "::1", shown: "[::1]:1", password: "x", username: null } });
  });

  it("that is none is refused, and never repeated: it may hold a password", () => {
    for (const typed of ["localhost:6379", "http://:secret@h", "redis://", "redis://:secret@h/x", "redis://:secret@h?db=1", "redis://:secret@h:99999"]) {
      const read = redisAt(typed);
      expect(E.isLeft(read) && !read.left.includes("secret"), typed).toBe(true);
    }
    expect(redisAt("redis://h", "PEM")).toMatchObject({ left: expect.stringContaining("not with TLS") as string });
  });

  it("comes from the environment where no flag has it, and is kept without its password", async () => {
    const world = fake({ environment: { NEURONLAB_REDIS_URL: "redis://:secret@h" } });
    expect(await queueOf({ redis: null, "redis-ca": null, queue: "q" })(world.capabilities)()).toMatchObject({ right: { redis: { password: "secret" }, name: "q", code: "code" } });
    expect(E.isLeft(await queueOf({ redis: null, "redis-ca": null, queue: "q" })(fake().capabilities)())).toBe(true);
    expect(withoutSecrets(given({ redis: "rediss://me:secret@h/2", file: "a" })).named).toEqual({ redis: "rediss://h:6379/2", file: "a" });
    expect(withoutSecrets(given({ redis: "me:secret@h" })).named).toEqual({ redis: "redis://..." });
  });
});

describe("what is in the queue", () => {
  it("is settled once, whatever is told how often", () => {
    const ledger = ledgerOf<string>();
    expect([ledger.hand("a", "first", 0), ledger.hand("a", "second", 0), ledger.hand("b", "b", 0)]).toEqual([true, false, true]);
    expect(ledger.quiet(100, 10)).toEqual([]); // Still being put there.
    ledger.added("a", 5);
    expect([ledger.quiet(14, 10), ledger.quiet(15, 10)]).toEqual([[], ["a"]]);
    ledger.saw("a", 12);
    expect(ledger.quiet(15, 10)).toEqual([]);
    expect([ledger.take("a"), ledger.take("a"), ledger.take("never"), ledger.size()]).toEqual([["first", "second"], [], [], 1]);
  });

  it("has a name for each version, and workers are told apart by it", () => {
    const at = { redis: {} as never, name: "sweeps", code: "0123456789abcdef" };
    expect([queueName(at), jobId("me", "key")]).toEqual(["sweeps-0123456789ab", "me-key"]);
    const client = (queue: string, end: string): string => `id=3 addr=127.0.0.1:1 name=neuronlab:${Buffer.from(queue).toString("base64")}${end} age=1`;
    expect(presentIn([client("sweeps-0123456789ab", ":w:here.1"), client("sweeps-ffffffffffff", ":w:there.2"), client("mine-ffffffffffff", ":w:x"), client("sweeps-0123456789ab", ""), "id=4 name= age=2"].join("\n"), "sweeps")).toEqual([{ worker: "here.1", code: "0123456789ab" }, { worker: "there.2", code: "ffffffffffff" }]);
  });
});

describe("the words", () => {
  const sweep = async (named: Readonly<Record<string, unknown>>) => {
    const world = fake({ files: SMALL });
    const code = await execute(sweepProgram(() => [])(commandNamed("sweep"))(given({ file: "a.json", ...named })), world.capabilities);
    return { code, stderr: world.stderr(), asked: world.asked };
  };
  const worker = async (named: Readonly<Record<string, unknown>>) => {
    const world = fake();
    return { code: await execute(workerProgram(commandNamed("worker"))(given(named)), world.capabilities), stderr: world.stderr(), served: world.served };
  };

  it("say who makes the runs of a sweep", async () => {
    expect((await sweep({ workers: "3" })).asked).toEqual([{ _tag: "Pool", workers: 3 }]);
    expect((await sweep({ executor: "bullmq", redis: "redis://h", patience: "9" })).asked).toMatchObject([{ _tag: "Queue", patience: 9, queue: { name: "sweeps", code: "code" } }]);
    expect((await sweep({ executor: "slurm", sbatch: "--time=1 '--comment=two words'", "no-wait": true })).asked).toMatchObject([{ _tag: "Slurm", slurm: { options: ["--time=1", "--comment=two words"], wait: false, tasks: 64, cores: 1 } }]);
  });

  it("that do not go together are refused", async () => {
    expect((await sweep({ redis: "redis://h" })).stderr).toContain("--redis: is for --executor bullmq");
    expect((await sweep({ executor: "bullmq", "no-wait": true, redis: "redis://h" })).stderr).toContain("--no-wait: is for --executor slurm");
    expect((await sweep({ executor: "bullmq" })).code).toBe(2);
    expect((await sweep({ executor: "slurm", sbatch: "--time 1" })).stderr).toContain("options are written with =");
    expect((await sweep({ executor: "slurm", sbatch: "--time=1\nrm" })).stderr).toContain("should be one line");
    expect((await worker({ jobs: "x" })).stderr).toContain("--task: and --jobs go together");
    expect((await worker({ redis: "redis://h", queue: "a:b" })).stderr).toContain("--queue: should be");
    expect((await worker({})).stderr).toContain("--redis: is missing");
  });

  it("say what a worker does", async () => {
    expect((await worker({ redis: "redis://h", workers: "2", "idle-exit": "5" })).served).toMatchObject([{ workers: 2, lockMs: 30_000, idleMs: 5000 }]);
    expect((await worker({ jobs: "x", task: "4" })).served).toEqual([{ folder: "x", task: 4, workers: 4, code: "code" }]);
  });
});
