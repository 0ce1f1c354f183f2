// The generators under seedrandom/lib have no types of their own; they share this shape.
declare module "seedrandom/lib/xor128.js" {
  const xor128: (seed: string) => (() => number) & { int32(): number };
  export default xor128;
}
