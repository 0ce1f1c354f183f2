/**
 * Files of a folder over HTTP, for this machine only. Answers GET and HEAD on 127.0.0.1 to whoever names that address, so that no page from elsewhere
 * can read them by a name of its own that leads here; leaves no folder that it was given; writes nothing.
 */
import { createReadStream } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { extname, join, relative, sep } from "node:path";
import type { AddressInfo } from "node:net";
import { E, type TaskEither } from "../../sim/base/fp.js";
import { badInput, describeError, disk, type AppError } from "../../sim/base/errors.js";
import type { Asking, Mount, Serving } from "../program.js";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".json": "application/json; charset=utf-8", ".csv": "text/csv; charset=utf-8",
  ".md": "text/markdown; charset=utf-8", ".svg": "image/svg+xml", ".png": "image/png", ".txt": "text/plain; charset=utf-8",
};

const HEADERS = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  // Drawings carry their colours in style attributes; everything else comes from here.
  "content-security-policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'",
};

/** The file's true place, if it lies in the folder. */
const within = async (folder: string, path: string): Promise<string | null> => {
  try {
    const [top, file] = [await realpath(folder), await realpath(join(folder, path))];
    const inside = relative(top, file);
    return inside !== "" && !inside.startsWith(`..${sep}`) && inside !== ".." && (await stat(file)).isFile() ? file : null;
  } catch {
    return null;
  }
};

type Served = Mount | Asking;
const isMount = (one: Served): one is Mount => "folders" in one;

const found = async (mount: Mount, path: string): Promise<{ readonly file: string; readonly from: string } | null> => {
  const rest = path.slice(mount.path.length);
  for (const { name, folder } of mount.folders) {
    const file = await within(folder, rest === "" ? "index.html" : rest);
    if (file !== null) return { file, from: name };
  }
  return null;
};

/** The files of a mount, a path once, with the folder that gives it; `index.json` is this list. */
const listed = async ({ folders }: Mount): Promise<string> => {
  const from = new Map<string, string>();
  for (const { name, folder } of folders) {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      const path = relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/");
      if (entry.isFile() && path !== "index.json" && !from.has(path)) from.set(path, name);
    }
  }
  return JSON.stringify({ schema: "neuronlab/files@1", files: [...from].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, name]) => ({ path, from: name })) });
};

const isLocal = (host: string | undefined, port: number): boolean => host === `127.0.0.1:${port}` || host === `localhost:${port}`;

const answer = (mounts: ReadonlyArray<Served>, port: number) => async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const refuse = (status: number, text: string): void => {
    response.writeHead(status, { ...HEADERS, "content-type": TYPES[".txt"] });
    response.end(`${text}\n`);
  };
  if (request.method !== "GET" && request.method !== "HEAD") return refuse(405, "only GET and HEAD are answered");
  if (!isLocal(request.headers.host, port)) return refuse(403, "only 127.0.0.1 and localhost are answered");
  let path: string;
  try {
    path = decodeURIComponent(new URL(request.url ?? "/", "http://127.0.0.1").pathname);
  } catch {
    return refuse(400, "the address cannot be read");
  }
  if (path.includes("\0")) return refuse(400, "the address cannot be read");
  const send = (text: string): void => {
    response.writeHead(200, { ...HEADERS, "content-type": TYPES[".json"] });
    response.end(request.method === "HEAD" ? undefined : text);
  };
  const mount = mounts.find((one) => path.startsWith(one.path));
  if (mount === undefined) return refuse(404, "there is no such page");
  if (!isMount(mount)) {
    const made = await mount.json(path.slice(mount.path.length))();
    if (E.isLeft(made)) return refuse(503, describeError(made.left));
    return made.right === null ? refuse(404, "there is no such page") : send(JSON.stringify(made.right));
  }
  if (mount.path !== "/" && path === `${mount.path}index.json`) return send(await listed(mount));
  const file = await found(mount, path);
  if (file === null) return refuse(404, "there is no such page");
  response.writeHead(200, { ...HEADERS, "content-type": TYPES[extname(file.file)] ?? "application/octet-stream", "x-neuronlab-from": file.from });
  if (request.method === "HEAD") response.end();
  else createReadStream(file.file).on("error", () => response.destroy()).pipe(response);
};

const listening = (server: Server, port: number): Promise<void> =>
  new Promise((done, fail) => {
    server.once("error", fail);
    server.listen(port, "127.0.0.1", () => done());
  });

const isFolder = (path: string): Promise<boolean> => stat(path).then((is) => is.isDirectory(), () => false);

const absentFolder = async (mounts: ReadonlyArray<Served>): Promise<AppError | null> => {
  for (const { folder, must } of mounts.filter(isMount).flatMap(({ folders }) => folders)) if (must !== undefined && !(await isFolder(folder))) return badInput("neuronlab view", [{ path: must, message: `there is no folder ${folder}` }]);
  return null;
};

const unheard = (error: NodeJS.ErrnoException, port: number, flag: string): AppError => {
  if (error.code === "EADDRINUSE") return badInput("neuronlab", [{ path: flag, message: `${port} is in use; name another, or leave it out for one that is free` }]);
  if (error.code === "EACCES") return badInput("neuronlab", [{ path: flag, message: `${port} is not yours to use; name one above 1023` }]);
  return disk(`127.0.0.1:${port}`, error.message);
};

export const serve = (mounts: ReadonlyArray<Served>, port: number, flag = "--port"): TaskEither<AppError, Serving> => async () => {
  const absent = await absentFolder(mounts);
  if (absent !== null) return E.left(absent);
  const server: Server = createServer((request, response) => {
    void answer(mounts, (server.address() as AddressInfo).port)(request, response).catch(() => response.destroy());
  });
  try {
    await listening(server, port);
  } catch (error) {
    return E.left(unheard(error as NodeJS.ErrnoException, port, flag));
  }
  const close = (): Promise<void> =>
    new Promise((done) => {
      server.close(() => done());
      server.closeAllConnections();
    });
  const until = (signal: AbortSignal): TaskEither<never, void> => async () => {
    if (!signal.aborted) await new Promise((done) => signal.addEventListener("abort", done, { once: true }));
    return E.right(await close());
  };
  return E.right({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, until });
};
