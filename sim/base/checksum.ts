/** CRC-32 as in Ethernet, zlib and PNG (ISO 3309): reflected, polynomial 0x04c11db7. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ ((remainder & 1) === 1 ? 0xedb88320 : 0);
  return remainder >>> 0;
});

/** Of the bytes [from, to). */
export const crc32 = (bytes: Uint8Array, from = 0, to = bytes.length): number => {
  let sum = 0xffffffff;
  for (let i = from; i < to; i++) sum = TABLE[(sum ^ bytes[i]!) & 0xff]! ^ (sum >>> 8);
  return ~sum >>> 0;
};
