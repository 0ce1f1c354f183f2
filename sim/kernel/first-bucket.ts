/** The buckets of a timing wheel that hold something, as bits of three tiers, so that the first one is three look-ups away. */
export const bucketsPerLevel = 256;
/** A time has 53 bits: seven bytes. */
export const levels = 7;
const wordsPerLevel = bucketsPerLevel / 32;

/** The lowest set bit of a word that is not 0. */
const lowestBit = (bits: number): number => 31 - Math.clz32(bits & -bits);

export class FirstBucket {
  private readonly buckets = new Int32Array(levels * wordsPerLevel);
  private readonly words = new Int32Array(levels);
  private levelBits = 0;

  /** The lowest bucket of the lowest level that has one. At least one must have been added. */
  first(): number {
    const level = lowestBit(this.levelBits);
    const word = level * wordsPerLevel + lowestBit(this.words[level]);
    return word * 32 + lowestBit(this.buckets[word]);
  }

  add(bucket: number): void {
    const word = bucket >> 5;
    const level = bucket >> 8;
    this.buckets[word] |= 1 << (bucket & 31);
    this.words[level] |= 1 << (word & (wordsPerLevel - 1));
    this.levelBits |= 1 << level;
  }

  remove(bucket: number): void {
    const word = bucket >> 5;
    this.buckets[word] &= ~(1 << (bucket & 31));
    if (this.buckets[word] !== 0) return;
    const level = bucket >> 8;
    this.words[level] &= ~(1 << (word & (wordsPerLevel - 1)));
    if (this.words[level] === 0) this.levelBits &= ~(1 << level);
  }
}
