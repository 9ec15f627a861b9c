import type { Engine, Problem, Progress, Reply, Request } from "./protocol.js";

/** The worker's side of a page: as much of a worker's global scope as is needed. */
export interface Scope {
  postMessage(message: Reply): void;
  addEventListener(type: "message", listener: (event: { data: Request }) => void): void;
}

/** Has an engine answer what a page asks. `asProblem` says what an error means to the page. */
export function serve(
  scope: Scope,
  engine: Engine,
  asProblem: (error: unknown) => Problem,
  speak: (language: string) => void,
): void {
  const running = new Map<number, AbortController>();
  scope.addEventListener("message", async ({ data }) => {
    if ("language" in data) return speak(data.language);
    if ("cancel" in data) return running.get(data.id)?.abort();
    const { id, call, input } = data;
    const stop = new AbortController();
    running.set(id, stop);
    const watch = {
      signal: stop.signal,
      onProgress: throttled<Progress>((progress) => scope.postMessage({ id, progress })),
    };
    try {
      const output = await engine.call(call, input as never, watch);
      scope.postMessage({ id, output });
    } catch (error) {
      const problem: Problem = stop.signal.aborted ? { kind: "cancelled", message: "" } : asProblem(error);
      scope.postMessage({ id, problem });
    } finally {
      running.delete(id);
    }
  });
}

/** Milliseconds between reports of progress: a page draws no faster than eyes read. */
const PACE = 80;

/** Passes on one call in `PACE` milliseconds, and whatever is the first or the last of a stage. */
export function throttled<P extends { stage: string; done: number; total: number }>(
  report: (progress: P) => void,
  now: () => number = () => performance.now(),
): (progress: P) => void {
  let last = -Infinity;
  let stage: string | undefined;
  return (progress) => {
    const time = now();
    if (progress.stage === stage && progress.done < progress.total && time - last < PACE) return;
    last = time;
    stage = progress.stage;
    report(progress);
  };
}
