/** All rounds of one cell: each side in a process of its own, in turn; a side that cannot run is a gap, and the others go on. */
import { E, type Either } from "../../../sim/base/fp.js";
import type { AppError } from "../../../sim/base/errors.js";
import type { Capabilities, FileFacts, Rival } from "../../program.js";
import type { Row } from "../bench/rows.js";
import type { BenchArgs } from "../bench/words.js";
import { nameOf, type Against, type Baseline, type Cell, type Finished, type Gap, type Who } from "./cell.js";
import { candidatesOf, ourCommand, takeTurn, theirCommand, theirFile, type Candidate, type Command } from "./turn.js";

type Their = Extract<Who, { readonly program: "llama.cpp" }>;

const theirsIn = (cell: Cell): ReadonlyArray<Their> => (["same file", ...(cell.pair === null ? [] : ["best case"] as const)] as ReadonlyArray<Against>).map((against) => ({ program: "llama.cpp", against }));

export interface Setting { readonly capabilities: Capabilities; readonly args: BenchArgs; readonly rival: Rival; readonly sizes: ReadonlyMap<string, FileFacts>; readonly rounds: number }

const candidatesIn = ({ rival, args, sizes }: Setting, cell: Cell, who: Their): ReadonlyArray<Candidate> => candidatesOf(rival, args["baseline-args"], cell.request.memory, sizes.get(theirFile(cell, who))?.bytes ?? Infinity);

/** How many processes a cell starts when nothing goes wrong. */
export const turnsIn = (setting: Setting, cell: Cell): number => setting.rounds * (1 + theirsIn(cell).length) + theirsIn(cell).map((who) => candidatesIn(setting, cell, who).length).reduce((sum, count) => sum + (count > 1 ? count : 0), 0);

const asBaseline = (who: Their, { build, words }: Candidate, tried: Baseline["tried"]): Baseline => ({ against: who.against, program: build.program, repacks: build.repacks, words, tried });

/** Where there are several ways to run it, each gets one repetition, and the fastest runs in all rounds. */
const strongest = async (setting: Setting, cell: Cell, who: Their, onTurn: () => void): Promise<Either<AppError, readonly [Candidate, Baseline]>> => {
  const candidates = candidatesIn(setting, cell, who);
  if (candidates.length === 1) return E.right([candidates[0]!, asBaseline(who, candidates[0]!, [])]);
  const short: Cell = { ...cell, request: { ...cell.request, repetitions: 1 } };
  const tried: Array<Baseline["tried"][number]> = [];
  for (const candidate of candidates) {
    const turn = await takeTurn(setting.capabilities, short, theirCommand(who, short, candidate))();
    if (E.isLeft(turn)) return turn;
    const about = { repacks: candidate.build.repacks, words: candidate.words };
    tried.push(E.isLeft(turn.right) ? { ...about, rate: null, reason: turn.right.left } : { ...about, rate: turn.right.right.avg_ts, reason: null });
    onTurn();
  }
  const rates = tried.map(({ rate }) => rate ?? 0);
  const best = candidates[rates.indexOf(Math.max(...rates))]!;
  return E.right([best, asBaseline(who, best, tried)]);
};

/** Every other round runs backwards, so that nobody always has the warmer machine. */
export const finishCell = async (setting: Setting, cell: Cell, onTurn: () => void): Promise<Either<AppError, Finished>> => {
  const commands: Array<Command> = [ourCommand(setting.capabilities.self, setting.args, cell)];
  const baselines: Array<Baseline> = [];
  for (const who of theirsIn(cell)) {
    const found = await strongest(setting, cell, who, onTurn);
    if (E.isLeft(found)) return found;
    commands.push(theirCommand(who, cell, found.right[0]));
    baselines.push(found.right[1]);
  }
  const rows = new Map<Command, Array<Row>>(commands.map((command) => [command, []]));
  const gaps = new Map<Command, Gap>();
  for (let round = 0; round < setting.rounds; round++) {
    for (const command of round % 2 === 0 ? commands : commands.toReversed()) {
      if (gaps.has(command)) continue;
      const turn = await takeTurn(setting.capabilities, cell, command)();
      if (E.isLeft(turn)) return turn;
      if (E.isLeft(turn.right)) gaps.set(command, { who: command.who, round, reason: turn.right.left });
      else rows.get(command)!.push(turn.right.right);
      onTurn();
    }
  }
  return E.right({ cell, measured: commands.map((command) => ({ who: command.who, rounds: rows.get(command)! })), gaps: [...gaps.values()], baselines });
};

/** Such as "llama.cpp on m.gguf in 900000000 bytes, cold, tg16, round 2: killed". */
export const describeGap = (cell: Cell, { who, round, reason }: Gap): string =>
  `${nameOf(who)} on ${who.program === "neuronlab" ? cell.request.model : theirFile(cell, who)}${cell.request.memory === null ? "" : ` in ${cell.request.memory} bytes`}, ${cell.cache}, round ${round + 1}: ${reason}`;
