import type { CoreKind } from "../../sim/domain/device.js";
import { PAGE_BYTES, coreRatio, randomReadBandwidth } from "../../sim/hardware/flash.js";
import { casesOf, fromProfile } from "../cases.js";
import { numberClaim, ratioOf, shapeClaim, simulatedAt } from "../claims.js";
import type { Experiment, Lab } from "../experiment.js";

const megabytesPerSec = (lab: Lab, kind: CoreKind): number => {
  const device = lab.device("oneplus-12");
  return 1000 * randomReadBandwidth(device.flash, { blockBytes: PAGE_BYTES, rangeBytes: 128e6, coreRatio: coreRatio(device, kind), submitters: 1 });
};

const CORES: ReadonlyArray<readonly [CoreKind, string, string]> = [
  ["big", "big, 3.3 GHz", "1076.10"],
  ["mid", "mid, 3.0 GHz", "1007.95"],
  ["little", "little, 2.2 GHz", "761.87"],
];

const points = CORES.map(([kind, x, reported]) =>
  fromProfile({ id: `t1.${kind}`, series: "UFS 4.0", x, unit: "MB/s", reported, role: "calibration", note: "an input of the device profile" }, (lab) => megabytesPerSec(lab, kind)),
);

export const t1: Experiment = {
  id: "t1",
  paper: "Table 1",
  title: "4 KB random reads by issuing core",
  question: "How fast does flash answer 4 KB random reads within 128 MB when a big, a mid or a little core issues them?",
  cases: casesOf(points),
  points,
  claims: [
    shapeClaim({
      id: "t1.faster-core-reads-faster",
      text: "A faster core reads faster: big > mid > little",
      of: (e) => CORES.map(([kind]) => simulatedAt(e, `t1.${kind}`)),
      judge: ([big, mid, little]) => big > mid && mid > little,
      found: (v) => `${v.map((x) => x.toFixed(0)).join(" > ")} MB/s`,
    }),
    numberClaim({ id: "t1.little-core", text: "A little core reaches 0.71× of the big core's rate", reported: 761.87 / 1076.1, of: (e) => ratioOf(e, "t1.little", "t1.big") }),
  ],
  chart: { panels: [{ key: "", kind: "bars", title: "OnePlus 12, 4 KB random reads within 128 MB", yLabel: "MB/s" }] },
};
