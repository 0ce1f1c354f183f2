/** A timeline that can be gone into: with the wheel or a pinch, by dragging, with buttons, and from the keyboard. Several in one view share their window. */
import { ACTIVITY_COLOURS } from "../experiments/plots/activities.js";
import { drawTimeline } from "../experiments/plots/timeline.js";
import { textWidth } from "../experiments/plots/style.js";
import type { SpanRow } from "../sim/domain/run.js";
import { make } from "./dom.js";
import { atItsWidth } from "./width.js";

export interface Track { readonly title: string; readonly lanes: ReadonlyArray<string>; readonly spans: ReadonlyArray<SpanRow> }
export interface TimelineView { readonly element: HTMLElement; readonly show: (tracks: ReadonlyArray<Track>) => void }

/** Narrower windows have nothing in them, ns. */
const NARROWEST = 2e4;
const STEP = 0.15;

const used = ({ lanes, spans }: Track): ReadonlyArray<string> => lanes.filter((lane) => spans.some((span) => span.lane === lane));

export const timelineView = (): TimelineView => {
  const picture = make("div", { class: "timeline", tabindex: 0, role: "group", "aria-label": "timeline; plus and minus zoom, arrows move, 0 shows the whole token" });
  const key = make("p", { class: "key" });
  const button = (text: string, label: string, act: () => void): HTMLButtonElement => make("button", { type: "button", "aria-label": label, click: act }, text);
  const bar = make("div", { class: "buttons" }, button("+", "zoom in", () => zoom(1 / 1.6, 0.5)), button("−", "zoom out", () => zoom(1.6, 0.5)), button("←", "earlier", () => move(-STEP)), button("→", "later", () => move(STEP)), button("whole token", "show the whole token", () => set(0, end)));
  let tracks: ReadonlyArray<Track> = [];
  let end = 1;
  let from = 0;
  let to = 1;
  let width = 0;
  let margin = 0;
  let asked = 0;

  const draw = (): void => {
    asked = 0;
    if (width === 0) return;
    picture.replaceChildren(...tracks.flatMap((track) => [
      make("h3", {}, track.title),
      drawTimeline(document, { title: track.title, lanes: used(track), spans: track.spans, window: { fromNs: from, toNs: to }, width, margin }),
    ]));
  };
  const redraw = (): void => {
    if (asked === 0) asked = requestAnimationFrame(draw);
  };
  const set = (low: number, high: number): void => {
    const wide = Math.min(end, Math.max(NARROWEST, high - low));
    from = Math.max(0, Math.min(end - wide, low));
    to = from + wide;
    redraw();
  };
  const zoom = (factor: number, at: number): void => {
    const centre = from + at * (to - from);
    const wide = Math.min(end, Math.max(NARROWEST, (to - from) * factor));
    set(centre - at * wide, centre + (1 - at) * wide);
  };
  const move = (share: number): void => set(from + share * (to - from), to + share * (to - from));
  const placeOf = (clientX: number): number => {
    const box = picture.getBoundingClientRect();
    return Math.min(1, Math.max(0, (clientX - box.left - margin) / Math.max(1, width - margin)));
  };

  picture.addEventListener("wheel", (event) => {
    // A wheel alone scrolls the page.
    if (!event.ctrlKey && !event.shiftKey && document.activeElement !== picture) return;
    event.preventDefault();
    zoom(Math.exp(0.002 * (event.deltaY || event.deltaX)), placeOf(event.clientX));
  }, { passive: false });
  picture.addEventListener("keydown", (event) => {
    const acts: Readonly<Record<string, () => void>> = { "+": () => zoom(1 / 1.6, 0.5), "=": () => zoom(1 / 1.6, 0.5), "-": () => zoom(1.6, 0.5), ArrowLeft: () => move(-STEP), ArrowRight: () => move(STEP), 0: () => set(0, end), Home: () => set(0, to - from), End: () => set(end - (to - from), end) };
    const act = acts[event.key];
    if (act === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  const held = new Map<number, number>();
  picture.addEventListener("pointerdown", (event) => {
    picture.focus({ preventScroll: true });
    picture.setPointerCapture(event.pointerId);
    held.set(event.pointerId, event.clientX);
  });
  picture.addEventListener("pointermove", (event) => {
    const before = held.get(event.pointerId);
    if (before === undefined) return;
    const other = [...held].find(([id]) => id !== event.pointerId)?.[1];
    held.set(event.pointerId, event.clientX);
    if (other === undefined) move((before - event.clientX) / Math.max(1, width - margin));
    else zoom(Math.max(1, Math.abs(before - other)) / Math.max(1, Math.abs(event.clientX - other)), placeOf((event.clientX + other) / 2));
  });
  for (const over of ["pointerup", "pointercancel"] as const) picture.addEventListener(over, (event) => held.delete(event.pointerId));
  atItsWidth(picture, (now) => {
    width = now;
    draw();
  });

  return {
    element: make("div", { class: "zoomable" }, bar, picture, key),
    show: (now) => {
      // The same view is kept while sliders move, unless it was of the whole token, which is another one then.
      const whole = from === 0 && to === end;
      tracks = now;
      end = Math.max(NARROWEST, ...now.map(({ spans }) => spans.reduce((last, { endNs }) => Math.max(last, endNs), 0)));
      margin = Math.ceil(Math.max(...now.flatMap(used).map((lane) => textWidth(lane)), 20)) + 8;
      const activities = [...new Set(now.flatMap(({ spans }) => spans.map(({ what }) => what)))];
      key.replaceChildren(...activities.map((what) => make("span", { class: "entry" }, make("i", { style: `background:${ACTIVITY_COLOURS[what]}` }), what)));
      if (whole) set(0, end);
      else set(from, to);
    },
  };
};
