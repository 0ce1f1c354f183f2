/** The slow, obvious twin of share.ts, for tests only: everything is computed anew at every change, by raising all rates together. */
import type { ShareSpec } from "./share.js";

export type ShareStep =
  | { readonly atNs: number; readonly _tag: "start"; readonly agent: number; readonly bytes: number; readonly cap: number }
  | { readonly atNs: number; readonly _tag: "reserve"; readonly agent: number; readonly rate: number }
  | { readonly atNs: number; readonly _tag: "scale"; readonly factor: number };

interface SlowFlow {
  readonly number: number;
  readonly agent: number;
  readonly cap: number;
  left: number;
  rate: number;
}

/** When each started flow ends, in the order of the starts; Infinity for one that never does. Steps come in order of time. */
export const shareEndsSlow = (spec: ShareSpec, steps: ReadonlyArray<ShareStep>): ReadonlyArray<number> => {
  const endsNs: Array<number> = [];
  const reserved = spec.agents.map(() => 0);
  let flows: ReadonlyArray<SlowFlow> = [];
  let scale = 1;
  let nowNs = 0;
  let step = 0;
  for (;;) {
    const untilEnds = flows.map((flow) => (flow.left === 0 ? 0 : Math.max(0, Math.ceil(flow.left / flow.rate - 1e-6))));
    const nextNs = Math.min(step < steps.length ? steps[step].atNs : Infinity, nowNs + Math.min(...untilEnds));
    if (nextNs === Infinity) return endsNs;
    for (const flow of flows) flow.left = Math.max(0, flow.left - flow.rate * (nextNs - nowNs));
    flows.forEach((flow, index) => {
      if (nowNs + untilEnds[index] <= nextNs) endsNs[flow.number] = nextNs;
    });
    nowNs = nextNs;
    for (; step < steps.length && steps[step].atNs === nowNs; step++) {
      const now = steps[step];
      if (now._tag === "start") flows = [...flows, { number: endsNs.push(Infinity) - 1, agent: now.agent, cap: now.cap, left: now.bytes, rate: 0 }];
      if (now._tag === "reserve") reserved[now.agent] = now.rate;
      if (now._tag === "scale") scale = now.factor;
    }
    flows = flows.filter((flow) => endsNs[flow.number] === Infinity);
    raiseTogether(spec, flows, reserved, scale);
  }
};

/** Every flow is raised by the most that nobody's limit forbids, then those at a limit stand still, until all do. */
const raiseTogether = (spec: ShareSpec, flows: ReadonlyArray<SlowFlow>, reserved: ReadonlyArray<number>, scale: number): void => {
  const factor = spec.capacityFactor === undefined ? 1 : spec.capacityFactor(flows.length);
  const everybody = { members: flows, room: spec.capacity * factor * scale - reserved.reduce((sum, rate) => sum + rate, 0) };
  const byAgent = spec.agents.map((agent, index) => ({ members: flows.filter((flow) => flow.agent === index), room: agent.cap * scale - reserved[index] }));
  const alone = flows.map((flow) => ({ members: [flow], room: flow.cap * scale }));
  const limits = [everybody, ...byAgent, ...alone];
  for (const flow of flows) flow.rate = 0;
  let rising = [...flows];
  while (rising.length > 0) {
    const raises = limits.map(({ members, room }) => {
      const risers = members.filter((flow) => rising.includes(flow)).length;
      return risers === 0 ? Infinity : Math.max(0, room - members.reduce((sum, flow) => sum + flow.rate, 0)) / risers;
    });
    const raise = Math.min(...raises);
    for (const flow of rising) flow.rate += raise;
    const stopped = limits.filter((_, index) => raises[index] <= raise * (1 + 1e-12) + 1e-12).flatMap(({ members }) => members);
    rising = rising.filter((flow) => !stopped.includes(flow));
  }
};
