/** A handful of pending events in order of time, the first one last, so that taking it moves nothing. */
export const shortListRoom = 8;

export class ShortList {
  count = 0;
  private readonly atNs = new Float64Array(shortListRoom);
  private readonly slots = new Int32Array(shortListRoom);

  firstNs(): number {
    return this.atNs[this.count - 1];
  }

  /** Takes out the first event and returns its slot. */
  take(): number {
    return this.slots[--this.count];
  }

  /** Adds an event behind all those that are not later. There must be room. */
  add(slot: number, atNs: number): void {
    let place = this.count++;
    while (place > 0 && this.atNs[place - 1] <= atNs) {
      this.atNs[place] = this.atNs[place - 1];
      this.slots[place] = this.slots[place - 1];
      place--;
    }
    this.atNs[place] = atNs;
    this.slots[place] = slot;
  }

  /** Takes out an event that is here. */
  remove(slot: number): void {
    let place = 0;
    while (this.slots[place] !== slot) place++;
    for (this.count--; place < this.count; place++) {
      this.atNs[place] = this.atNs[place + 1];
      this.slots[place] = this.slots[place + 1];
    }
  }
}
