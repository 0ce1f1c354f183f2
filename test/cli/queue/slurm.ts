/** A Slurm of a test's own: munged, slurmctld and slurmd on loopback, with all their files in one folder (Debian: apt-get install slurm-wlm). */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { hostname, tmpdir, userInfo } from "node:os";
import { join } from "node:path";

export interface Cluster { readonly environment: Readonly<Record<string, string>>; readonly end: () => Promise<void> }

const PROGRAMS = ["munged", "slurmctld", "slurmd", "sbatch", "squeue"] as const;
/** Daemons lie where a user's PATH may not lead. */
const PATH = `${process.env.PATH ?? ""}:/usr/sbin:/usr/local/sbin`;

const pause = (ms: number): Promise<void> => new Promise((next) => setTimeout(next, ms));

const settings = (folder: string, host: string, user: string, port: number): string => `
ClusterName=loop
SlurmctldHost=${host}(127.0.0.1)
SlurmUser=${user}
SlurmdUser=${user}
SlurmctldPort=${port}
SlurmdPort=${port + 1}
AuthType=auth/munge
AuthInfo=socket=${folder}/munge.socket
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/spool
SlurmctldPidFile=${folder}/slurmctld.pid
SlurmdPidFile=${folder}/slurmd.pid
SlurmctldLogFile=${folder}/slurmctld.log
SlurmdLogFile=${folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
NodeName=${host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes=${host} Default=YES MaxTime=INFINITE State=UP
`;

/** A cluster of this machine alone; or why there is none. */
export const startSlurm = async (): Promise<Cluster | string> => {
  const missing = PROGRAMS.filter((program) => spawnSync("sh", ["-c", `command -v ${program}`], { env: { ...process.env, PATH } }).status !== 0);
  if (missing.length > 0) return `there is no ${missing.join(", no ")}; apt-get install slurm-wlm munge`;
  const [folder, host, user] = [mkdtempSync(join(tmpdir(), "neuronlab-slurm-")), hostname().split(".")[0]!, userInfo().username];
  const environment = { PATH, SLURM_CONF: join(folder, "slurm.conf") };
  for (const inner of ["state", "spool"]) mkdirSync(join(folder, inner));
  writeFileSync(join(folder, "key"), randomBytes(64), { mode: 0o600 });
  writeFileSync(environment.SLURM_CONF, settings(folder, host, user, 20_000 + (process.pid % 20_000)));
  const children: Array<ChildProcess> = [];
  const begin = (program: string, ...words: ReadonlyArray<string>): void => {
    const child = spawn(program, words, { env: { ...process.env, ...environment }, stdio: "ignore" });
    child.on("error", () => undefined);
    children.push(child);
  };
  const end = async (): Promise<void> => {
    for (const child of children.reverse()) {
      child.kill("SIGTERM");
      for (let i = 0; i < 50 && child.exitCode === null && child.signalCode === null; i++) await pause(100);
      child.kill("SIGKILL");
    }
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  begin("munged", "--foreground", "--force", `--key-file=${folder}/key`, `--socket=${folder}/munge.socket`, `--pid-file=${folder}/munged.pid`, `--log-file=${folder}/munged.log`, `--seed-file=${folder}/seed`);
  await pause(500);
  begin("slurmctld", "-D", "-c");
  await pause(1000);
  begin("slurmd", "-D");
  for (let i = 0; i < 60; i++) {
    if (/idle/.test(spawnSync("sinfo", ["--noheader"], { env: { ...process.env, ...environment } }).stdout?.toString() ?? "")) return { environment, end };
    await pause(500);
  }
  await end();
  return "slurmctld and slurmd do not come up on loopback here";
};
