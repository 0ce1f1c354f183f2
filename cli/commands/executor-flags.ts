/** Flags of whoever makes the runs of a sweep: sweeps name an executor, workers a queue. */
import type { Flag } from "../command.js";

export const redisFlags: ReadonlyArray<Flag> = [
  { name: "redis", value: "URL", help: "server of Redis or Valkey: redis://HOST:6379, rediss://USER:PASSWORD@HOST:6380/0 with TLS (default: NEURONLAB_REDIS_URL of the environment, where a password is better off)" },
  { name: "redis-ca", value: "FILE", help: "certificate (PEM) that the server's must be signed by, where this system does not know it" },
  { name: "queue", value: "NAME", help: "queue on that server (default: sweeps)" },
];

export const whereFlags: ReadonlyArray<Flag> = [
  { name: "executor", value: "NAME", help: "who makes the runs: pool (this machine), bullmq (workers behind a Redis server), slurm (a job array); the results are the same bytes (default: pool)" },
  ...redisFlags,
  { name: "patience", value: "SECONDS", help: "bullmq: end when for so long no worker of this version is there, or the server does not come back (default: 300)" },
  { name: "slurm-dir", value: "DIR", help: "slurm: jobs, script and results, in a folder that every node sees (default: beside the store)" },
  { name: "tasks", value: "N", help: "slurm: array tasks at most; each makes many runs (default: 64)" },
  { name: "at-once", value: "N", help: "slurm: of those so many at the same time (default: as the cluster likes)" },
  { name: "sbatch", value: "OPTIONS", help: 'slurm: further options of sbatch, such as "--partition=short --time=1:00:00"', dashes: true },
  { name: "no-wait", value: null, help: "slurm: submit and end; the same command gathers later" },
];
