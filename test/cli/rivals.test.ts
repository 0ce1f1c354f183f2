/** Other programs, really started. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { E } from "../../sim/base/fp.js";
import { memoryLimits, rival, runProgram, self } from "../../cli/node/rivals.js";
import { packageRoot } from "../../cli/node/package.js";

const home = packageRoot();
const folder = mkdtempSync(join(tmpdir(), "neuronlab-rivals-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const node = (source: string): ReadonlyArray<string> => [process.execPath, "-e", source];
const limits = await memoryLimits(home)();
const limited = E.isRight(limits) && limits.right.kind !== "none";

describe("other programs", () => {
  it("gives what was printed and how it ended, and a program that is absent is an honest no", async () => {
    const run = runProgram(home);
    expect(await run({ command: node("console.log('out'); console.error('err'); process.exit(5)"), memory: null, cold: [] })()).toEqual(E.right({ exit: 5, signal: null, stdout: "out\n", stderr: "err\n", limited: null }));
    expect(await run({ command: [join(folder, "absent")], memory: null, cold: [] })()).toMatchObject({ left: { _tag: "Unsupported" } });
  });

  it("ends a program that is no longer wanted", async () => {
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 50);
    expect(await runProgram(home)({ command: node("setTimeout(() => {}, 60_000)"), memory: null, cold: [], signal: abort.signal })()).toMatchObject({ right: { exit: null, signal: "SIGTERM" } });
  });

  it.skipIf(!limited)(`holds a program to a limit, and says what it used${limited ? "" : " (SKIPPED: no memory limit can be set here)"}`, async () => {
    const file = join(folder, "cold");
    writeFileSync(file, Buffer.alloc(1 << 20));
    const within = await runProgram(home)({ command: node("console.log(Buffer.alloc(50e6, 1).length)"), memory: 200e6, cold: [file] })();
    if (E.isLeft(within)) throw new Error("it did not run");
    expect(within.right).toMatchObject({ exit: 0, stdout: "50000000\n", limited: { limit: 200e6, killed: 0 } });
    expect(within.right.limited!.peak).toBeGreaterThan(50e6);
    const beyond = await runProgram(home)({ command: node("console.log(Buffer.alloc(400e6, 1).length)"), memory: 100e6, cold: [] })();
    if (E.isLeft(beyond)) throw new Error("it did not run");
    expect(beyond.right.exit).not.toBe(0);
    expect(beyond.right.limited!.killed).toBeGreaterThan(0);
  });

  it("finds llama.cpp's two builds or says how to make them, and what starts this program", async () => {
    const found = await rival(home)();
    if (E.isRight(found)) expect(found.right.default).not.toBe(found.right.noRepack);
    else expect(found.left).toMatchObject({ _tag: "Unsupported", reason: expect.stringContaining("build.mjs builds it") as unknown });
    expect(await rival(folder)()).toMatchObject({ left: { _tag: "Unsupported", reason: expect.stringContaining("name a program with --llama-bench") as unknown } });
    expect(await memoryLimits(folder)()).toMatchObject({ right: { kind: "none" } });
    expect(self(home)[1]).toBe(join(home, "bin/neuronlab.js"));
  });
});
