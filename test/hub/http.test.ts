import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { type Answer, HubClient, readBody, shown } from "../../src/hub/http.js";
import type { HubSettings } from "../../src/hub/settings.js";
import { hangUp, hubSettings, listen, originOf } from "../support/hub-server.js";

let answer: (request: IncomingMessage, response: ServerResponse) => void;
const seen: IncomingMessage[] = [];
const server = createServer((request, response) => {
  seen.push(request);
  void buffer(request).then(
    () => answer(request, response),
    () => {},
  );
});
await listen(server);
afterAll(() => hangUp(server));
beforeEach(() => {
  seen.length = 0;
});

const at = (path: string) => new URL(path, originOf(server));
const client = (given: Partial<HubSettings> = {}, signal?: AbortSignal) =>
  new HubClient(hubSettings(originOf(server), "", given), signal);
const status = (code: number, headers: Record<string, string> = {}, body = "{}") => {
  answer = (_, response) => response.writeHead(code, headers).end(body);
};
const get = (hub = client(), path = "/x") => hub.retry(() => hub.get(at(path)));
const send = (hub = client(), path = "/x") =>
  hub.retry(() => hub.send(at(path), { method: "POST", headers: { a: "b" }, body: "body" }));

describe("a server that is given up", () => {
  test.each<[string, () => Promise<Answer>]>([
    ["asked", get],
    ["sent to", send],
  ])("by who %s it", async (_, ask) => {
    status(503);
    await expect(ask()).rejects.toMatchObject({
      code: "network",
      message: `${at("/x")}: status 503`,
      hint: "try again later",
    });
    expect(seen).toHaveLength(5);
  });

  test.each([
    ["301", "the server asks to come back in 6 minutes"],
    ["360", "the server asks to come back in 6 minutes"],
    ["86400", "the server asks to come back in 1440 minutes"],
  ])("because it asks for %s s", async (seconds, hint) => {
    status(429, { "retry-after": seconds });
    await expect(get()).rejects.toMatchObject({ message: `${at("/x")}: status 429`, hint });
    expect(seen).toHaveLength(1);
  });

  test("because there is none", async () => {
    const gone = createServer();
    await listen(gone);
    const endpoint = originOf(gone);
    await hangUp(gone);
    const hub = client({ endpoint });
    const lost = { code: "network", message: `${endpoint}: cannot be reached (ECONNREFUSED)` };
    const url = new URL("/x", endpoint);
    await expect(hub.retry(() => hub.get(url))).rejects.toMatchObject(lost);
    const sent = { method: "POST", headers: {}, body: "body" };
    await expect(hub.retry(() => hub.send(url, sent))).rejects.toMatchObject(lost);
  });

  test.each<[string, () => Promise<Answer>]>([
    ["asks", get],
    ["sends", send],
  ])("because it hangs up on who %s", async (_, ask) => {
    answer = (_request, response) => response.destroy();
    await expect(ask()).rejects.toMatchObject({
      code: "network",
      message: expect.stringContaining("cannot be reached"),
      hint: expect.stringContaining("HF_ENDPOINT names a mirror"),
    });
    expect(seen).toHaveLength(5);
  });
});

describe("statuses", () => {
  // RFC 9110: answers that are none of what was asked for; of 304 without a body
  test.each([304, 400, 405, 410])("%d is refused at once", async (code) => {
    status(code);
    await expect(get()).rejects.toMatchObject({ code: "network", message: `${at("/x")}: status ${code}` });
    expect(seen).toHaveLength(1);
  });

  test.each([200, 206, 299, 416])("%d is an answer", async (code) => {
    status(code, { etag: 'W/"abc"' });
    const got = await get();
    expect(got).toMatchObject({ status: code, etag: "abc" });
    expect(Buffer.from(await readBody(got, at("/x"), 10, "fail")).toString()).toBe("{}");
  });

  test.each([408, 429, 500, 599])("%d passes", async (code) => {
    answer = (_, response) => response.writeHead(seen.length === 1 ? code : 200).end("{}");
    expect((await get()).status).toBe(200);
    expect(seen).toHaveLength(2);
  });

  test("a repository that is there already is no error to who creates it, and to nobody else", async () => {
    status(409);
    expect((await send(client(), "/api/repos/create")).status).toBe(409);
    await expect(send(client(), "/api/repos/create/x")).rejects.toMatchObject({ code: "network" });
    status(408);
    await expect(send(client(), "/api/repos/create")).rejects.toMatchObject({ code: "network" });
  });

  test.each([300, 304, 399])("what is sent goes nowhere else for %d", async (code) => {
    status(code, { location: "/y" });
    await expect(send()).rejects.toMatchObject({
      message: `${at("/x")}: sends elsewhere what it was to take`,
    });
    expect(seen).toHaveLength(1);
  });
});

describe("redirects", () => {
  const hops = (most: number) => {
    answer = ({ url }, response) => {
      const hop = Number(url!.slice(1));
      if (hop === most) response.writeHead(200, { etag: '"last"' }).end("{}");
      else response.writeHead(302, { location: `/${hop + 1}` }).end("moved");
    };
  };

  test("five are followed, six are not", async () => {
    hops(5);
    expect(await get(client(), "/0")).toMatchObject({ status: 200, etag: "last" });
    hops(6);
    await expect(get(client(), "/0")).rejects.toMatchObject({
      message: `${at("/0")}: more than 5 redirects`,
    });
  });

  test("the etag is the one of the file itself, which the first that knows it tells", async () => {
    answer = ({ url }, response) => {
      if (url === "/x") response.writeHead(302, { location: "/y", "x-linked-etag": '"own"' }).end();
      else response.writeHead(200, { etag: '"storage"' }).end("{}");
    };
    expect((await get()).etag).toBe("own");
  });

  test.each(["ftp://127.0.0.1/x", "file:///etc/passwd", "http://"])(
    "%s is no safe address",
    async (location) => {
      status(302, { location });
      await expect(get()).rejects.toMatchObject({
        message: `${at("/x")}: redirects to something that is no safe address`,
      });
    },
  );
});

test("what a request says of who asks", async () => {
  status(200);
  const hub = client({ token: "hf_secret" });
  await get(hub);
  await hub.send(at("/x"), { method: "POST", headers: { authorization: "Bearer other", a: "b" }, body: "" });
  for (const { headers } of seen) {
    expect(headers).toMatchObject({
      authorization: "Bearer hf_secret",
      "user-agent": "llq",
      "accept-encoding": "identity",
    });
  }
  expect(seen[1]!.headers).toMatchObject({ a: "b" });
  const elsewhere = client({ token: "hf_secret", endpoint: "http://127.0.0.1:9" });
  await elsewhere.get(at("/x"));
  expect(seen[2]!.headers.authorization).toBeUndefined();
});

test.each<[number, "fail" | "cut", string]>([
  [5, "fail", "12345"],
  [6, "fail", "12345"],
  [4, "fail", "more than 4 bytes"],
  [4, "cut", "1234"],
  [5, "cut", "12345"],
  [6, "cut", "12345"],
])("five bytes of at most %d, or %s", async (limit, excess, expected) => {
  const body = (async function* () {
    yield Buffer.from("123");
    yield Buffer.from("45");
  })();
  const read = readBody(
    { status: 200, headers: new Headers(), etag: undefined, body },
    at("/x"),
    limit,
    excess,
  );
  const got = await read.then(
    (bytes) => Buffer.from(bytes).toString(),
    (error: Error) => error.message,
  );
  expect(got).toMatch(expected);
  if (excess === "cut") expect(got).toBe(expected);
});

test("addresses are shown without what may be secret", () => {
  expect(shown(new URL("https://a.example:8443/b/c?signature=x#y"))).toBe("https://a.example:8443/b/c");
});

test("a signal ends a request that waits", async () => {
  answer = () => {};
  const abort = new AbortController();
  const wait = get(client({}, abort.signal));
  setTimeout(() => abort.abort(new Error("stopped")), 20);
  await expect(wait).rejects.toThrow("stopped");
  const sending = new AbortController();
  const sent = send(client({}, sending.signal));
  setTimeout(() => sending.abort(new Error("stopped")), 20);
  await expect(sent).rejects.toThrow("stopped");
});
