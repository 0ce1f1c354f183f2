/** The limit to measure against: a binary heap over typed arrays and nothing else. No order among equals, no handlers, no cancel. */
export class BareHeap {
  topNs = 0;
  topEvent = 0;
  private size = 0;
  private readonly atNs: Float64Array;
  private readonly event: Int32Array;

  constructor(capacity: number) {
    this.atNs = new Float64Array(capacity);
    this.event = new Int32Array(capacity);
  }

  push(atNs: number, event: number): void {
    let place = this.size++;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (this.atNs[parent] <= atNs) break;
      this.atNs[place] = this.atNs[parent];
      this.event[place] = this.event[parent];
      place = parent;
    }
    this.atNs[place] = atNs;
    this.event[place] = event;
  }

  pop(): void {
    this.topNs = this.atNs[0];
    this.topEvent = this.event[0];
    const last = --this.size;
    const lastNs = this.atNs[last];
    const lastEvent = this.event[last];
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= last) break;
      if (child + 1 < last && this.atNs[child + 1] < this.atNs[child]) child++;
      if (this.atNs[child] >= lastNs) break;
      this.atNs[place] = this.atNs[child];
      this.event[place] = this.event[child];
      place = child;
    }
    this.atNs[place] = lastNs;
    this.event[place] = lastEvent;
  }
}
