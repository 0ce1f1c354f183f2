// Of `prepare`: exit code 0 where nothing is to be built. The first `npx neuronlab` in this folder links it into npx's own cache and prepares it once more for that,
// saying nothing for minutes; what `npm ci` built is there then.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
process.exit(process.env.npm_command === "exec" && ["dist/cli/main.js", "dist/site"].every((built) => existsSync(join(root, built))) ? 0 : 1);
