/** What the page's controls say, and the text of it behind the # of the address, so that a state can be shared. */

/** Numbers that a slider sets; null leaves them to the system's own choice. */
export const NUMBERS = ["memory", "hot", "cluster", "depth", "lanes", "active", "flash"] as const;
export type NumberName = (typeof NUMBERS)[number];

export interface State extends Readonly<Record<NumberName, number | null>> {
  readonly device: string;
  readonly model: string;
  readonly system: string;
  readonly fidelity: "cluster" | "analytic";
}

/** The paper's largest model on its first phone, as `neuronlab simulate` without a word. */
export const START: State = { device: "oneplus-12", model: "turbosparse-mixtral-47b", system: "powerinfer-2", fidelity: "cluster", memory: null, hot: null, cluster: null, depth: null, lanes: null, active: null, flash: null };

export interface Limits { readonly low: number; readonly high: number; readonly whole: boolean }

/** Of what an address may say; a slider may be narrower. */
export const LIMITS: Readonly<Record<NumberName, Limits>> = {
  /** GiB. */
  memory: { low: 0.25, high: 64, whole: false },
  /** Share of the FFN cache. */
  hot: { low: 0, high: 1, whole: false },
  /** Neurons. */
  cluster: { low: 16, high: 16384, whole: true },
  depth: { low: 1, high: 256, whole: true },
  lanes: { low: 1, high: 64, whole: true },
  /** Times what they are. */
  active: { low: 0.1, high: 5, whole: false },
  flash: { low: 0.1, high: 10, whole: false },
};

export interface Names { readonly device: ReadonlyArray<string>; readonly model: ReadonlyArray<string>; readonly system: ReadonlyArray<string> }

const isNumberName = (key: string): key is NumberName => (NUMBERS as ReadonlyArray<string>).includes(key);

/** What differs from the start, in the order of the controls. */
export const textOf = (state: State): string =>
  Object.entries(state)
    .filter(([key, value]) => value !== START[key as keyof State])
    .map(([key, value]) => `${key}=${encodeURIComponent(String(value))}`)
    .join("&");

/** An address from elsewhere may say anything: what is unknown or out of bounds is left out, and told. */
export const stateOf = (text: string, names: Names): { readonly state: State; readonly ignored: ReadonlyArray<string> } => {
  const ignored: Array<string> = [];
  const taken: Record<string, string | number> = {};
  for (const [key, value] of new URLSearchParams(text.replace(/^#/, ""))) {
    if (isNumberName(key)) {
      const { low, high, whole } = LIMITS[key];
      const number = value.trim() === "" ? NaN : Number(value);
      if (number >= low && number <= high && (!whole || Number.isInteger(number))) taken[key] = number;
      else ignored.push(`${key}=${value}: should be ${whole ? "a whole number" : "a number"} between ${low} and ${high}`);
    } else if (key === "device" || key === "model" || key === "system") {
      if (names[key].includes(value)) taken[key] = value;
      else ignored.push(`${key}=${value}: known are ${names[key].join(", ")}`);
    } else if (key === "fidelity" && (value === "cluster" || value === "analytic")) taken[key] = value;
    else ignored.push(`${key}=${value}: the page knows ${Object.keys(START).join(", ")}`);
  }
  return { state: { ...START, ...taken }, ignored };
};
