/** One colour for each activity, wherever time is shown. Reads are warm, compute is cold, waiting is grey; all stand out on white and on black. */
import type { Activity } from "../../sim/domain/run.js";

export const ACTIVITY_COLOURS: Readonly<Record<Activity, string>> = {
  attention: "#4477aa",
  predictor: "#66a5e0",
  gate: "#2a9d8f",
  "up+down": "#44bb99",
  "dense FFN": "#5566c3",
  head: "#8877cc",
  launch: "#9a9a9a",
  merge: "#7d7d7d",
  cache: "#a89b4c",
  "read gate": "#e2711d",
  "read up+down": "#f0a202",
  "read bundle": "#d1495b",
  "read rows": "#cc6699",
  stream: "#b5446e",
  "page fault": "#c1121f",
  wait: "#b8b8b8",
};
