import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { gitSha1, hangUp, listen, originOf, sha256 } from "../support/hub-server.js";

export interface SentRequest {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: Buffer;
  /** Of the endpoint itself, not of the storage. */
  readonly isHub: boolean;
}

export interface Spoilt {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

const COMMIT = "beef".padEnd(40, "0");

/**
 * A Hub that takes files for one repository, me/model: the addresses that a push asks for, and a storage of large files
 * of another origin. What it gets is remembered, and becomes the repository's when it is committed.
 */
export class FakeUploads {
  readonly requests: SentRequest[] = [];
  /** Of the repository; undefined while there is none. */
  files: Map<string, Buffer> | undefined = new Map();
  /** Only who sends this may write. */
  token = "secret-token";
  /** Bytes of a part of a large file; 0 sends it whole. */
  partSize = 0;
  /** Undefined answers properly. */
  fault: (request: SentRequest, before: number) => Spoilt | undefined = () => undefined;
  readonly stored = new Map<string, Buffer>();
  readonly #parts = new Map<string, Buffer>();
  readonly #hub: Server;
  readonly #storage: Server;

  constructor() {
    this.#hub = createServer((request, response) => void this.#answer(request, response, true));
    this.#storage = createServer((request, response) => void this.#answer(request, response, false));
  }

  /** As it was before anybody sent anything, with these files in the repository. */
  reset(files: Readonly<Record<string, string>> = {}): void {
    this.requests.length = 0;
    this.stored.clear();
    this.files = new Map(Object.entries(files).map(([path, text]) => [path, Buffer.from(text)]));
    this.partSize = 0;
    this.fault = () => undefined;
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

  async #answer(request: IncomingMessage, response: ServerResponse, isHub: boolean): Promise<void> {
    const url = new URL(request.url!, this.endpoint);
    const { method = "GET", headers } = request;
    const own = { method, path: url.pathname, authorization: headers.authorization, isHub };
    const before = this.requests.filter(({ path }) => path === own.path).length;
    const sent = { ...own, body: await buffer(request) };
    this.requests.push(sent);
    const fault = this.fault(sent, before);
    if (fault !== undefined) response.writeHead(fault.status ?? 200, fault.headers).end(fault.body ?? "{}");
    else if (!isHub) this.#store(url, sent, response);
    else if (headers.authorization !== `Bearer ${this.token}`) response.writeHead(401).end();
    else this.#answerHub(url, sent, response);
  }

  #store(url: URL, { body }: SentRequest, response: ServerResponse): void {
    const [, oid, part] = /^\/storage\/(\w+)(?:\/(\d+))?$/.exec(url.pathname) ?? [];
    if (url.searchParams.get("signature") !== "hidden") response.writeHead(403).end();
    else if (part === undefined) {
      this.stored.set(oid!, body);
      response.end();
    } else {
      this.#parts.set(`${oid}/${part}`, body);
      response.setHeader("etag", `"${part}"`).end();
    }
  }

  #answerHub(url: URL, { body }: SentRequest, response: ServerResponse): void {
    const path = url.pathname;
    const json = (value: unknown, status = 200) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    if (path === "/api/repos/create") {
      if (this.files !== undefined) return void json({ error: "exists" }, 409);
      this.files = new Map();
      return void json({ url: `${this.endpoint}/me/model`, id: "1" });
    }
    if (this.files === undefined)
      return void response.writeHead(404, { "x-error-code": "RepoNotFound" }).end();
    if (path.startsWith("/complete/")) {
      const oid = path.split("/")[2]!;
      const { parts } = JSON.parse(String(body)) as { parts: { partNumber: number; etag: string }[] };
      this.stored.set(
        oid,
        Buffer.concat(parts.map(({ partNumber }) => this.#parts.get(`${oid}/${partNumber}`)!)),
      );
      return void json({});
    }
    if (path.startsWith("/api/models/me/model/revision/")) {
      return void json({ _id: "1", id: "me/model", sha: COMMIT, lastModified: "2026-01-01T00:00:00Z" });
    }
    if (path.startsWith("/api/models/me/model/tree/")) {
      return void json([...this.files].map(([name, bytes]) => entry(name, bytes)));
    }
    if (path === "/api/models/me/model/preupload/main") {
      const { files } = JSON.parse(String(body)) as { files: { path: string }[] };
      return void json({
        files: files.map((file) => ({
          path: file.path,
          uploadMode: file.path.endsWith(".gguf") ? "lfs" : "regular",
        })),
      });
    }
    if (path === "/me/model.git/info/lfs/objects/batch") return void json(this.#batch(body));
    if (path === "/api/models/me/model/commit/main") {
      for (const line of String(body).split("\n")) this.#commit(JSON.parse(line));
      return void json({ commitOid: COMMIT, commitUrl: `${this.endpoint}/me/model/commit/${COMMIT}` });
    }
    response.writeHead(404).end();
  }

  #batch(body: Buffer): object {
    const { objects } = JSON.parse(String(body)) as { objects: { oid: string; size: number }[] };
    const at = (path: string) => `${originOf(this.#storage)}/storage/${path}?signature=hidden`;
    return {
      transfer: this.partSize > 0 ? "multipart" : "basic",
      objects: objects.map(({ oid, size }) => {
        if (this.stored.has(oid)) return { oid, size };
        if (this.partSize === 0) return { oid, size, actions: { upload: { href: at(oid) } } };
        const parts = Array.from({ length: Math.ceil(size / this.partSize) }, (_, i) => [
          `${i + 1}`,
          at(`${oid}/${i + 1}`),
        ]);
        const header = { chunk_size: String(this.partSize), ...Object.fromEntries(parts) };
        return { oid, size, actions: { upload: { href: `${this.endpoint}/complete/${oid}`, header } } };
      }),
    };
  }

  #commit({ key, value }: { key: string; value: { path: string; oid: string; content: string } }): void {
    if (key === "lfsFile") this.files!.set(value.path, this.stored.get(value.oid)!);
    if (key === "file") this.files!.set(value.path, Buffer.from(value.content, "base64"));
  }
}

function entry(path: string, bytes: Buffer): object {
  const own = { type: "file", path, size: bytes.length, oid: gitSha1(bytes) };
  return path.endsWith(".gguf")
    ? { ...own, lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 } }
    : own;
}
