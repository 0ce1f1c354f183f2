import { describe, expect, it } from "vitest";
import { checkRecording } from "../../../sim/kernel/checks.js";
import { noCause } from "../../../sim/kernel/recorder.js";
import { recorderOf } from "./recording.js";

const bytes = { into: "bytes asked", outOf: "bytes moved" };

describe("the checks of a recording", () => {
  it("find nothing in a sound one, with lanes full to the last tick", () => {
    const recorder = recorderOf();
    recorder.count(0, 4096);
    recorder.count(1, 4096);
    const read = recorder.span(1, 1, 0, 40, noCause);
    recorder.span(1, 1, 40, 100, read);
    recorder.span(0, 0, 0, 100, noCause);
    recorder.span(0, 0, 0, 100, noCause);
    expect(checkRecording(recorder, 100, [bytes])).toEqual([]);
  });

  it("name a lane that is busy for one tick longer than its servers could be", () => {
    const recorder = recorderOf();
    recorder.span(0, 0, 0, 100, noCause);
    recorder.span(0, 0, 0, 101, noCause);
    expect(checkRecording(recorder, 100, [])).toEqual(["lane cpu is busy for 201 ns; possible: 200 ns (100 ns x 2)"]);
  });

  it("name two spans that overlap on a lane with one server, though recorded out of order, and allow it where there are two", () => {
    const recorder = recorderOf();
    recorder.span(1, 1, 50, 60, noCause);
    recorder.span(1, 1, 10, 51, noCause);
    recorder.span(0, 0, 0, 10, noCause);
    recorder.span(0, 0, 5, 10, noCause);
    expect(checkRecording(recorder, 100, [])).toEqual(["lane flash: span 0 starts at 50 ns before span 1 ends at 51 ns"]);
  });

  it("see through a long span that covers two short ones", () => {
    const recorder = recorderOf();
    recorder.span(1, 1, 0, 50, noCause);
    recorder.span(1, 1, 10, 20, noCause);
    recorder.span(1, 1, 30, 40, noCause);
    expect(checkRecording(recorder, 100, [])).toEqual(["lane flash: span 1 starts at 10 ns before span 0 ends at 50 ns", "lane flash: span 2 starts at 30 ns before span 0 ends at 50 ns"]);
  });

  it("name a span that starts before its cause has ended", () => {
    const recorder = recorderOf();
    const read = recorder.span(1, 1, 0, 40, noCause);
    recorder.span(0, 0, 39, 50, read);
    expect(checkRecording(recorder, 100, [])).toEqual(["span 1 (compute) starts at 39 ns before its cause, span 0 (read), ends at 40 ns"]);
  });

  it("name two counters that should agree and do not", () => {
    const recorder = recorderOf();
    recorder.count(0, 4096);
    recorder.count(1, 4095);
    expect(checkRecording(recorder, 0, [bytes])).toEqual(["bytes asked is 4096 but bytes moved is 4095"]);
  });
});
