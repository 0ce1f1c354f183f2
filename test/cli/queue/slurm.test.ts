/** Sweeps as job arrays: written and worked off by hand, and by a real Slurm on loopback where one can be started. */
import { appendFileSync, mkdtempSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { spawn, type ChildProcess } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isOf, scriptOf, taskCount, tasksIn } from "../../../cli/node/slurm/script.js";
import { declare, isBuilt } from "./redis.js";
import { startSlurm, type Cluster } from "./slurm.js";

const job = { folder: "/shared/it's/100%", self: ["/usr/bin/node", "/opt/my lab/neuronlab.js"], tasks: 4, atOnce: 2, options: ["--time=10", "--partition=short"], cores: 3, wait: true };

describe("the script of a job array", () => {
  it("starts this program over its folder, whatever the folder is called", () => {
    const script = scriptOf(job, 10, job.folder);
    expect(script).toMatch(/^#!\/bin\/sh\n/);
    expect(script).toContain("#SBATCH --array=0-3%2\n#SBATCH --cpus-per-task=3\n#SBATCH --output=\"/shared/it's/100%%/logs/%a.txt\"");
    expect(script).toContain("#SBATCH --time=10\n#SBATCH --partition=short\n");
    expect(script).toContain("exec '/usr/bin/node' '/opt/my lab/neuronlab.js' 'worker' '--jobs' '/shared/it'\\''s/100%' --task");
    expect(tasksIn(script)).toBe(4);
  });

  it("deals every job to one task, and makes no task without jobs", () => {
    for (const [jobs, most] of [[1, 64], [10, 4], [64, 64], [1000, 7]] as const) {
      const tasks = taskCount(jobs, most);
      const dealt = Array.from({ length: jobs }, (_, line) => Array.from({ length: tasks }, (__, task) => task).filter((task) => isOf(task, tasks)(null, line)));
      expect(dealt.every((to) => to.length === 1)).toBe(true);
      expect(new Set(dealt.flat()).size).toBe(tasks);
    }
  });
});

interface Ended { readonly code: number | null; readonly stdout: string; readonly stderr: string }

describe.skipIf(!isBuilt)(`a sweep as a job array${isBuilt ? "" : " (SKIPPED: dist/ is absent; run npm run build)"}`, () => {
  const folder = mkdtempSync(join(tmpdir(), "neuronlab-array-"));
  let cluster: Cluster | string = "not started";
  let alone = "";
  // A PATH without any Slurm.
  const bare = join(folder, "bin");
  const call = (environment: Readonly<Record<string, string>>, ...words: ReadonlyArray<string>): Promise<Ended> =>
    new Promise((done) => {
      const child = spawn(process.execPath, [join(process.cwd(), "bin/neuronlab.js"), ...words], { cwd: folder, env: { ...process.env, PATH: bare, ...environment } });
      let [stdout, stderr] = ["", ""];
      child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
      child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
      child.on("close", (code) => done({ code, stdout, stderr }));
    });
  const sweep = (environment: Readonly<Record<string, string>>, store: string, ...more: ReadonlyArray<string>): Promise<Ended> => call(environment, "sweep", "a.json", "--executor", "slurm", "--tasks", "3", "--store", store, "--format", "json", ...more);
  const batchOf = (store: string): string => {
    const [inner] = readdirSync(join(folder, `${store}.slurm`));
    return join(folder, `${store}.slurm`, inner!, "batch-1");
  };

  beforeAll(async () => {
    mkdirSync(bare);
    symlinkSync(process.execPath, join(bare, "node"));
    declare(folder, "a.json", {});
    cluster = await startSlurm();
    alone = (await call({}, "sweep", "a.json", "--workers", "1", "--store", "alone.duckdb", "--format", "json")).stdout;
  });
  afterAll(async () => {
    if (typeof cluster !== "string") await cluster.end();
    rmSync(folder, { recursive: true, force: true });
  });

  it("is written where there is no sbatch, is worked off by hand, and gathered by the same command", async () => {
    const first = await sweep({}, "hand.duckdb");
    expect([first.code, (JSON.parse(first.stdout) as { readonly left: number }).left]).toEqual([0, 24]);
    expect(first.stderr).toContain("there is no sbatch here; 24 runs are left to");
    const batch = batchOf("hand.duckdb");
    for (const task of [0, 2]) expect((await call({}, "worker", "--jobs", batch, "--task", String(task), "--workers", "1")).stdout).toBe("8 runs made\n");
    // Torn by the end of a task, and something that no task wrote.
    appendFileSync(join(batch, "results", "0.jsonl"), '{"key":"x","reply":{"refused":');
    writeFileSync(join(batch, "results", "9.jsonl"), '{"key":1}\nnull\n"x"\n');
    const second = await sweep({}, "hand.duckdb");
    expect((JSON.parse(second.stdout) as { readonly left: number }).left).toBe(8);
    expect((await call({}, "worker", "--jobs", batch, "--task", "1", "--workers", "1")).stdout).toBe("8 runs made\n");
    const third = await sweep({}, "hand.duckdb");
    expect([third.code, third.stdout === alone]).toEqual([0, true]);
    expect(third.stderr).toContain("8 runs made");
    expect(readdirSync(join(folder, "hand.duckdb.slurm"))).toEqual([]);
  });

  it("with a stopping rule takes several rounds by hand, each in a folder of its own number, and ends with the same bytes", async () => {
    // No interval is so narrow: five runs of each point.
    declare(folder, "stopped.json", { id: "stopped", axes: [{ over: "plan.pipeline.depth", values: [1, 4] }], stop: { metric: "tokensPerSec", halfWidth: 1e-6, atMost: 5 } });
    const stopped = (...more: ReadonlyArray<string>): Promise<Ended> => call({}, "sweep", "stopped.json", "--format", "json", ...more);
    const byHand = (): Promise<Ended> => stopped("--executor", "slurm", "--tasks", "1", "--store", "rounds.duckdb");
    const rounds: Array<string> = [];
    let ended = await byHand();
    for (; /there is no sbatch here; \d+ runs are left to/.test(ended.stderr); ended = await byHand()) {
      const [, batch] = /left to (\S+)\/run\.sbatch: .*writes another script should a stopping rule want more/.exec(ended.stderr)!;
      rounds.push(batch!.split("/").at(-1)!);
      expect((await call({}, "worker", "--jobs", batch!, "--task", "0", "--workers", "1")).code).toBe(0);
      expect(rounds.length).toBeLessThan(9);
    }
    expect(rounds).toEqual(["batch-1", "batch-2", "batch-3"]);
    expect([ended.code, ended.stdout === (await stopped("--workers", "1", "--store", "pool.duckdb")).stdout]).toEqual([0, true]);
  });

  it("refuses jobs of another version and jobs that were changed, and says so", async () => {
    await sweep({}, "changed.duckdb");
    const batch = batchOf("changed.duckdb");
    const jobs = readFileSync(join(batch, "jobs.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line) as { code: string; request: { tokens: number } });
    jobs[0]!.code = "0123456789abcdef";
    jobs[1]!.request.tokens = 17;
    writeFileSync(join(batch, "jobs.jsonl"), `${jobs.map((one) => JSON.stringify(one)).join("\n")}\n`);
    expect((await call({}, "worker", "--jobs", batch, "--task", "0", "--workers", "1")).stderr).toMatch(/refused a job: another version: the run is to be made with code 01234567; this worker has [0-9a-f]{8}\n/);
    expect((await call({}, "worker", "--jobs", batch, "--task", "1", "--workers", "1")).stderr).toMatch(/refused a job: .*what it holds has the key/);
    expect((await call({}, "worker", "--jobs", batch, "--task", "3", "--workers", "1")).code).toBe(2);
    expect((await call({}, "worker", "--jobs", dirname(folder), "--task", "0", "--workers", "1")).code).toBe(2);
  });

  it("is refused while another command gathers the same, and is not once that one is gone, however it ended", async () => {
    // A cluster whose array never ends.
    const endless = join(folder, "endless");
    mkdirSync(endless);
    for (const [name, words] of [["sbatch", "echo 7"], ["squeue", "echo RUNNING"], ["scancel", "exit 0"]] as const) writeFileSync(join(endless, name), `#!/bin/sh\n${words}\n`, { mode: 0o755 });
    const environment = { PATH: `${endless}:${bare}` };
    const held = (): ReadonlyArray<string> => readdirSync(join(folder, "held.duckdb.slurm")).filter((name) => name.endsWith(".held"));
    const begin = async (): Promise<ChildProcess> => {
      const child = spawn(process.execPath, [join(process.cwd(), "bin/neuronlab.js"), "sweep", "a.json", "--executor", "slurm", "--store", "held.duckdb"], { cwd: folder, env: { ...process.env, ...environment }, stdio: ["ignore", "ignore", "pipe"] });
      await new Promise<void>((done) => child.stderr!.on("data", (chunk: Buffer) => /Slurm job 7/.test(chunk.toString()) && done()));
      return child;
    };
    const over = (child: ChildProcess, signal: NodeJS.Signals): Promise<void> => new Promise((done) => {
      child.once("exit", () => done());
      child.kill(signal);
    });
    const killed = await begin();
    const second = await sweep(environment, "held.duckdb");
    expect([second.code, second.stderr]).toEqual([74, expect.stringMatching(new RegExp(`is in use by process ${killed.pid}, which submits and gathers the same sweep; let it end, and the same command takes what it has made\\n`))]);
    await over(killed, "SIGKILL");
    expect(held().length).toBe(1);
    const interrupted = await begin();
    expect((await sweep(environment, "held.duckdb")).code).toBe(74);
    await over(interrupted, "SIGINT");
    expect(held()).toEqual([]);
    const third = await sweep(environment, "held.duckdb", "--no-wait");
    expect([third.code, third.stderr]).toEqual([0, expect.stringContaining("Slurm job 7")]);
    // Of another machine nobody here can tell whether it is gone.
    const [inner] = readdirSync(join(folder, "held.duckdb.slurm"));
    writeFileSync(join(folder, "held.duckdb.slurm", `${inner!}.held`), "4711 login2\n");
    const elsewhere = await sweep(environment, "held.duckdb");
    expect([elsewhere.code, elsewhere.stderr]).toEqual([74, expect.stringMatching(/is in use by process 4711 of login2, .*; should that process be gone, remove \S+\.held\n/)]);
  });

  it("by a real Slurm gives the same bytes as this machine", async ({ skip }) => {
    if (typeof cluster === "string") return skip(cluster);
    const { code, stdout, stderr } = await sweep(cluster.environment, "slurm.duckdb", "--at-once", "2", "--sbatch", "--time=10");
    expect([code, stdout === alone]).toEqual([0, true]);
    expect(stderr).toMatch(/Slurm job \d+: 24 runs/);
  });

  it("is submitted and left, and gathered by the same command; what a lost task did not make is submitted again", async ({ skip }) => {
    if (typeof cluster === "string") return skip(cluster);
    const left = await sweep(cluster.environment, "left.duckdb", "--no-wait");
    expect([left.code, (JSON.parse(left.stdout) as { readonly left: number }).left]).toEqual([0, 24]);
    const [, id] = /as Slurm job (\d+)/.exec(left.stderr)!;
    await new Promise<void>((done) => spawn("scancel", [`${id}_1`], { env: { ...process.env, ...(cluster as Cluster).environment } }).on("close", () => done()));
    const gathered = await sweep(cluster.environment, "left.duckdb");
    expect([gathered.code, gathered.stdout === alone]).toEqual([0, true]);
  });

  it("ends with what sbatch says when it refuses", async ({ skip }) => {
    if (typeof cluster === "string") return skip(cluster);
    const { code, stderr } = await sweep(cluster.environment, "refused.duckdb", "--sbatch", "--partition=nowhere");
    expect([code, stderr]).toEqual([3, expect.stringMatching(/sbatch: .*[Ii]nvalid partition/)]);
    expect(stderr).toContain(`24 runs are left to ${join(batchOf("refused.duckdb"), "run.sbatch")}: submit it`);
  });

  it("says where the script lies when sbatch finds no cluster, and gathers by hand what was made of it elsewhere", async () => {
    const lost = join(folder, "lost");
    mkdirSync(lost);
    writeFileSync(join(lost, "sbatch"), "#!/bin/sh\necho 'sbatch: fatal: could not establish a configuration source' >&2\nexit 1\n", { mode: 0o755 });
    const environment = { PATH: `${lost}:${bare}` };
    const first = await sweep(environment, "lost.duckdb");
    const batch = batchOf("lost.duckdb");
    expect([first.code, first.stdout, first.stderr]).toEqual([3, "", expect.stringMatching(/^sbatch: .*could not establish a configuration source; nothing was submitted: 24 runs are left to /m)]);
    expect(first.stderr).toContain(`left to ${join(batch, "run.sbatch")}: submit it on the cluster with sbatch`);
    expect((await call({}, "worker", "--jobs", batch, "--task", "1", "--workers", "1")).stdout).toBe("8 runs made\n");
    const second = await sweep(environment, "lost.duckdb");
    expect([second.code, (JSON.parse(second.stdout) as { readonly left: number }).left]).toEqual([0, 16]);
    expect(second.stderr).toContain(`sbatch finds no cluster here; 16 runs are left to ${join(batch, "run.sbatch")}`);
    for (const task of [0, 2]) await call({}, "worker", "--jobs", batch, "--task", String(task), "--workers", "1");
    const third = await sweep(environment, "lost.duckdb");
    expect([third.code, third.stdout === alone]).toEqual([0, true]);
  });
});
