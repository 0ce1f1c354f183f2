/** Connections to a server of Redis or Valkey. The first one answers whether there is one at all; later ones come back by themselves. */
import { Redis } from "ioredis";
import { E, type TaskEither } from "../../../sim/base/fp.js";
import { badInput, unsupported, type AppError } from "../../../sim/base/errors.js";
import type { RedisAt } from "../../executor.js";
import { tame } from "../../job.js";

/** Milliseconds before the next try to come back: soon at first, then every two seconds. */
const retryAfter = (times: number): number => Math.min(2000, 50 * 2 ** Math.min(times, 6));

const optionsOf = ({ host, port, username, password, db, tls, ca }: RedisAt) => ({
  host, port, db, lazyConnect: true, connectTimeout: 10_000, keepAlive: 30_000,
  ...(username === null ? {} : { username }),
  ...(password === null ? {} : { password }),
  ...(tls ? { tls: ca === null ? {} : { ca } } : {}),
});

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there", ENOTFOUND: "there is no host of that name", EAI_AGAIN: "there is no host of that name", ETIMEDOUT: "it does not answer", EHOSTUNREACH: "there is no way to that host",
  ECONNRESET: "it closed the connection; does it speak TLS (rediss://)?", DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is signed by nobody this system trusts; name it with --redis-ca FILE",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is signed by nobody this system trusts; name that with --redis-ca FILE", UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate is signed by nobody this system trusts; name that with --redis-ca FILE",
};

/** Whether it is the words that are wrong (exit 2), or what they ask for cannot be had from here (exit 3). */
const explained = ({ shown, username, password }: RedisAt, fault: NodeJS.ErrnoException): AppError => {
  const said = fault.message;
  if (/^(WRONGPASS|ERR invalid password|ERR AUTH)/.test(said)) return badInput("--redis", [{ path: shown, message: `refuses this ${username === null ? "password" : "user and password"}` }]);
  if (said.startsWith("NOAUTH") || (password === null && said.includes("Authentication required"))) return badInput("--redis", [{ path: shown, message: "wants a password; write it like redis://:PASSWORD@HOST, or set NEURONLAB_REDIS_URL so that it is on no command line" }]);
  if (/^(NOPERM|ERR DB index|ERR invalid DB)/.test(said)) return badInput("--redis", [{ path: shown, message: tame(said) }]);
  if (/wrong version number|packet length too long|EPROTO/.test(said) || fault.code === "EPROTO") return badInput("--redis", [{ path: shown, message: "does not speak TLS there; write redis:// instead of rediss://" }]);
  if (/PEM|asn1|certificate file/i.test(said)) return badInput("--redis-ca", [{ path: "(whole)", message: "is no certificate in PEM" }]);
  return unsupported(shown, `cannot be reached: ${REASONS[fault.code ?? ""] ?? tame(said)}`);
};

const OLDEST = [6, 2] as const;

/** Says hello, and nothing else. */
const greeted = async (at: RedisAt): Promise<AppError | null> => {
  const faults: Array<NodeJS.ErrnoException> = [];
  let client: Redis | null = null;
  try {
    client = new Redis({ ...optionsOf(at), retryStrategy: () => null, maxRetriesPerRequest: 0 });
    client.on("error", (fault: NodeJS.ErrnoException) => faults.push(fault));
    await client.connect();
    const [, version] = /redis_version:(\S+)/.exec(await client.info("server")) ?? [];
    const [major = 0, minor = 0] = (version ?? "").split(".").map(Number);
    return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]) ? null : unsupported(at.shown, `is Redis ${version ?? "of an unknown version"}; ${OLDEST.join(".")} or newer is needed`);
  } catch (fault) {
    return explained(at, faults[0] ?? (fault as NodeJS.ErrnoException));
  } finally {
    client?.disconnect();
  }
};

/** Words of a command line are seen by all who share the machine; an address with a password is taken out of them. */
const hideWords = ({ password }: RedisAt): void => {
  if (password !== null) process.title = "neuronlab";
};

/** A client that waits and comes back when the server goes away; commands wait with it. */
export const connected = (at: RedisAt): TaskEither<AppError, Redis> => async () => {
  hideWords(at);
  const wrong = await greeted(at);
  if (wrong !== null) return E.left(wrong);
  const client = new Redis({ ...optionsOf(at), lazyConnect: false, retryStrategy: retryAfter, maxRetriesPerRequest: null });
  client.on("error", () => undefined); // Told of by whoever watches `close` and `ready`.
  return E.right(client);
};
