/** One token of the simulator and one of the engine, one above the other in one window: stored records, or a file that the reader opens. */
import { make } from "./dom.js";
import { listed, originOf, stored, type Stored } from "./stored.js";
import { timelineView, type Track } from "./timeline-view.js";
import { gap } from "./figures.js";
import { BUILT_TOKEN, isSaved, middleToken } from "./token.js";

const trackOf = (text: string): Track | string => {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    return "is not JSON";
  }
  if (!isSaved(raw)) return "is not a run record, as simulate --save and generate --save write it";
  const spans = middleToken(raw.spans);
  if (spans.length === 0) return "has no spans: save the run with --trace, or with --save alone";
  const { inputs, origin } = raw;
  return { title: `${origin === "measured" ? "Engine, measured" : "Simulator"}: a token of ${inputs.model} on ${inputs.device}`, lanes: raw.lanes.map(({ lane }) => lane), spans };
};

/** One that the build made lies in no folder of results; its command does. */
const whence = (file: Stored): ReadonlyArray<Node | string> =>
  file.path === BUILT_TOKEN.path ? ["simulated when these pages were built, the second token of ", make("code", {}, BUILT_TOKEN.command)] : [make("code", {}, originOf(file))];

const originsOf = (files: ReadonlyArray<Stored>): HTMLElement => make("p", { class: "note" }, ...files.flatMap((file, i) => [...(i === 0 ? [] : ["; "]), ...whence(file)]));

const tracksOf = (files: ReadonlyArray<Stored>): ReadonlyArray<Track> => files.map(({ text }) => trackOf(text)).filter((track): track is Track => typeof track !== "string");

/** A token that the engine made, below what was predicted of it, in a window of their own: another model on another machine than above. */
const engineToken = async (): Promise<ReadonlyArray<HTMLElement>> => {
  const heading = make("h2", {}, "Predicted and measured");
  const measured = await stored("host/timeline/measured.json");
  if (measured === null) return [heading, gap("No run of the engine is kept here.", "npm run timeline")];
  const predicted = await stored("host/timeline/predicted.json");
  const files = [predicted, measured].flatMap((file) => (file === null ? [] : [file]));
  const view = timelineView();
  view.show(tracksOf(files));
  return [heading, make("p", {}, "One token of the engine on a machine of its own, below what was predicted of it. ", ...(measured.from === "site" ? ["How it was made, and what else the machine did: ", make("code", {}, "results/host/README.md"), "."] : [])), view.element, originsOf(files)];
};

export const pipelinePage = async (): Promise<HTMLElement> => {
  const view = timelineView();
  const told = make("p", { role: "status", class: "refusal" });
  const simulated = await stored(BUILT_TOKEN.path);
  let shown = simulated === null ? [] : tracksOf([simulated]);
  view.show(shown);
  const add = (name: string, text: string): void => {
    const track = trackOf(text);
    told.textContent = typeof track === "string" ? `${name} ${track}` : "";
    if (typeof track === "string") return;
    shown = [...shown.slice(0, 1), { ...track, title: `${track.title} (${name})` }];
    view.show(shown);
  };
  const input = make("input", { type: "file", accept: ".json,application/json", id: "record" });
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    if (file !== undefined) void file.text().then((text) => add(file.name, text));
  });
  const runs = (await listed()).filter(({ path }) => /^runs\/.*\.json$/.test(path));
  const choose = make("select", { id: "runs" }, make("option", { value: "" }, "choose"), ...runs.map(({ path }) => make("option", { value: path }, path)));
  choose.addEventListener("change", () => void stored(choose.value).then((file) => (file === null ? undefined : add(file.path, file.text))));
  return make("div", {},
    view.element, originsOf(simulated === null ? [] : [simulated]),
    make("p", {}, make("label", { for: "record" }, "Open a run record of your own: "), input),
    ...(runs.length === 0 ? [] : [make("p", {}, make("label", { for: "runs" }, "Or one of results/runs: "), choose)]),
    told,
    ...(await engineToken()));
};
