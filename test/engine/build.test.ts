/** engine/build.mjs with programs of our own in the place of Cargo: it must not build anything here. */
import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "neuronlab-build-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The build with a search path that holds nothing but a `cargo` of this text, or nothing at all. */
const build = (cargo: string | null): Promise<{ readonly code: number; readonly stderr: string }> => {
  const path = mkdtempSync(join(folder, "path-"));
  if (cargo !== null) {
    writeFileSync(join(path, "cargo"), `#!/bin/sh\n${cargo}\n`);
    chmodSync(join(path, "cargo"), 0o755);
  }
  return new Promise((done) => {
    execFile(process.execPath, [resolve("engine/build.mjs")], { env: { PATH: path } }, (error, _, stderr) => done({ code: Number(error?.code ?? 0), stderr }));
  });
};

describe.skipIf(process.platform === "win32")("the build of the native module", () => {
  it("without Cargo says in one line what does not work and what to install, and succeeds", async () => {
    expect(await build(null)).toEqual({ code: 0, stderr: "native engine not built, so neuronlab synth, pack, generate, bench, record, replay, train-predictor, probe, validate and perplexity do not run: install Rust (https://rustup.rs), then npm run build:engine\n" });
  });

  it("fails as Cargo fails, with Cargo's own text", async () => {
    const { code, stderr } = await build('[ "$1" = --version ] && exit 0; echo "error: a fault in line 7" >&2; exit 101');
    expect(code).toBe(101);
    expect(stderr).toMatch(/^error: a fault in line 7\nnative engine: cargo build --release --locked in .*engine\/node\/ failed\n$/);
  });

  it("is not content with a build that leaves no library", async () => {
    const { code, stderr } = await build('[ "$1" = --version ] && exit 0; echo \'{"reason":"build-finished","success":true}\'');
    expect([code, stderr]).toEqual([1, "native engine: cargo built no library; is [lib] crate-type in engine/node/Cargo.toml still cdylib?\n"]);
  });
});
