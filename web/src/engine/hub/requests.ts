import { retried, retryAfter, Transient } from "llq/browser";
import { HubProblem } from "./problem.js";

/** Where the Hub is, and how it is asked. */
export interface HubSettings {
  readonly endpoint: string;
  readonly token: string | undefined;
  readonly fetch: typeof fetch;
  /** Milliseconds before the second try; twice as many before each further one. */
  readonly patience: number;
}

/** Milliseconds that a server may ask to wait. */
const LONGEST_WAIT = 120_000;
/** Milliseconds without a byte. */
const IDLE = 60_000;

/** Requests to the Hub: again when that may help, with the token where it belongs, and told to stop at any time. */
export class Hub {
  readonly settings: HubSettings;
  readonly #signal: AbortSignal | undefined;

  constructor(settings: HubSettings, signal: AbortSignal | undefined) {
    this.settings = settings;
    this.#signal = signal;
  }

  /**
   * Runs `work` again as long as it fails in ways that may pass. `gained` says that something was achieved, so that the
   * failures before count no longer.
   */
  retry<T>(work: (gained: () => void) => Promise<T>): Promise<T> {
    return retried(work, {
      delay: this.settings.patience,
      longest: LONGEST_WAIT,
      signal: this.#signal,
      givenUp: (last) => last.error,
    });
  }

  /**
   * One GET, whose body is still to come. Browsers follow redirects themselves, and take the token off when they lead to
   * another host.
   * @throws Transient what may pass, HubProblem
   */
  async get(url: URL, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const { endpoint, token, fetch } = this.settings;
    const isOwn = token !== undefined && url.origin === new URL(endpoint).origin;
    const idle = new AbortController();
    const signal = this.#signal === undefined ? idle.signal : AbortSignal.any([this.#signal, idle.signal]);
    let timer = setTimeout(() => idle.abort(), IDLE);
    const refresh = () => {
      clearTimeout(timer);
      timer = setTimeout(() => idle.abort(), IDLE);
    };
    try {
      const response = await fetch(url, {
        headers: isOwn ? { ...headers, authorization: `Bearer ${token}` } : { ...headers },
        credentials: "omit",
        cache: "no-store",
        signal,
      });
      refresh();
      if (response.ok) return { response, body: bodyOf(response, refresh, () => clearTimeout(timer)) };
      await response.body?.cancel();
      throw refusal(url, response, token !== undefined);
    } catch (error) {
      clearTimeout(timer);
      if (error instanceof HubProblem || error instanceof Transient) throw error;
      throw new Transient(new HubProblem("hubUnreachable", url.origin));
    }
  }

  /** At most `limit` bytes of a body. @throws HubProblem for more */
  async read(url: URL, limit: number, headers: Readonly<Record<string, string>> = {}): Promise<Received> {
    const { response, body } = await this.get(url, headers);
    const parts: Uint8Array<ArrayBuffer>[] = [];
    let length = 0;
    for await (const part of body) {
      parts.push(part);
      length += part.length;
      if (length >= limit) break;
    }
    const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
    return { bytes: bytes.subarray(0, limit), isWhole: length <= limit, headers: response.headers };
  }
}

export interface Answer {
  readonly response: Response;
  readonly body: AsyncGenerator<Uint8Array<ArrayBuffer>>;
}

export interface Received {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** There were no more than these. */
  readonly isWhole: boolean;
  readonly headers: Headers;
}

async function* bodyOf(
  response: Response,
  refresh: () => void,
  over: () => void,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const reader = response.body?.getReader();
  try {
    for (;;) {
      const next = await reader?.read();
      if (next === undefined || next.done) return;
      refresh();
      yield next.value;
    }
  } catch {
    throw new Transient(new HubProblem("hubUnreachable", new URL(response.url).origin));
  } finally {
    over();
    await reader?.cancel().catch(() => {});
  }
}

function refusal(url: URL, { status, headers }: Response, hasToken: boolean): Error {
  const where = `${url.origin}${url.pathname} (${status})`; // signed addresses have secrets in their queries
  if (status === 408 || status === 429 || status >= 500) {
    const said = status === 429 ? "hubTooOften" : "hubUnreachable";
    return new Transient(new HubProblem(said, where), retryAfter(headers));
  }
  if (status === 401) return new HubProblem(hasToken ? "hubBadToken" : "hubLocked", where);
  if (status === 403) return new HubProblem("hubRefused", where);
  return new HubProblem("hubMissing", where);
}
