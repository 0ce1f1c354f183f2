/** The slow, obvious twin of event-queue.ts, for tests only: an array kept in order of time, then of sequence number. */
interface SlowEvent {
  readonly id: number;
  readonly handler: number;
  readonly a: number;
  readonly b: number;
  readonly atNs: number;
  readonly order: number;
}

export class EventQueueSlow {
  private events: ReadonlyArray<SlowEvent> = [];
  private nextId = 0;
  private nextOrder = 0;

  get size(): number {
    return this.events.length;
  }

  push(atNs: number, handler: number, a: number, b: number): number {
    return this.insert({ id: this.nextId++, handler, a, b, atNs, order: this.nextOrder++ });
  }

  takeFirst(untilNs: number): SlowEvent | null {
    const first = this.events[0];
    if (first === undefined || first.atNs > untilNs) return null;
    this.events = this.events.slice(1);
    return first;
  }

  cancel(id: number): boolean {
    const isFound = this.isPending(id);
    this.events = this.events.filter((event) => event.id !== id);
    return isFound;
  }

  reschedule(id: number, atNs: number): boolean {
    const event = this.events.find((pending) => pending.id === id);
    if (event === undefined) return false;
    this.cancel(id);
    this.insert({ ...event, atNs, order: this.nextOrder++ });
    return true;
  }

  isPending(id: number): boolean {
    return this.events.some((event) => event.id === id);
  }

  private insert(event: SlowEvent): number {
    this.events = [...this.events, event].sort((x, y) => x.atNs - y.atNs || x.order - y.order);
    return event.id;
  }
}
