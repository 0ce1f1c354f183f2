/** The address of a server of Redis or Valkey, as people write it. Its password is in the address and nowhere else: no message repeats it. */
import { E, type Either } from "../sim/base/fp.js";
import type { RedisAt } from "./executor.js";

const RIGHT = "write it like redis://HOST:6379, or rediss://USER:PASSWORD@HOST:6380/0 with TLS";

/** Whether a scheme means TLS. */
const SCHEMES: ReadonlyMap<string, boolean> = new Map([["redis:", false], ["valkey:", false], ["rediss:", true], ["valkeys:", true]]);

const decoded = (part: string): string | null => {
  try {
    return part === "" ? null : decodeURIComponent(part);
  } catch {
    return part;
  }
};

/** `ca`: a certificate in PEM to trust. */
export const redisAt = (typed: string, ca: string | null = null): Either<string, RedisAt> => {
  if (!/^[a-z]+:\/\//i.test(typed)) return E.left(`has no scheme; ${RIGHT}`);
  if (!URL.canParse(typed)) return E.left(`is no address; ${RIGHT}; characters such as / and @ in a password are written %2F and %40`);
  const url = new URL(typed);
  const tls = SCHEMES.get(url.protocol);
  if (tls === undefined) return E.left(`has the scheme ${url.protocol.slice(0, -1)}; ${RIGHT}`);
  if (url.hostname === "") return E.left(`names no host; ${RIGHT}`);
  if (url.search !== "" || url.hash !== "") return E.left(`takes nothing behind ? or #; ${RIGHT}`);
  const [, db] = /^\/?(\d{0,4})$/.exec(url.pathname) ?? [];
  if (db === undefined) return E.left(`ends in the number of a database, such as /0; ${RIGHT}`);
  if (ca !== null && !tls) return E.left(`is not with TLS, but a certificate was named; write it like rediss://HOST:6380`);
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const port = url.port === "" ? 6379 : Number(url.port);
  return E.right({ shown: `${url.hostname}:${port}`, host, port, username: decoded(url.username), password: decoded(url.password), db: Number(db), tls, ca });
};
