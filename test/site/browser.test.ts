/** The built site in a real browser: no page says an error, none asks for anything beyond this machine, and a slider finds what the command line finds. */
import { execFile } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { chromium, type Browser, type Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { E } from "../../sim/base/fp.js";
import { serve } from "../../cli/node/serve.js";
import { SIDEWAYS } from "../../site/figure-frame.js";
import { PAGES } from "../../site/pages.js";
import { middleToken } from "../../site/token.js";
import { FLAGS, chromiumPath } from "./chromium.js";
import { elsewhere, opened, type How, type Opened } from "./opened.js";

const program = existsSync("dist/cli/main.js");
const reason = chromiumPath === null ? " (SKIPPED: no Chromium here; apt-get install chromium)" : !program ? " (SKIPPED: dist/ is absent; run npm run build)" : "";
const folder = mkdtempSync(join(tmpdir(), "neuronlab-site-"));
/** Kept for a look; git ignores it. */
const PICTURES = resolve("results/scratch/site");
const BIN = resolve("bin/neuronlab.js");

const printed = async (...args: ReadonlyArray<string>): Promise<unknown> =>
  JSON.parse(await new Promise<string>((done, fail) => execFile(process.execPath, [BIN, ...args, "--format", "json"], { cwd: folder, maxBuffer: 1 << 26 }, (error, stdout) => (error === null ? done(stdout) : fail(error))))) as unknown;

describe.skipIf(reason !== "")(`the site in Chromium${reason}`, () => {
  let browser: Browser;
  let url = "";
  const ended = new AbortController();
  let closed: Promise<unknown> = Promise.resolve();

  beforeAll(async () => {
    const site = join(folder, "site");
    await build({ configFile: resolve("site/build/vite.config.ts"), logLevel: "silent", build: { outDir: site } });
    // The user's own results: one figure that is theirs, a comparison, and one file that is broken.
    const mine = join(folder, "mine");
    for (const [path, text] of [["paper/t1/points.json", JSON.stringify({ points: [], curves: [], claims: [] })], ["paper/t4/points.json", "{"], ["host/llama.cpp/one/memory.svg", '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="100"><script>document.title="run"</script></svg>']] as const) {
      mkdirSync(join(mine, path, ".."), { recursive: true });
      writeFileSync(join(mine, path), text);
    }
    // Nothing but what the build made.
    const bare = join(folder, "bare/site");
    mkdirSync(bare, { recursive: true });
    copyFileSync(join(site, "results/site/token.json"), join(bare, "token.json"));
    const serving = await serve([{ path: "/bare/results/", folders: [{ name: "site", folder: join(folder, "bare") }] }, { path: "/bare/", folders: [{ name: "site", folder: site }] }, { path: "/mine/results/", folders: [{ name: "yours", folder: mine }, { name: "site", folder: join(site, "results") }] }, { path: "/mine/", folders: [{ name: "site", folder: site }] }, { path: "/", folders: [{ name: "site", folder: site }] }], 0)();
    if (E.isLeft(serving)) throw new Error(JSON.stringify(serving.left));
    url = serving.right.url;
    closed = serving.right.until(ended.signal)();
    browser = await chromium.launch({ executablePath: chromiumPath!, args: FLAGS });
    mkdirSync(PICTURES, { recursive: true });
  }, 180_000);
  afterAll(async () => {
    await browser?.close();
    ended.abort();
    await closed;
    rmSync(folder, { recursive: true, force: true });
  });

  const open = async (path: string, how: How = {}): Promise<Opened> => {
    const one = await opened(browser, `${url}${path}`, how);
    await one.page.waitForLoadState("networkidle");
    return one;
  };

  interface Shown { readonly title: string; readonly titleFits: boolean; readonly headingInside: boolean; readonly scrolls: boolean; readonly reaches: boolean; readonly says: string }

  /** Of every picture on a page: whether all of it can be seen, and whether somebody who sees a part is told. */
  const picturesOf = (page: Page): Promise<ReadonlyArray<Shown>> =>
    page.evaluate(() => {
      // Only what is laid out is judged: what is folded away has no size.
      const frames = [...document.querySelectorAll<HTMLElement>(".drawn")].filter((drawn) => drawn.clientWidth > 0);
      const isWhole = (one: Element): boolean => one.scrollWidth <= one.clientWidth && one.getBoundingClientRect().right <= document.documentElement.clientWidth;
      return frames.map((drawn): Shown => {
        const figure = drawn.closest("figure")!;
        const hint = figure.querySelector<HTMLElement>(".sideways");
        const scrolls = drawn.scrollWidth - drawn.clientWidth > 1;
        drawn.scrollLeft = 1e6;
        const reaches = !scrolls || (getComputedStyle(drawn).overflowX === "auto" && drawn.scrollLeft + drawn.clientWidth >= drawn.scrollWidth - 1);
        drawn.scrollLeft = 0;
        return {
          title: figure.querySelector(".title")?.textContent ?? "",
          titleFits: [...figure.querySelectorAll(".title, .subtitle, figcaption")].every(isWhole),
          headingInside: drawn.querySelector('.heading, :scope > svg > text[font-size="15"]') !== null,
          scrolls, reaches,
          says: hint !== null && hint.offsetParent !== null && isWhole(hint) ? (hint.textContent ?? "") : "",
        };
      });
    });

  it.each(PAGES.map(({ file }) => file))("%s opens without an error, asks nobody else, and fits a desktop, a phone and the dark", async (file) => {
    for (const [name, how] of [["desktop", {}], ["phone", { width: 390 }], ["dark", { dark: true }]] as const) {
      const { page, context, said, asked } = await open(file, how);
      if (file === "phone.html") await page.waitForSelector("#speed[data-exact]");
      expect(said, `${file}, ${name}`).toEqual([]);
      expect(elsewhere(asked, url)).toEqual([]);
      expect(await page.locator(".observablehq--error, .refusal:not(:empty)").count(), `${file}, ${name}`).toBe(0);
      expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), `${file} is wider than a ${name}`).toBe(0);
      for (const shown of await picturesOf(page)) {
        expect(shown, `${file}, ${name}`).toMatchObject({ titleFits: true, headingInside: false, reaches: true, says: shown.scrolls ? SIDEWAYS : "" });
        // At 390 px none of them has the room that its letters need; a desktop has it for all but the widest table.
        expect(shown.scrolls, `${file}, ${name}: ${shown.title}`).toBe(name === "phone");
      }
      // Drawn at the width of its place, outside of such frames.
      expect(await page.evaluate(() => [...document.querySelectorAll("main svg, main img")].filter((one) => one.closest(".drawn") === null && one.getBoundingClientRect().right > document.documentElement.clientWidth + 1).length), `${file}, ${name}`).toBe(0);
      expect(await page.evaluate(() => [...document.querySelectorAll("input, select")].filter((control) => (control as HTMLInputElement).labels?.length !== 1 && !control.hasAttribute("aria-label")).length)).toBe(0);
      await page.screenshot({ path: join(PICTURES, `${file.replace(".html", "")}-${name}.png`), fullPage: true });
      await context.close();
    }
  }, 600_000);

  const speedOf = async (page: Page, state: string): Promise<number> => {
    await page.waitForFunction((wanted) => document.documentElement.dataset["state"] === wanted && document.querySelector<HTMLElement>("#speed")?.dataset["exact"] !== undefined, state);
    return Number(await page.locator("#speed").getAttribute("data-exact"));
  };

  it("begins with what neuronlab simulate prints, and a slider leads to what it prints for that memory", async () => {
    const { page, context, said, asked } = await open("phone.html");
    const begin = await speedOf(page, "");
    expect(await page.locator("#command").textContent()).toBe("neuronlab simulate --tokens 32");
    expect(begin).toBe(((await printed("simulate", "--tokens", "32")) as { tokensPerSec: number }).tokensPerSec);
    // From the keyboard: twelve steps of a quarter of a GiB to the left.
    await page.locator("#memory").focus();
    for (let i = 0; i < 12; i++) await page.keyboard.press("ArrowLeft");
    const less = await speedOf(page, "memory=16");
    const words = (await page.locator("#command").textContent())!.split(" ").slice(1);
    expect(words).toEqual(["simulate", "--memory", "16GiB", "--tokens", "32"]);
    expect(less).toBe(((await printed(...words)) as { tokensPerSec: number }).tokensPerSec);
    expect(less).toBeLessThan(begin);
    expect(await page.locator("#memory").getAttribute("aria-valuetext")).toBe("16 GiB");
    expect([said, elsewhere(asked, url)]).toEqual([[], []]);
    await context.close();
  }, 600_000);

  it("a state of every slider lies in the address, and its file gives neuronlab sweep the same speed, its plan simulate --plan", async () => {
    const state = "device=oneplus-13&model=bamboo-7b&memory=3&hot=0.6&cluster=256&depth=8&lanes=2&active=1.5&flash=2";
    const { page, context } = await open(`phone.html#${state}`);
    const speed = await speedOf(page, state);
    expect(await page.locator("#command").textContent()).toBe("neuronlab sweep phone.json");
    const saved = async (name: string): Promise<void> => {
      const [file] = await Promise.all([page.waitForEvent("download"), page.locator(`a[download="${name}"]`).click()]);
      await file.saveAs(join(folder, name));
    };
    await saved("phone.json");
    const swept = (await printed("sweep", "phone.json", "--store", "none.duckdb")) as { readonly points: ReadonlyArray<{ readonly metrics: { readonly tokensPerSec: { readonly mean: number } } }> };
    expect(swept.points.map(({ metrics }) => metrics.tokensPerSec.mean)).toEqual([speed]);
    await page.locator('.slider:has(#active) .own').click();
    await page.locator('.slider:has(#flash) .own').click();
    const plain = await speedOf(page, state.replace("&active=1.5&flash=2", ""));
    await saved("plan.json");
    expect(((await printed("simulate", "--plan", "plan.json", "--tokens", "32")) as { tokensPerSec: number }).tokensPerSec).toBe(plain);
    await context.close();
  }, 600_000);

  it("an answer of no is told in words, and an address from elsewhere that says nonsense too", async () => {
    const { page, context, said } = await open("phone.html#memory=1&device=nokia&colour=red");
    await page.waitForFunction(() => document.querySelector("#refusal")?.textContent !== "");
    expect(await page.locator("#refusal").textContent()).toMatch(/does not fit/);
    expect(await page.locator(".phone > .refusal").textContent()).toMatch(/^Left out of the address: device=nokia: known are .*; colour=red: the page knows /);
    expect(said).toEqual([]);
    await context.close();
  });

  it.each(["bamboo-7b", "turbosparse-mixtral-47b"])("%s: redraws at every change and says how long it took", async (model) => {
    const state = model === "turbosparse-mixtral-47b" ? "memory=13" : `model=${model}&memory=3`;
    const { page, context } = await open(`phone.html#${state}`);
    await speedOf(page, state);
    await page.locator("#depth").focus();
    const times: Array<number> = [];
    for (let i = 0; i < 36; i++) {
      await page.keyboard.press(i % 8 < 4 ? "ArrowLeft" : "ArrowRight");
      await page.waitForTimeout(30);
      times.push(Number(await page.evaluate(() => document.documentElement.dataset["redrawnMs"])));
    }
    const sorted = times.sort((a, b) => a - b);
    console.log(`      a change of a slider, ${model} at cluster fidelity: best ${sorted[0]!.toFixed(0)} ms, median ${sorted[18]!.toFixed(0)} ms, worst ${sorted[35]!.toFixed(0)} ms`);
    // How long it takes is told and not asserted: docs/site.md has it of a quiet machine.
    expect(times.every((ms) => ms > 0)).toBe(true);
    await context.close();
  });

  it("pictures carry their titles as text, those of sweeps too, and those of one that is not ours stay as they are", async () => {
    const { page, context } = await open("planning.html");
    const titles = await page.locator("figure > .title").allTextContents();
    expect(titles).toEqual(expect.arrayContaining(["Figure 10: Decoding Mixtral-47B by memory", "Decoding speed by what the process may hold"]));
    expect(await page.locator("figure:has(.title) img").evaluateAll((all) => all.filter((one) => !(one as HTMLImageElement).src.startsWith("data:") || (one as HTMLImageElement).naturalHeight === 0).length)).toBe(0);
    await context.close();
  });

  it("shows each comparison with llama.cpp that is kept: ratios in memory, pictures under limits, and what is missing", async () => {
    const kept = readdirSync("results/host/llama.cpp", { recursive: true, encoding: "utf8" });
    const compared = kept.filter((path) => path.endsWith("comparison.json")).map((path) => JSON.parse(readFileSync(join("results/host/llama.cpp", path), "utf8")) as { readonly ratios: ReadonlyArray<{ readonly ratio: number; readonly memory: number | null; readonly labels: ReadonlyArray<string> }>; readonly rows: ReadonlyArray<{ readonly labels?: ReadonlyArray<string> | null }> });
    const ratios = compared.flatMap((one) => one.ratios).filter(({ memory }) => memory === null);
    const { page, context } = await open("llama-cpp.html");
    const host = page.locator("figure:has(figcaption code:text-matches('^results/host/llama.cpp/'))");
    const texts = await host.locator("svg text").allTextContents();
    const drawn = texts.filter((text) => /^\d+\.\d\d$/.test(text));
    // What is not of the same work says so where it is drawn.
    expect(texts.filter((text) => text.includes("predicted neurons only"))).toHaveLength(ratios.filter(({ labels }) => labels.includes("predicted")).length);
    expect(ratios.length).toBeGreaterThan(0);
    expect(drawn.sort()).toEqual(ratios.map(({ ratio }) => ratio.toFixed(2)).sort());
    const pictures = kept.filter((path) => /(^|\/)memory[^/]*\.svg$/.test(path)).length;
    expect([await host.locator("img").count(), await page.locator(".gap").count()]).toEqual([pictures, pictures === 0 ? 1 : 0]);
    // The command that stands below is one that there is.
    const commands = await host.locator(".note code").allTextContents();
    for (const command of commands) expect(command).toMatch(/^neuronlab bench --vs llama\.cpp --model \S+\.gguf( --predictor \S+)?( --pair \S+)? -p \d+ -n \d+ -r \d+ --rounds \d+ --threads \d+$/);
    // What is not lossless says so above its ratios.
    const predicted = compared.filter(({ rows }) => rows.some(({ labels }) => labels?.includes("predicted"))).length;
    expect(predicted).toBeGreaterThan(0);
    expect([commands.filter((command) => command.includes(" --predictor ")).length, (await host.locator("svg").allTextContents()).filter((text) => text.includes("in memory, predicted")).length]).toEqual([predicted, predicted]);
    await context.close();
  });

  it("a token that the build simulated is the one of the command under it", async () => {
    const { page, context } = await open("bare/pipeline.html");
    expect(await page.locator(".gap code").first().textContent()).toBe("npm run timeline");
    const [command] = await page.locator(".note code").allTextContents();
    const words = command!.split(" ").slice(1);
    await printed(...words);
    const spans = (path: string): unknown => middleToken((JSON.parse(readFileSync(path, "utf8")) as { readonly spans: Parameters<typeof middleToken>[0] }).spans);
    expect(spans(join(folder, words.at(-1)!))).toEqual(spans(join(folder, "site/results/site/token.json")));
    await context.close();
  });

  it("a timeline is gone into with keys and buttons", async () => {
    const { page, context } = await open("pipeline.html");
    // Below it another one has a window of its own: what the engine made, and its prediction.
    const first = page.locator(".zoomable").first();
    expect(await page.locator(".zoomable").nth(1).locator("h3").allTextContents()).toEqual([expect.stringMatching(/^Simulator: /), expect.stringMatching(/^Engine, measured: /)]);
    const label = async (): Promise<string | null> => first.locator(".timeline svg").first().getAttribute("aria-label");
    const whole = await label();
    await first.locator(".timeline").focus();
    await page.keyboard.press("+");
    await page.keyboard.press("ArrowRight");
    await expect.poll(label).not.toBe(whole);
    await first.getByRole("button", { name: "show the whole token" }).click();
    await expect.poll(label).toBe(whole);
    // A record of one's own comes below the simulator's, in the same window.
    await printed("simulate", "--model", "bamboo-7b", "--offload", "50%", "--tokens", "2", "--save", "own.json");
    await page.locator("#record").setInputFiles(join(folder, "own.json"));
    await expect.poll(() => first.locator("h3").allTextContents()).toEqual([expect.anything(), expect.stringMatching(/bamboo-7b on oneplus-12 \(own\.json\)$/)]);
    expect(await first.locator(".timeline svg").count()).toBe(2);
    writeFileSync(join(folder, "other.json"), "{}");
    await page.locator("#record").setInputFiles(join(folder, "other.json"));
    await expect.poll(() => page.getByRole("status").textContent()).toBe("other.json is not a run record, as simulate --save and generate --save write it");
    expect(await first.locator(".timeline svg").count()).toBe(2);
    await context.close();
  });

  it("shows the user's results over those that came along, and says so; a broken file is told; a picture's script does not run", async () => {
    const { page, context, said } = await open("mine/why-flash-is-slow.html");
    expect(await page.locator("figcaption code").allTextContents()).toContain("from your results: paper/t1/points.json");
    expect(await page.locator("figcaption code").allTextContents()).toContain("results/paper/f3b/points.json");
    expect(await page.locator(".refusal").allTextContents()).toEqual([expect.stringMatching(/^paper\/t4\/points\.json cannot be read: /)]);
    await context.close();
    const other = await open("mine/llama-cpp.html");
    expect(await other.page.locator("figure img").count()).toBeGreaterThan(0);
    expect(await other.page.title()).toBe("llama.cpp beside it");
    expect([said, other.said]).toEqual([[], []]);
    await other.context.close();
  });
});
