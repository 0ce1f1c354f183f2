/** Sweeps as pages: one that is running, redrawn as its runs end, or those of the user's store. Numbers and pictures come as the command made them; nothing is computed here. */
import { drawDeclared, type DeclaredFigure } from "../experiments/plots/declared.js";
import { make } from "./dom.js";
import { figureOf, headed } from "./figure-frame.js";
import { svgOf, sweepFigure } from "./figures.js";
import { listed } from "./stored.js";

interface Cells { readonly title: string; readonly columns: ReadonlyArray<{ readonly title: string; readonly number: boolean }>; readonly rows: ReadonlyArray<ReadonlyArray<string>>; readonly more: number; readonly notes: ReadonlyArray<string> }
interface SweepPage {
  readonly id: string; readonly title: string; readonly declared: string; readonly whatIf: ReadonlyArray<string>; readonly counts: ReadonlyArray<string>;
  readonly points: Cells; readonly sections: ReadonlyArray<Cells>; readonly failures: ReadonlyArray<{ readonly at: string; readonly state: string; readonly reason: string }>; readonly figure: DeclaredFigure | null;
}
/** Of a stored one: `wanted` is null before its page was made, `secondsGone` always, and `last` is when its newest run ended. */
interface Progress { readonly version: number | string; readonly ended: boolean; readonly done: number; readonly wanted: number | null; readonly reused: number; readonly failed: number; readonly refused: number; readonly secondsGone: number | null; readonly secondsLeft: number | null; readonly last?: string }
interface List { readonly live: boolean; readonly note: string; readonly sweeps: ReadonlyArray<{ readonly name: string; readonly id: string; readonly title: string; readonly runs: number; readonly done: number; readonly refused: number; readonly failed: number; readonly last: string; readonly declared: string; readonly code: string }> }

const POLL_MS = 500;
/** A store is a file that the sweep wants too. */
const STORED_POLL_MS = 3000;

const fetched = async <A>(path: string): Promise<A> => {
  const answer = await fetch(`./sweeps/${path}`);
  if (!answer.ok) throw new Error((await answer.text()).trim());
  return (await answer.json()) as A;
};
const said = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const tableOf = ({ columns, rows, more }: Cells): HTMLElement =>
  make("div", {},
    make("div", { class: "scrolled", tabindex: 0, role: "group", "aria-label": "table" }, make("table", {},
      make("thead", {}, make("tr", {}, ...columns.map(({ title, number }) => make("th", number ? { class: "number", scope: "col" } : { scope: "col" }, title)))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell, i) => make("td", columns[i]!.number ? { class: "number" } : {}, cell)))))),
    ),
    more > 0 ? make("p", { class: "note" }, `and ${more} more rows in the store`) : null);

/** Drawn by our own functions; names in it are text. */
const pictureOf = (figure: DeclaredFigure): HTMLElement => figureOf({ ...headed(svgOf(drawDeclared(document, figure))), label: figure.title });

const parts = (page: SweepPage): ReadonlyArray<HTMLElement> => [
  ...page.whatIf.map((what) => make("p", { class: "note" }, `what if: ${what}`)),
  make("p", { class: "counts" }, page.counts.join("; ")),
  ...(page.figure === null ? [] : [pictureOf(page.figure)]),
  ...page.sections.map((section) => make("section", {}, make("h3", {}, section.title), tableOf(section), ...section.notes.map((note) => make("p", { class: "note" }, note)))),
  make("section", { class: "points" }, make("h3", {}, "Points"), tableOf(page.points)),
  ...(page.failures.length === 0 ? [] : [make("section", { class: "failures" }, make("h3", {}, "Refused and failed"), make("ul", {}, ...page.failures.map(({ at, state, reason }) => make("li", {}, make("strong", {}, `${state}: `), `${at}: ${reason}`))))]),
];

const showSeconds = (seconds: number): string => (seconds < 90 ? `${seconds.toFixed(0)} s` : seconds < 5400 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3600).toFixed(1)} h`);

const secondsText = ({ ended, secondsGone, secondsLeft }: Progress): string =>
  secondsGone === null ? `not finished, looked at again every ${STORED_POLL_MS / 1000} s`
  : ended ? `ended after ${showSeconds(secondsGone)}` : `${showSeconds(secondsGone)} gone, ${secondsLeft === null ? "no estimate yet" : `about ${showSeconds(secondsLeft)} left`}`;

const progressText = (progress: Progress): string => {
  const { done, wanted, reused, failed, refused } = progress;
  return [
    `${done} of ${wanted ?? "?"} runs${reused > 0 ? `, ${reused} of them known before` : ""}`,
    ...(failed > 0 ? [`${failed} failed`] : []), ...(refused > 0 ? [`${refused} refused`] : []),
    secondsText(progress),
  ].join("; ");
};

/** A bar and a line about how far it is, and below them what is known. */
const shell = () => {
  const bar = make("progress", { "aria-label": "runs made", max: 1, value: 0 });
  const line = make("p", { class: "progress", role: "status" }, "");
  const held = make("div", {});
  const tell = (progress: Progress): void => {
    bar.max = Math.max(1, progress.wanted ?? progress.done);
    bar.value = progress.done;
    line.textContent = progressText(progress);
  };
  return { bar, line, held, tell };
};

/** Whoever reads with keys or scrolls a table keeps the place: only what is under the focus stays until it leaves. */
const redrawn = (held: HTMLElement, page: SweepPage): void => {
  const opened = held.contains(document.activeElement) ? [...held.querySelectorAll("[tabindex]")].indexOf(document.activeElement as Element) : -1;
  const scrolls = [...held.querySelectorAll(".scrolled, .drawn")].map(({ scrollTop, scrollLeft }) => [scrollTop, scrollLeft] as const);
  held.replaceChildren(...parts(page));
  held.querySelectorAll(".scrolled, .drawn").forEach((one, i) => one.scrollTo(scrolls[i]?.[1] ?? 0, scrolls[i]?.[0] ?? 0));
  if (opened >= 0) (held.querySelectorAll("[tabindex]")[opened] as HTMLElement | undefined)?.focus({ preventScroll: true });
};

/** `root` carries what was drawn last: data-version, and data-ended once there is nothing more to come. */
interface Followed {
  readonly root: HTMLElement; readonly progress: string; readonly page: string; readonly everyMs: number;
  readonly isLookedAt: () => boolean; readonly tell: (progress: Progress) => void; readonly draw: (page: SweepPage) => void;
}

/** Asks how far it is, again and again, and for all of it when something has come; until it has ended or nobody looks. */
const follow = async ({ root, progress, page, everyMs, isLookedAt, tell, draw }: Followed): Promise<void> => {
  for (;;) {
    let now = await fetched<Progress>(progress);
    tell(now);
    if (String(now.version) !== root.dataset["version"]) {
      const whole = await fetched<SweepPage & { readonly progress: Progress }>(page);
      draw(whole);
      // Of the same moment as the page.
      now = whole.progress;
      tell(now);
      root.dataset["version"] = String(now.version);
    }
    root.dataset["ended"] = String(now.ended);
    if (now.ended) return;
    await new Promise((done) => setTimeout(done, everyMs));
    if (!isLookedAt()) return;
  }
};

/** Ends with the command. */
const running = (): HTMLElement => {
  const heading = make("h2", {}, "A running sweep");
  const { bar, line, held, tell } = shell();
  const root = make("section", { class: "sweep live", "data-version": -1 }, heading, bar, line, held);
  const draw = (page: SweepPage): void => {
    heading.textContent = page.title;
    redrawn(held, page);
  };
  follow({ root, progress: "progress.json", page: "live.json", everyMs: POLL_MS, isLookedAt: () => true, tell, draw }).catch(() => {
    line.textContent = `${line.textContent ?? ""}; the command has ended or cannot be reached, this is the last that was seen`;
    root.dataset["ended"] = "true";
  });
  return root;
};

type Listed = List["sweeps"][number];

const countsOf = ({ runs, done, refused, failed, last }: Pick<Listed, "runs" | "done" | "refused" | "failed" | "last">): string =>
  `${runs} runs, ${done} done${refused > 0 ? `, ${refused} refused` : ""}${failed > 0 ? `, ${failed} failed` : ""}; ${last.slice(0, 16).replace("T", " ")}`;

/** Asked for when it is opened. One that lacks runs is looked at again as long as it is open: somebody may be making them. */
const storedOne = (one: Listed): HTMLElement => {
  const counts = make("span", {}, countsOf(one));
  const { bar, line, held, tell } = shell();
  [bar.hidden, line.hidden] = [true, true];
  const root = make("details", { class: "sweep", id: `sweep-${one.name}` }, make("summary", {}, make("strong", {}, one.id), `: ${one.title} (`, counts, `; declared ${one.declared}, code ${one.code})`), bar, line, held);
  const shown = (progress: Progress): void => {
    const { done: runs, refused, failed, last = one.last } = progress;
    counts.textContent = countsOf({ runs, done: runs - refused - failed, refused, failed, last });
    tell(progress);
    const isQuiet = progress.ended || progress.wanted === null;
    [bar.hidden, line.hidden] = [isQuiet, isQuiet];
  };
  const draw = (page: SweepPage): void => {
    redrawn(held, page);
    root.dataset["shown"] = "true";
  };
  let asked = false;
  root.addEventListener("toggle", () => {
    if (asked || !root.open || root.dataset["ended"] === "true") return;
    asked = true;
    follow({ root, progress: `${one.name}/progress.json`, page: `${one.name}.json`, everyMs: STORED_POLL_MS, isLookedAt: () => root.open, tell: shown, draw }).catch((error: unknown) => {
      if (root.dataset["shown"] === "true") line.textContent = `cannot be looked at again: ${said(error)}; this is the last that was seen`;
      else held.replaceChildren(make("p", { class: "refusal" }, `cannot be shown: ${said(error)}`));
    }).finally(() => {
      asked = false;
    });
  });
  return root;
};

const storedOnes = ({ sweeps, note }: List): HTMLElement => {
  if (sweeps.length === 0) return make("p", { class: "gap" }, note === "" ? "No sweeps are kept here. " : `${note} `, make("code", {}, "neuronlab sweep FILE"), " makes one; ", make("code", {}, "neuronlab view"), " shows it.");
  return make("div", {}, ...sweeps.map(storedOne));
};

export const sweepsHere = async (): Promise<HTMLElement> => {
  const list = await fetched<List>("index.json");
  return list.live ? running() : storedOnes(list);
};

/** Pictures of sweeps that lie as files: those that came along, or the user's own. */
export const keptPictures = async (): Promise<HTMLElement> => {
  const ids = (await listed()).flatMap(({ path }) => /^sweeps\/([^/]+)\/figure\.svg$/.exec(path)?.[1] ?? []);
  return make("div", {}, ...(await Promise.all(ids.map((id) => sweepFigure(id, id)))));
};
