/** A Redis of a test's own: on a free port of this machine, with a password, in a temporary folder; and the built program beside it. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Redis } from "ioredis";

export const PASSWORD = "s3cr@t/word";
const BIN = resolve("bin/neuronlab.js");

const runs = (program: string, ...words: ReadonlyArray<string>): boolean => spawnSync(program, words).status === 0;
export const hasRedis = runs("redis-server", "--version");
/** A build without TLS does not know the word; one with it wants a number. */
export const hasTls = hasRedis && runs("openssl", "version") && /integer|parsed/.test(spawnSync("redis-server", ["--tls-port", "no-number"]).stderr.toString());
export const isBuilt = existsSync("dist/cli/node/queue/submit.js");

export const until = async (what: string, holds: () => boolean | Promise<boolean>, seconds = 60): Promise<void> => {
  for (const end = Date.now() + seconds * 1e3; !(await holds()); await new Promise((next) => setTimeout(next, 50))) if (Date.now() > end) throw new Error(`waited ${seconds} s for ${what}`);
};

const freePort = (): Promise<number> =>
  new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { readonly port: number };
      server.close(() => done(port));
    });
  });

const gone = (child: ChildProcess): Promise<void> => new Promise((done) => (child.exitCode !== null || child.signalCode !== null ? done() : child.once("exit", () => done())));

export interface Server {
  readonly url: string;
  readonly port: number;
  readonly client: Redis;
  /** Without a word. `keep`: what is in it is on the disk before. */
  readonly stop: (keep: boolean) => Promise<void>;
  readonly start: () => Promise<void>;
  readonly end: () => Promise<void>;
}

export const startRedis = async (tls: { readonly cert: string; readonly key: string } | null = null): Promise<Server> => {
  const [port, folder] = [await freePort(), mkdtempSync(join(tmpdir(), "neuronlab-redis-"))];
  const listens = tls === null ? ["--port", String(port)] : ["--port", "0", "--tls-port", String(port), "--tls-cert-file", tls.cert, "--tls-key-file", tls.key, "--tls-auth-clients", "no"];
  let child: ChildProcess | null = null;
  const client = new Redis({ host: "127.0.0.1", port, password: PASSWORD, lazyConnect: true, retryStrategy: () => 100, maxRetriesPerRequest: null, ...(tls === null ? {} : { tls: { rejectUnauthorized: false } }) });
  client.on("error", () => undefined);
  const start = async (): Promise<void> => {
    child = spawn("redis-server", [...listens, "--bind", "127.0.0.1", "--requirepass", PASSWORD, "--save", "", "--dir", folder, "--dbfilename", "kept.rdb"], { stdio: "ignore" });
    if (client.status === "wait") await client.connect().catch(() => undefined); // It may not listen yet; the client tries again.
    await client.ping();
  };
  await start();
  return {
    url: `${tls === null ? "redis" : "rediss"}://:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}`,
    port, client, start,
    stop: async (keep) => {
      if (keep) await client.save();
      child!.kill("SIGKILL");
      await gone(child!);
    },
    end: async () => {
      client.disconnect();
      child!.kill("SIGKILL");
      await gone(child!);
      rmSync(folder, { recursive: true, force: true });
    },
  };
};

export interface Program {
  readonly child: ChildProcess;
  readonly said: () => string;
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>;
}

const started = new Set<ChildProcess>();

/** The built program; the address of the server comes through its environment. */
export const start = (folder: string, url: string, ...words: ReadonlyArray<string>): Program => {
  const child = spawn(process.execPath, [BIN, ...words], { cwd: folder, env: { ...process.env, NEURONLAB_REDIS_URL: url } });
  started.add(child);
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  return { child, said: () => stdout + stderr, ended: new Promise((done) => child.on("close", (code) => (started.delete(child), done({ code, stdout, stderr })))) };
};

export const endAll = (): void => {
  for (const child of started) child.kill("SIGKILL");
};

export const declare = (folder: string, name: string, over: object): void =>
  writeFileSync(join(folder, name), JSON.stringify({ schema: "neuronlab/sweep@1", id: "a", title: "A sweep", base: { model: "bamboo-7b", offload: "50%", tokens: 16 }, axes: [{ over: "plan.pipeline.depth", values: [1, 2, 4, 8] }, { over: "device.flash.latency", as: "factor", values: [1, 2], whatIf: "slower flash" }], repetitions: 3, ...over }));
