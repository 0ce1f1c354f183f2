/**
 * Claim shown: what works, what reads and what waits at a moment of a token. A lane a row, or several where its spans lie on each other; the critical
 * path has a line under it. Spans that are too narrow to see are joined with their like, so that any window is drawn in milliseconds.
 */
import type { Activity, SpanRow } from "../../sim/domain/run.js";
import { ACTIVITY_COLOURS } from "./activities.js";
import { FONT, FONT_SIZE } from "./style.js";
import { element } from "./svg.js";

export interface TimelineWindow { readonly fromNs: number; readonly toNs: number }

export interface Timeline {
  readonly title: string;
  readonly lanes: ReadonlyArray<string>;
  readonly spans: ReadonlyArray<SpanRow>;
  readonly window: TimelineWindow;
  readonly width: number;
  /** Of the names of lanes, left of the rows; two timelines one above the other need the same. */
  readonly margin: number;
}

interface Bar { readonly what: Activity; readonly left: number; right: number; readonly critical: boolean; readonly layer: number; count: number }

const ROW = 15;
const AXIS = 22;
/** Narrower than this, in pixels, a span is joined with its neighbours. */
const NARROW = 1.2;
/** More rows than that of one lane say nothing more. */
const MOST_ROWS = 6;

/** Spans of one lane to rows that do not overlap, first fit. */
const rowsOf = (spans: ReadonlyArray<SpanRow>, { fromNs, toNs }: TimelineWindow, width: number): ReadonlyArray<ReadonlyArray<Bar>> => {
  const scale = width / (toNs - fromNs);
  const rows: Array<Array<Bar>> = [];
  for (const span of spans) {
    if (span.endNs <= fromNs || span.startNs >= toNs) continue;
    const left = Math.max(0, (span.startNs - fromNs) * scale);
    const right = Math.min(width, (span.endNs - fromNs) * scale);
    const critical = span.critical === true;
    const row = rows.find((one) => one.at(-1)!.right <= left + 0.01) ?? (rows.length < MOST_ROWS ? rows[rows.push([]) - 1]! : rows.at(-1)!);
    const last = row.at(-1);
    if (last !== undefined && last.what === span.what && left - last.right < NARROW / 2 && right - left < NARROW && (last.critical === critical || last.right - last.left < 4 * NARROW)) {
      last.right = Math.max(last.right, right);
      last.count++;
    } else row.push({ what: span.what, left, right, critical, layer: span.layer, count: 1 });
  }
  return rows;
};

/** Round steps of time, six or so over the width. */
const stepOf = (span: number, wanted: number): number => {
  const rough = span / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((times) => times * power).find((step) => step >= rough) ?? rough;
};

const timeText = (ns: number, step: number): string => (step >= 1e6 ? `${Math.round(ns / 1e6)} ms` : step >= 1e3 ? `${Number((ns / 1e6).toPrecision(6))} ms` : `${Number((ns / 1e3).toPrecision(7))} µs`);

const spoken = ({ what, count, layer, critical }: Bar): string => `${what}${count > 1 ? `, ${count} of them` : layer >= 0 ? `, layer ${layer}` : ""}${critical ? ", on the critical path" : ""}`;

/** Lanes without a span in the whole timeline are left out by the caller; those without one in the window keep their row, so that nothing jumps. */
export const drawTimeline = (document: Document, { title, lanes, spans, window, width, margin }: Timeline): SVGElement => {
  const inner = width - margin;
  const root = element(document, "svg", { xmlns: "http://www.w3.org/2000/svg", "font-family": FONT, "font-size": FONT_SIZE, fill: "currentColor", width, role: "img", "aria-label": `${title}, ${timeText(window.fromNs, 1e3)} to ${timeText(window.toNs, 1e3)}` });
  const byLane = new Map<string, Array<SpanRow>>(lanes.map((lane) => [lane, []]));
  for (const span of spans) byLane.get(span.lane)?.push(span);
  let y = 4;
  for (const lane of lanes) {
    const sorted = byLane.get(lane)!.sort((a, b) => a.startNs - b.startNs || b.endNs - a.endNs);
    const rows = rowsOf(sorted, window, inner);
    const height = Math.max(1, rows.length) * ROW;
    root.append(element(document, "text", { x: 0, y: y + ROW - 4 }, lane));
    root.append(element(document, "line", { x1: margin, x2: width, y1: y + height + 1, y2: y + height + 1, stroke: "currentColor", "stroke-opacity": 0.15 }));
    rows.forEach((row, at) => {
      for (const bar of row) {
        const [x, top, wide] = [margin + bar.left, y + at * ROW, Math.max(0.4, bar.right - bar.left)];
        const mark = element(document, "rect", { x: x.toFixed(2), y: top, width: wide.toFixed(2), height: ROW - 3, fill: ACTIVITY_COLOURS[bar.what] });
        mark.append(element(document, "title", {}, spoken(bar)));
        root.append(mark);
        if (bar.critical) root.append(element(document, "rect", { x: x.toFixed(2), y: top + ROW - 3, width: wide.toFixed(2), height: 2, fill: "currentColor" }));
      }
    });
    y += height + 4;
  }
  const step = stepOf(window.toNs - window.fromNs, Math.max(2, inner / 110));
  for (let at = Math.ceil(window.fromNs / step) * step; at <= window.toNs; at += step) {
    const x = margin + ((at - window.fromNs) / (window.toNs - window.fromNs)) * inner;
    root.append(element(document, "line", { x1: x.toFixed(2), x2: x.toFixed(2), y1: 0, y2: y, stroke: "currentColor", "stroke-opacity": 0.12 }));
    root.append(element(document, "text", { x: x.toFixed(2), y: y + AXIS - 8, "text-anchor": x > width - 24 ? "end" : x < margin + 12 ? "start" : "middle", "fill-opacity": 0.75 }, timeText(at, step)));
  }
  root.setAttribute("height", String(y + AXIS));
  root.setAttribute("viewBox", `0 0 ${width} ${y + AXIS}`);
  return root;
};
