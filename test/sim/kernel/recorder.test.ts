import { describe, expect, it } from "vitest";
import { noCause } from "../../../sim/kernel/recorder.js";
import { recorderOf } from "./recording.js";

describe("the recorder", () => {
  it("gives back each span as it was recorded, with the token and layer of that moment", () => {
    const recorder = recorderOf();
    const first = recorder.span(0, 0, 5, 9, noCause);
    recorder.tag(3, 17);
    const second = recorder.span(1, 1, 9, 20, first);
    const shown = [first, second].map((span) => [recorder.laneAt(span), recorder.whatAt(span), recorder.startNsAt(span), recorder.endNsAt(span), recorder.causeAt(span), recorder.tokenAt(span), recorder.layerAt(span)]);
    expect(shown).toEqual([
      [0, 0, 5, 9, -1, -1, -1],
      [1, 1, 9, 20, 0, 3, 17],
    ]);
  });

  it("keeps sums by lane and by kind across a rewind, and numbers spans on", () => {
    const recorder = recorderOf();
    recorder.span(0, 0, 0, 10, noCause);
    recorder.rewind();
    const second = recorder.span(0, 1, 10, 14, 0);
    expect(second).toBe(1);
    expect([recorder.isKnown(0), recorder.isKnown(1)]).toEqual([false, true]);
    expect([...recorder.laneBusyNs]).toEqual([14, 0]);
    expect([...recorder.whatBusyNs]).toEqual([10, 4]);
    expect([recorder.firstStartNs, recorder.lastEndNs]).toEqual([0, 14]);
  });

  it("forgets nothing on a rewind when told to keep, and then holds what fits no first block", () => {
    const recorder = recorderOf(true);
    for (let span = 0; span < 5000; span++) {
      recorder.span(1, 1, span, span + 1, span - 1);
      recorder.rewind();
    }
    expect(recorder.isKnown(0)).toBe(true);
    expect([recorder.startNsAt(0), recorder.endNsAt(4999), recorder.causeAt(4999)]).toEqual([0, 5000, 4998]);
  });

  it("needs the memory of one token for a thousand", () => {
    const recorder = recorderOf();
    for (let token = 0; token < 1000; token++) {
      for (let span = 0; span < 1000; span++) recorder.span(0, 0, token, token + 1, noCause);
      recorder.rewind();
    }
    expect((recorder as unknown as { readonly moments: Float64Array }).moments.length).toBe(1024 * 3);
    expect(recorder.laneBusyNs[0]).toBe(1_000_000);
  });

  it("sums counters by name and refuses a name that it does not know", () => {
    const recorder = recorderOf();
    recorder.count(0, 4096);
    recorder.count(0, 8192);
    expect([recorder.total("bytes asked"), recorder.total("bytes moved")]).toEqual([12_288, 0]);
    expect(() => recorder.total("bytes lost")).toThrow(new Error("unknown counter: bytes lost; known: bytes asked, bytes moved"));
  });

  it("refuses a span that ends before it starts, on no lane, of no kind or with a cause yet to come, naming it", () => {
    const recorder = recorderOf();
    expect(() => recorder.span(0, 0, 5, 4, noCause)).toThrow(new Error("span of compute ends before it starts: 5 to 4 ns"));
    expect(() => recorder.span(0, 0, NaN, 4, noCause)).toThrow(new Error("span of compute ends before it starts: NaN to 4 ns"));
    expect(() => recorder.span(2, 0, 0, 4, noCause)).toThrow(new Error("unknown lane: 2; lanes are 0 to 1"));
    expect(() => recorder.span(0, -1, 0, 4, noCause)).toThrow(new Error("unknown kind of span: -1; kinds are 0 to 1"));
    expect(() => recorder.span(0, 0, 0, 4, 0)).toThrow(new Error("cause is not recorded yet: span 0; the next span is 0"));
    expect(recorder.spanCount).toBe(0);
  });
});
