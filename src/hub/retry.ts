/** Failures in a row, without a byte gained between them, before we give up. */
const MAX_FAILURES = 5;

/** A failure that may pass. Never leaves who asks the Hub: who gives up throws its error. */
export class Transient<E extends Error = Error> extends Error {
  readonly error: E;
  /** Milliseconds that the server asks to wait. */
  readonly wait: number | undefined;

  constructor(error: E, wait?: number) {
    super(error.message);
    this.error = error;
    this.wait = wait;
  }
}

export interface Patience<E extends Error> {
  /** Milliseconds before the second try; twice as many before each further one. */
  readonly delay: number;
  /** Milliseconds that a server may ask to wait. */
  readonly longest: number;
  readonly signal: AbortSignal | undefined;
  /** What is thrown in the end; `wait` where the server asks for so long. */
  readonly givenUp: (last: Transient<E>, wait?: number) => Error;
}

/**
 * Runs `work` again, each time after a longer wait, as long as it throws a Transient. `gained` says that something was achieved,
 * so that the failures before count no longer.
 */
export async function retried<T, E extends Error>(
  work: (gained: () => void) => Promise<T>,
  { delay, longest, signal, givenUp }: Patience<E>,
): Promise<T> {
  for (let failures = 0; ; ) {
    try {
      return await work(() => {
        failures = 0;
      });
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof Transient)) throw error;
      if (++failures === MAX_FAILURES) throw givenUp(error);
      const wait = error.wait ?? delay * 2 ** (failures - 1);
      if (wait > longest) throw givenUp(error, wait);
      await pause(wait, signal);
    }
  }
}

function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((done, fail) => {
    const stop = () => {
      clearTimeout(timer);
      fail(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      done();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Milliseconds of a Retry-After header, which has seconds or a date. */
export function retryAfter(headers: Headers): number | undefined {
  const text = headers.get("retry-after");
  if (text === null) return undefined;
  const wait = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return wait >= 0 ? wait : undefined;
}
