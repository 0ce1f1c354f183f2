import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { E } from "../../../sim/base/fp.js";
import { criticalPath, criticalPathInto, waitIndex, type PathPiece } from "../../../sim/kernel/critical-path.js";
import { noCause } from "../../../sim/kernel/recorder.js";
import { arbSoundSpans, record, recorderOf } from "./recording.js";

const piecesOf = (path: E.Either<string, ReadonlyArray<PathPiece>>): ReadonlyArray<PathPiece> => {
  if (E.isLeft(path)) throw new Error(path.left);
  return path.right;
};

describe("the critical path", () => {
  it("gives each moment to the span that held things up, and a gap to waiting", () => {
    const recorder = recorderOf();
    const read = recorder.span(1, 1, 0, 30, noCause);
    recorder.span(0, 0, 0, 25, noCause);
    const compute = recorder.span(0, 0, 40, 60, read);
    const out = new Float64Array(3);
    expect(criticalPathInto(recorder, compute, 0, out)).toBe(0);
    expect([...out]).toEqual([20, 30, 10]);
    expect(piecesOf(criticalPath(recorder, compute, 0))).toEqual([
      { what: 1, startNs: 0, endNs: 30, span: read },
      { what: waitIndex(recorder), startNs: 30, endNs: 40, span: compute },
      { what: 0, startNs: 40, endNs: 60, span: compute },
    ]);
  });

  it("cuts off what lies before the moment from which it is asked", () => {
    const recorder = recorderOf();
    const read = recorder.span(1, 1, 0, 30, noCause);
    const compute = recorder.span(0, 0, 40, 60, read);
    expect(piecesOf(criticalPath(recorder, compute, 35))).toEqual([
      { what: 2, startNs: 35, endNs: 40, span: compute },
      { what: 0, startNs: 40, endNs: 60, span: compute },
    ]);
    expect(piecesOf(criticalPath(recorder, compute, 60))).toEqual([]);
  });

  it("counts as waiting what lies before a forgotten cause's end", () => {
    const recorder = recorderOf();
    const forgotten = recorder.span(1, 1, 0, 30, noCause);
    recorder.rewind();
    const compute = recorder.span(0, 0, 30, 60, forgotten);
    const out = new Float64Array(3);
    expect(criticalPathInto(recorder, compute, 10, out)).toBe(0);
    expect([...out]).toEqual([30, 0, 20]);
  });

  it("sums to the wall time exactly, as array and as list, on any sound recording", () => {
    fc.assert(
      fc.property(arbSoundSpans, fc.nat(3000), (spans, fromNs) => {
        const recorder = recorderOf();
        record(recorder, spans);
        const last = recorder.spanCount - 1;
        const wallNs = Math.max(0, recorder.endNsAt(last) - fromNs);
        const out = new Float64Array(3);
        expect(criticalPathInto(recorder, last, fromNs, out)).toBe(0);
        expect(out[0] + out[1] + out[2]).toBe(wallNs);
        const listed = new Float64Array(3);
        let edgeNs = fromNs;
        for (const piece of piecesOf(criticalPath(recorder, last, fromNs))) {
          expect(piece.startNs).toBe(edgeNs);
          edgeNs = piece.endNs;
          listed[piece.what] += piece.endNs - piece.startNs;
        }
        expect([...listed]).toEqual([...out]);
      }),
      { seed: 31, numRuns: 500 },
    );
  });

  it("names a span that starts one tick before its cause has ended, and accepts it at that tick", () => {
    const recorder = recorderOf();
    const read = recorder.span(1, 1, 0, 30, noCause);
    const early = recorder.span(0, 0, 29, 60, read);
    const onTime = recorder.span(0, 0, 30, 60, read);
    expect(criticalPath(recorder, early, 0)).toEqual(E.left("span 1 (compute) starts at 29 ns before its cause, span 0 (read), ends at 30 ns"));
    expect(E.isRight(criticalPath(recorder, onTime, 0))).toBe(true);
    const out = new Float64Array(3);
    expect(criticalPathInto(recorder, early, 0, out)).toBe(1);
    expect([...out]).toEqual([31, 29, 0]);
  });

  it("sums to the wall time even over spans whose causes make no sense", () => {
    const arbSpan = fc.tuple(fc.nat(1), fc.nat(500), fc.nat(500), fc.integer({ min: 0, max: 5 }));
    fc.assert(
      fc.property(fc.array(arbSpan, { minLength: 1, maxLength: 30 }), (spans) => {
        const recorder = recorderOf();
        for (const [what, startNs, lengthNs, back] of spans) recorder.span(0, what, startNs, startNs + lengthNs, back === 0 ? -1 : Math.max(-1, recorder.spanCount - back));
        const last = recorder.spanCount - 1;
        const out = new Float64Array(3);
        criticalPathInto(recorder, last, 0, out);
        expect(out[0] + out[1] + out[2]).toBe(recorder.endNsAt(last));
      }),
      { seed: 32, numRuns: 500 },
    );
  });

  it("refuses a span that is not known, naming it", () => {
    expect(() => criticalPathInto(recorderOf(), 0, 0, new Float64Array(3))).toThrow(new Error("unknown span: 0; known: 0 to -1"));
  });
});
