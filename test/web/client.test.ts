import { expect, it } from "vitest";
import { EngineClient, type Port } from "../../web/src/engine/client.js";
import type { Engine, Problem, Progress, Reply, Request } from "../../web/src/engine/protocol.js";
import { type Scope, serve, throttled } from "../../web/src/engine/serve.js";
import { StandIn } from "./check/stand-in.js";

/** Both ends of a worker, in this thread; what goes through is copied as there. */
function worker(engine: Engine, spoken: string[] = []) {
  const toWorker: ((event: { data: Request }) => void)[] = [];
  const toPage: ((event: { data: Reply }) => void)[] = [];
  const errors: ((event: { message: string }) => void)[] = [];
  let isRunning = true;
  const scope: Scope = {
    postMessage: (data) => {
      if (isRunning) for (const take of toPage) queueMicrotask(() => take({ data: structuredClone(data) }));
    },
    addEventListener: (_, listener) => toWorker.push(listener),
  };
  const asProblem = (error: unknown): Problem =>
    error instanceof Error ? { kind: "unexpected", message: error.message } : (error as Problem);
  serve(scope, engine, asProblem, (language) => spoken.push(language));
  const port: Port = {
    postMessage: (data) => {
      for (const take of toWorker) queueMicrotask(() => take({ data }));
    },
    addEventListener: (type: string, listener: unknown) => {
      if (type === "message") toPage.push(listener as (typeof toPage)[number]);
      if (type === "error") errors.push(listener as (typeof errors)[number]);
    },
    terminate: () => {
      isRunning = false;
    },
  };
  const crash = (message: string) => {
    for (const take of errors) take({ message });
  };
  return { port, crash };
}

it("brings back what the engine gives, and its progress", async () => {
  const client = new EngineClient(() => worker(new StandIn({})).port, "en");
  const seen: Progress[] = [];
  const model = await client.call(
    "open",
    { kind: "files", name: "m", files: [] },
    { onProgress: (each) => seen.push(each) },
  );
  expect(model.architecture).toBe("llama");
  expect(seen[0]).toMatchObject({ stage: "read", done: 0 });
  expect(seen.at(-1)!.done).toBe(seen.at(-1)!.total);
});

it("brings back what is wrong", async () => {
  const problem: Problem = { kind: "quota", message: "full", needed: 2, available: 1 };
  const client = new EngineClient(() => worker(new StandIn({ problems: { plan: problem } })).port, "en");
  await expect(client.call("plan", { recipe: "Q4_K_M" })).rejects.toEqual(problem);
});

it("stops what it is told to stop, and nothing else", async () => {
  const client = new EngineClient(() => worker(new StandIn({ held: { verify: 0.1 } })).port, "en");
  const stop = new AbortController();
  const held = client.call("verify", { threads: 1 }, { signal: stop.signal });
  const other = client.call("plan", { recipe: "Q8_0" });
  stop.abort();
  await expect(held).rejects.toMatchObject({ kind: "cancelled" });
  expect((await other).recipe).toBe("Q8_0");
});

it("says so when the worker crashes, and starts another for what comes next", async () => {
  const workers: ReturnType<typeof worker>[] = [];
  const start = () => {
    workers.push(worker(new StandIn(workers.length === 0 ? { held: { quantize: 0.5 } } : {})));
    return workers.at(-1)!.port;
  };
  const client = new EngineClient(start, "en");
  const lost = client.call("quantize", { recipe: "Q4_K_M", name: "m", threads: 1 });
  workers[0]!.crash("out of memory");
  await expect(lost).rejects.toEqual({ kind: "crashed", message: "out of memory" });
  expect((await client.call("plan", { recipe: "Q8_0" })).recipe).toBe("Q8_0");
  expect(workers.length).toBe(2);
});

it("tells the engine the language, at first and later", async () => {
  const spoken: string[] = [];
  const client = new EngineClient(() => worker(new StandIn({}), spoken).port, "zh");
  await client.call("discard", { what: "file" });
  client.speak("en");
  await client.call("discard", { what: "file" });
  expect(spoken).toEqual(["zh", "en"]);
});

it("reports the first and the last of each stage, and between them no faster than eyes read", () => {
  let time = 0;
  const told: string[] = [];
  const report = throttled(
    ({ stage, done }: Progress) => told.push(`${stage} ${done}`),
    () => time,
  );
  for (const [stage, done] of [
    ["read", 0],
    ["read", 1],
    ["read", 2],
    ["hash", 0],
    ["hash", 9],
  ] as const) {
    report({ stage, done, total: 9 });
    time += 30;
  }
  expect(told).toEqual(["read 0", "hash 0", "hash 9"]);
});
