/** What a run looks like on the page: speed, limit, where time and memory go, which neurons are at hand. */
import { ACTIVITY_COLOURS } from "../../experiments/plots/activities.js";
import { drawCacheHeat } from "../../experiments/plots/cache-heat.js";
import { drawShares, type Share } from "../../experiments/plots/shares.js";
import { showBytes } from "../../sim/base/units.js";
import { residentBytes } from "../../sim/domain/plan.js";
import type { SimulatedRun } from "../../sim/domain/run.js";
import { memoryByPart } from "../../sim/report/describe-run.js";
import { showNumber, showShare } from "../../sim/report/table.js";
import { make } from "../dom.js";
import { MEMORY_COLOURS } from "../memory.js";
import { atItsWidth } from "../width.js";
import type { Outcome } from "./run.js";

const timeParts = (record: SimulatedRun): ReadonlyArray<Share> => {
  const total = record.breakdown.reduce((sum, { nsPerToken }) => sum + nsPerToken, 0);
  return record.breakdown
    .filter(({ nsPerToken }) => nsPerToken > 0)
    .sort((a, b) => b.nsPerToken - a.nsPerToken)
    .map(({ activity, nsPerToken }) => ({ name: activity, value: nsPerToken, label: `${(nsPerToken / 1e6).toFixed(total < 1e7 ? 3 : 2)} ms`, colour: ACTIVITY_COLOURS[activity] }));
};

const memoryParts = (record: SimulatedRun): ReadonlyArray<Share> => {
  const unused = record.plan.memory - residentBytes(record.plan);
  return [...memoryByPart(record), ...(unused > record.plan.memory / 1000 ? [{ part: "unused", bytes: unused }] : [])]
    .filter(({ bytes }) => bytes > 0)
    .map(({ part, bytes }) => ({ name: part, value: bytes, label: showBytes(bytes), colour: MEMORY_COLOURS[part] ?? "#888888" }));
};

const fact = (name: string, value: string): HTMLElement => make("div", {}, make("dt", {}, name), make("dd", {}, value));

export interface Shown { readonly element: HTMLElement; readonly show: (outcome: Outcome, tookMs: number) => void; readonly refuse: (why: string) => void }

export const shownRun = (): Shown => {
  const speed = make("output", { id: "speed", class: "speed", "aria-live": "polite" });
  const unit = make("span", { class: "unit" }, "tokens/s");
  const limit = make("p", { id: "limit", class: "limit" });
  const refusal = make("p", { id: "refusal", class: "refusal", role: "status" });
  const facts = make("dl", { class: "facts" });
  const took = make("p", { id: "took", class: "took" });
  const [time, memory, heat] = [make("div"), make("div"), make("div")];
  const heatText = make("p", { class: "note" });
  const details = make("div", { class: "details" }, make("h2", {}, "Where a token's time goes"), time, make("h2", {}, "What memory holds"), memory, make("h2", {}, "Which neurons are in memory"), heat, heatText);
  let last: Outcome | null = null;
  const drawTime = (width: number): void => time.replaceChildren(...(last === null ? [] : [drawShares(document, { title: "critical path of a token", parts: timeParts(last.record), width })]));
  const drawMemory = (width: number): void => memory.replaceChildren(...(last === null ? [] : [drawShares(document, { title: "memory of the process", parts: memoryParts(last.record), width })]));
  const drawHeat = (width: number): void => heat.replaceChildren(...(last?.heat === null || last === null ? [] : [drawCacheHeat(document, { ...last.heat, width })]));
  let wide = 0;
  const draw = (): void => {
    if (wide === 0) return;
    drawTime(wide);
    drawMemory(wide);
    drawHeat(wide);
  };
  atItsWidth(details, (now) => {
    wide = now;
    draw();
  });
  return {
    element: make("section", { class: "outcome", "aria-label": "what comes of it" }, make("div", { class: "headline" }, make("div", {}, speed, " ", unit), limit, refusal), facts, took, details),
    show: (outcome, tookMs) => {
      const { record } = outcome;
      last = outcome;
      speed.textContent = showNumber(record.tokensPerSec);
      speed.dataset.exact = String(record.tokensPerSec);
      const first = record.limits[0];
      limit.textContent = first === undefined ? "limited by nothing in particular" : `limited by ${record.limits.slice(0, 2).map(({ part, share }) => `${part} (${showShare(share)})`).join(", then ")}`;
      refusal.textContent = "";
      facts.replaceChildren(
        fact("a token", `${showNumber(record.msPerToken.mean)} ms`),
        fact("slowest in 100", `${showNumber(record.msPerToken.p99)} ms`),
        fact("flash", `${showBytes(record.bytesReadPerToken)} a token`),
        fact("cache hits", showShare(record.cacheHitRate)),
        fact("waiting for flash", showShare(record.exposedIoShare)),
        fact("energy", `${showNumber(record.energy.joulesPerToken)} J a token`),
        fact("if all overlapped", `${showNumber(record.bound.upper)} tokens/s`),
      );
      took.textContent = `${record.inputs.tokens} tokens simulated in ${Math.round(tookMs)} ms`;
      took.dataset.ms = String(tookMs);
      heatText.textContent = outcome.heat === null
        ? "This system keeps no neurons by themselves, so there is nothing to show."
        : `Share of a neuron's uses that find it in memory. Left of the dashed line lies the hot segment, ${showShare(outcome.heat.pinned)} of all neurons, which never leaves; right of it, neurons are kept while they are used again soon enough.`;
      details.hidden = false;
      facts.hidden = false;
      draw();
    },
    refuse: (why) => {
      last = null;
      speed.textContent = "–";
      delete speed.dataset.exact;
      limit.textContent = "";
      refusal.textContent = why;
      took.textContent = "";
      facts.hidden = true;
      details.hidden = true;
    },
  };
};
