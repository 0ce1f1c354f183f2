/**
 * Which candidates are draws: those under which every profile is still one. A core that moves more bytes than DRAM gives is no phone that could be; the law
 * of the draws is that of the facts, given that they do not contradict each other.
 */
import { E } from "../../base/fp.js";
import { decode, type Codec } from "../../base/decode.js";
import { deviceCodec } from "../../domain/device.js";
import { modelCodec } from "../../domain/model.js";
import { systemCodec } from "../../domain/system.js";
import { movedDocument, movesOf } from "./drawn.js";
import { candidatesOf, type Doubt, type Named } from "./laws.js";

const CODECS: Readonly<Record<Named["profile"], Codec<unknown>>> = { device: deviceCodec as Codec<unknown>, model: modelCodec as Codec<unknown>, system: systemCodec as Codec<unknown> };

/** Candidates that are tried for a draw, on the average, before it is given up. */
const PATIENCE = 200;

/** Numbers of the first `draws` candidates that can be, from 1; null where hardly any can. */
export const acceptedOf = (profiles: ReadonlyArray<Named>, facts: ReadonlyArray<Doubt>, draws: number, seed: number): ReadonlyArray<number> | null => {
  const nexts = facts.map((doubt) => ({ doubt, next: candidatesOf(doubt, seed) }));
  const accepted: Array<number> = [];
  for (let candidate = 1; accepted.length < draws; candidate++) {
    if (candidate > PATIENCE * (accepted.length + 1)) return null;
    const moves = nexts.flatMap(({ doubt, next }) => movesOf(doubt, next()));
    if (profiles.every(({ profile, name, document }) => E.isRight(decode(CODECS[profile], name)(movedDocument(document, profile, name, moves))))) accepted.push(candidate);
  }
  return accepted;
};
