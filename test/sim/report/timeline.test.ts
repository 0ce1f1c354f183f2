import { describe, expect, it } from "vitest";
import type { SpanRow } from "../../../sim/domain/run.js";
import { summariseLanes, timeline, timelineText, type TraceEvent } from "../../../sim/report/timeline.js";

const span = (lane: string, what: SpanRow["what"], startNs: number, endNs: number, critical = false): SpanRow => ({ lane, what, startNs, endNs, token: 1, layer: 2, critical });
const lanes = [{ lane: "npu", busyNs: 3000, servers: 1 }, { lane: "flash", busyNs: 3000, servers: 2 }];
const spans = [span("flash", "read gate", 1000, 3000, true), span("flash", "read up+down", 2000, 3000), span("npu", "dense FFN", 0, 1000), span("flash", "wait", 3000, 4000)];
const events = timeline({ title: "a run", lanes, spans });
const drawn = (e: TraceEvent): e is Extract<TraceEvent, { ph: "X" }> => e.ph === "X";

describe("a timeline in the Chrome trace format", () => {
  it("names the process and every lane, in the order of the lanes", () => {
    expect(events.filter((e) => e.ph === "M" && e.name !== "thread_sort_index").map((e) => (e.args as { name?: unknown }).name)).toEqual(["a run", "npu", "flash", "flash 2"]);
  });

  it("holds each span once, in microseconds, with its token and layer", () => {
    expect(events.filter(drawn)).toHaveLength(spans.length);
    expect(events.filter(drawn).find((e) => e.name === "read gate")).toEqual({ ph: "X", pid: 1, tid: 2, name: "read gate", cat: "read,critical", ts: 1, dur: 2, args: { token: 1, layer: 2, critical: true } });
  });

  it("flags the critical spans and tells reads, compute and waits apart", () => {
    expect(events.filter(drawn).map((e) => [e.name, e.cat, e.args.critical])).toEqual([["dense FFN", "compute", false], ["read gate", "read,critical", true], ["read up+down", "read", false], ["wait", "wait", false]]);
  });

  it("never draws two overlapping spans on one track", () => {
    const many = Array.from({ length: 200 }, (_, i) => span("flash", "read gate", (i * 37) % 101, ((i * 37) % 101) + 1 + (i % 13)));
    const byTrack = new Map<number, Array<{ ts: number; dur: number }>>();
    for (const e of timeline({ title: "t", lanes: [], spans: many }).filter(drawn)) byTrack.set(e.tid, [...(byTrack.get(e.tid) ?? []), e]);
    for (const track of byTrack.values()) track.reduce((last, e) => (expect(e.ts * 1e3).toBeGreaterThanOrEqual(last - 1e-6), (e.ts + e.dur) * 1e3), 0);
    expect([...byTrack.values()].flat()).toHaveLength(200);
  });

  it("is JSON, one event a line", () => {
    const text = timelineText(events);
    expect((JSON.parse(text) as { traceEvents: unknown }).traceEvents).toEqual(events);
    expect(text.split("\n")).toHaveLength(events.length + 3);
  });
});

describe("a timeline of a machine", () => {
  const measured = spans.map((one) => ({ ...one, critical: null }));

  it("marks no span as critical, and none as not", () => {
    expect(timeline({ title: "t", lanes, spans: measured }).filter(drawn).map((e) => [e.cat, e.args.critical])).toEqual([["compute", null], ["read", null], ["read", null], ["wait", null]]);
  });

  it("has no sum of critical spans", () => {
    expect(summariseLanes(lanes, measured, 4000).map((lane) => lane.criticalNs)).toEqual([null, null]);
  });
});

describe("the summary of lanes", () => {
  it("counts spans, sums the critical ones and names the commonest activity", () => {
    expect(summariseLanes(lanes, spans, 4000)).toEqual([
      { lane: "npu", spans: 1, busyNs: 3000, meanInUse: 0.75, criticalNs: 0, mostly: "dense FFN" },
      { lane: "flash", spans: 3, busyNs: 3000, meanInUse: 0.75, criticalNs: 2000, mostly: "read gate" },
    ]);
  });
});
