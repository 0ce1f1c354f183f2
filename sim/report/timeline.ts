/**
 * Spans to the Chrome trace format, which Perfetto and speedscope open. Times there are microseconds. A lane with
 * several servers becomes several tracks, because the format cannot show overlapping spans on one.
 */
import { READS, type LaneUse, type SpanRow } from "../domain/run.js";

export type TraceEvent =
  | { readonly ph: "M"; readonly pid: number; readonly tid: number; readonly name: string; readonly args: Readonly<Record<string, string | number>> }
  | { readonly ph: "X"; readonly pid: number; readonly tid: number; readonly name: string; readonly cat: string; readonly ts: number; readonly dur: number; readonly args: { readonly token: number; readonly layer: number; readonly critical: boolean | null } };

const PID = 1;

const category = (span: SpanRow): string => {
  const kind = span.what === "wait" ? "wait" : READS.includes(span.what) ? "read" : "compute";
  return span.critical === true ? `${kind},critical` : kind;
};

interface Track { readonly tid: number; readonly name: string; endNs: number }

/** Trace events, metadata first; spans by lane, then by start. */
export const timeline = (of: { readonly title: string; readonly lanes: ReadonlyArray<LaneUse>; readonly spans: ReadonlyArray<SpanRow> }): ReadonlyArray<TraceEvent> => {
  const names = [...new Set([...of.lanes.map((lane) => lane.lane), ...of.spans.map((span) => span.lane)])];
  const metadata: Array<TraceEvent> = [{ ph: "M", pid: PID, tid: 0, name: "process_name", args: { name: of.title } }];
  const events: Array<TraceEvent> = [];
  const byLane = new Map<string, Array<SpanRow>>(names.map((name) => [name, []]));
  for (const span of of.spans) byLane.get(span.lane)!.push(span);
  let tid = 0;
  for (const lane of names) {
    const tracks: Array<Track> = [{ tid: ++tid, name: lane, endNs: -Infinity }];
    const spans = byLane.get(lane)!.sort((a, b) => a.startNs - b.startNs || b.endNs - a.endNs);
    for (const span of spans) {
      let track = tracks.find((t) => t.endNs <= span.startNs);
      if (track === undefined) {
        track = { tid: ++tid, name: `${lane} ${tracks.length + 1}`, endNs: -Infinity };
        tracks.push(track);
      }
      track.endNs = span.endNs;
      events.push({ ph: "X", pid: PID, tid: track.tid, name: span.what, cat: category(span), ts: span.startNs / 1e3, dur: (span.endNs - span.startNs) / 1e3, args: { token: span.token, layer: span.layer, critical: span.critical } });
    }
    for (const track of tracks) {
      metadata.push({ ph: "M", pid: PID, tid: track.tid, name: "thread_name", args: { name: track.name } });
      metadata.push({ ph: "M", pid: PID, tid: track.tid, name: "thread_sort_index", args: { sort_index: track.tid } });
    }
  }
  return [...metadata, ...events];
};

/** The text of a trace file: one event a line, so that it can be searched and compared. */
export const timelineText = (events: ReadonlyArray<TraceEvent>): string => `{"displayTimeUnit":"ms","traceEvents":[\n${events.map((event) => JSON.stringify(event)).join(",\n")}\n]}\n`;

export interface LaneSummary { readonly lane: string; readonly spans: number; readonly busyNs: number; /** Spans under way at a time, mean over the wall time. */ readonly meanInUse: number; /** null where no span is known to be critical or not. */ readonly criticalNs: number | null; readonly mostly: string }

/** What each lane did, from the spans. */
export const summariseLanes = (lanes: ReadonlyArray<LaneUse>, spans: ReadonlyArray<SpanRow>, wallNs: number): ReadonlyArray<LaneSummary> =>
  lanes.map((lane) => {
    const busyBy = new Map<string, number>();
    let count = 0;
    let criticalNs: number | null = spans.some((span) => span.critical !== null) ? 0 : null;
    for (const span of spans) {
      if (span.lane !== lane.lane) continue;
      count++;
      const ns = span.endNs - span.startNs;
      busyBy.set(span.what, (busyBy.get(span.what) ?? 0) + ns);
      if (span.critical === true) criticalNs = (criticalNs ?? 0) + ns;
    }
    const mostly = [...busyBy].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))[0]?.[0] ?? "-";
    return { lane: lane.lane, spans: count, busyNs: lane.busyNs, meanInUse: wallNs > 0 ? lane.busyNs / wallNs : 0, criticalNs, mostly };
  });
