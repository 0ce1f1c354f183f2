import { execFileSync } from "node:child_process";
import { closeSync, existsSync, lstatSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, rmdirSync, symlinkSync, writeFileSync, writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readJson, readStored, writeFiles, writeFilesWith, type WriteSteps } from "../../cli/node/files.js";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "neuronlab-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));
const at = (...parts: ReadonlyArray<string>): string => join(folder, ...parts);
const real = async (): Promise<WriteSteps> => {
  const { mkdir, writeFile } = await import("node:fs/promises");
  const { renameSync } = await import("node:fs");
  return { makeFolder: (p) => mkdir(p), writeContent: (p, t) => writeFile(p, t), writeInto: () => Promise.resolve(), rename: renameSync, remove: (p) => rmSync(p, { force: true }), removeFolder: rmdirSync };
};

describe("writing files", () => {
  it("makes folders, replaces what was there and leaves nothing else", async () => {
    writeFileSync(at("a.txt"), "old");
    expect(await writeFiles([{ path: at("a.txt"), text: "new" }, { path: at("deep", "er", "b.txt"), text: "b" }])()).toMatchObject({ _tag: "Right" });
    expect([readFileSync(at("a.txt"), "utf8"), readFileSync(at("deep", "er", "b.txt"), "utf8")]).toEqual(["new", "b"]);
    expect(readdirSync(folder).sort()).toEqual(["a.txt", "deep"]);
  });

  it("a failing rename leaves the old file whole and no temporary one", async () => {
    writeFileSync(at("a.txt"), "old");
    const steps: WriteSteps = { ...(await real()), rename: () => { throw Object.assign(new Error("x"), { code: "ENOSPC" }); } };
    expect(await writeFilesWith(steps)([{ path: at("a.txt"), text: "new" }, { path: at("b.txt"), text: "b" }])()).toEqual({ _tag: "Left", left: { _tag: "Disk", path: at("a.txt"), reason: "the disk is full" } });
    expect(readdirSync(folder)).toEqual(["a.txt"]);
    expect(readFileSync(at("a.txt"), "utf8")).toBe("old");
  });

  it("when a later file cannot be written, an earlier one is not changed", async () => {
    writeFileSync(at("a.txt"), "old");
    const good = await real();
    const steps: WriteSteps = { ...good, writeContent: async (path, text) => {
      await good.writeContent(path, String(text).slice(0, 1));
      if (path.includes("b.txt")) throw Object.assign(new Error("x"), { code: "ENOSPC" });
    } };
    expect(await writeFilesWith(steps)([{ path: at("a.txt"), text: "new" }, { path: at("b.txt"), text: "b" }])()).toMatchObject({ left: { path: at("b.txt") } });
    expect([readdirSync(folder), readFileSync(at("a.txt"), "utf8")]).toEqual([["a.txt"], "old"]);
  });

  it("below something that is not a folder is a disk fault with the path", async () => {
    writeFileSync(at("a"), "");
    expect(await writeFiles([{ path: at("a", "b.txt"), text: "" }])()).toMatchObject({ left: { _tag: "Disk", path: at("a", "b.txt") } });
  });

  it("what takes no writing is refused before anything is written", async () => {
    mkdirSync(at("folder"));
    symlinkSync("socket", at("link"));
    const server = createServer().listen(at("socket"));
    await new Promise((done) => server.once("listening", done));
    const both = (name: string) => writeFiles([{ path: at("new", "a.txt"), text: "a" }, { path: at(name), text: "b" }])();
    expect(await both("folder")).toEqual({ _tag: "Left", left: { _tag: "BadInput", where: at("folder"), mistakes: [{ path: "(whole)", message: "is a folder, not a file; name a file in it" }] } });
    for (const [name, reason] of [["socket", "is neither a file, nor a pipe, nor a character device"], ["link", "is neither a file, nor a pipe, nor a character device"]])
      expect(await both(name)).toEqual({ _tag: "Left", left: { _tag: "Disk", path: at(name), reason } });
    expect(readdirSync(folder).sort()).toEqual(["folder", "link", "socket"]);
    await new Promise((done) => server.close(done));
  });

  it("a pipe and a device are written into and stay what they are, beside a file that is replaced", async () => {
    execFileSync("mkfifo", [at("fifo")]);
    symlinkSync("fifo", at("link"));
    const reader = readFile(at("fifo"), "utf8");
    expect(await writeFiles([{ path: at("link"), text: "into the pipe" }, { path: at("a.txt"), text: "a" }, { path: "/dev/null", bytes: new Uint8Array(9) }])()).toMatchObject({ _tag: "Right" });
    expect([await reader, readFileSync(at("a.txt"), "utf8")]).toEqual(["into the pipe", "a"]);
    expect([lstatSync(at("fifo")).isFIFO(), lstatSync(at("link")).isSymbolicLink(), lstatSync("/dev/null").isCharacterDevice(), readdirSync(folder).sort()]).toEqual([true, true, true, ["a.txt", "fifo", "link"]]);
  });

  it("what stands open is written on from where it is, also when a link leads there", async () => {
    const file = openSync(at("open.txt"), "w");
    writeSync(file, "before, ");
    symlinkSync(`/proc/self/fd/${file}`, at("link"));
    expect(await writeFiles([{ path: `/dev/fd/${file}`, text: "first, " }, { path: at("link"), text: "second" }])()).toMatchObject({ _tag: "Right" });
    writeSync(file, ", after");
    closeSync(file);
    expect(readFileSync(at("open.txt"), "utf8")).toBe("before, first, second, after");
    expect(await writeFiles([{ path: `/dev/fd/${file}`, text: "x" }])()).toEqual({ _tag: "Left", left: { _tag: "Disk", path: `/dev/fd/${file}`, reason: "is not open for writing" } });
  });

  it("nothing is renamed when a pipe takes nothing", async () => {
    execFileSync("mkfifo", [at("fifo")]);
    const steps: WriteSteps = { ...(await real()), writeInto: () => Promise.reject(Object.assign(new Error("x"), { code: "EACCES" })) };
    expect(await writeFilesWith(steps)([{ path: at("a.txt"), text: "a" }, { path: at("fifo"), text: "b" }])()).toEqual({ _tag: "Left", left: { _tag: "Disk", path: at("fifo"), reason: "permission denied" } });
    expect(readdirSync(folder)).toEqual(["fifo"]);
  });

  it("writes to where a link leads, also when nothing is there yet, and the link stays", async () => {
    mkdirSync(at("far"));
    writeFileSync(at("far", "a.txt"), "old");
    symlinkSync("far/a.txt", at("a"));
    symlinkSync("a", at("again"));
    symlinkSync("far/b.txt", at("b"));
    expect(await writeFiles([{ path: at("again"), text: "new" }, { path: at("b"), text: "b" }])()).toMatchObject({ _tag: "Right" });
    expect([readFileSync(at("far", "a.txt"), "utf8"), readFileSync(at("far", "b.txt"), "utf8")]).toEqual(["new", "b"]);
    expect(["a", "again", "b"].map((name) => lstatSync(at(name)).isSymbolicLink())).toEqual([true, true, true]);
    expect(readdirSync(at("far")).sort()).toEqual(["a.txt", "b.txt"]);
  });

  it("folders are made one at a time, and where none can be made that is a disk fault", async () => {
    const asked: Array<string> = [];
    const steps: WriteSteps = { ...(await real()), makeFolder: (path) => {
      asked.push(path);
      return Promise.reject(Object.assign(new Error("x"), { code: "ENOENT" }));
    } };
    expect(await writeFilesWith(steps)([{ path: at("x", "y", "a.txt"), text: "a" }])()).toEqual({ _tag: "Left", left: { _tag: "Disk", path: at("x", "y", "a.txt"), reason: "nothing can be made there" } });
    expect(asked).toEqual([at("x")]);
  });

  it("a folder that someone else makes meanwhile is used, and stays when the write then fails", async () => {
    const good = await real();
    const steps: WriteSteps = { ...good, makeFolder: async (path) => {
      if (path === at("x")) mkdirSync(path);
      await good.makeFolder(path);
    }, rename: () => { throw Object.assign(new Error("x"), { code: "EROFS" }); } };
    expect(await writeFilesWith(steps)([{ path: at("x", "y", "z", "a.txt"), text: "a" }])()).toMatchObject({ left: { reason: "the disk is read-only" } });
    expect([readdirSync(folder), readdirSync(at("x"))]).toEqual([["x"], []]);
  });

  it("folders made for a write that fails are removed, others and what is in them are not", async () => {
    mkdirSync(at("old"));
    const good = await real();
    const steps: WriteSteps = { ...good, rename: (from, to) => {
      if (to.endsWith("b.txt")) throw Object.assign(new Error("x"), { code: "ENOSPC" });
      good.rename(from, to);
    } };
    expect(await writeFilesWith(steps)([{ path: at("kept", "a.txt"), text: "a" }, { path: at("old", "new", "er", "b.txt"), text: "b" }])()).toMatchObject({ left: { path: at("old", "new", "er", "b.txt"), reason: "the disk is full" } });
    expect([existsSync(at("kept", "a.txt")), readdirSync(at("old"))]).toEqual([true, []]);
  });

  it("an interrupt while writing removes what is unfinished, and no handler stays behind", async () => {
    const good = await real();
    const before = process.listenerCount("SIGINT");
    let during = 0;
    let left: ReadonlyArray<string> = ["?"];
    const steps: WriteSteps = { ...good, writeContent: async (path, text) => {
      await good.writeContent(path, text);
      during = process.listenerCount("SIGINT");
      // What the handler does first; the signal itself would end the test run.
      const kill = process.kill;
      process.kill = () => true;
      (process.listeners("SIGINT").at(-1) as () => void)();
      process.kill = kill;
      left = readdirSync(folder);
    } };
    await writeFilesWith(steps)([{ path: at("a.txt"), text: "new" }])();
    expect([during, left, process.listenerCount("SIGINT")]).toEqual([before + 1, [], before]);
  });
});

describe("reading files", () => {
  it("a file that is not there is the user's mistake when named, and nothing when looked for", async () => {
    expect(await readJson(at("x.json"))()).toMatchObject({ left: { _tag: "BadInput", where: at("x.json") } });
    expect(await readStored(at("x.json"))()).toEqual({ _tag: "Right", right: null });
  });

  it("a folder in the place of a file is the user's mistake when named, and a fault of the disk when looked for", async () => {
    expect(await readJson(folder)()).toEqual({ _tag: "Left", left: { _tag: "BadInput", where: folder, mistakes: [{ path: "(whole)", message: "is a folder, not a file" }] } });
    expect(await readStored(folder)()).toEqual({ _tag: "Left", left: { _tag: "Disk", path: folder, reason: "is a folder, not a file" } });
  });

  it("what cannot be reached at all is a fault of the disk in both", async () => {
    symlinkSync("loop", at("loop"));
    for (const read of [readJson, readStored]) expect(await read(at("loop"))()).toMatchObject({ _tag: "Left", left: { _tag: "Disk", path: at("loop") } });
  });
});
