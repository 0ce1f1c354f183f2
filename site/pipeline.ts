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

export const pipelinePage = async (): Promise<HTMLElement> => {
  const view = timelineView();
  const told = make("p", { role: "status", class: "refusal" });
  const origins = make("p", { class: "note" });
  const measured = await stored("host/timeline/measured.json");
  const predicted = await stored("host/timeline/predicted.json");
  const simulated = measured !== null && predicted !== null ? predicted : await stored(BUILT_TOKEN.path);
  const files = [simulated, measured].flatMap((file) => (file === null ? [] : [file]));
  const tracks = files.map((file) => trackOf(file.text));
  let shown = tracks.filter((track) => typeof track !== "string");
  view.show(shown);
  // Without its own prediction a measured token stands below another model's on another machine.
  origins.replaceChildren(...files.flatMap((file, i) => [...(i === 0 ? [] : ["; "]), ...whence(file)]), measured !== null && predicted === null ? ". Two models on two machines: compare how they overlap, not how long they take." : "");
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
    view.element, origins,
    ...(measured === null ? [gap("No run of the engine is kept here, so the lower half is missing.", "npm run timeline")] : []),
    make("p", {}, make("label", { for: "record" }, "Open a run record of your own: "), input),
    ...(runs.length === 0 ? [] : [make("p", {}, make("label", { for: "runs" }, "Or one of results/runs: "), choose)]),
    told);
};
