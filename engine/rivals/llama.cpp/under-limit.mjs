#!/usr/bin/env node
// Runs a command under a memory limit that the operating system enforces, page cache included, with given files cold.
//
//   node engine/rivals/llama.cpp/under-limit.mjs --memory BYTES [--cold FILE]… [--report FILE] -- COMMAND WORDS…
//   node engine/rivals/llama.cpp/under-limit.mjs --detect
//
// The command's own output passes through. Afterwards one JSON object is printed on stderr, or written to --report:
//   {kind, limit, peak, majorFaults, bytesRead, killed, exit, signal, seconds, cachedBefore}
// sizes in bytes; peak counts anonymous memory and page cache together; bytesRead: from storage, as last seen before the command ended
// (looked at ten times a second, null where /proc/PID/io cannot be read); killed: processes ended for want of memory; cachedBefore: bytes
// of the --cold files still in the page cache when the command started (0 when dropping worked; null without fincore).
// Few major faults do not mean few reads: pages that read-ahead fetched in time fault as minor ones. bytesRead tells.
// Exit codes: the command's own (128 + signal when it was ended by one), 2 wrong option, 3 no limit can be set on this machine.
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, openSync, closeSync, fsyncSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { setTimeout as pause } from "node:timers/promises";

const read = (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null; // Absent files mean an absent feature here; every caller says what it does then.
  }
};

// A counter in a file of "name value" lines.
const counter = (path, name) => Number(new RegExp(`^${name} (\\d+)$`, "m").exec(read(path) ?? "")?.[1] ?? NaN);

/** How each kind of control group is told its limit and asked what happened. */
const KINDS = {
  v1: {
    prepare: (group, limit) => {
      writeFileSync(join(group, "memory.limit_in_bytes"), String(limit));
      writeFileSync(join(group, "memory.swappiness"), "0");
    },
    peak: (group) => Number(read(join(group, "memory.max_usage_in_bytes"))),
    majorFaults: (group) => counter(join(group, "memory.stat"), "total_pgmajfault"),
    killed: (group) => counter(join(group, "memory.oom_control"), "oom_kill"),
    // Leftover page cache would be charged to the parent group and stay warm.
    empty: (group) => writeFileSync(join(group, "memory.force_empty"), "0"),
  },
  v2: {
    prepare: (group, limit) => {
      writeFileSync(join(group, "memory.max"), String(limit));
      if (read(join(group, "memory.swap.max")) !== null) writeFileSync(join(group, "memory.swap.max"), "0");
    },
    peak: (group) => Number(read(join(group, "memory.peak")) ?? NaN),
    majorFaults: (group) => counter(join(group, "memory.stat"), "pgmajfault"),
    killed: (group) => counter(join(group, "memory.events"), "oom_kill"),
    empty: () => {},
  },
};

// The folder in which this process may make groups with a memory limit, by the mounted hierarchies.
const rootOf = () => {
  const mounts = (read("/proc/self/mounts") ?? "").split("\n").map((line) => line.split(" "));
  const v1 = mounts.find(([, , type, options]) => type === "cgroup" && options.split(",").includes("memory"));
  if (v1 !== undefined) return { kind: "v1", root: v1[1] };
  const v2 = mounts.find(([, at, type]) => type === "cgroup2" && (read(join(at, "cgroup.subtree_control")) ?? "").split(/\s/).includes("memory"));
  return v2 === undefined ? { kind: "none", reason: "no mounted control group hierarchy has the memory controller" } : { kind: "v2", root: v2[1] };
};

const remove = async (kind, group) => {
  for (let attempt = 0; ; attempt++) {
    try {
      KINDS[kind].empty(group);
      return rmdirSync(group);
    } catch (error) {
      // EBUSY until the last process of the command has been reaped.
      if (error.code === "ENOENT") return;
      if (error.code !== "EBUSY" || attempt === 50) throw error;
      await pause(20);
    }
  }
};

/** {kind: "v1" | "v2", root} when a group with a limit can really be made here, else {kind: "none", reason}. */
export const detect = async () => {
  const found = rootOf();
  if (found.kind === "none") return found;
  const group = join(found.root, `neuronlab-test-${process.pid}-probe`);
  try {
    mkdirSync(group);
    KINDS[found.kind].prepare(group, 2 ** 30);
    await remove(found.kind, group);
    return found;
  } catch (error) {
    await remove(found.kind, group).catch(() => {});
    return { kind: "none", reason: `${error.message}; root may set memory limits, others may not` };
  }
};

/** Bytes of a file in the page cache, or null where util-linux's fincore is absent. */
const cached = (file) => {
  const asked = spawnSync("fincore", ["--bytes", "--noheadings", "--output", "RES", file], { encoding: "utf8" });
  return asked.status === 0 ? Number(asked.stdout) : null;
};

/** Drops a file from the page cache: written back first, then coreutils' dd advises the kernel that the whole file is not needed. */
export const chill = (file) => {
  const opened = openSync(file, "r");
  fsyncSync(opened);
  closeSync(opened);
  const ended = spawnSync("dd", [`if=${file}`, "iflag=nocache", "count=0", "status=none"], { stdio: ["ignore", "ignore", "inherit"] });
  if (ended.status !== 0) throw new Error(`cannot drop ${file} from the page cache`);
  return cached(file);
};

// Watches what a process has read from storage so far; stop() gives the last figure seen.
const watchReads = (pid) => {
  let last = null;
  const look = () => {
    const seen = counter(`/proc/${pid}/io`, "read_bytes:");
    if (!Number.isNaN(seen)) last = seen;
  };
  const timer = setInterval(look, 100);
  return {
    stop: () => {
      clearInterval(timer);
      return last;
    },
  };
};

const sum = (sizes) => sizes.reduce((total, size) => (total === null || size === null ? null : total + size), 0);

/**
 * Runs `command` [program, ...words] in a new group limited to `memory` bytes and resolves to the report above. `place` is what detect() found.
 * The shell joins the group before it becomes the command, so not a byte of the command is charged elsewhere.
 */
export const underLimit = async (place, { memory, cold = [], command, stdio = "inherit" }) => {
  const kind = KINDS[place.kind];
  const group = join(place.root, `neuronlab-test-${process.pid}-${Date.now()}`);
  mkdirSync(group);
  try {
    kind.prepare(group, memory);
    const cachedBefore = sum(cold.map(chill));
    const from = performance.now();
    const child = spawn("sh", ["-c", 'echo $$ > "$0" && exec "$@"', join(group, "cgroup.procs"), ...command], { stdio });
    const reads = watchReads(child.pid);
    // Told to stop, this process stops the command and still takes the group away.
    const pass = (name) => child.kill(name);
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(name, pass);
    const { exit, signal } = await new Promise((resolve, reject) => {
      child.on("error", (error) => {
        reads.stop();
        reject(error);
      });
      child.on("close", (code, name) => resolve({ exit: code, signal: name }));
    });
    const seconds = (performance.now() - from) / 1000;
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.off(name, pass);
    const counted = { peak: kind.peak(group), majorFaults: kind.majorFaults(group), bytesRead: reads.stop(), killed: kind.killed(group) };
    return { kind: place.kind, limit: memory, ...counted, exit, signal, seconds, cachedBefore };
  } finally {
    await remove(place.kind, group);
  }
};

const fail = (code, message) => {
  process.stderr.write(`under-limit: ${message}\n`);
  process.exitCode = code;
};

const main = async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { memory: { type: "string" }, cold: { type: "string", multiple: true, default: [] }, report: { type: "string" }, detect: { type: "boolean", default: false } },
  });
  const place = await detect();
  if (values.detect) return process.stdout.write(`${JSON.stringify(place)}\n`);
  const memory = Number(values.memory);
  if (!Number.isInteger(memory) || memory <= 0) return fail(2, `--memory: ${values.memory}; a whole number of bytes is needed`);
  if (positionals.length === 0) return fail(2, "no command: --memory BYTES [--cold FILE]… -- COMMAND WORDS…");
  if (place.kind === "none") return fail(3, place.reason);
  const report = await underLimit(place, { memory, cold: values.cold, command: positionals });
  const line = `${JSON.stringify(report)}\n`;
  if (values.report === undefined) process.stderr.write(line);
  else writeFileSync(values.report, line);
  process.exitCode = report.exit ?? 128 + constants.signals[report.signal];
};

if (process.argv[1] === fileURLToPath(import.meta.url)) main().catch((error) => fail(error.code?.startsWith("ERR_PARSE_ARGS") ? 2 : 1, error.message));
