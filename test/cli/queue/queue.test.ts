/** Sweeps over a real Redis, by the built program. Needs redis-server (Debian: apt-get install redis-server) and dist/. */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { E } from "../../../sim/base/fp.js";
import { findingOf } from "../../../cli/finding.js";
import { aRecord } from "../../fakes/capabilities.js";
import { PASSWORD, declare, endAll, hasRedis, hasTls, isBuilt, start, startRedis, until, type Program, type Server } from "./redis.js";

const reason = !hasRedis ? " (SKIPPED: there is no redis-server; apt-get install redis-server)" : !isBuilt ? " (SKIPPED: dist/ is absent; run npm run build)" : "";

describe.skipIf(reason !== "")(`a sweep over Redis${reason}`, () => {
  const folder = mkdtempSync(join(tmpdir(), "neuronlab-queue-"));
  let server: Server;
  let alone = "";
  let stores = 0;
  /** Everything that any program said. */
  const told: Array<() => string> = [];
  const begin = (...words: ReadonlyArray<string>): Program => {
    const program = start(folder, server.url, ...words);
    told.push(program.said);
    return program;
  };
  const worker = (...more: ReadonlyArray<string>): Program => begin("worker", "--workers", "1", "--lock", "1", ...more);
  const freshStore = (): string => `s${stores++}.duckdb`;
  const sweep = (store: string, ...more: ReadonlyArray<string>): Program => begin("sweep", "a.json", "--executor", "bullmq", "--store", store, "--format", "json", ...more);
  const journalled = (store: string): number => {
    try {
      return readdirSync(join(folder, `${store}.journals`)).flatMap((name) => readFileSync(join(folder, `${store}.journals`, name), "utf8").split("\n")).filter((line) => line.includes('"line":"run"')).length;
    } catch {
      return 0;
    }
  };
  const killed = async ({ child, ended }: Program, how: NodeJS.Signals = "SIGKILL"): Promise<void> => {
    child.kill("SIGCONT");
    child.kill(how);
    await ended;
  };

  beforeAll(async () => {
    server = await startRedis();
    declare(folder, "a.json", {});
    const pool = await begin("sweep", "a.json", "--workers", "1", "--store", freshStore(), "--format", "json").ended;
    if (pool.code !== 0) throw new Error(pool.stderr);
    alone = pool.stdout;
  });
  afterAll(async () => {
    endAll();
    await server.end();
    rmSync(folder, { recursive: true, force: true });
  });

  it("by two workers gives the same bytes as this machine, and leaves no job behind", async () => {
    const workers = [worker(), worker()];
    const { code, stdout, stderr } = await sweep(freshStore()).ended;
    expect([code, stdout === alone]).toEqual([0, true]);
    expect(stderr).toMatch(/24 runs made/);
    expect((await server.client.keys("neuronlab:*-*:*-*")).filter((key) => !/:(id|meta|events|stalled-check|marker)$/.test(key))).toEqual([]);
    for (const one of workers) {
      one.child.kill("SIGINT");
      expect((await one.ended).stderr).not.toContain("lost");
    }
  });

  it("goes on when a worker is killed in the midst of a run: nothing is lost, nothing counted twice", async () => {
    const store = freshStore();
    const [first, sweeping] = [worker(), sweep(store)];
    await until("some runs", () => journalled(store) >= 3);
    await killed(first);
    const second = worker();
    const { code, stdout, stderr } = await sweeping.ended;
    expect([code, stdout === alone]).toEqual([0, true]);
    expect(stderr).toMatch(/24 runs made/);
    await killed(second);
  });

  it("counts a run once that a slow worker finishes after another was given it", async () => {
    const store = freshStore();
    const [slow, sweeping] = [worker(), sweep(store)];
    await until("some runs", () => journalled(store) >= 3);
    slow.child.kill("SIGSTOP");
    const other = worker();
    await until("the other to take over", () => journalled(store) >= 20 || sweeping.child.exitCode !== null);
    slow.child.kill("SIGCONT");
    const { code, stdout, stderr } = await sweeping.ended;
    expect([code, stdout === alone]).toEqual([0, true]);
    expect(stderr).toMatch(/24 runs made/);
    await Promise.all([killed(slow), killed(other)]);
  });

  it("a job that is delivered twice, to two workers, is stored once and counted once, and what the late one found is not taken", async () => {
    const store = freshStore();
    const sweeping = sweep(store);
    const code = /workers? of code ([0-9a-f]{12})/;
    await until("the queue", () => code.test(sweeping.said()));
    const { Worker, WaitingError } = await import("bullmq");
    const options = { connection: { host: "127.0.0.1", port: server.port, password: PASSWORD, maxRetriesPerRequest: null }, prefix: "neuronlab", concurrency: 1, skipStalledCheck: true };
    const name = `sweeps-${code.exec(sweeping.said())![1]!}`;
    const taken: Array<string> = [];
    const faults: Array<string> = [];
    const gate = (): { readonly passed: Promise<void>; readonly open: () => void } => {
      let open = (): void => undefined;
      const passed = new Promise<void>((done) => (open = done));
      return { passed, open };
    };
    // Another answer than the true one, in the form of a finding: had it been taken, the sweep would say so.
    const request = { device: "oneplus-12", model: "bamboo-7b", system: "powerinfer-2", memory: { _tag: "All" }, phase: "decode", prompt: 1, tokens: 1, batch: 1, seed: 1, fidelity: "analytic" } as const;
    const other = { finding: findingOf(E.right(aRecord(request, { tokensPerSec: 1 }))), seconds: 1 };
    const [ending, giving] = [gate(), gate()];
    // It takes one run, lets its lock run out, and answers when another has finished the same.
    const late = new Worker(name, async ({ id }) => (taken.push(id!), await ending.passed, other), { ...options, lockDuration: 1000, skipLockRenewal: true });
    late.on("error", ({ message }) => void faults.push(message));
    await until("the first delivery", () => taken.length === 1);
    // It holds another run, so that the sweep is still there when the late answer comes, and gives it back.
    const holder = new Worker(name, async (job, token) => {
      taken.push(job.id!);
      await giving.passed;
      await job.moveToWait(token);
      throw new WaitingError();
    }, options);
    await until("a run that is held", () => taken.length === 2);
    const one = worker();
    await until("the second delivery", () => journalled(store) === 23);
    ending.open();
    await until("the late answer", () => faults.some((said) => /Missing (lock|key)/.test(said)));
    await late.close();
    const events = await server.client.xrange(`neuronlab:${name}:events`, "-", "+");
    const heard = (event: string): number => events.filter(([, fields]) => fields[fields.indexOf("event") + 1] === event && fields[fields.indexOf("jobId") + 1] === taken[0]).length;
    expect([heard("active"), heard("stalled"), heard("completed"), journalled(store)]).toEqual([2, 1, 1, 23]);
    // And once more, as an event that is told twice.
    await server.client.xadd(`neuronlab:${name}:events`, "*", "event", "completed", "jobId", taken[0]!, "returnvalue", JSON.stringify(other), "prev", "active");
    const closing = holder.close();
    giving.open();
    await closing;
    const { code: exit, stdout, stderr } = await sweeping.ended;
    expect([exit, stdout === alone]).toEqual([0, true]);
    expect(stderr).toMatch(/24 runs made/);
    const kept = await begin("results", "query", "SELECT count(*) AS places, (SELECT count(*) FROM runs) AS runs FROM members", "--store", store, "--format", "json").ended;
    expect(JSON.parse(kept.stdout)).toEqual([{ places: 24, runs: 24 }]);
    await killed(one);
  });

  it.each([["with its data", true], ["without any of it", false]] as const)("survives a restart of the server %s", async (_, keep) => {
    const store = freshStore();
    const [one, sweeping] = [worker(), sweep(store)];
    await until("some runs", () => journalled(store) >= 3);
    await server.stop(keep);
    await until("that it is noticed", () => sweeping.said().includes("lost 127.0.0.1"));
    await server.start();
    const { code, stdout, stderr } = await sweeping.ended;
    expect([code, stdout === alone, stderr.includes("back at 127.0.0.1")]).toEqual([0, true, true]);
    expect(stderr).toMatch(/24 runs made/);
    await killed(one);
  });

  it("that was killed goes on where it was, with what workers finished meanwhile", async () => {
    const store = freshStore();
    const [one, sweeping] = [worker(), sweep(store)];
    await until("some runs", () => journalled(store) >= 3);
    await killed(sweeping);
    await until("the worker to finish all of it", async () => (await server.client.keys("neuronlab:*:active")).length === 0 && (await server.client.keys("neuronlab:*:wait")).length === 0);
    await killed(one);
    const { code, stdout } = await sweep(store).ended; // Nobody is there to make any.
    expect([code, stdout === alone]).toEqual([0, true]);
  });

  it("a worker that is interrupted gives back what it has", async () => {
    const store = freshStore();
    const [one, sweeping] = [worker("--lock", "600").child, sweep(store)];
    expect(one.kill("SIGKILL")).toBe(true);
    const patient = begin("worker", "--workers", "1", "--lock", "600");
    await until("some runs", () => journalled(store) >= 3);
    patient.child.kill("SIGINT");
    await patient.ended;
    const next = begin("worker", "--workers", "1", "--lock", "600");
    const { code, stdout } = await sweeping.ended; // Well before that lock would have run out.
    expect([code, stdout === alone]).toEqual([0, true]);
    await killed(next);
  });

  it("refuses jobs that are not what they say, and goes on", async () => {
    const store = freshStore();
    const one = worker();
    const sweeping = sweep(store);
    await until("the queue", async () => (await server.client.keys("neuronlab:*:meta")).length > 0);
    const { Queue } = await import("bullmq");
    const name = /^neuronlab:(sweeps-[0-9a-f]{12}):meta$/.exec((await server.client.keys("neuronlab:sweeps-*:meta"))[0]!)![1]!;
    const queue = new Queue(name, { connection: { host: "127.0.0.1", port: server.port, password: PASSWORD }, prefix: "neuronlab" });
    for (const data of [null, "process.exit()", { schema: "neuronlab/job@1", key: "x", code: "y" }, { constructor: 1, "\u001b[2J": "\u001b[31m" }]) await queue.add("run", data);
    const { code, stdout } = await sweeping.ended;
    expect([code, stdout === alone]).toEqual([0, true]);
    await until("four refusals", () => (one.said().match(/refused a job/g) ?? []).length >= 4);
    expect(one.said()).not.toContain("\u001b");
    await queue.obliterate({ force: true });
    await queue.close();
    await killed(one);
  });

  it("ends with a sentence when no worker of its version comes, and names those that are there", async () => {
    // A worker of another version is one on another version's queue.
    const { Worker } = await import("bullmq");
    const stranger = new Worker("sweeps-0123456789ab", () => Promise.resolve(null), { connection: { host: "127.0.0.1", port: server.port, password: PASSWORD, maxRetriesPerRequest: null }, prefix: "neuronlab", name: "another.1", autorun: false });
    await stranger.waitUntilReady();
    void stranger.run().catch(() => undefined);
    const { code, stdout, stderr } = await sweep(freshStore(), "--patience", "2").ended;
    expect([code, stdout]).toEqual([3, ""]);
    expect(stderr).toMatch(/no worker: no worker of code [0-9a-f]{12} on queue sweeps at 127\.0\.0\.1:\d+; another\.1 has code 0123456789ab, another version/);
    await stranger.close();
    expect((await server.client.keys("neuronlab:*:wait"))).toEqual([]);
  });

  it("a wrong password, no server and a wrong scheme are told in a sentence", async () => {
    const asked = async (url: string): Promise<readonly [number | null, string]> => {
      const { code, stderr } = await start(folder, url, "worker", "--idle-exit", "1").ended;
      return [code, stderr];
    };
    expect(await asked(server.url.replace(/:[^:@]*@/, ":wrong@"))).toEqual([2, expect.stringMatching(/refuses this password/)]);
    expect(await asked(`redis://127.0.0.1:${server.port}`)).toEqual([2, expect.stringMatching(/wants a password/)]);
    expect(await asked("redis://127.0.0.1:1")).toEqual([3, "127.0.0.1:1: cannot be reached: nothing listens there\n"]);
    expect(await asked("http://127.0.0.1")).toEqual([2, expect.stringMatching(/has the scheme http/)]);
  });

  it("a password on the command line is shown nowhere", async () => {
    const one = begin("worker", "--workers", "1", "--redis", server.url);
    const store = freshStore();
    const { code } = await sweep(store, "--redis", server.url).ended;
    expect(code).toBe(0);
    const words = spawnSync("cat", [`/proc/${one.child.pid}/cmdline`]).stdout.toString();
    expect(words).not.toContain(encodeURIComponent(PASSWORD));
    const kept = await begin("results", "query", "SELECT content FROM manifests", "--store", store, "--format", "json").ended;
    expect(kept.code).toBe(0);
    expect(kept.stdout).toContain("--redis redis://127.0.0.1");
    await killed(one);
    const everything = told.map((said) => said()).join("");
    for (const secret of [PASSWORD, encodeURIComponent(PASSWORD)]) expect(everything).not.toContain(secret);
  });

  it.skipIf(!hasTls)(`speaks TLS, and trusts only what it is told to${hasTls ? "" : " (SKIPPED: this redis-server has no TLS, or there is no openssl)"}`, async () => {
    const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
    expect(spawnSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out", cert]).status).toBe(0);
    const secure = await startRedis({ cert, key });
    try {
      const refused = await start(folder, secure.url, "worker", "--idle-exit", "1").ended;
      expect([refused.code, refused.stderr]).toEqual([3, expect.stringMatching(/signed by nobody this system trusts/)]);
      const one = start(folder, secure.url, "worker", "--workers", "1", "--redis-ca", cert);
      const { code, stdout } = await start(folder, secure.url, "sweep", "a.json", "--executor", "bullmq", "--redis-ca", cert, "--store", freshStore(), "--format", "json").ended;
      expect([code, stdout === alone]).toEqual([0, true]);
      await killed(one);
    } finally {
      await secure.end();
    }
  });
});
