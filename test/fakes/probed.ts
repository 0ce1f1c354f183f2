/** A device profile as a probe writes it: a phone's facts, and tables of two cores. */
import { readFileSync } from "node:fs";
import type { CostRow, KernelRow, ProductRow, ReadRow } from "../../sim/domain/measurements.js";

type Written<R> = { readonly [K in keyof R]?: R[K] | string };

const spread = (middle: number, unit: string): Readonly<Record<string, unknown>> => ({ rate: `${middle}${unit}`, low: `${0.9 * middle}${unit}`, high: `${1.1 * middle}${unit}`, turns: 9 });

export const kernelRow = (rate: number, of: Written<KernelRow>): Readonly<Record<string, unknown>> => ({ kernel: "dense", format: "q4_0", cores: [0], rows: 4096, cols: 4096, share: 1, ...spread(rate, "GB/s"), ...of });
export const productRow = (rate: number, of: Written<ProductRow>): Readonly<Record<string, unknown>> => ({ kernel: "product", format: "q4_0", cores: [0], rows: 4096, cols: 4096, batch: 8, ...spread(rate, "GOPS"), ...of });
export const readRow = (rate: number, of: Written<ReadRow>): Readonly<Record<string, unknown>> => ({ backend: "io_uring", inFlight: 64, direct: true, pattern: "random", block: "4KiB", range: "128MiB", core: 0, ...spread(rate, "GB/s"), cpu: "3us", latency: "90us", ...of });
export const costRow = (time: number, of: Written<CostRow>): Readonly<Record<string, unknown>> => ({ cost: "dispatch", cores: [0, 1], time: `${time}ns`, low: `${0.5 * time}ns`, high: `${2 * time}ns`, turns: 9, ...of });

export const tables = {
  kind: "measured",
  source: "neuronlab probe --quick, 2026-01-31T12:00Z, a test (linux)",
  backend: "avx2",
  clusters: [{ kind: "big", cores: [0, 1] }],
  notes: ["kernels: other processes took 9% of the cores' time"],
  kernels: [
    kernelRow(8, { rows: 1024 }),
    kernelRow(16, { rows: 16384 }),
    kernelRow(3, { rows: 4096, cols: 2048 }),
    kernelRow(20, { cores: [0, 1] }),
    kernelRow(5, { kernel: "up-down", rows: 14336, share: 0.05 }),
    kernelRow(10, { kernel: "up-down", rows: 14336, share: 0.2 }),
    kernelRow(12, { kernel: "attention", format: "f16", rows: 512, cols: 128 }),
  ],
  products: [productRow(50, {}), productRow(200, { batch: 128 })],
  reads: [
    readRow(0.2, {}),
    readRow(0.8, { block: "16KiB" }),
    readRow(0.1, { range: "4GiB" }),
    readRow(0.05, { inFlight: 1, latency: "80us", cpu: "6us" }),
    readRow(1.5, { pattern: "sequential", block: "1MiB" }),
  ],
  costs: [costRow(900, {}), costRow(4000, { cost: "thread-start", cores: [0] })],
};

export const probed = (name: string): Readonly<Record<string, unknown>> => ({ ...(JSON.parse(readFileSync("devices/oneplus-12.json", "utf8")) as Readonly<Record<string, unknown>>), name, title: "a test", measurements: tables });
