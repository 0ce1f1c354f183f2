/** Sweeps in a real browser: one that runs, redrawn as its runs end, and those of a store, with the numbers of the command line. */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { chromium, type Browser } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { E } from "../../sim/base/fp.js";
import { showNumber } from "../../sim/report/table.js";
import { serve } from "../../cli/node/serve.js";
import { storeAt } from "../../cli/node/store/store.js";
import { servedSweeps } from "../../cli/programs/results/served.js";
import { FLAGS, chromiumPath } from "./chromium.js";
import { elsewhere, opened } from "./opened.js";

const built = existsSync("dist/cli/main.js") && existsSync("dist/site/sweeps.html");
const reason = chromiumPath === null ? " (SKIPPED: no Chromium here; apt-get install chromium)" : !built ? " (SKIPPED: dist/ or dist/site is absent; run npm run build, npm run site)" : "";
const PICTURES = resolve("results/scratch/site");
const BIN = resolve("bin/neuronlab.js");
const NASTY = '<img src=x onerror="document.title=1">';

/** So many tokens that a running sweep lasts longer than it takes a browser to open its page. */
const TOKENS = 600;
const ANALYTIC = { schema: "neuronlab/sweep@1", id: "depths", title: `Depths ${NASTY}`, base: { model: "bamboo-7b", offload: "50%", tokens: TOKENS }, axes: [{ name: "depth", over: "plan.pipeline.depth", values: [1, 2, 4, 8] }, { name: "memory", over: "device.cpu.barrier", as: "factor", values: [0.5, 1, 2] }], picture: { kind: "lines", title: `Speed by depth ${NASTY}`, x: "depth", y: "tokensPerSec", series: "memory" } };
const DESIGNED = { ...ANALYTIC, id: "worth", title: "What matters", base: { ...ANALYTIC.base, fidelity: "analytic" }, axes: [{ sensitivity: "morris", trajectories: 4, axes: [{ over: "device.flash.latency", as: "factor", range: { from: 0.5, to: 2 } }, { over: "device.npu.launch", as: "factor", range: { from: 0.5, to: 2 } }, { over: "device.cpu.barrier", as: "factor", range: { from: 0.5, to: 2 } }] }], picture: { kind: "indices", title: "What matters", metric: "tokensPerSec" } };
const REFUSED = { ...ANALYTIC, id: "refused", title: "Some that do not fit", base: { ...ANALYTIC.base, offload: undefined, fidelity: "analytic" }, axes: [{ over: "memory", values: ["100MB", "4GiB"] }], picture: undefined };

describe.skipIf(reason !== "")(`sweeps in Chromium${reason}`, () => {
  const folder = mkdtempSync(join(tmpdir(), "neuronlab-sweeps-"));
  let browser: Browser;
  let site = "";
  const ended = new AbortController();
  const closing: Array<Promise<unknown>> = [];

  const printed = async (...args: ReadonlyArray<string>): Promise<unknown> =>
    JSON.parse(await new Promise<string>((done, fail) => execFile(process.execPath, [BIN, ...args, "--format", "json"], { cwd: folder, maxBuffer: 1 << 26 }, (error, stdout) => (error === null ? done(stdout) : fail(error))))) as unknown;

  beforeAll(async () => {
    site = join(folder, "site");
    await build({ configFile: resolve("site/build/vite.config.ts"), logLevel: "silent", build: { outDir: site } });
    for (const one of [ANALYTIC, DESIGNED, REFUSED]) writeFileSync(join(folder, `${one.id}.json`), JSON.stringify(one));
    browser = await chromium.launch({ executablePath: chromiumPath!, args: FLAGS });
    mkdirSync(PICTURES, { recursive: true });
  }, 180_000);
  afterAll(async () => {
    await browser?.close();
    ended.abort();
    await Promise.all(closing);
    rmSync(folder, { recursive: true, force: true });
  });

  const shown = async (store = "a.duckdb"): Promise<string> => {
    const serving = await serve([servedSweeps(storeAt(join(folder, store))), { path: "/", folders: [{ name: "site", folder: site }] }], 0)();
    if (E.isLeft(serving)) throw new Error(JSON.stringify(serving.left));
    closing.push(serving.right.until(ended.signal)());
    return serving.right.url;
  };

  it("a running one is drawn anew as its runs end, says how long it takes, and keeps its end", async () => {
    const child: ChildProcess = spawn(process.execPath, [BIN, "sweep", "depths.json", "--store", "a.duckdb", "--workers", "1", "--live"], { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
    const left = new Promise<number | null>((done) => child.once("exit", done));
    let told = "";
    const address = await new Promise<string>((done, fail) => {
      child.stderr!.on("data", (chunk: Buffer) => {
        told += chunk.toString();
        const found = /live: (http:\S+)/.exec(told);
        if (found !== null) done(found[1]!);
      });
      child.once("exit", () => fail(new Error(told)));
    });
    const { page, context, said, asked } = await opened(browser, address);
    const version = (): Promise<number> => page.locator(".live").getAttribute("data-version").then(Number);
    const versions = new Set<number>();
    while ((await page.locator(".live").getAttribute("data-ended")) !== "true") {
      versions.add(await version());
      if (versions.size === 3) await page.screenshot({ path: join(PICTURES, "sweep-running.png"), fullPage: true });
      await page.waitForTimeout(40);
    }
    expect(versions.size).toBeGreaterThan(2);
    expect(await left).toBe(0);
    expect(await page.locator(".progress").first().textContent()).toMatch(/^12 of 12 runs; ended after \d+ s$/);
    expect(await page.locator(".points tbody tr").count()).toBe(12);
    expect(await page.locator(".live figure svg circle").count()).toBeGreaterThanOrEqual(12);
    // What a declaration calls itself is text.
    expect(await page.locator(".live h2").textContent()).toBe(ANALYTIC.title);
    expect(await page.locator("img[src=x]").count()).toBe(0);
    expect(said).toEqual([]);
    expect(elsewhere(asked, address)).toEqual([]);
    await context.close();
  }, 300_000);

  it("one of a store that lacks runs is looked at again while it is open, and no more once it has them all", async () => {
    // Half of the runs, and nobody at work: where there is no Slurm, a job array is worked off by hand.
    const bare = join(folder, "bin");
    mkdirSync(bare);
    const call = (...words: ReadonlyArray<string>): Promise<void> => new Promise((done, fail) => execFile(process.execPath, [BIN, ...words], { cwd: folder, env: { ...process.env, PATH: bare } }, (error) => (error === null ? done() : fail(error))));
    const array = (): Promise<void> => call("sweep", "depths.json", "--store", "halves.duckdb", "--executor", "slurm", "--tasks", "2");
    await array();
    const slurm = join(folder, "halves.duckdb.slurm");
    const jobs = join(slurm, readdirSync(slurm)[0]!, "batch-1");
    const half = async (task: number): Promise<void> => {
      await call("worker", "--jobs", jobs, "--task", String(task), "--workers", "1");
      await array();
    };
    await half(0);
    const url = await shown("halves.duckdb");
    const { page, context, said, asked } = await opened(browser, `${url}sweeps.html`);
    const sweep = page.locator("details.sweep");
    const progress = sweep.locator("p.progress");
    await sweep.locator("summary").click();
    await page.waitForSelector("details.sweep[data-shown]");
    expect(await progress.textContent()).toBe("6 of 12 runs; not finished, looked at again every 3 s");
    expect(await sweep.locator("summary").textContent()).toMatch(/\(6 runs, 6 done; /);
    expect(await sweep.locator("progress").evaluate((bar: HTMLProgressElement) => bar.value / bar.max)).toBe(0.5);
    const speeds = async (): Promise<number> => (await sweep.locator(".points tbody td.number").allTextContents()).filter((text) => text !== "-").length;
    const before = await speeds();
    await half(1);
    await page.waitForSelector('details.sweep[data-ended="true"]');
    expect([before, await speeds()]).toEqual([6, 12]);
    expect(await sweep.locator("summary").textContent()).toMatch(/\(12 runs, 12 done; /);
    expect([await progress.isVisible(), await sweep.locator("progress").isVisible()]).toEqual([false, false]);
    const often = asked.length;
    await page.waitForTimeout(4000);
    expect(asked.length).toBe(often);
    expect([said, elsewhere(asked, url)]).toEqual([[], []]);
    await context.close();
  }, 300_000);

  it("those of a store are listed, and each has the numbers that results show prints, in the light, the dark and on a phone", async () => {
    for (const one of [ANALYTIC, DESIGNED, REFUSED]) await printed("sweep", `${one.id}.json`, "--store", "a.duckdb");
    const told = new Map<string, unknown>();
    for (const id of ["depths", "worth", "refused"]) told.set(id, await printed("results", "show", id, "--store", "a.duckdb"));
    const url = await shown();
    for (const [name, how] of [["desktop", {}], ["phone", { width: 390 }], ["dark", { dark: true }]] as const) {
      const { page, context, said, asked } = await opened(browser, `${url}sweeps.html`, how);
      await page.waitForSelector("details.sweep");
      expect(await page.locator("details.sweep > summary strong").allTextContents()).toEqual(["refused", "worth", "depths"]);
      // By keys alone.
      for (const summary of await page.locator("details.sweep > summary").all()) {
        await summary.focus();
        await page.keyboard.press("Enter");
      }
      await page.waitForFunction(() => document.querySelectorAll("details.sweep[data-shown]").length === 3);
      for (const id of ["depths", "worth", "refused"]) {
        const { points } = told.get(id) as { readonly points: ReadonlyArray<{ readonly metrics: { readonly tokensPerSec: number | null } }> };
        const cells = await page.locator("details.sweep").filter({ has: page.locator("summary strong", { hasText: new RegExp(`^${id}$`) }) }).locator(".points tbody tr td.number").allTextContents();
        expect(cells, id).toEqual(points.map(({ metrics }) => (metrics.tokensPerSec === null ? "-" : showNumber(metrics.tokensPerSec))));
      }
      const { sensitivity } = told.get("worth") as { readonly sensitivity: ReadonlyArray<{ readonly axes: ReadonlyArray<{ readonly muStar: number }> }> };
      const effects = await page.locator("section", { has: page.locator("h3", { hasText: "elementary effects" }) }).locator("tbody tr td:nth-child(2)").allTextContents();
      expect(effects).toEqual(sensitivity[0]!.axes.map(({ muStar }) => showNumber(muStar)));
      expect(await page.locator(".failures li").textContent()).toMatch(/^refused: memory 100MB: /);
      expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), `wider than a ${name}`).toBe(0);
      await page.screenshot({ path: join(PICTURES, `sweeps-store-${name}.png`), fullPage: true });
      expect([said, elsewhere(asked, url)]).toEqual([[], []]);
      await context.close();
    }
  }, 300_000);
});
