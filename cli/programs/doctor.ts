/** What this machine has, and what each missing thing would enable. Changes nothing; exit 0 whatever it finds. */
import { RTE, pipe } from "../../sim/base/fp.js";
import { showBytes } from "../../sim/base/units.js";
import { table } from "../../sim/report/table.js";
import { decodeWords, shared } from "../args.js";
import type { Command, Words } from "../command.js";
import { inFormat, type Answer, type HostFacts, type Program } from "../program.js";

export interface Finding { readonly check: string; readonly found: string; readonly ok: boolean; readonly enables: string }

const MIN_NODE = [20, 19] as const;

const nodeIsNew = (version: string): boolean => {
  const [major, minor] = version.split(".").map(Number);
  return major > MIN_NODE[0] || (major === MIN_NODE[0] && minor >= MIN_NODE[1]);
};

export const findings = (host: HostFacts): ReadonlyArray<Finding> => [
  { check: "Node", found: host.node, ok: nodeIsNew(host.node), enables: `everything; ${MIN_NODE.join(".")} or newer` },
  { check: "cores", found: `${host.cores}, ${host.cpu}`, ok: host.cores > 1, enables: "more than one: runs of reproduce side by side" },
  { check: "memory", found: `${showBytes(host.memoryBytes)}, ${showBytes(host.freeMemoryBytes)} free`, ok: host.freeMemoryBytes >= 1e9, enables: "1GB free: reproduce with several workers" },
  { check: "disk", found: host.freeDiskBytes === null ? "unknown" : `${showBytes(host.freeDiskBytes)} free`, ok: host.freeDiskBytes !== null && host.freeDiskBytes >= 1e9, enables: "1GB free: results and timelines" },
  { check: "results/", found: host.resultsWritable ? "writable" : "not writable", ok: host.resultsWritable, enables: "reproduce without --out" },
  { check: "native engine", found: host.nativeEngine ?? "not built", ok: host.nativeEngine !== null, enables: "synth, pack, generate, bench, record, replay, train-predictor, probe, validate, perplexity and three steps of tour (npm run build:engine); simulation does not need it" },
  { check: "cargo", found: host.cargo ?? "missing", ok: host.cargo !== null, enables: "building the engine's kernels" },
  { check: "SimPy", found: host.simpy ?? "missing", ok: host.simpy !== null, enables: "npm run bench against SimPy (pip install simpy)" },
  { check: "ns-3", found: host.ns3 ?? "missing", ok: host.ns3 !== null, enables: "npm run bench against ns-3 (apt install libns3-dev)" },
  { check: "Slurm", found: host.sbatch ?? (host.sbatchAt === null ? "missing" : `${host.sbatchAt} finds no cluster`), ok: host.sbatch !== null, enables: "sweep --executor slurm: submitting; without it the script of a job array is written only (sbatch on the PATH: apt install slurm-client)" },
  { check: "BullMQ", found: host.bullmq ?? "cannot be loaded", ok: host.bullmq !== null, enables: "sweep --executor bullmq and worker (npm install); a Redis server is named with --redis" },
];

const describe = (found: ReadonlyArray<Finding>): string => {
  const missing = found.filter((finding) => !finding.ok);
  return [
    table([{ title: "check" }, { title: "" }, { title: "found", wrap: 50 }, { title: "for" }], found.map((f) => [f.check, f.ok ? "ok" : "--", f.found, f.enables])),
    "",
    missing.length === 0 ? "nothing is missing" : `missing or short: ${missing.map((finding) => finding.check).join(", ")}`,
  ].join("\n");
};

export const doctorProgram = (command: Command) => (given: Words): Program<Answer> =>
  pipe(
    RTE.fromEither(decodeWords(command, shared)(given)),
    RTE.chain((args) =>
      pipe(
        ((capabilities) => capabilities.host) as Program<HostFacts>,
        RTE.map(findings),
        RTE.map((found): Answer => ({ stdout: inFormat(args.format, { text: describe(found), json: { checks: found } }) })),
      ),
    ),
  );
