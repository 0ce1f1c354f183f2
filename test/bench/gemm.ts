/**
 * One matrix product at many rows of activations beside llama.cpp's, in one run: two programs that hold the same weights and activations take
 * turns, and sleep while the other computes. Each rounds the activations to what its kernel multiplies and makes the product, F32 in, F32
 * out; each compares 64 places of it with sums in double before the first turn and behind the last, and both are held to have the same sums.
 */
import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { E, TE, pipe } from "../../sim/base/fp.js";
import { asked, wordsOf, type Cell } from "./turns/asked.js";
import { different, figures, ours, theirs, type Figures, type Pair } from "./turns/compare.js";
import { othersBusy } from "./turns/others.js";
import { partner } from "./turns/partner.js";
import { builtOurs, builtTheirs, type Rival } from "./turns/programs.js";

/** From dist/test/bench/. */
const engine = fileURLToPath(new URL("../../../engine/", import.meta.url));
const script = `${engine}rivals/llama.cpp/build.mjs`;

const CACHES = "/sys/devices/system/cpu/cpu0/cache";
const LEAST_BYTES = 128 * 2 ** 20;
const LOOK_MS = 2000;

/** All copies of the weights together: twice the last-level cache, where the system tells its size. */
const bytesOfWeights = (): number => {
  const sizes = E.getOrElse((): ReadonlyArray<number> => [])(E.tryCatch(() => readdirSync(CACHES).filter((name) => name.startsWith("index")).map((name) => Number.parseInt(readFileSync(`${CACHES}/${name}/size`, "utf8"), 10) * 1024), () => null));
  return Math.max(LEAST_BYTES, ...sizes.map((size) => 2 * size));
};

interface Measured { readonly figures: Figures; readonly buffer: string; readonly kernels: string; readonly features: ReadonlyArray<string> }

const measure = async (programs: { readonly ours: string; readonly theirs: string }, cell: Cell, turns: number): Promise<Measured> => {
  const words = wordsOf(cell, bytesOfWeights());
  const one = await partner("neuronlab", programs.ours, ["turns", ...words], ours);
  try {
    const other = await partner("llama.cpp", programs.theirs, words, theirs);
    try {
      const wrong = different(one.prepared, other.prepared);
      if (wrong !== null) throw new Error(wrong);
      const pairs: Array<Pair> = [];
      while (pairs.length < turns) {
        if (pairs.length % 2 === 0) {
          const first = await one.turn();
          pairs.push({ ours: first, theirs: await other.turn() });
        } else {
          const first = await other.turn();
          pairs.push({ ours: await one.turn(), theirs: first });
        }
      }
      await other.end();
      await one.end();
      const { buffer, features } = other.prepared;
      return { figures: figures(cell, pairs), buffer, kernels: one.prepared.kernels, features };
    } finally {
      other.kill();
    }
  } finally {
    one.kill();
  }
};

const rate = ({ best, median }: Figures["ours"]): string => `${best.toFixed(0).padStart(5)} (${median.toFixed(0)})`.padEnd(13);

const line = (cell: Cell, { figures: { ours: mine, theirs: other, ratio, least, greatest, processor }, buffer }: Measured): string =>
  `  ${cell.format.padEnd(6)}${`${cell.rows} x ${cell.columns}`.padEnd(14)}${String(cell.threads).padStart(7)}  ${rate(mine)}${rate(other)}${ratio.toFixed(2).padStart(5)} ${`(${least.toFixed(2)} to ${greatest.toFixed(2)})`.padEnd(16)}${(processor?.toFixed(2) ?? "").padEnd(11)}${buffer}`;

const nameOf = ({ format, rows, columns, threads }: Cell): string => `${format}, ${rows} x ${columns}, ${threads} ${threads === 1 ? "thread" : "threads"}`;

const all = async (program: string, rival: Rival, cells: ReadonlyArray<Cell>, turns: number): Promise<void> => {
  console.log(`  GOP/s, best (median) of ${turns} turns each at ${cells[0]!.tokens} rows of activations; ratio: ours over llama.cpp ${rival.version}'s, median (least to greatest) of the pairs; processor: that of processor time`);
  console.log(`  cores that were busy with other work before it began: ${(await othersBusy(LOOK_MS)).toFixed(2)} (over ${LOOK_MS / 1000} s, with everything built and neither program started)`);
  const ratios: Array<{ readonly cell: Cell; readonly ratio: number }> = [];
  for (const cell of cells) {
    const measured = await measure({ ours: program, theirs: rival.program }, cell, turns);
    if (ratios.length === 0) {
      console.log(`  kernels: ours ${measured.kernels}; llama.cpp compiled with ${measured.features.join(" ")}`);
      console.log("\n  format weights      threads   ours         llama.cpp    ratio                 processor  its weights lie in");
    }
    console.log(line(cell, measured));
    ratios.push({ cell, ratio: measured.figures.ratio });
  }
  const slowest = ratios.reduce((one, other) => (other.ratio < one.ratio ? other : one));
  console.log(`\n  as fast as llama.cpp or faster in ${ratios.filter(({ ratio }) => ratio >= 1).length} of ${ratios.length}; the least ratio is ${slowest.ratio.toFixed(2)} (${nameOf(slowest.cell)})`);
};

export const benchGemm = async (words: ReadonlyArray<string>): Promise<void> => {
  const what = asked(words);
  if (E.isLeft(what)) {
    console.error(what.left);
    process.exitCode = 2;
    return;
  }
  const programs = await pipe(TE.Do, TE.bind("ours", () => TE.fromEither(builtOurs(engine))), TE.bind("rival", () => () => builtTheirs(script)))();
  if (E.isLeft(programs)) {
    console.log(`  not run: ${programs.left.reason}`);
    if (!programs.left.missing) process.exitCode = 1;
    return;
  }
  await all(programs.right.ours, programs.right.rival, what.right.cells, what.right.turns);
};
