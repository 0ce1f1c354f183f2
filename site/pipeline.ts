/** One token of the simulator and one of the engine, one above the other in one window: stored records, or a file that the reader opens. */
import { make } from "./dom.js";
import { listed, originOf, stored } from "./stored.js";
import { timelineView, type Track } from "./timeline-view.js";
import { gap } from "./figures.js";
import { isSaved, middleToken } from "./token.js";

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

export const pipelinePage = async (): Promise<HTMLElement> => {
  const view = timelineView();
  const told = make("p", { role: "status", class: "refusal" });
  const origins = make("p", { class: "note" });
  const measured = await stored("host/timeline/measured.json");
  const predicted = await stored("host/timeline/predicted.json");
  const simulated = measured !== null && predicted !== null ? predicted : await stored("site/token.json");
  const files = [simulated, measured].flatMap((file) => (file === null ? [] : [file]));
  const tracks = files.map((file) => trackOf(file.text));
  let shown = tracks.filter((track) => typeof track !== "string");
  view.show(shown);
  // Without its own prediction a measured token stands below another model's on another machine.
  origins.textContent = `${files.map(originOf).join("; ")}${measured !== null && predicted === null ? ". Two models on two machines: compare how they overlap, not how long they take." : ""}`;
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
    ...(measured === null ? [gap("No run of the engine is kept here, so the lower half is missing.", "neuronlab generate --model model.flash --memory 900MB --prompt Once --tokens 4 --save results/host/timeline/measured.json")] : []),
    make("p", {}, make("label", { for: "record" }, "Open a run record of your own: "), input),
    ...(runs.length === 0 ? [] : [make("p", {}, make("label", { for: "runs" }, "Or one of results/runs: "), choose)]),
    told);
};
