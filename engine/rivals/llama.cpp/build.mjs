#!/usr/bin/env node
// Builds the llama.cpp that the engine is compared with, on demand, into a cache folder outside the repository.
//
//   node engine/rivals/llama.cpp/build.mjs [--check] [--jobs N] [--tarball FILE]
//
// Prints one JSON object: the manifest of location.mjs. A second call prints it at once. What was interrupted goes on where it stopped.
//   --check         builds nothing; exits 3 when there is nothing built
//   --jobs N        compiler processes at a time (2)
//   --tarball FILE  the npm package as a file, for a machine without a registry; its digest is checked all the same
// Exit codes: 0 built, 2 wrong option, 3 not built or a tool is missing (it says which), 1 a step failed, 128 + signal when stopped.
// Progress goes to stderr.
// Takes about four minutes on two cores, once; 250 MB while it builds, 30 MB afterwards.
import { createHash } from "node:crypto";
import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { BUILDS, KERNELS, OPTIONS, OURS, PROGRAMS, RELEASE, cacheFolder, manifestIn, sourceDigests } from "./location.mjs";
import { withLock } from "./lock.mjs";

const NEEDED = { npm: "npm", tar: "tar", git: "git", cmake: "cmake", ninja: "ninja-build", gcc: "gcc", "g++": "g++", nice: "coreutils" };

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];
let stopped = null;

class Failure extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

const say = (line) => process.stderr.write(`llama.cpp: ${line}\n`);

// Runs a program with its chatter on stderr; resolves to what it prints on stdout when `capture` asks for it. When this process is told
// to stop, so is the program: compilers that went on alone would write under the hands of the next build.
const run = async (program, words, { cwd, capture = false } = {}) => {
  const child = spawn(program, words, { cwd, stdio: ["ignore", capture ? "pipe" : 2, "inherit"] });
  const pass = (signal) => {
    stopped = signal;
    child.kill(signal);
  };
  for (const signal of SIGNALS) process.on(signal, pass);
  let printed = "";
  child.stdout?.setEncoding("utf8").on("data", (text) => (printed += text));
  const { code, failure } = await new Promise((resolve) => {
    child.on("error", (error) => resolve({ failure: error.message }));
    child.on("close", (status, signal) => resolve({ code: status, failure: `exit code ${status ?? signal}` }));
  });
  for (const signal of SIGNALS) process.off(signal, pass);
  if (stopped !== null) throw new Failure(128 + constants.signals[stopped], `stopped by ${stopped}; the next call goes on from here`);
  if (code !== 0) throw new Failure(1, `${program} ${words.join(" ")}: ${failure}`);
  return printed;
};

const requireTools = () => {
  const missing = Object.keys(NEEDED).filter((tool) => spawnSync(tool, ["--version"], { stdio: "ignore" }).error !== undefined);
  if (missing.length > 0) throw new Failure(3, `missing: ${missing.join(", ")}; on Debian: apt-get install ${missing.map((tool) => NEEDED[tool]).join(" ")}`);
};

// Something made in a folder of its own and moved to `target` when it is whole.
const once = async (target, make) => {
  if (existsSync(target)) return target;
  const part = mkdtempSync(`${target}.part-`);
  try {
    renameSync(await make(part), target);
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
  return target;
};

const fetched = (folder, tarball) =>
  once(join(folder, "source.bundle"), async (part) => {
    if (tarball === undefined) say(`fetching ${RELEASE.package}`);
    const file = tarball ?? join(part, JSON.parse(await run("npm", ["pack", RELEASE.package, "--ignore-scripts", "--json", "--pack-destination", part], { cwd: part, capture: true }))[0].filename);
    if (!existsSync(file)) throw new Failure(2, `no such file: ${file}; --tarball takes the tarball of ${RELEASE.package}`);
    const is = `sha512-${createHash("sha512").update(readFileSync(file)).digest("base64")}`;
    if (is !== RELEASE.integrity) throw new Failure(1, `digest of ${file}: ${is}; that of ${RELEASE.package} is ${RELEASE.integrity}`);
    await run("tar", ["-xzf", file, "-C", part, RELEASE.bundle]);
    return join(part, RELEASE.bundle);
  });

const cloned = (folder, bundle) =>
  once(join(folder, "source"), async (part) => {
    say("unpacking the source");
    await run("git", ["-c", "advice.detachedHead=false", "clone", "--quiet", bundle, join(part, "source")]);
    return join(part, "source");
  });

// Compiles `targets`; ninja itself goes on where an earlier call was cut off.
const compiled = async (folder, source, name, targets, jobs) => {
  const at = join(folder, `build-${name}`);
  say(`compiling ${targets.join(", ")} (${name})`);
  await run("cmake", ["-S", source, "-B", at, "-G", "Ninja", "--log-level=WARNING", ...OPTIONS, ...BUILDS[name]]);
  await run("nice", ["-n", "10", "ninja", "--quiet", "-C", at, "-j", String(jobs), ...targets]);
  return join(at, "bin");
};

const copyLibraries = (from, to, which) => {
  for (const file of readdirSync(from).filter((name) => which.test(name))) cpSync(join(from, file), join(to, file), { verbatimSymlinks: true });
};

// Compiled against the headers and libraries that are kept, so that a changed source of ours needs nothing else.
const compileOurs = async (folder, build, name) => {
  const own = join(folder, build, name);
  await run("gcc", [
    "-O2", "-std=c11", "-Wall", "-Wextra", "-Werror",
    `-I${join(folder, "include")}`, fileURLToPath(new URL(`${name}.c`, import.meta.url)),
    "-o", `${own}.part`, `-L${join(folder, build)}`, ...OURS[name].libraries, "-Wl,-rpath,$ORIGIN",
  ]);
  renameSync(`${own}.part`, own);
};

const oursIn = (build) => Object.keys(OURS).filter((name) => OURS[name].builds.includes(build));

const programsOf = (folder, build) => Object.fromEntries([...PROGRAMS, ...oursIn(build)].map((program) => [program, join(folder, build, program)]));

const headersAndLicence = async (folder, source) => {
  await once(join(folder, "include"), (part) => {
    cpSync(join(source, "include"), join(part, "include"), { recursive: true });
    cpSync(join(source, "ggml", "include"), join(part, "include"), { recursive: true });
    return join(part, "include");
  });
  cpSync(join(source, "LICENSE"), join(folder, "LICENSE"));
};

const compileAll = async (folder, { jobs, tarball }) => {
  const source = await cloned(folder, await fetched(folder, tarball));
  await headersAndLicence(folder, source);
  const programs = await compiled(folder, source, "default", PROGRAMS, jobs);
  const kernels = await compiled(folder, source, "noRepack", [KERNELS.target], jobs);
  for (const name of Object.keys(BUILDS)) {
    await once(join(folder, name), (part) => {
      const whole = join(part, name);
      mkdirSync(whole);
      copyLibraries(programs, whole, /\.so/);
      if (name === "noRepack") copyLibraries(kernels, whole, KERNELS.files);
      for (const program of PROGRAMS) cpSync(join(programs, program), join(whole, program));
      return whole;
    });
  }
};

const finish = async (folder) => {
  const digests = sourceDigests();
  for (const build of Object.keys(BUILDS)) for (const name of oursIn(build)) await compileOurs(folder, build, name);
  const manifest = {
    version: RELEASE.version,
    folder,
    compiler: (await run("gcc", ["--version"], { capture: true })).split("\n")[0],
    ...digests,
    ...Object.fromEntries(Object.keys(BUILDS).map((name) => [name, programsOf(folder, name)])),
  };
  const part = join(folder, "built.json.part");
  writeFileSync(part, `${JSON.stringify(manifest, null, 2)}\n`);
  renameSync(part, join(folder, "built.json"));
  for (const spent of ["source.bundle", "source", ...Object.keys(BUILDS).map((name) => `build-${name}`)]) rmSync(join(folder, spent), { recursive: true, force: true });
  return manifest;
};

const current = (folder) => {
  const manifest = manifestIn(folder);
  return manifest !== null && Object.entries(sourceDigests()).every(([name, digest]) => manifest[name] === digest) ? manifest : null;
};

const options = () => {
  try {
    const { values } = parseArgs({ options: { check: { type: "boolean", default: false }, jobs: { type: "string", default: "2" }, tarball: { type: "string" } } });
    const jobs = Number(values.jobs);
    if (!Number.isInteger(jobs) || jobs < 1) throw new Error(`--jobs: ${values.jobs}; a whole number of at least 1 is needed`);
    return { ...values, jobs };
  } catch (error) {
    throw new Failure(2, error.message);
  }
};

const main = async () => {
  const asked = options();
  const folder = cacheFolder();
  const ready = current(folder);
  if (ready !== null) return ready;
  if (asked.check) throw new Failure(3, `not built: ${folder}; node engine/rivals/llama.cpp/build.mjs builds it (about four minutes)`);
  requireTools();
  mkdirSync(folder, { recursive: true });
  return withLock(join(folder, "lock"), say, async () => {
    if (current(folder) !== null) return current(folder);
    if (manifestIn(folder) === null) await compileAll(folder, asked);
    return finish(folder);
  });
};

main().then(
  (manifest) => process.stdout.write(`${JSON.stringify(manifest, null, 2)}\n`),
  (error) => {
    say(error.message);
    process.exitCode = error instanceof Failure ? error.code : 1;
  },
);
