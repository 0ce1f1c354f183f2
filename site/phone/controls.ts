/** The controls of the page: three choices and seven sliders. A slider that nobody has moved shows what the system chose by itself. */
import { make } from "../dom.js";
import { names, titleOf } from "./documents.js";
import type { Chosen } from "./run.js";
import { START, type NumberName, type State } from "./state.js";

interface Slider {
  readonly name: NumberName;
  readonly label: string;
  readonly help: string;
  readonly steps: ReadonlyArray<number>;
  readonly show: (value: number) => string;
}

const range = (from: number, to: number, step: number): ReadonlyArray<number> => Array.from({ length: Math.round((to - from) / step) + 1 }, (_, i) => Number((from + i * step).toFixed(4)));
const times = (value: number): string => `${value}×`;

export const SLIDERS: ReadonlyArray<Slider> = [
  { name: "memory", label: "Memory", help: "what the whole process may hold", steps: range(1, 24, 0.25), show: (gib) => `${Number(gib.toFixed(2))} GiB` },
  { name: "hot", label: "Hot segment", help: "share of the FFN cache that keeps the hottest neurons; the rest keeps the most recent ones", steps: range(0, 1, 0.05), show: (share) => `${Math.round(100 * share)}%` },
  { name: "cluster", label: "Cluster size", help: "cold neurons that are computed and read together", steps: [64, 128, 256, 512, 1024, 2048, 4096], show: (neurons) => `${neurons} neurons` },
  { name: "depth", label: "Pipeline depth", help: "clusters under way at once", steps: [1, 2, 4, 8, 16, 32, 64], show: String },
  { name: "lanes", label: "I/O lanes", help: "threads that read at once", steps: [1, 2, 3, 4, 6, 8], show: String },
  { name: "active", label: "Active neurons", help: "times as many as the model has: below 1 it is sparser", steps: [0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3], show: times },
  { name: "flash", label: "Flash", help: "times the phone's bandwidth", steps: [0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3, 4], show: times },
];

const nearestStep = (steps: ReadonlyArray<number>, value: number): number =>
  steps.reduce((best, step, i) => (Math.abs(step - value) < Math.abs(steps[best]! - value) ? i : best), 0);

export interface Controls { readonly element: HTMLElement; readonly show: (state: State, chosen: Chosen | null) => void }

/** `change` gets what was moved; what it is now is told with `show`. */
export const controls = (change: (moved: Partial<State>) => void): Controls => {
  const select = (name: "device" | "model" | "system" | "fidelity", label: string, options: ReadonlyArray<readonly [string, string]>): HTMLSelectElement => {
    const element = make("select", { id: name }, ...options.map(([value, text]) => make("option", { value }, text)));
    element.addEventListener("change", () => change({ [name]: element.value }));
    choices.append(make("div", { class: "control" }, make("label", { for: name }, label), element));
    return element;
  };
  const choices = make("div", { class: "choices" });
  const selects = {
    device: select("device", "Phone", names.device.map((name) => [name, titleOf("device", name)])),
    model: select("model", "Model", names.model.map((name) => [name, titleOf("model", name)])),
    system: select("system", "System", names.system.map((name) => [name, titleOf("system", name)])),
    fidelity: select("fidelity", "Fidelity", [["cluster", "events per neuron cluster"], ["analytic", "closed form"]]),
  };
  const sliders = SLIDERS.map((slider) => {
    const { name, label, help, steps, show } = slider;
    const input = make("input", { type: "range", id: name, min: 0, max: steps.length - 1, step: 1, "aria-describedby": `${name}-help` });
    const value = make("output", { for: name, id: `${name}-value` });
    const own = make("button", { type: "button", class: "own", "aria-label": `${label}: leave it to the system`, click: () => change({ [name]: null }) }, "auto");
    input.addEventListener("input", () => change({ [name]: steps[Number(input.value)]! }));
    const element = make("div", { class: "control slider" }, make("label", { for: name }, label), value, own, input, make("small", { id: `${name}-help` }, help));
    return {
      element,
      show: (state: State, chosen: Chosen | null) => {
        const set = state[name];
        const now = set ?? chosen?.[name] ?? null;
        if (now !== null) input.value = String(nearestStep(steps, now));
        value.textContent = now === null ? "–" : show(name === "hot" || name === "memory" ? Number(now.toFixed(3)) : now);
        input.setAttribute("aria-valuetext", `${value.textContent}${set === null ? ", the system's choice" : ""}`);
        element.classList.toggle("free", set === null);
        own.disabled = set === null;
      },
    };
  });
  const reset = make("button", { type: "button", class: "reset", click: () => change(START) }, "Start again");
  return {
    element: make("form", { class: "controls", "aria-label": "what the phone runs", submit: (event) => event.preventDefault() }, choices, make("div", { class: "sliders" }, ...sliders.map(({ element }) => element)), reset),
    show: (state, chosen) => {
      for (const [name, element] of Object.entries(selects)) element.value = state[name as keyof typeof selects];
      for (const slider of sliders) slider.show(state, chosen);
    },
  };
};
