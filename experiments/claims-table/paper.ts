/** The paper's claims as the experiments have them, a row an experiment, and how near the values that nothing was fitted to come. */
import { summariseErrors } from "../../sim/report/metrics.js";
import { atMost, percent, type Documents, type Row } from "./row.js";

export interface StoredPoints {
  readonly id: string;
  readonly paper: string;
  readonly points: ReadonlyArray<{ readonly id: string; readonly role: string; readonly reported: number; readonly simulated: number | null; readonly signedError: number | null }>;
  readonly claims: ReadonlyArray<{ readonly id: string; readonly text: string; readonly holds: boolean; readonly found: string }>;
}

export const storedPoints = (documents: Documents): ReadonlyArray<StoredPoints> => Object.keys(documents).filter((path) => /^results\/paper\/[^/]+\/points\.json$/.test(path)).map((path) => documents[path] as StoredPoints);

/** What every check point of the paper comes to. */
export const checkErrors = (all: ReadonlyArray<StoredPoints>) => summariseErrors(all.flatMap(({ points }) => points.filter(({ role }) => role === "check")));

const ofExperiment = ({ id, paper, points, claims }: StoredPoints): Row => {
  const errors = summariseErrors(points);
  const missed = claims.filter(({ holds }) => !holds);
  const values = errors.medianAbsError === null ? "" : `; ${points.length} values, median error ${percent(errors.medianAbsError)}`;
  return {
    group: "The paper's figures and tables",
    claim: `[${paper}](../results/paper/README.md#${id})`,
    command: `neuronlab reproduce ${id}`,
    takes: "2 s",
    tolerance: claims.length === 0 ? "" : "25 % of a number that a claim names, or as it says",
    found: `${claims.length === 0 ? "no claim" : `${claims.length - missed.length} of ${claims.length} claims`}${values}${missed.length === 0 ? "" : `. Missed: ${missed.map(({ text, found }) => `${text.replace(/ \(holds.*\)$/, "")}: ${found}`).join("; ")}`}`,
    holds: claims.length === 0 ? null : missed.length === 0,
    measured: "",
  };
};

/** The speed of the largest model with the most memory: what the paper's abstract claims. */
export const headline = (all: ReadonlyArray<StoredPoints>) => all.flatMap(({ points }) => points).find(({ id }) => id === "f10.powerinfer-2.19GB")!;

export const paperRows = (documents: Documents): ReadonlyArray<Row> => {
  const all = storedPoints(documents);
  const errors = checkErrors(all);
  const top = headline(all);
  const claims = all.flatMap((one) => one.claims);
  const shared = { group: "How near the simulator comes to the paper", command: "neuronlab reproduce", takes: "6 s", measured: "" };
  return [
    { ...shared, claim: `The median error of the ${errors.points} values that nothing was fitted to is within 5 %`, ...atMost(errors.medianAbsError!, 0.05) },
    { ...shared, claim: "Their mean error is within 8 %", ...atMost(errors.meanAbsError!, 0.08) },
    { ...shared, claim: "A 47B model decodes at 11.68 tokens/s in 19 GB on a OnePlus 12", tolerance: "within 25 %", found: `${top.simulated!.toFixed(2)} tokens/s`, holds: Math.abs(top.signedError!) <= 0.25 },
    { ...shared, claim: "The paper's claims hold", tolerance: "all", found: `${claims.filter(({ holds }) => holds).length} of ${claims.length}`, holds: claims.every(({ holds }) => holds) },
    ...all.map(ofExperiment),
  ];
};
