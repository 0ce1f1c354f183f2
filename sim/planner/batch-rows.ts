/** Rows on the NPU for the batch sizes that a plan may meet: the rest of the plan as it is, each share tried in closed form. */
import { residentBytes, type Plan } from "../domain/plan.js";
import type { Cell } from "./candidates.js";
import { shares } from "./space.js";
import { runPlans, type Searching } from "./trials.js";

/** The batch sizes that the paper's planner plans for. */
const BATCHES = [1, 2, 3, 4] as const;
const TRIED = shares(10);

/** The plan as it would be run at another batch size: a KV cache for so many sequences, paid for by what the plan leaves empty, then by the cold and the hot segment. */
const atBatch = (plan: Plan, from: number, batch: number, share: number): Plan => {
  const kv = Math.ceil((plan.cache.kv / from) * batch);
  const owed = Math.max(0, kv - plan.cache.kv - Math.max(0, Math.floor(plan.memory - residentBytes(plan))));
  const cold = Math.max(0, plan.cache.cold - owed);
  const hot = Math.max(0, plan.cache.hot - Math.max(0, owed - plan.cache.cold));
  return { ...plan, cache: { ...plan.cache, kv, cold, hot }, compute: { ...plan.compute, npuRows: batch === 1 ? [{ batch: 1, share }] : [{ batch: 1, share }, { batch, share }] } };
};

/** The plan with an entry for each batch size; at its own batch size it decides as before. */
export function* withBatchRows(cell: Cell, plan: Plan, share: number, tokens: number): Searching<Plan> {
  const own = cell.request.batch;
  if (plan.mechanisms.decodeOn !== "cpu+npu") return plan;
  const rows = [{ batch: own, share }];
  for (const batch of BATCHES.filter((b) => b !== own)) {
    const runs = yield* runPlans({ ...cell, request: { ...cell.request, batch } }, TRIED.map((tried) => atBatch(plan, own, batch, tried)), "analytic", tokens);
    let best = -1;
    runs.forEach((run, i) => {
      if (run !== null && (best < 0 || run.tokensPerSec > runs[best]!.tokensPerSec * (1 + 1e-9))) best = i;
    });
    // Where the budget has no room for so many sequences, the plan's own share stands.
    rows.push({ batch, share: best < 0 ? share : TRIED[best]! });
  }
  return { ...plan, compute: { ...plan.compute, npuRows: rows.sort((a, b) => a.batch - b.batch) } };
}
