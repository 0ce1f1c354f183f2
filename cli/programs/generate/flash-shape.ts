/** A device's flash, as the engine wants it to slow this disk down to. Pure. */
import type { DeviceProfile } from "../../../sim/domain/device.js";
import type { Plan } from "../../../sim/domain/plan.js";
import { coreRatio } from "../../../sim/hardware/flash.js";
import type { FlashShape } from "../../../engine/index.js";

/** Profiles have bytes/ns, the engine wants bytes/s. */
const PER_SECOND = 1e9;

/** `ioCore`: the kind of core that issues reads on the device; its best one where nobody says. */
export const flashShape = (device: DeviceProfile, ioCore: Plan["compute"]["ioCore"]): FlashShape => {
  const { flash } = device;
  return {
    sequential: flash.sequential.flatMap((point) => [point.block.value, point.rate.value * PER_SECOND]),
    random: flash.random.flatMap((point) => [point.block.value, point.range.value, point.rate.value * PER_SECOND]),
    queues: flash.queues.value,
    contentionFloor: flash.contentionFloor.value,
    contentionSubmitters: flash.contentionSubmitters.value,
    latencyNs: flash.latency.value,
    secondPhaseRatio: flash.secondPhaseRatio.value,
    coreRatio: ioCore === "none" ? 1 : coreRatio(device, ioCore),
  };
};
