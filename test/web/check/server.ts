import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".gz": "application/gzip",
};

export interface Site {
  readonly address: string;
  stop(): void;
}

/** A static host, below a path of its own, as the page may be put anywhere; with the headers of isolation or without. */
export async function serveFolder(folder: string, isolated: boolean): Promise<Site> {
  const headers: Record<string, string> = isolated
    ? { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" }
    : {};
  const server = createServer(({ url = "" }, answer) => {
    const path = normalize(decodeURIComponent(new URL(url, "http://host").pathname)).replace(
      /^\/some\/where/,
      "",
    );
    const file = join(folder, path.endsWith("/") ? `${path}index.html` : path);
    try {
      const bytes = readFileSync(file);
      answer.writeHead(200, {
        ...headers,
        "content-type": TYPES[extname(file)] ?? "application/octet-stream",
      });
      answer.end(bytes);
    } catch {
      answer.writeHead(404, headers).end();
    }
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  return {
    address: `http://localhost:${port}/some/where/`,
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
