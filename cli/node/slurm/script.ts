/** The script of a job array. It starts this program over a file of jobs: data, and no command that the file could hold. Pure. */
import type { SlurmJob } from "../../executor.js";

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

/** Tasks of an array over so many jobs: never more than jobs. */
export const taskCount = (jobs: number, most: number): number => Math.max(1, Math.min(jobs, most));

/** Whether job number `line` is one of `task`: dealt in turn, so that slow neighbours are spread. */
export const isOf = (task: number, tasks: number) => (_: unknown, line: number): boolean => line % tasks === task;

export const scriptOf = ({ self, tasks, atOnce, options, cores }: SlurmJob, jobs: number, batch: string): string => {
  const last = taskCount(jobs, tasks) - 1;
  return [
    "#!/bin/sh",
    `# ${jobs} runs of a sweep, by neuronlab. Submit it with sbatch from a machine that sees this folder.`,
    "#SBATCH --job-name=neuronlab",
    `#SBATCH --array=0-${last}${atOnce === null ? "" : `%${atOnce}`}`,
    `#SBATCH --cpus-per-task=${cores}`,
    `#SBATCH --output="${batch.replaceAll("%", "%%").replaceAll('"', '\\"')}/logs/%a.txt"`,
    "#SBATCH --open-mode=append",
    ...options.map((option) => `#SBATCH ${option}`),
    `exec ${[...self, "worker", "--jobs", batch].map(quoted).join(" ")} --task "$SLURM_ARRAY_TASK_ID" --workers "\${SLURM_CPUS_PER_TASK:-${cores}}"`,
    "",
  ].join("\n");
};

/** How many tasks a script deals to: what a task must know to find its share. */
export const tasksIn = (script: string): number | null => {
  const [, last] = /^#SBATCH --array=0-(\d+)/m.exec(script) ?? [];
  return last === undefined ? null : Number(last) + 1;
};
