/**
 * The plan that a real run had, whatever it was made from: what the engine did with its flags and its plan, in the words of
 * plans. The simulator reads it, so that a run can be predicted afterwards. Pure.
 */
import type { Plan } from "../../../sim/domain/plan.js";
import type { GenerateReport, GenerateRequest } from "../../../engine/index.js";

const LOADING = { neuron: "two-phase", cluster: "bundle", matrix: "rows", expert: "expert", tensor: "stream" } as const;

const cacheOf = (policy: GenerateRequest["policy"]): Plan["mechanisms"]["cache"] => (policy === "lru" ? "segmented" : policy);

/** From flash the true gates decide unless a predictor does; in memory, densely or not, all of it is there. */
const computationOf = (report: GenerateReport): Plan["mechanisms"]["computation"] => (report.labels.includes("predicted") ? "predicted" : report.ffn === "dense in memory" ? "dense" : "gated");

/** The engine's reads of a stream are cut to this. */
const LARGEST_READ = 512 * 1024;

const WEIGHTS = "weights outside the FFNs";
const KV = "KV cache";

/** What a process holds when it begins is counted in such steps, and the next run may begin one higher. (PROCESS_STEP, engine/crates/generate/src/place.rs) */
const PROCESS_STEP = 64 * 1024 * 1024;

const bytesIn = (parts: GenerateReport["fixed"]): number => parts.reduce((sum, { bytes }) => sum + bytes, 0);

/** Of a run without a limit: what the phase that needs more held, and room for the same run to come about again. */
const heldBy = (report: GenerateReport): number => {
  const { phases } = report;
  const inPhases = phases === undefined ? report.ffnBytes : Math.max(...[phases.prefill, phases.decode].map(({ parts, hot, cold }) => bytesIn(parts) + hot + cold));
  return bytesIn(report.fixed) + inPhases + PROCESS_STEP;
};

/** While tokens are generated: a plan has one division, and decoding is what it is for. */
const bytesOf = (report: GenerateReport, is: (part: string) => boolean): number => bytesIn([...report.fixed, ...(report.phases?.decode.parts ?? [])].filter(({ part }) => is(part)));

/** All of the plan's kind where the number of threads is the plan's, else cores of one kind: here nobody knows kinds. */
const threadsOf = (threads: number, given: Plan | null): Plan["compute"]["threads"] => {
  const asked = given?.compute.threads;
  return asked !== undefined && asked.big + asked.mid + asked.little === threads ? asked : { big: threads, mid: 0, little: 0 };
};

export interface MeasuredOn { readonly device: string; readonly model: string; readonly system: string }

export const measuredPlan = (request: GenerateRequest, report: GenerateReport, given: Plan | null, on: MeasuredOn): Plan => {
  const fromFlash = report.ffn === "from flash" || report.ffn === "predicted from flash";
  const lanes = report.reads === undefined ? request.io.backend === "lanes" : report.reads.backend.startsWith("pread");
  const fixed = bytesOf(report, (part) => part === WEIGHTS);
  const kv = bytesOf(report, (part) => part === KV);
  const runtime = bytesOf(report, (part) => part !== WEIGHTS && part !== KV);
  // A hot segment with room for up and down too is how the engine and the simulator know FFNs that are in memory whole.
  const [hot, cold] = fromFlash ? [report.hot, report.cold] : [report.ffnBytes, 0];
  return {
    schema: "neuronlab/plan@1",
    note: "what a run of the engine had; hot is gate rows, or all FFNs where they were in memory, and cold is up and down",
    device: on.device,
    model: on.model,
    shape: report.shape,
    system: on.system,
    memory: report.memory ?? heldBy(report),
    mechanisms: {
      computation: computationOf(report),
      decodeOn: "cpu",
      prefillOn: "cpu",
      loading: LOADING[request.granularity],
      cache: cacheOf(request.policy),
      overlap: request.overlap,
      submitters: lanes ? "io-thread" : "compute-threads",
      prefetchHot: "off",
      prefillOverlap: "next-layer",
      scalesResident: "no",
      offload: "yes",
    },
    compute: { threads: threadsOf(report.threads, given), ioCore: lanes ? (given === null || given.compute.ioCore === "none" ? "big" : given.compute.ioCore) : "none", attentionOn: "cpu", npuRows: [{ batch: 1, share: 0 }] },
    cluster: { neurons: request.cluster },
    cache: { fixed, predictors: 0, scales: 0, kv, runtime, hot, cold },
    pipeline: { depth: request.depth },
    io: { streamBlock: LARGEST_READ, lanes: Math.min(request.io.reads, 64), gates: request.gates },
  };
};
