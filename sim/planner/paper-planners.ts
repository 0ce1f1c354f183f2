/**
 * The planners that the paper describes, as far as it does: neither version prints its equations. What is said is kept (inputs,
 * objective, constraints, what is decided); where a formula is missing, the plainest one of the same quantities stands.
 *
 * powerinfer-2-v1 (arXiv 2406.06282v1, Equations 1-5): maximise 1/t_decode, where t_decode is the compute time since reads are
 * overlapped, under the constraints that reads keep up with compute, that memory and cores suffice. Solved by looking at every
 * assignment, where the paper asks Z3.
 *
 * powerinfer-2 (v3, section 5): from profiles, neurons are classified as hot and cold for each batch size of 1-4, the hot set no
 * larger than what its prefetch can hide under attention; and threads and cores are chosen.
 */
import { E, pipe, type Either } from "../base/fp.js";
import { unsupported, type AppError } from "../base/errors.js";
import type { Plan } from "../domain/plan.js";
import type { CoreKind } from "../domain/device.js";
import type { Threads } from "../hardware/kernels.js";
import { planAt, type Cell } from "./candidates.js";
import { bestHotFraction, defaultPlan, pipelineBytes } from "./default-plan.js";
import { fitMemory } from "./fit.js";
import { layerCosts } from "./layer-costs.js";
import { coresOf, driverAt, hasCores, shares, type Choice, type Driver } from "./space.js";

export const PAPER_PLANNERS = ["powerinfer-2-v1", "powerinfer-2"] as const;
export type PaperPlanner = (typeof PAPER_PLANNERS)[number];

/** Batch sizes that v3 plans for. */
const BATCHES = [1, 2, 3, 4] as const;
const STREAM_BLOCK = 512 * 1024;
const TENTHS = shares(10);
const FAST = ["big", "mid"] as const satisfies ReadonlyArray<CoreKind>;

interface Team { readonly driver: Driver; readonly mid: number; readonly little: number; readonly threads: Threads }

/** Threads on the fast cores, with a reader where something is read; little cores where there are no others. */
const teamsOf = ({ device }: Cell, reads: boolean): ReadonlyArray<Team> => {
  const upTo = (kind: CoreKind): ReadonlyArray<number> => Array.from({ length: coresOf(device, kind) + 1 }, (_, i) => i);
  const readers = reads ? (["big", "mid", "little"] as const).filter((kind) => coresOf(device, kind) > 0) : (["none"] as const);
  const hasFast = FAST.some((kind) => coresOf(device, kind) > 0);
  return readers.flatMap((ioCore) => upTo("big").flatMap((big) => upTo("mid").flatMap((mid) => (hasFast ? [0] : upTo("little")).map((little): Team => ({ driver: driverAt(ioCore, big), mid, little, threads: { big, mid, little } }))))).filter((team) => hasCores(device, team));
};

/** The least of a list by a cost; the first of equals. */
const least = <A>(all: ReadonlyArray<A>, cost: (one: A) => number): A => all.reduce((best, one) => (cost(one) < cost(best) ? one : best));

/** What the planners leave to the system: layout, cluster size, depth and the like are those of its default plan. */
interface Base { readonly choice: (team: Team, more: Partial<Choice>) => Choice; readonly cached: number; readonly all: boolean }

const baseOf = (cell: Cell): Either<AppError, Base> => {
  const { device, model, system, request } = cell;
  return pipe(
    defaultPlan(device, model, system, request),
    E.chain((plan) =>
      pipe(
        fitMemory(device, model, system, plan.mechanisms, request),
        E.map((fit): Base => {
          const buffers = fit.all ? 0 : pipelineBytes(model, plan.mechanisms, plan.cluster.neurons, plan.pipeline.depth);
          return {
            all: fit.all,
            cached: fit.all ? 1 : Math.max(0, fit.ffn - buffers) / fit.ffnAll,
            choice: ({ driver, mid, little }, more) => ({
              layout: { loading: plan.mechanisms.loading, scalesResident: plan.mechanisms.scalesResident }, gates: plan.io.gates, cache: plan.mechanisms.cache, hot: 1, npuShare: 0, attentionOn: "cpu", driver, mid, little,
              clusterNeurons: plan.cluster.neurons, depth: plan.pipeline.depth, overlap: plan.mechanisms.overlap, prefetchHot: plan.mechanisms.prefetchHot, lanes: 1, streamBlock: STREAM_BLOCK, keep: 1, ...more,
            }),
          };
        }),
      )),
  );
};

const readerOf = (team: Team): CoreKind => (team.driver.ioCore === "none" ? "big" : team.driver.ioCore);

/** Decode on the CPU alone; `slowest` is the user's lower bound on tokens/s, if any. */
const planV1 = (cell: Cell): Either<AppError, Plan> =>
  pipe(
    baseOf(cell),
    E.chain((base) => {
      const costs = layerCosts(cell, cell.request.batch);
      const reading = new Map(base.all ? [] : (["big", "mid", "little"] as const).map((kind) => [kind, TENTHS.map((hot) => costs.readNs(kind, base.cached, hot))] as const));
      const assignments = teamsOf(cell, !base.all).flatMap((team) => {
        const computeNs = costs.attentionNs(team.threads, "cpu") + costs.cpuNs(team.threads, 0);
        return TENTHS.map((hot, i) => ({ team, hot, computeNs, readNs: reading.get(readerOf(team))?.[i] ?? 0 }));
      });
      if (assignments.length === 0) return E.left(unsupported("planner powerinfer-2-v1", `${cell.device.title} has no core for compute beside one for reads`));
      const keepUp = assignments.filter((a) => a.readNs <= a.computeNs);
      // Where reads cannot keep up with any assignment the constraint has no solution: then the longer of the two is made least.
      const chosen = keepUp.length > 0 ? least(keepUp, (a) => a.computeNs + 1e-6 * a.readNs) : least(assignments, (a) => Math.max(a.readNs, a.computeNs) + 1e-6 * Math.min(a.readNs, a.computeNs));
      const note = keepUp.length > 0 ? "planner powerinfer-2-v1: compute time least, reads keep up" : "planner powerinfer-2-v1: reads keep up in no assignment, so the longer of reads and compute is least";
      return pipe(planAt(cell, base.choice(chosen.team, { hot: chosen.hot })), E.map((plan): Plan => ({ ...plan, note })));
    }),
  );

/** Hot rows of a batch size: where NPU and CPU end together, as far as the hot set is resident or arrives under attention. */
const hotRows = (cell: Cell, batch: number, threads: Threads, residentHot: number, prefetches: boolean): number => {
  const costs = layerCosts(cell, batch);
  const arrives = prefetches ? costs.streamedShare(costs.attentionNs(threads, "cpu+npu"), STREAM_BLOCK) : 0;
  const most = Math.min(1, residentHot + arrives);
  const balanced = least(shares(20), (share) => Math.max(costs.npuNs(share), costs.cpuNs(threads, share)));
  return Math.min(balanced, most);
};

const planV3 = (cell: Cell): Either<AppError, Plan> =>
  pipe(
    baseOf(cell),
    E.chain((base) => {
      const { device, model, system, request } = cell;
      const hybrid = system.mechanisms.decodeOn === "cpu+npu" && device.npu !== null;
      const hot = base.all ? 1 : bestHotFraction(model, base.cached);
      const residentHot = base.cached * hot;
      const prefetches = !base.all && model.experts.count === 1 && system.mechanisms.prefetchHot === "under-attention";
      const rowsFor = (team: Team, batch: number): number => (hybrid ? hotRows(cell, batch, team.threads, residentHot, prefetches) : 0);
      const costs = layerCosts(cell, request.batch);
      const reads = new Map(base.all ? [] : (["big", "mid", "little"] as const).map((kind) => [kind, costs.readNs(kind, base.cached, hot)] as const));
      const teams = teamsOf(cell, !base.all);
      if (teams.length === 0) return E.left(unsupported("planner powerinfer-2", `${device.title} has no core for compute beside one for reads`));
      const team = least(teams, (t) => {
        const share = rowsFor(t, request.batch);
        return costs.attentionNs(t.threads, hybrid ? "cpu+npu" : "cpu") + Math.max(costs.npuNs(share), costs.cpuNs(t.threads, share), reads.get(readerOf(t)) ?? 0);
      });
      return pipe(
        planAt(cell, base.choice(team, { hot, npuShare: rowsFor(team, request.batch), attentionOn: hybrid ? "cpu+npu" : "cpu" })),
        E.map((plan): Plan => ({
          ...plan,
          note: "planner powerinfer-2 (v3): hot rows where NPU and CPU end together, as far as they are resident or arrive under attention",
          compute: { ...plan.compute, npuRows: [...new Set([...BATCHES, request.batch])].sort((a, b) => a - b).map((batch) => ({ batch, share: rowsFor(team, batch) })) },
        })),
      );
    }),
  );

export const paperPlan = (planner: PaperPlanner, cell: Cell): Either<AppError, Plan> => (planner === "powerinfer-2-v1" ? planV1(cell) : planV3(cell));
