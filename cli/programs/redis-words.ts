/** The flags that name a server of Redis or Valkey, for sweeps and for workers. */
import { E, RTE, TE, pipe } from "../../sim/base/fp.js";
import { badInput, type AppError } from "../../sim/base/errors.js";
import { absent, inputFile, optional, word } from "../args.js";
import type { Words } from "../command.js";
import { custom, type Codec } from "../../sim/base/decode.js";
import type { QueueAt } from "../executor.js";
import type { Program } from "../program.js";
import { redisAt } from "../redis-url.js";

export const REDIS_VARIABLE = "NEURONLAB_REDIS_URL";

/** It becomes part of keys, and of the name that a server lists. */
const queueWord: Codec<string> = custom("queue", (raw) => (typeof raw === "string" && /^[\w.]{1,40}$/.test(raw) ? E.right(raw) : E.left("should be 1 to 40 letters, digits, _ and .")));

export const redisFields = { redis: absent(word("write it like redis://HOST:6379")), "redis-ca": absent(inputFile), queue: optional(queueWord, "sweeps") };

const textOf = (file: string | null): Program<string | null> => (capabilities) =>
  file === null ? TE.right(null) : pipe(capabilities.readBytes(file), TE.map((bytes) => new TextDecoder().decode(bytes)));

export interface RedisWords { readonly redis: string | null; readonly "redis-ca": string | null; readonly queue: string }

/** The queue that the words, or the environment, name. */
export const queueOf = ({ redis, "redis-ca": file, queue }: RedisWords): Program<QueueAt> =>
  pipe(
    textOf(file),
    RTE.chain((ca): Program<QueueAt> => (capabilities) => {
      const typed = redis ?? capabilities.environment(REDIS_VARIABLE);
      const wrong = (message: string): AppError => badInput("the queue", [{ path: redis === null && typed !== null ? REDIS_VARIABLE : "--redis", message }]);
      if (typed === null || typed.trim() === "") return TE.left(wrong(`is missing; write it like redis://HOST:6379, or set ${REDIS_VARIABLE}`));
      const at = redisAt(typed.trim(), ca);
      return E.isLeft(at) ? TE.left(wrong(at.left)) : pipe(capabilities.code, TE.map(({ hash }) => ({ redis: at.right, name: queue, code: hash })));
    }),
  );

/** What was typed, as it may be kept: the address of a server without user and password. */
export const withoutSecrets = (given: Words): Words => {
  const typed = given.named.redis;
  if (typed === undefined) return given;
  const at = typeof typed === "string" ? redisAt(typed.trim()) : E.left("");
  return { ...given, named: { ...given.named, redis: E.isRight(at) ? `${at.right.tls ? "rediss" : "redis"}://${at.right.shown}/${at.right.db}` : "redis://..." } };
};
