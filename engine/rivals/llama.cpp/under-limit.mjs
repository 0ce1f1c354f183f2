#!/usr/bin/env node
// Runs a command and counts what it used; under a memory limit that the operating system enforces, page cache included, where one is given;
// with given files cold or warm.
//
//   node engine/rivals/llama.cpp/under-limit.mjs [--memory BYTES] [--cold FILE]… [--warm FILE]… [--report FILE] [--tied] -- COMMAND WORDS…
//   node engine/rivals/llama.cpp/under-limit.mjs --detect
//
// The command's own output passes through. Afterwards one JSON object is printed on stderr, or written to --report:
//   {kind, limit, peak, peakResident, minorFaults, majorFaults, bytesRead, othersBusy, stolen, killed, exit, signal, seconds, cachedBefore}
// sizes in bytes. kind, limit, peak and killed are of the memory group (null, null, null and 0 without --memory): peak counts anonymous memory
// and page cache together; killed: processes ended for want of memory. All others are of the command, whatever group it is in: peakResident is its
// resident high-water mark, as last seen before it ended (looked at twenty times a second); faults and bytesRead (from storage) are what the system
// hands a parent when its child is gone, so nothing is missed. null where /proc has no such figure. cachedBefore: bytes of the --cold and --warm files
// in the page cache when the command started (null without fincore). othersBusy: cores that everything else on this machine kept busy meanwhile, and
// stolen: cores that the machine below a virtual one gave to others; where they are not small the figures are of a disturbed run.
//   --cold FILE   dropped from the page cache before the command starts
//   --warm FILE   dropped too, then read to its end by a process in the group: what of it stays is charged to the same limit as the command
//   --tied        stops the command, and takes the group away, when its own standard input ends: so when whoever started it is gone
// Few major faults do not mean few reads: pages that read-ahead fetched in time fault as minor ones. bytesRead tells.
// Exit codes: the command's own (128 + signal when it was ended by one), 2 wrong option, 3 no limit can be set on this machine.
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, openSync, closeSync, fsyncSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { setTimeout as pause } from "node:timers/promises";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];

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

const isAlive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
};

// What a process of this program left behind when it was killed beyond all handlers; groups with somebody in them stay.
const removeStale = async ({ kind, root }) => {
  for (const name of readdirSync(root)) {
    const [, pid] = /^neuronlab-test-(\d+)-/.exec(name) ?? [];
    if (pid === undefined || isAlive(Number(pid)) || (read(join(root, name, "cgroup.procs")) ?? "").trim() !== "") continue;
    await remove(kind, join(root, name)).catch(() => {}); // Another process may be at it as well.
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
    await removeStale(found);
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

// The resident high-water mark of a process so far; stop() gives the last figure seen, in bytes.
const watchResident = (pid) => {
  let last = null;
  const look = () => {
    const seen = Number(/^VmHWM:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`) ?? "")?.[1] ?? NaN);
    if (!Number.isNaN(seen)) last = 1024 * seen;
  };
  const timer = setInterval(look, 50);
  return {
    stop: () => {
      clearInterval(timer);
      return last;
    },
  };
};

// What this process's children that are gone have used, and it itself has read (nothing while it waits).
const used = () => {
  // Behind the name in brackets, which may hold anything: state is field 3; 11 and 13 are the faults of children.
  const fields = (read("/proc/self/stat") ?? "").replace(/^.*\)/s, "").trim().split(" ");
  return { minorFaults: Number(fields[8]), majorFaults: Number(fields[10]), bytesRead: counter("/proc/self/io", "read_bytes:"), ticks: Number(fields[13]) + Number(fields[14]) };
};

// Processor time of the whole machine, in the same ticks: of programs, and stolen. User time holds that of guests already; interrupts are left out, since the
// command's own reads make them.
const machineTicks = () => {
  const [user, nice, system, , , , , stolen] = (/^cpu +(.*)$/m.exec(read("/proc/stat") ?? "")?.[1] ?? "").split(" ").map(Number);
  return { busy: user + nice + system, stolen };
};
const TICKS_PER_SECOND = 100;

const cores = (ticks, seconds) => (Number.isNaN(ticks) ? null : Math.max(0, ticks / TICKS_PER_SECOND / seconds));

const since = (from, to) => Object.fromEntries(Object.keys(from).map((name) => [name, Number.isNaN(to[name] - from[name]) ? null : to[name] - from[name]]));

const sum = (sizes) => sizes.reduce((total, size) => (total === null || size === null ? null : total + size), 0);

// The shell joins the group before it becomes the command, so not a byte of the command is charged elsewhere.
const inGroup = (group, command) => (group === null ? command : ["sh", "-c", 'echo $$ > "$0" && exec "$@"', join(group, "cgroup.procs"), ...command]);

// Starts programs one after the other. Told to stop, or left alone by whoever holds standard input, this process stops the one that runs, starts no
// other, and still comes to its end, where the group is taken away.
const runner = (tied) => {
  let told = null;
  let running = null;
  const stop = (name) => {
    told = name;
    running?.kill(name);
  };
  const alone = () => stop("SIGTERM");
  for (const name of SIGNALS) process.on(name, stop);
  if (tied) process.stdin.resume().on("end", alone).on("error", alone);
  return {
    /** {exit, signal} of the command; `onStart` is told its process id. */
    run: ([program, ...words], stdio, onStart = () => {}) => {
      if (told !== null) return Promise.resolve({ exit: null, signal: told });
      return new Promise((resolve, reject) => {
        running = spawn(program, words, { stdio });
        onStart(running.pid);
        running.on("error", reject);
        running.on("close", (exit, signal) => resolve({ exit, signal }));
      });
    },
    done: () => {
      for (const name of SIGNALS) process.off(name, stop);
      if (tied) process.stdin.off("end", alone).destroy();
    },
  };
};

/** Runs `command` [program, ...words] in `group`, or in none where that is null, and resolves to how it ended and what it used. */
const watched = async (group, { cold, warm, command, stdio }, { run }) => {
  [...cold, ...warm].forEach(chill);
  for (const file of warm) {
    const { exit, signal } = await run(inGroup(group, ["dd", `if=${file}`, "of=/dev/null", "bs=1M", "status=none"]), ["ignore", "ignore", "inherit"]);
    if (exit !== null && exit !== 0) throw new Error(`cannot read ${file}`);
    if (signal === "SIGKILL") throw new Error(`reading ${file} under the limit was killed`);
  }
  const cachedBefore = sum([...cold, ...warm].map(cached));
  const [before, machineBefore] = [used(), machineTicks()];
  const from = performance.now();
  let resident = null;
  try {
    const { exit, signal } = await run(inGroup(group, command), stdio, (pid) => (resident = watchResident(pid)));
    const seconds = (performance.now() - from) / 1000;
    const { ticks, ...counted } = since(before, used());
    const machine = machineTicks();
    const disturbance = { othersBusy: cores(machine.busy - machineBefore.busy - ticks, seconds), stolen: cores(machine.stolen - machineBefore.stolen, seconds) };
    return { peakResident: resident?.stop() ?? null, ...counted, ...disturbance, exit, signal, seconds, cachedBefore };
  } finally {
    resident?.stop();
  }
};

/**
 * Runs `command` [program, ...words] in a new group limited to `memory` bytes and resolves to the report above; without a limit where `memory` is null.
 * `place` is what detect() found.
 */
export const underLimit = async (place, { memory, cold = [], warm = [], command, stdio = ["ignore", "inherit", "inherit"], tied = false }) => {
  const programs = runner(tied);
  const asked = { cold, warm, command, stdio };
  try {
    if (memory === null) return { kind: null, limit: null, peak: null, killed: 0, ...(await watched(null, asked, programs)) };
    const kind = KINDS[place.kind];
    const group = join(place.root, `neuronlab-test-${process.pid}-${Date.now()}`);
    mkdirSync(group);
    try {
      kind.prepare(group, memory);
      const seen = await watched(group, asked, programs);
      return { kind: place.kind, limit: memory, peak: kind.peak(group), killed: kind.killed(group), ...seen };
    } finally {
      await remove(place.kind, group);
    }
  } finally {
    programs.done();
  }
};

const fail = (code, message) => {
  process.stderr.write(`under-limit: ${message}\n`);
  process.exitCode = code;
};

const main = async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      memory: { type: "string" }, cold: { type: "string", multiple: true, default: [] }, warm: { type: "string", multiple: true, default: [] }, report: { type: "string" }, tied: { type: "boolean", default: false },
      detect: { type: "boolean", default: false },
    },
  });
  if (values.detect) return process.stdout.write(`${JSON.stringify(await detect())}\n`);
  const memory = values.memory === undefined ? null : Number(values.memory);
  if (memory !== null && (!Number.isInteger(memory) || memory <= 0)) return fail(2, `--memory: ${values.memory}; a whole number of bytes is needed`);
  if (positionals.length === 0) return fail(2, "no command: [--memory BYTES] [--cold FILE]… [--warm FILE]… -- COMMAND WORDS…");
  const place = memory === null ? null : await detect();
  if (place?.kind === "none") return fail(3, place.reason);
  const report = await underLimit(place, { memory, cold: values.cold, warm: values.warm, command: positionals, tied: values.tied });
  const line = `${JSON.stringify(report)}\n`;
  if (values.report === undefined) process.stderr.write(line);
  else writeFileSync(values.report, line);
  process.exitCode = report.exit ?? 128 + constants.signals[report.signal];
};

if (process.argv[1] === fileURLToPath(import.meta.url)) main().catch((error) => fail(error.code?.startsWith("ERR_PARSE_ARGS") ? 2 : 1, error.message));
