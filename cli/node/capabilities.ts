/** The real record of effects. */
import { hostname } from "node:os";
import { engine } from "../../engine/index.js";
import type { Capabilities } from "../program.js";
import { measuring } from "./measuring.js";
import { now } from "./clock.js";
import { codeFacts, digest } from "./code-version.js";
import { readDeclaration } from "./declaration.js";
import { diskFacts } from "./disk.js";
import { fileFacts, readBytes, readFolder, readJson, readStored, writeFiles } from "./files.js";
import { hostFacts, machineFacts } from "./host.js";
import { interruptible } from "./interrupt.js";
import { packageRoot, packageVersion } from "./package.js";
import { executing, workersWith } from "./execute.js";
import { runMany } from "./pool.js";
import { profileNames, readProfile, shippedModels, thisHost } from "./profiles.js";
import { gaugeOf } from "./progress.js";
import { memoryLimits, rival, runProgram, self } from "./rivals.js";
import { serve } from "./serve.js";
import { storeAt } from "./store/store.js";
import { tolerant } from "./streams.js";

const untilClosed = (stream: NodeJS.WriteStream) => (text: string) => (): void => {
  tolerant(stream).write(text);
};

export const nodeCapabilities = (): Capabilities => {
  const home = packageRoot();
  const toStdout = untilClosed(process.stdout);
  const toStderr = untilClosed(process.stderr);
  return {
    profileNames: profileNames(home),
    readProfile: readProfile(home),
    shippedModels: shippedModels(home),
    thisHost: thisHost(),
    readBytes,
    readJson,
    readFolder,
    readStored,
    fileFacts,
    diskFacts,
    runMany,
    execute: executing((line) => toStderr(`${line}\n`)()),
    workers: workersWith((line) => toStderr(`${line}\n`)()),
    environment: (name) => process.env[name] ?? null,
    readDeclaration,
    store: storeAt,
    digest,
    code: codeFacts(home),
    clock: () => new Date(),
    hostName: hostname(),
    processId: process.pid,
    nodeVersion: process.versions.node,
    engine,
    measuring: measuring(thisHost()),
    runProgram: runProgram(home),
    memoryLimits: memoryLimits(home),
    rival: rival(home),
    self: self(home),
    version: packageVersion(),
    interruptible,
    serve,
    gauge: (total, unit) => gaugeOf(total, unit),
    write: writeFiles,
    print: toStdout,
    log: (text) => toStderr(`${text}\n`),
    machine: machineFacts(),
    host: hostFacts(home),
    now,
    home,
  };
};
