import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { HUB_LIMITS, type HubSettings } from "../../src/hub/settings.js";

/** What is asked for, when a fault may be put in its place. */
export interface Asked {
  readonly path: string;
  /** First byte asked for; 0 without a range. */
  readonly from: number;
  /** How many requests for this path came before. */
  readonly before: number;
}

/** How an answer is spoilt. */
export interface Fault {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes after which the connection is cut. */
  readonly cutAfter?: number;
  /** Byte of the answer that is changed. */
  readonly flip?: number;
  readonly etag?: string;
  readonly ignoreRange?: boolean;
  /** Bytes to send after the file's end. */
  readonly surplus?: number;
  /** Bytes after which nothing more comes, and the connection stays. */
  readonly stallAfter?: number;
  /** What is sent with `status`. */
  readonly body?: string | Buffer;
  /** Milliseconds from one byte to the next. */
  readonly drip?: number;
}

export interface HubRequest {
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

const LARGE = 1000;
/** Of a Hub on this machine: nobody waits long before the next try. */
export function hubSettings(endpoint: string, cache: string, own: Partial<HubSettings> = {}): HubSettings {
  return { endpoint, cache, token: undefined, offline: false, ...HUB_LIMITS, retryDelay: 1, ...own };
}

export const COMMIT = "c0ffee".padEnd(40, "0");

/**
 * A Hub with one repository, test/model, on this machine: what the API, the resolve addresses and the storage of
 * large files (another origin, to which it redirects) answer, and what goes wrong.
 */
export class FakeHub {
  readonly requests: HubRequest[] = [];
  readonly files: Map<string, Buffer>;
  /** Only who sends this may read. */
  token: string | undefined;
  /** Undefined answers properly. */
  fault: (asked: Asked) => Fault | undefined = () => undefined;
  /** What the listing says in place of the truth. */
  listing: (entries: object[]) => object[] = (entries) => entries;
  readonly #hub: Server;
  readonly #storage: Server;

  constructor(files: Readonly<Record<string, Buffer | string>>) {
    this.files = new Map(Object.entries(files).map(([path, bytes]) => [path, Buffer.from(bytes)]));
    this.#hub = createServer((request, response) => this.#answer(request, response));
    this.#storage = createServer((request, response) => this.#answer(request, response));
  }

  /** As it was before anybody asked anything, with these files. */
  reset(files: Readonly<Record<string, Buffer | string>> = {}): void {
    this.requests.length = 0;
    this.fault = () => undefined;
    this.listing = (entries) => entries;
    this.token = undefined;
    this.files.clear();
    for (const [path, bytes] of Object.entries(files)) this.files.set(path, Buffer.from(bytes));
  }

  async start(): Promise<void> {
    await listen(this.#hub, this.#storage);
  }

  async stop(): Promise<void> {
    await hangUp(this.#hub, this.#storage);
  }

  get endpoint(): string {
    return originOf(this.#hub);
  }

  /** Requests for the bytes of files. */
  fetches(path: string): HubRequest[] {
    return this.requests.filter((request) => request.path === path);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url!, this.endpoint);
    const path = decodeURIComponent(url.pathname.replace(/^\/(test\/model\/resolve\/[^/]+|storage)\//, ""));
    const { range, authorization } = request.headers;
    const from = Number(/^bytes=(\d+)-/.exec(range ?? "")?.[1] ?? 0);
    const isStorage = url.pathname.startsWith("/storage/");
    const before = this.fetches(path).length;
    const isRedirected = !isStorage && (this.files.get(path)?.length ?? 0) >= LARGE;
    if (!isRedirected) this.requests.push({ path, range, authorization });
    const fault = isRedirected ? undefined : this.fault({ path, from, before });
    const bytes = this.files.get(path);
    if (fault?.status !== undefined) {
      response.writeHead(fault.status, fault.headers).end(fault.body ?? "{}");
    } else if (!isStorage && this.token !== undefined && authorization !== `Bearer ${this.token}`) {
      response.writeHead(401).end();
    } else if (url.pathname.startsWith("/api/")) {
      this.#answerApi(url, response);
    } else if (bytes === undefined) {
      response.writeHead(404, { "x-error-code": "EntryNotFound" }).end();
    } else if (isRedirected) {
      const location = `${originOf(this.#storage)}/storage/${encodeURIComponent(path)}?signature=secret`;
      response.writeHead(302, { location, "x-repo-commit": COMMIT, "x-linked-size": bytes.length }).end();
    } else {
      const etag = `"${fault?.etag ?? digest(bytes)}"`;
      sendBytes(response, bytes, fault?.ignoreRange ? 0 : from, etag, fault);
    }
  }

  #answerApi(url: URL, response: ServerResponse): void {
    const [, revision] = /^\/api\/models\/test\/model\/revision\/(.*)$/.exec(url.pathname) ?? [];
    if (!url.pathname.startsWith("/api/models/test/model/")) {
      response.writeHead(404, { "x-error-code": "RepoNotFound" }).end();
    } else if (revision !== undefined && !["main", "v1", "refs%2Fpr%2F1", COMMIT].includes(revision)) {
      response.writeHead(404, { "x-error-code": "RevisionNotFound" }).end();
    } else if (revision !== undefined) {
      sendJson(response, { _id: "1", id: "test/model", sha: COMMIT, lastModified: "2026-01-01T00:00:00Z" });
    } else {
      const all = this.listing([...this.files].map(([path, bytes]) => listed(path, bytes)));
      // two pages, as long repositories have them
      const half = Math.ceil(all.length / 2);
      const isSecond = url.searchParams.has("cursor");
      const next = `<${this.endpoint}${url.pathname}?recursive=true&cursor=2>; rel="next"`;
      sendJson(response, isSecond ? all.slice(half) : all.slice(0, half), isSecond ? {} : { link: next });
    }
  }
}

/** A repository's entry in the listing, which knows large files by their sha256. */
function listed(path: string, bytes: Buffer): object {
  const oid = gitSha1(bytes);
  const entry = { type: "file", path, size: bytes.length, oid };
  if (bytes.length < LARGE) return entry;
  return { ...entry, lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 } };
}

function digest(bytes: Buffer): string {
  return bytes.length < LARGE ? gitSha1(bytes) : sha256(bytes);
}

function sendBytes(
  response: ServerResponse,
  bytes: Buffer,
  from: number,
  etag: string,
  fault: Fault = {},
): void {
  if (from > bytes.length) {
    response.writeHead(416).end();
    return;
  }
  const body = Buffer.concat([bytes.subarray(from), Buffer.alloc(fault.surplus ?? 0)]);
  if (fault.flip !== undefined) body[fault.flip]! ^= 1;
  const headers = { etag, "content-length": body.length, ...fault.headers };
  const range = { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` };
  if (from > 0) response.writeHead(206, { ...range, ...headers });
  else response.writeHead(200, headers);
  if (fault.drip !== undefined) {
    let sent = 0;
    const timer = setInterval(() => response.write(body.subarray(sent, ++sent)), fault.drip);
    response.flushHeaders();
    response.on("close", () => clearInterval(timer));
  } else if (fault.stallAfter !== undefined) {
    response.flushHeaders();
    response.write(body.subarray(0, fault.stallAfter));
  } else if (fault.cutAfter === undefined) response.end(body);
  else response.write(body.subarray(0, fault.cutAfter), () => response.destroy());
}

function sendJson(
  response: ServerResponse,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(200, { "content-type": "application/json", ...headers }).end(JSON.stringify(value));
}

export function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** What git calls a file. */
export function gitSha1(bytes: Buffer): string {
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

export async function listen(...servers: readonly Server[]): Promise<void> {
  for (const server of servers) await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
}

export async function hangUp(...servers: readonly Server[]): Promise<void> {
  for (const server of servers) {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
}

export function originOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
