/** What is told of a sweep besides its points, as tables: a terminal prints them, a page shows them. */
import { indented, showNumber, showShare, table, type Column } from "../../../sim/report/table.js";
import { METRICS } from "../../../sim/report/metrics.js";
import type { Coordinates } from "../../../sim/sweep/constraint.js";
import type { Between } from "../../../sim/sweep/sensitivity/bootstrap.js";
import type { Stability } from "../../../sim/sweep/stability/analysis.js";
import type { Sensitivity } from "../../../sim/sweep/sensitivity/analysis.js";

export interface Section { readonly title: string; readonly columns: ReadonlyArray<Column>; readonly rows: ReadonlyArray<ReadonlyArray<string>>; readonly notes: ReadonlyArray<string> }

export const sectionText = ({ title, columns, rows, notes }: Section): string => [title, indented(table(columns, rows)), ...notes.map((note) => indented(note))].join("\n");

export const orDash = (value: number | null): string => (value === null ? "-" : showNumber(value));
const between = (found: Between | null): string => (found === null ? "-" : `${showNumber(found.low)} … ${showNumber(found.high)}`);
export const metricShown = (name: string): string => `${name}, ${METRICS[name as keyof typeof METRICS]?.unit ?? ""}`;
export const coordinatesShown = (at: Coordinates): string => Object.entries(at).map(([name, value]) => `${name} ${value}`).join(", ");

const right = (title: string): Column => ({ title, align: "right" });
const of = (found: Sensitivity): string => `${metricShown(found.metric)}${Object.keys(found.group).length === 0 ? "" : ` at ${coordinatesShown(found.group)}`}`;

const sensitivitySection = (found: Sensitivity): Section => {
  if (found.method === "morris") {
    const missing = found.axes.reduce((sum, { missing: one }) => sum + one, 0);
    return {
      title: `elementary effects on ${of(found)}`,
      columns: [{ title: "axis" }, right("mu*"), right("95 %"), right("sigma"), right("mu"), right("effects")],
      rows: found.axes.map(({ axis, muStar, muStarInterval, sigma, mu, effects }) => [axis, orDash(muStar), between(muStarInterval), orDash(sigma), orDash(mu), String(effects)]),
      notes: missing === 0 ? [] : [`${found.holes} of ${found.runs} runs have no value; ${missing} effects that need them are left out`],
    };
  }
  return {
    title: `indices of ${of(found)}`,
    columns: [{ title: "axis" }, right("S1"), right("95 %"), right("ST"), right("95 %")],
    rows: found.axes.map(({ axis, first, firstInterval, total, totalInterval }) => [axis, orDash(first), between(firstInterval), orDash(total), between(totalInterval)]),
    notes: [
      `mean ${orDash(found.mean)}, standard deviation ${orDash(found.variance === null ? null : Math.sqrt(found.variance))}, over ${found.used} points of two samples${found.variance === 0 ? "; nothing varies, so there is nothing to share out" : ""}`,
      ...(found.missing === 0 ? [] : [`${found.holes} of ${found.runs} runs have no value; ${found.missing} points whose mixtures need them are left out`]),
    ],
  };
};

export const sensitivitySections = (found: ReadonlyArray<Sensitivity>): ReadonlyArray<Section> => found.map(sensitivitySection);

const verdict = (holds: boolean | null): string => (holds === null ? "not known" : holds ? "holds" : "does not hold");

const claimSection = ({ draws, tried, facts, claims }: Stability): ReadonlyArray<Section> => {
  if (claims.length === 0) return [];
  const laws = new Map<string, number>();
  for (const { law, low, high, from } of facts) {
    const said = law === "log-normal" ? `${law}, ${from}` : law === "between" ? from : `${law} × ${showNumber(low)} to ${showNumber(high)} (${from})`;
    laws.set(said, (laws.get(said) ?? 0) + 1);
  }
  const certain: ReadonlyArray<Column> = [{ title: "claim", wrap: 60 }, { title: "with the profiles as they are" }];
  return [{
    title: draws === 0 ? "claims" : `claims under ${draws} draws of ${facts.length} uncertain facts`,
    columns: draws === 0 ? certain : [...certain, right("draws in which it holds"), right("95 %"), { title: "goes with (rank correlation)", wrap: 60 }],
    rows: claims.map(({ claim, asProfiled, held, unknown, facts: moved }) => [
      claim, verdict(asProfiled),
      ...(draws === 0 ? [] : [
        held === null ? "-" : `${held.hits} of ${held.of}${unknown > 0 ? `, ${unknown} not known` : ""}`,
        held === null ? "-" : `${showShare(held.low)} … ${showShare(held.high)}`,
        moved.map(({ fact, correlation }) => `${fact} ${correlation > 0 ? "+" : ""}${correlation.toFixed(2)}`).join(", ") || "none beyond chance",
      ]),
    ]),
    notes: [
      ...[...laws].map(([said, count]) => `${count} ${count === 1 ? "fact" : "facts"}: ${said}`),
      ...(tried > draws ? [`${tried} candidates were drawn; ${tried - draws} contradicted themselves`] : []),
    ],
  }];
};

const spreadSection = ({ draws, points }: Stability, metric: string): Section => {
  const names = Object.keys(points[0]?.coordinates ?? {});
  return {
    title: `${metricShown(metric)} over ${draws} draws`,
    columns: [...names.map((title) => ({ title })), right("as they are"), right("5 %"), right("50 %"), right("95 %"), right("draws")],
    rows: points.map(({ coordinates, metrics }) => {
      const { asProfiled, spread } = metrics[metric]!;
      return [...names.map((name) => String(coordinates[name])), orDash(asProfiled), ...(spread === null ? ["-", "-", "-", "0"] : [...[spread.low, spread.median, spread.high].map(showNumber), String(spread.draws)])];
    }),
    notes: [],
  };
};

/** Claims first, then what every metric does. */
export const stabilitySections = (found: Stability | null): ReadonlyArray<Section> =>
  found === null ? [] : [...claimSection(found), ...Object.keys(found.points[0]?.metrics ?? {}).map((metric) => spreadSection(found, metric))];
