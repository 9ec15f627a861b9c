import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { LlqError } from "../../formats/errors.js";
import { fetchModel } from "../../src/hub/fetch-model.js";
import { parseHubReference } from "../../src/hub/reference.js";
import { HUB_LIMITS } from "../../src/hub/settings.js";
import { FakeHub, type Fault, sha256 } from "../support/hub-server.js";
import type { Random } from "../support/random.js";

/** Fetches from a Hub that lies and fails: the model is right, or there is an error; no blob has a wrong name. */
export async function attackHub(count: number, random: Random): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "llq-hub-"));
  const weights = Buffer.from(Array.from({ length: 70_000 }, () => random.u32() & 255));
  const hub = new FakeHub({
    "config.json": "{}",
    "tokenizer.json": Buffer.alloc(3000, "t"),
    "model.safetensors": weights,
  });
  await hub.start();
  const settings = {
    ...HUB_LIMITS,
    endpoint: hub.endpoint,
    token: "secret",
    offline: false,
    retryDelay: 1,
    idleTimeout: 150,
    slowTime: 150,
    longestWait: 20,
    maxPages: 20,
  };
  const faults: (() => Fault | undefined)[] = [
    () => undefined,
    () => ({
      status: random.pick([400, 401, 403, 404, 408, 416, 429, 500, 503]),
      headers: { "retry-after": random.pick(["0", "1", "86400", "x"]) },
    }),
    () => ({
      status: 302,
      headers: {
        location: random.pick([
          "/",
          "http://127.0.0.1:1/x",
          "file:///etc/passwd",
          "//",
          "http://[",
          hub.endpoint,
        ]),
      },
    }),
    () => ({
      status: 200,
      body: random.pick(["", "[]", "{}", "null", "<html>", '{"sha":"x"}', "[".repeat(300)]),
    }),
    () => ({
      status: 200,
      body: gzipSync(Buffer.alloc(1 << 20)),
      headers: { "content-encoding": random.pick(["gzip", "br", "x"]) },
    }),
    () => ({
      status: 200,
      body: "[]",
      headers: { link: `<${hub.endpoint}/api/models/test/model/tree/x?cursor=1>; rel="next"` },
    }),
    () => ({ cutAfter: random.below(70_000) }),
    () => ({ flip: random.below(900) }),
    () => ({ etag: "another" }),
    () => ({ ignoreRange: true }),
    () => ({ surplus: 1 + random.below(1000) }),
    () => ({ stallAfter: random.below(900) }),
  ];
  const lies: ((entry: object) => object)[] = [
    (entry) => entry,
    (entry) => ({
      ...entry,
      path: random.pick(["../x", "/x", "a/../../x", "a\u0000", "", "con:x", "x".repeat(2000)]),
    }),
    (entry) => ({ ...entry, size: random.pick([-1, 1.5, 2 ** 53, "3", null, 2]) }),
    (entry) => ({ ...entry, oid: random.pick(["", "../", "0".repeat(40)]) }),
    (entry) => ({
      ...entry,
      lfs: random.pick([{ oid: "../x", size: 1 }, { oid: "f".repeat(64), size: 70_000 }, 7]),
    }),
  ];
  const failures: string[] = [];
  const expected = new Map([...hub.files].map(([name, bytes]) => [name, sha256(bytes)]));
  let [right, refused, slowest] = [0, 0, 0];
  for (let i = 0; i < count; i++) {
    const cache = join(folder, String(i));
    const rate = random.pick([0.1, 0.5, 1]);
    hub.fault = () => (random.below(1000) < 1000 * rate * 0.5 ? random.pick(faults)() : undefined);
    const lieRate = random.pick([0, 0, 0.3]);
    hub.listing = (entries) =>
      entries.map((entry) => (random.below(1000) < 1000 * lieRate ? random.pick(lies)(entry) : entry));
    const started = performance.now();
    try {
      const { path } = await fetchModel(parseHubReference("hf:test/model"), { ...settings, cache });
      right++;
      for (const [name, hash] of expected) {
        if (existsSync(join(path, name)) && sha256(readFileSync(join(path, name))) !== hash)
          failures.push(`fetch ${i}: ${name} is wrong`);
      }
      if (!existsSync(join(path, "model.safetensors"))) failures.push(`fetch ${i}: no weights`);
    } catch (error) {
      refused++;
      if (!(error instanceof LlqError))
        failures.push(`fetch ${i}: ${error instanceof Error ? error.stack : error}`);
    }
    slowest = Math.max(slowest, performance.now() - started);
    const blobs = join(cache, "models--test--model/blobs");
    for (const name of existsSync(blobs) ? readdirSync(blobs) : []) {
      if (/^[0-9a-f]{64}$/.test(name) && sha256(readFileSync(join(blobs, name))) !== name)
        failures.push(`fetch ${i}: blob ${name} is wrong`);
    }
    rmSync(cache, { recursive: true, force: true });
  }
  if (
    hub.requests.some(({ authorization, path }) => authorization !== undefined && path.startsWith("storage"))
  )
    failures.push("the token went elsewhere");
  if (readdirSync(folder).length > 0) failures.push(`files beside the caches: ${readdirSync(folder)}`);
  await hub.stop();
  rmSync(folder, { recursive: true, force: true });
  console.log(
    `${count} fetches from a Hub that fails: ${right} right, ${refused} refused, the slowest ${(slowest / 1000).toFixed(1)} s`,
  );
  return failures;
}
