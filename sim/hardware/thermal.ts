/**
 * Heat as one resistance and one capacity between the phone's skin and the room, and clocks that fall as it warms. Stepped
 * token by token, in prefill layer by layer: the time constant is minutes, such a step seconds at most, so the exact
 * exponential step is used.
 */
import type { DeviceProfile } from "../domain/device.js";

export interface Thermal {
  /** Dissipates `watts` for `ns` and returns the clock ratio from then on. */
  readonly step: (watts: number, ns: number) => number;
  readonly temperature: () => number;
  readonly hottest: () => number;
}

export const createThermal = (profile: DeviceProfile["thermal"], startC = profile.ambient.value): Thermal => {
  let temperature = startC;
  let hottest = startC;
  return {
    temperature: () => temperature,
    hottest: () => hottest,
    step: (watts, ns) => {
      const steady = profile.ambient.value + watts * profile.resistance.value;
      temperature = steady + (temperature - steady) * Math.exp(-ns / profile.timeConstant.value);
      if (temperature > hottest) hottest = temperature;
      return clockRatio(profile, temperature);
    },
  };
};

/** 1 below the start of throttling, the floor above its end, a straight line between. */
export const clockRatio = (profile: DeviceProfile["thermal"], temperature: number): number => {
  const start = profile.throttleStart.value;
  const full = profile.throttleFull.value;
  if (temperature <= start) return 1;
  if (temperature >= full) return profile.floor.value;
  return 1 - ((temperature - start) / (full - start)) * (1 - profile.floor.value);
};
