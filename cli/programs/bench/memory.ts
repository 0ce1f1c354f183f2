/** Words about memory: a size, a share of the model's file, all of it, or a sweep from one to another. Pure. */
import { E } from "../../../sim/base/fp.js";
import { custom, type Codec } from "../../../sim/base/decode.js";
import { parseQuantity } from "../../../sim/base/units.js";
import { size } from "../../args.js";

/** What one run may hold: everything, so many bytes, or so much of its model's file. */
export type MemoryAsked = { readonly _tag: "All" } | { readonly _tag: "Bytes"; readonly bytes: number } | { readonly _tag: "Share"; readonly share: number };

const EXAMPLE = '"900MB", "2GiB", "40%", 10%..120%/8 or all';
const POINTS = 8;
const MOST_POINTS = 1000;

const bytes = size(EXAMPLE);

const single = (typed: string): E.Either<string, MemoryAsked> => {
  if (typed === "all") return E.right({ _tag: "All" });
  if (typed.endsWith("%")) {
    const read = parseQuantity("ratio", typed);
    if (E.isLeft(read)) return read;
    return read.right > 0 ? E.right({ _tag: "Share", share: read.right }) : E.left(`must be above zero: ${typed}`);
  }
  const read = bytes.decode(typed);
  return E.isRight(read) ? E.right({ _tag: "Bytes", bytes: Math.floor(read.right) }) : E.left(read.left[0]?.message ?? "is no size");
};

const amount = (asked: MemoryAsked): number => (asked._tag === "Share" ? asked.share : asked._tag === "Bytes" ? asked.bytes : NaN);

/** From, to and how many, both ends among them: "10%..120%/12". */
const sweep = (typed: string): E.Either<string, ReadonlyArray<MemoryAsked>> => {
  const parts = /^(.+?)\.\.(.+?)(?:\/(\d+))?$/.exec(typed);
  if (parts === null) return E.left(`should be a sweep like 10%..120%/8, got ${typed}`);
  const [from, to, points] = [single(parts[1]!), single(parts[2]!), Number(parts[3] ?? POINTS)];
  if (E.isLeft(from)) return from;
  if (E.isLeft(to)) return to;
  if (from.right._tag !== to.right._tag || from.right._tag === "All") return E.left(`should run between two sizes or two shares, got ${typed}`);
  if (points < 2 || points > MOST_POINTS) return E.left(`should have between 2 and ${MOST_POINTS} points, got ${points}`);
  const [low, high] = [amount(from.right), amount(to.right)];
  if (low >= high) return E.left(`should run upwards, got ${typed}`);
  const at = (place: number): number => low + ((high - low) * place) / (points - 1);
  const share = from.right._tag === "Share";
  // Shares to a millionth: sums of tenths would not be written as they are meant.
  return E.right(Array.from({ length: points }, (_, place): MemoryAsked => (share ? { _tag: "Share", share: Number(at(place).toFixed(6)) } : { _tag: "Bytes", bytes: Math.floor(at(place)) })));
};

export const memoryAsked: Codec<ReadonlyArray<MemoryAsked>> = custom("memory", (raw) => {
  if (typeof raw !== "string" || raw.trim() === "") return E.left(`has no value; write it like ${EXAMPLE}`);
  const typed = raw.trim();
  if (typed.includes("..")) return sweep(typed);
  const read = single(typed);
  return E.isRight(read) ? E.right([read.right]) : read;
});

/** Bytes of it for a model whose file has `fileBytes`; null: everything. */
export const bytesOf = (asked: MemoryAsked, fileBytes: number): number | null => (asked._tag === "All" ? null : asked._tag === "Bytes" ? asked.bytes : Math.floor(asked.share * fileBytes));
