/** What the disk below a file gives to direct reads, by the measuring programs that are installed. Nothing is written. */
import { execFile } from "node:child_process";
import { E, type TaskEither } from "../../sim/base/fp.js";
import type { AppError } from "../../sim/base/errors.js";
import type { DiskFacts } from "../program.js";

/** What a program printed, or null when it is absent, failed or took too long. */
const printed = (program: string, words: ReadonlyArray<string>): Promise<string | null> =>
  new Promise((done) => {
    execFile(program, [...words], { timeout: 30_000, maxBuffer: 16e6 }, (error, stdout) => done(error === null ? stdout : null));
  });

const SECONDS = 3;

/** Bytes and operations a second of one run of fio. */
const fio = async (file: string, words: ReadonlyArray<string>): Promise<{ readonly bw_bytes: number; readonly iops: number } | null> => {
  const all = ["--name=read", `--filename=${file}`, "--readonly", "--direct=1", "--ioengine=io_uring", `--runtime=${SECONDS}`, "--time_based", "--output-format=json", ...words];
  const json = await printed("fio", all);
  try {
    return json === null ? null : (JSON.parse(json) as { readonly jobs: ReadonlyArray<{ readonly read: { readonly bw_bytes: number; readonly iops: number } }> }).jobs[0]!.read;
  } catch {
    return null; // A fio that prints something else tells us nothing.
  }
};

export const diskFacts = (file: string): TaskEither<AppError, DiskFacts> => async () => {
  const filesystem = (await printed("findmnt", ["--noheadings", "--output", "FSTYPE,SOURCE", "--target", file]))?.trim().replace(/\s+/g, " ") ?? null;
  // One after the other: together they would measure each other.
  const sequential = await fio(file, ["--rw=read", "--bs=1M", "--iodepth=8"]);
  const random = await fio(file, ["--rw=randread", "--bs=4k", "--iodepth=32"]);
  const how = sequential === null || random === null ? "fio is not installed, or cannot read directly here" : `fio, ${SECONDS} s each, on the model's file: direct reads through io_uring, 1 MiB in order with 8 in flight, 4 KiB at random with 32`;
  return E.right({ filesystem, sequential: sequential?.bw_bytes ?? null, random: random?.iops ?? null, how });
};
