/** The server of neuronlab view, over real sockets, and the program around it. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { E, TE } from "../../sim/base/fp.js";
import { disk } from "../../sim/base/errors.js";
import { serve } from "../../cli/node/serve.js";
import { viewProgram } from "../../cli/programs/view.js";
import type { Asking, Mount } from "../../cli/program.js";
import { execute } from "../../cli/run.js";
import { commandNamed, fake, given } from "../fakes/capabilities.js";

const folder = mkdtempSync(join(tmpdir(), "neuronlab-view-"));
const put = (path: string, text: string): void => {
  mkdirSync(join(folder, path, ".."), { recursive: true });
  writeFileSync(join(folder, path), text);
};
const mounts: ReadonlyArray<Mount> = [
  { path: "/results/", folders: [{ name: "yours", folder: join(folder, "mine") }, { name: "site", folder: join(folder, "site/results") }] },
  { path: "/", folders: [{ name: "site", folder: join(folder, "site") }] },
];
beforeAll(() => {
  put("site/index.html", "<p>start</p>");
  put("site/results/a.json", "theirs a");
  put("site/results/b c.json", "theirs b");
  put("mine/a.json", "mine a");
  put("mine/runs/one.json", "mine one");
  put("secret.txt", "secret");
  symlinkSync(join(folder, "secret.txt"), join(folder, "mine/out.json"));
  symlinkSync(join(folder, "mine/a.json"), join(folder, "mine/within.json"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ended: Array<AbortController> = [];
afterEach(() => ended.splice(0).forEach((one) => one.abort()));
const started = async (port = 0): Promise<string> => {
  const serving = await serve(mounts, port)();
  if (E.isLeft(serving)) throw new Error(JSON.stringify(serving.left));
  const end = new AbortController();
  ended.push(end);
  void serving.right.until(end.signal)();
  return serving.right.url;
};

interface Got { readonly status: number; readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>; readonly text: string }
/** Paths as they are typed: fetch would tidy them. */
const get = (url: string, path: string, options: { readonly method?: string; readonly host?: string } = {}): Promise<Got> =>
  new Promise((done, fail) => {
    const { port } = new URL(url);
    const asked = request({ host: "127.0.0.1", port, path, method: options.method ?? "GET", headers: options.host === undefined ? {} : { host: options.host } }, (answer) => {
      let text = "";
      answer.on("data", (chunk: Buffer) => (text += chunk.toString()));
      answer.on("end", () => done({ status: answer.statusCode!, headers: answer.headers, text }));
    });
    asked.on("error", fail);
    asked.end();
  });

describe("what is served", () => {
  it("is the site, and the user's results over those that came along, each with where it is from", async () => {
    const url = await started();
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
    expect(await get(url, "/")).toMatchObject({ status: 200, text: "<p>start</p>", headers: { "content-type": "text/html; charset=utf-8", "x-content-type-options": "nosniff", "cache-control": "no-store" } });
    expect(await get(url, "/results/a.json")).toMatchObject({ status: 200, text: "mine a", headers: { "x-neuronlab-from": "yours" } });
    expect(await get(url, "/results/b%20c.json?x=1")).toMatchObject({ status: 200, text: "theirs b", headers: { "x-neuronlab-from": "site" } });
    expect(await get(url, "/results/within.json")).toMatchObject({ status: 200, text: "mine a" });
    expect(await get(url, "/results/a.json", { method: "HEAD" })).toMatchObject({ status: 200, text: "" });
  });

  it("is listed, each path once", async () => {
    const { text } = await get(await started(), "/results/index.json");
    expect((JSON.parse(text) as { files: ReadonlyArray<unknown> }).files).toEqual([{ path: "a.json", from: "yours" }, { path: "b c.json", from: "site" }, { path: "runs/one.json", from: "yours" }]);
  });

  it("is nothing outside the folders, by no way of writing it", async () => {
    const url = await started();
    for (const path of ["/../secret.txt", "/results/../../secret.txt", "/results/%2e%2e/%2e%2e/secret.txt", "/results/..%2f..%2fsecret.txt", "/results/out.json", "//etc/passwd", "/results//etc/passwd", "/results/runs", "/results/runs/", "/none", "/results/a.json/x", "/%00", "/%zz"]) {
      const got = await get(url, path);
      expect([400, 404], path).toContain(got.status);
      expect(got.text).not.toContain("secret\n");
      expect(got.text).not.toBe("secret");
    }
  });

  it("is for this machine, by its own name, and for reading only", async () => {
    const url = await started();
    const { port } = new URL(url);
    expect((await get(url, "/", { host: `localhost:${port}` })).status).toBe(200);
    for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1", `127.0.0.1.evil.example:${port}`]) expect((await get(url, "/", { host })).status, host).toBe(403);
    for (const method of ["POST", "PUT", "DELETE"]) expect((await get(url, "/", { method })).status).toBe(405);
  });

  it("answers that are made on demand are for this machine too, and what cannot be made is told", async () => {
    const serving = await serve([{ path: "/sweeps/", json: (rest) => (rest === "a.json" ? TE.right({ a: "<b>" }) : rest === "broken.json" ? TE.left(disk("x", "is in use")) : TE.right(null)) }, ...mounts], 0)();
    if (E.isLeft(serving)) throw new Error("x");
    const end = new AbortController();
    ended.push(end);
    void serving.right.until(end.signal)();
    const { url } = serving.right;
    expect(await get(url, "/sweeps/a.json")).toMatchObject({ status: 200, text: '{"a":"<b>"}', headers: { "content-type": "application/json; charset=utf-8", "x-content-type-options": "nosniff", "cache-control": "no-store" } });
    expect(await get(url, "/sweeps/a.json", { method: "HEAD" })).toMatchObject({ status: 200, text: "" });
    expect(await get(url, "/sweeps/broken.json")).toMatchObject({ status: 503, text: "x: is in use\n" });
    expect((await get(url, "/sweeps/none.json")).status).toBe(404);
    expect((await get(url, "/sweeps/a.json", { host: "evil.example" })).status).toBe(403);
    expect((await get(url, "/sweeps/a.json", { method: "POST" })).status).toBe(405);
  });

  it("ends when it is asked to", async () => {
    const url = await started();
    ended[0]!.abort();
    await expect.poll(() => get(url, "/").then(() => "answers", () => "silent")).toBe("silent");
  });

  it("a port that is in use and a folder that is absent are told", async () => {
    const port = Number(new URL(await started()).port);
    expect(await serve(mounts, port)()).toMatchObject({ left: { _tag: "BadInput", mistakes: [{ path: "--port", message: `${port} is in use; name another, or leave it out for one that is free` }] } });
    const named: ReadonlyArray<Mount> = [{ path: "/results/", folders: [{ name: "yours", folder: join(folder, "nowhere"), must: "--results" }] }];
    expect(await serve(named, 0)()).toMatchObject({ left: { _tag: "BadInput", mistakes: [{ path: "--results", message: `there is no folder ${join(folder, "nowhere")}` }] } });
  });
});

describe("neuronlab view", () => {
  const run = async (named: Readonly<Record<string, unknown>>, built: boolean) => {
    const f = fake();
    const asked: Array<readonly [ReadonlyArray<Mount>, number]> = [];
    const capabilities = {
      ...f.capabilities,
      readStored: () => TE.right(built ? "<p>start</p>" : null),
      serve: (served: ReadonlyArray<Mount | Asking>, port: number) => {
        asked.push([served.filter((one) => "folders" in one), port]);
        return TE.right({ url: "http://127.0.0.1:4/", until: () => TE.right(undefined) });
      },
    };
    return { code: await execute(viewProgram(commandNamed("view"))(given(named)), capabilities), stdout: f.stdout(), stderr: f.stderr(), asked };
  };

  it("prints the address, and serves until it is ended", async () => {
    const { code, stdout, asked } = await run({ port: "4", results: "mine" }, true);
    expect([code, stdout]).toEqual([0, "http://127.0.0.1:4/   (Ctrl-C ends it)\n"]);
    expect(asked[0]![1]).toBe(4);
    expect(asked[0]![0][0]!.folders[0]).toEqual({ name: "yours", folder: "mine", must: "--results" });
    expect(JSON.parse((await run({ format: "json" }, true)).stdout)).toEqual({ schema: "neuronlab/view@1", url: "http://127.0.0.1:4/" });
  });

  it("takes any free port and results/ without a word, which need not be there", async () => {
    const { asked } = await run({}, true);
    expect(asked[0]![1]).toBe(0);
    expect(asked[0]![0][0]!.folders[0]).toEqual({ name: "yours", folder: "results" });
  });

  it("says what builds the site where it is not built", async () => {
    expect(await run({}, false)).toMatchObject({ code: 3, stdout: "", asked: [] });
    expect((await run({}, false)).stderr).toContain("npm run site");
    expect((await run({ port: "70000" }, true)).code).toBe(2);
  });
});
