/** One name and one colour for each series, the same in every figure. Okabe and Ito's palette, safe for colour-blind readers. */
const VERMILION = "#D55E00";
const ORANGE = "#E69F00";
const BLUE = "#0072B2";
const SKY = "#56B4E9";
const GREEN = "#009E73";
const PURPLE = "#CC79A7";
const GREY = "#6E6E6E";
const BROWN = "#8C510A";

export interface SeriesStyle { readonly name: string; readonly colour: string }

const STYLES: Readonly<Record<string, SeriesStyle>> = {
  "powerinfer-2": { name: "PowerInfer-2", colour: VERMILION },
  "powerinfer-2-v1": { name: "PowerInfer-2 v1", colour: ORANGE },
  "powerinfer-2-cpu-only": { name: "PowerInfer-2, CPU only", colour: PURPLE },
  "llm-in-a-flash": { name: "LLM in a Flash", colour: BLUE },
  "llama.cpp": { name: "llama.cpp", colour: GREY },
  powerinfer: { name: "PowerInfer", colour: GREEN },
  qnn: { name: "QNN", colour: SKY },
  neuronlab: { name: "neuronlab", colour: VERMILION },
  "neuronlab, predicted": { name: "neuronlab, predicted neurons only", colour: VERMILION },
  "llama.cpp, best case": { name: "llama.cpp on a dense model of the same size", colour: BLUE },
  "mlc-llm": { name: "MLC-LLM", colour: BROWN },
  "UFS 4.0": { name: "UFS 4.0", colour: BLUE },
  "sequential I/O": { name: "sequential I/O", colour: BLUE },
  computation: { name: "computation", colour: VERMILION },
  "random within 128 MB": { name: "random within 128 MB", colour: BLUE },
  "random within 256 MB": { name: "random within 256 MB", colour: GREEN },
  "random within 512 MB": { name: "random within 512 MB", colour: PURPLE },
  sequential: { name: "sequential", colour: ORANGE },
  "CPU, 4 mid": { name: "CPU, 4 mid", colour: SKY },
  "CPU, 5 mid + 1 big": { name: "CPU, 5 mid + 1 big", colour: BLUE },
  "CPU, 8 cores": { name: "CPU, 8 cores", colour: PURPLE },
  GPU: { name: "GPU", colour: GREY },
  NPU: { name: "NPU", colour: VERMILION },
  "layer 0": { name: "layer 0", colour: SKY },
  "layer 10": { name: "layer 10", colour: VERMILION },
  "layer 20": { name: "layer 20", colour: GREEN },
  "layer 31": { name: "layer 31", colour: PURPLE },
  "mean neuron": { name: "mean neuron", colour: BLUE },
};

export const KNOWN_SERIES: ReadonlyArray<string> = Object.keys(STYLES);

export const styleOf = (series: string): SeriesStyle => STYLES[series] ?? { name: series, colour: BLUE };
