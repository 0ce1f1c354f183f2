/** The commands, in the order of --help. To add one: commands/x.ts, programs/x.ts, one word here. */
import type { Command } from "../command.js";
import { benchCommand } from "./bench.js";
import { calibrateCommand } from "./calibrate.js";
import { claimsCommand } from "./claims.js";
import { devicesCommand } from "./devices.js";
import { doctorCommand } from "./doctor.js";
import { generateCommand } from "./generate.js";
import { importCommand } from "./import.js";
import { modelsCommand } from "./models.js";
import { packCommand } from "./pack.js";
import { probeCommand } from "./probe.js";
import { perplexityCommand } from "./perplexity.js";
import { recordCommand } from "./record.js";
import { reproduceCommand } from "./reproduce.js";
import { resultsCommand } from "./results.js";
import { simulateCommand } from "./simulate.js";
import { sweepCommand } from "./sweep.js";
import { synthCommand } from "./synth.js";
import { systemsCommand } from "./systems.js";
import { tourCommand } from "./tour.js";
import { traceCommand } from "./trace.js";
import { trainPredictorCommand } from "./train-predictor.js";
import { tuneCommand } from "./tune.js";
import { validateCommand } from "./validate.js";
import { viewCommand } from "./view.js";
import { workerCommand } from "./worker.js";

export const commands: ReadonlyArray<Command> = [tourCommand, simulateCommand, reproduceCommand, tuneCommand, sweepCommand, workerCommand, resultsCommand, calibrateCommand, claimsCommand, synthCommand, packCommand, trainPredictorCommand, generateCommand, benchCommand, perplexityCommand, importCommand, recordCommand, probeCommand, validateCommand, devicesCommand, modelsCommand, systemsCommand, traceCommand, viewCommand, doctorCommand];
