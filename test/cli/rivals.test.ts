/** Other programs, really started. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import { E } from "../../sim/base/fp.js";
import { describeError } from "../../sim/base/errors.js";
import { memoryLimits, rival, runProgram, self } from "../../cli/node/rivals.js";
import { packageRoot } from "../../cli/node/package.js";

const home = packageRoot();
const folder = mkdtempSync(join(tmpdir(), "neuronlab-rivals-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const node = (source: string): ReadonlyArray<string> => [process.execPath, "-e", source];
const limits = await memoryLimits(home)();
const limited = E.isRight(limits) && limits.right.kind !== "none";

describe("other programs", () => {
  it("gives what was printed, how it ended and what it used, and a program that is absent has failed", async () => {
    const run = runProgram(home);
    expect(await run({ command: node("console.log('out'); console.error('err'); process.exit(5)"), memory: null, cold: [], warm: [] })()).toEqual(E.right({ exit: 5, signal: null, stdout: "out\n", stderr: "err\n", spent: expect.objectContaining({ limit: null, peak: null, killed: 0 }) as unknown }));
    expect(await run({ command: [join(folder, "absent")], memory: null, cold: [], warm: [] })()).toMatchObject({ right: { exit: 1, stderr: expect.stringContaining("ENOENT") as unknown } });
  });

  it("ends a program that is no longer wanted", async () => {
    const abort = new AbortController();
    const marker = join(folder, "runs");
    const running = runProgram(home)({ command: node(`require("node:fs").writeFileSync(${JSON.stringify(marker)}, ""); setTimeout(() => {}, 60_000)`), memory: null, cold: [], warm: [], signal: abort.signal })();
    await vi.waitUntil(() => existsSync(marker), { timeout: 20_000 });
    abort.abort();
    expect(await running).toMatchObject({ right: { exit: 128 + 15, spent: { killed: 0 } } });
  });

  it("ends a program whose starter is gone, and takes its group away", async () => {
    const marker = join(folder, "pid");
    const script = join(home, "engine/rivals/llama.cpp/under-limit.mjs");
    const tied = spawn(process.execPath, [script, ...(limited ? ["--memory", "200000000"] : []), "--tied", "--", ...node(`require("node:fs").writeFileSync(${JSON.stringify(marker)}, String(process.pid)); setTimeout(() => {}, 60_000)`)], { stdio: ["pipe", "ignore", "ignore"] });
    await vi.waitUntil(() => existsSync(marker) && readFileSync(marker, "utf8") !== "", { timeout: 20_000 });
    const pid = Number(readFileSync(marker, "utf8"));
    process.kill(pid, 0);
    const gone = new Promise((done) => tied.on("close", done));
    tied.stdin.end();
    expect(await gone).toBe(128 + 15);
    expect(() => process.kill(pid, 0)).toThrow("ESRCH");
    if (limited) expect(readdirSync((limits.right as unknown as { readonly root: string }).root).filter((name) => name.startsWith(`neuronlab-test-${tied.pid}-`))).toEqual([]);
  });

  it.skipIf(!limited)(`holds a program to a limit, and says what it used${limited ? "" : " (SKIPPED: no memory limit can be set here)"}`, async () => {
    const file = join(folder, "cold");
    writeFileSync(file, Buffer.alloc(1 << 20));
    const within = await runProgram(home)({ command: node("console.log(Buffer.alloc(50e6, 1).length)"), memory: 200e6, cold: [file], warm: [] })();
    if (E.isLeft(within)) throw new Error("it did not run");
    expect(within.right).toMatchObject({ exit: 0, stdout: "50000000\n", spent: { limit: 200e6, killed: 0 } });
    expect(within.right.spent!.peak).toBeGreaterThan(50e6);
    const beyond = await runProgram(home)({ command: node("console.log(Buffer.alloc(400e6, 1).length)"), memory: 100e6, cold: [], warm: [] })();
    if (E.isLeft(beyond)) throw new Error("it did not run");
    expect(beyond.right.exit).not.toBe(0);
    expect(beyond.right.spent!.killed).toBeGreaterThan(0);
  });

  it("starts with files cold or warm, and counts what is read", async () => {
    const file = join(folder, "read");
    writeFileSync(file, Buffer.alloc(8 << 20, 1));
    const read = async (cache: { readonly cold: ReadonlyArray<string>; readonly warm: ReadonlyArray<string> }) => {
      const ended = await runProgram(home)({ command: node(`require("node:fs").readFileSync(${JSON.stringify(file)})`), memory: null, ...cache })();
      if (E.isLeft(ended)) throw new Error("it did not run");
      return ended.right.spent!;
    };
    const [cold, warm] = [await read({ cold: [file], warm: [] }), await read({ cold: [], warm: [file] })];
    if (cold.cachedBefore !== null) expect([cold.cachedBefore, warm.cachedBefore]).toEqual([0, 8 << 20]);
    // A disk that is no disk, such as a file system in memory, reads nothing.
    if (cold.cachedBefore === 0) expect(cold.bytesRead! - warm.bytesRead!).toBeGreaterThan(4 << 20);
    expect(cold.peakResident).toBeGreaterThan(8 << 20);
    expect(cold.minorFaults).toBeGreaterThan(100);
  });

  it("takes any llama-bench by its path, with the version that it tells and the flags that it has", async () => {
    const old = join(folder, "llama-bench");
    writeFileSync(old, `#!/bin/sh\ncase "$1" in --help) echo "  -p, --n-prompt <n>"; echo "  -mmp, --mmap <0|1>";; --version) echo "version: 4321 (abc)" >&2;; esac\n`, { mode: 0o755 });
    expect(await rival(home)(old)()).toEqual(E.right({ version: "4321 (abc)", origin: "named", mapped: ["-mmp", "1"], inMemory: { program: old, repacks: null }, paging: { program: old, repacks: null } }));
    expect(await rival(home)(join(folder, "absent"))()).toMatchObject({ left: { _tag: "BadInput", mistakes: [{ path: "--llama-bench" }] } });
    writeFileSync(join(folder, "other"), "#!/bin/sh\necho hello\n", { mode: 0o755 });
    expect(await rival(home)(join(folder, "other"))()).toMatchObject({ left: { _tag: "Unsupported", reason: "does not answer --help as llama-bench does" } });
  });

  it("finds llama.cpp's two builds or says how to make them, and what starts this program", async () => {
    const found = await rival(home)(null)();
    if (E.isRight(found)) expect(found.right.inMemory.program).not.toBe(found.right.paging.program);
    else expect(found.left).toMatchObject({ _tag: "Unsupported", reason: expect.stringContaining("build.mjs builds it") as unknown });
    expect(await rival(folder)(null)()).toMatchObject({ left: { _tag: "Unsupported", reason: expect.stringContaining("name a program with --llama-bench") as unknown } });
    // Whether it is built here or not: a folder in which nothing is.
    vi.stubEnv("XDG_CACHE_HOME", join(folder, "nothing-built"));
    vi.stubEnv("PATH", join(folder, "nothing-built"));
    const absent = await rival(home)(null)();
    vi.unstubAllEnvs();
    const said = E.isLeft(absent) ? describeError(absent.left) : "built";
    expect(said).toMatch(/^llama\.cpp is not built: \/.*; node engine\/rivals\/llama\.cpp\/build\.mjs builds it \(about four minutes\); or name a program with --llama-bench, or put llama-bench on the PATH$/);
    expect(said.match(/not built/g)).toHaveLength(1);
    expect(await memoryLimits(folder)()).toMatchObject({ right: { kind: "none" } });
    expect(self(home)[1]).toBe(join(home, "bin/neuronlab.js"));
  });
});
