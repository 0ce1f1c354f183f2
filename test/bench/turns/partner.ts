/** A program that does something each time it is asked: it says what it has prepared, then answers a line with what a turn took. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { decode, exactly, number, parseJson, type Codec, type TypeOf } from "../../../sim/base/decode.js";
import { describeError } from "../../../sim/base/errors.js";
import { E, pipe } from "../../../sim/base/fp.js";

const answer = exactly({ seconds: number(Number.MIN_VALUE, 1e6), processor: number(0, 1e6) });

/** Seconds by the clock, and those that the program's threads had processors. */
export type Taken = TypeOf<typeof answer>;

export interface Partner<A> {
  /** What it said first. */
  readonly prepared: A;
  /** Makes one turn. */
  readonly turn: () => Promise<Taken>;
  /** Lets it end, and waits. Rejects when it ends with a complaint. */
  readonly end: () => Promise<void>;
  /** Ends it at once. */
  readonly kill: () => void;
}

const read = <A>(codec: Codec<A>, name: string, line: string): A => {
  const found = pipe(parseJson(name, line), E.chain(decode(codec, name)));
  if (E.isLeft(found)) throw new Error(describeError(found.left));
  return found.right;
};

/** Starts a program and waits until it is prepared. Rejects with what it says when it is not. */
export const partner = async <A>(name: string, command: string, words: ReadonlyArray<string>, codec: Codec<A>): Promise<Partner<A>> => {
  const child = spawn(command, words, { stdio: ["pipe", "pipe", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  child.stdin.on("error", () => undefined); // It may be gone; then its lines end, which says so.
  const ended = new Promise<string | null>((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (exit, signal) => resolve(exit === 0 ? null : `${said.trim() || "it said nothing"} (${signal ?? `exit code ${exit}`})`));
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async <B>(as: Codec<B>): Promise<B> => {
    const line = await lines.next();
    if (line.done === true) throw new Error(`${name}: ${(await ended) ?? "it ended too early"}`);
    return read(as, name, line.value);
  };
  const kill = (): void => void child.kill("SIGKILL");
  try {
    const prepared = await next(codec);
    return {
      prepared,
      turn: async () => {
        child.stdin.write("\n");
        return next(answer);
      },
      end: async () => {
        child.stdin.end();
        const complaint = await ended;
        if (complaint !== null) throw new Error(`${name}: ${complaint}`);
      },
      kill,
    };
  } catch (error) {
    kill();
    throw error;
  }
};
