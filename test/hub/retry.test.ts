import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { retried, retryAfter, Transient } from "../../src/hub/retry.js";

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 0, 1, 12) });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Runs `work` and says when each try was, in milliseconds, and how it ended. */
async function tries(
  work: (number: number, gained: () => void) => Promise<string>,
  { signal, longest = 10_000 }: { signal?: AbortSignal; longest?: number } = {},
) {
  const started = Date.now();
  const at: number[] = [];
  const givenUp = ({ message }: Error, wait?: number) => new Error(`${message}, wait ${wait}`);
  const run = retried(
    (gained) => {
      at.push(Date.now() - started);
      return work(at.length, gained);
    },
    { delay: 100, longest, signal, givenUp },
  ).catch((error: unknown) => (error instanceof Error ? error.message : error));
  await vi.runAllTimersAsync();
  return { at, end: await run, timers: vi.getTimerCount() };
}

const passing = (wait?: number) => new Transient(new Error("busy"), wait);

describe("tries", () => {
  test("waits double, and the fifth failure in a row is the last", async () => {
    const run = await tries(async () => {
      throw passing();
    });
    expect(run).toEqual({ at: [0, 100, 300, 700, 1500], end: "busy, wait undefined", timers: 0 });
  });

  test("what was gained counts failures from the start", async () => {
    const run = await tries(async (number, gained) => {
      if (number === 4) gained();
      if (number === 6) return "done";
      throw passing();
    });
    expect(run).toEqual({ at: [0, 100, 300, 700, 800, 1000], end: "done", timers: 0 });
  });

  test("what does not pass is not tried again", async () => {
    const run = await tries(async () => {
      throw new Error("never");
    });
    expect(run).toEqual({ at: [0], end: "never", timers: 0 });
  });

  test.each([
    [0, [0, 0], "done"],
    [10_000, [0, 10_000], "done"],
    [10_001, [0], "busy, wait 10001"],
  ])("a server that asks for %d ms", async (wait, at, end) => {
    const run = await tries(async (number) => {
      if (number === 2) return "done";
      throw passing(wait);
    });
    expect(run).toEqual({ at, end, timers: 0 });
  });
});

describe("a signal", () => {
  test("ends a wait at once, and leaves no timer", async () => {
    const abort = new AbortController();
    setTimeout(() => abort.abort("stopped"), 50);
    const run = await tries(
      async () => {
        throw passing();
      },
      { signal: abort.signal },
    );
    expect(run).toEqual({ at: [0], end: "stopped", timers: 0 });
    expect(Date.now()).toBe(Date.UTC(2026, 0, 1, 12) + 50);
  });

  test("given during a try is what it ends with, whatever the try fails with", async () => {
    const abort = new AbortController();
    const run = await tries(
      async () => {
        abort.abort("stopped");
        throw new Error("cut");
      },
      { signal: abort.signal },
    );
    expect(run).toEqual({ at: [0], end: "stopped", timers: 0 });
  });

  test("is listened to during waits only", async () => {
    const { signal } = new AbortController();
    const [add, remove] = [vi.spyOn(signal, "addEventListener"), vi.spyOn(signal, "removeEventListener")];
    await tries(
      async (number) => {
        if (number === 3) return "done";
        throw passing();
      },
      { signal },
    );
    expect([add.mock.calls.length, remove.mock.calls.length]).toEqual([2, 2]);
    expect(remove.mock.calls.map(([, listener]) => listener)).toEqual(
      add.mock.calls.map(([, listener]) => listener),
    );
  });
});

// RFC 9110, 10.2.3: seconds, or a date.
test.each([
  [undefined, undefined],
  ["0", 0],
  ["120", 120_000],
  ["Thu, 01 Jan 2026 12:00:30 GMT", 30_000],
  ["Thu, 01 Jan 2026 12:00:00 GMT", 0],
  ["Thu, 01 Jan 2026 11:59:59 GMT", undefined],
  ["soon", undefined],
  ["", undefined],
])("Retry-After: %s", (text, wait) => {
  expect(retryAfter(new Headers(text === undefined ? {} : { "retry-after": text }))).toBe(wait);
});
