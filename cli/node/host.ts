/** What this machine has. Reads only; a tool that is absent is a fact and not a fault. */
import { execFile } from "node:child_process";
import { access, constants, readdir, statfs } from "node:fs/promises";
import { cpus, freemem, release, totalmem, type } from "node:os";
import { join } from "node:path";
import { E, type TaskEither } from "../../sim/base/fp.js";
import type { AppError } from "../../sim/base/errors.js";
import type { HostFacts, MachineFacts } from "../program.js";
import { coreCount } from "./pool.js";
import { queuesHere } from "./queue/here.js";
import { onPath } from "./rivals.js";

const firstLine = (command: string, args: ReadonlyArray<string>): Promise<string | null> =>
  new Promise((done) => {
    execFile(command, [...args], { timeout: 5000 }, (error, stdout) => done(error === null ? (stdout.split("\n")[0].trim() || null) : null));
  });

const writable = async (folder: string): Promise<boolean> => {
  try {
    await access(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
};

const freeDisk = async (folder: string): Promise<number | null> => {
  try {
    const facts = await statfs(folder);
    return facts.bavail * facts.bsize;
  } catch {
    return null;
  }
};

const nativeEngine = async (home: string): Promise<string | null> => {
  try {
    return (await readdir(join(home, "engine", "node"))).find((file) => file.endsWith(".node")) ?? null;
  } catch {
    return null;
  }
};

export const machineFacts = (): MachineFacts => ({ cores: coreCount(), cpu: cpus()[0]?.model.trim() ?? "unknown", memoryBytes: totalmem(), kernel: `${type()} ${release()}` });

export const hostFacts = (home: string): TaskEither<AppError, HostFacts> => async () => {
  const results = join(home, "results");
  const [freeDiskBytes, resultsThere, cargo, simpy, ns3, sbatch, queue, engine] = await Promise.all([
    freeDisk(home),
    writable(results),
    firstLine("cargo", ["--version"]),
    firstLine("python3", ["-c", "import simpy; print('SimPy', simpy.__version__)"]),
    firstLine("pkg-config", ["--modversion", "ns3-core"]),
    firstLine("sbatch", ["--version"]),
    queuesHere(),
    nativeEngine(home),
  ]);
  return E.right({
    node: process.versions.node,
    ...machineFacts(),
    freeMemoryBytes: freemem(),
    freeDiskBytes,
    resultsWritable: resultsThere,
    cargo,
    simpy,
    ns3,
    sbatch,
    sbatchAt: onPath("sbatch"),
    bullmq: queue,
    nativeEngine: engine,
  });
};
