import { LlqError, systemErrorCode } from "../../formats/errors.js";
import { t } from "../language/t.js";
import { IdleTimer } from "./idle-timer.js";
import { retried, retryAfter, Transient } from "./retry.js";
import type { HubSettings } from "./settings.js";

const MAX_REDIRECTS = 5;

/** What is left of the last failure; `wait` where the server asks for longer than is waited. */
function givenUp(last: Transient<LlqError>, wait?: number): LlqError {
  const { code, message, hint } = last.error;
  const asked =
    wait === undefined ? hint : t`the server asks to come back in ${Math.ceil(wait / 60_000)} minutes`;
  return new LlqError(code, message, { hint: asked, cause: last });
}

/** Whether an error is what is left of a failure that may pass some other time. */
export function isUnreachable(error: unknown): error is LlqError {
  return error instanceof LlqError && error.cause instanceof Transient;
}

/** An answer whose body is still to come. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Of the file itself, wherever it was redirected to. */
  readonly etag: string | undefined;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Requests to the Hub: repeated when that may help, and with the token where it belongs. */
export class HubClient {
  readonly settings: HubSettings;
  readonly #signal: AbortSignal | undefined;

  constructor(settings: HubSettings, signal?: AbortSignal) {
    this.settings = settings;
    this.#signal = signal;
  }

  /**
   * Runs `work` again, each time after a longer wait, as long as it fails in ways that may pass. `gained` says
   * that something was achieved, so that the failures before count no longer.
   * @throws LlqError `network` of the last failure
   */
  async retry<T>(work: (gained: () => void) => Promise<T>): Promise<T> {
    const { retryDelay, longestWait } = this.settings;
    return retried(work, { delay: retryDelay, longest: longestWait, signal: this.#signal, givenUp });
  }

  /**
   * One GET; follows redirects. Statuses from 200 to 299, and 416, are answers.
   * @throws LlqError `bad-input` for what is not there, `network` for what is refused; what may pass, only
   * retry() sees
   */
  async get(url: URL, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const idle = new IdleTimer(this.settings);
    try {
      return await this.#follow(url, headers, idle);
    } catch (error) {
      idle.stop(); // otherwise the answer's body does
      throw error;
    }
  }

  /**
   * One request that sends something, and goes nowhere else. What it may take grows with what it sends.
   * @throws LlqError `network` for what is refused or redirected; what may pass, only retry() sees
   */
  async send(
    url: URL,
    { method, headers, body }: { method: string; headers: Record<string, string>; body: string | Blob },
  ): Promise<Answer> {
    const { idleTimeout, slowest } = this.settings;
    const size = typeof body === "string" ? body.length : body.size;
    const idle = new IdleTimer({
      ...this.settings,
      idleTimeout: idleTimeout + (1000 * size) / slowest,
      slowTime: 2 ** 31 - 1,
    });
    const signal = this.#signal === undefined ? idle.signal : AbortSignal.any([this.#signal, idle.signal]);
    try {
      const { authorization: _, ...rest } = headers;
      const init = {
        method,
        headers: this.#headersFor(url, rest),
        body,
        redirect: "manual",
        signal,
      } as const;
      const response = await fetch(url, init).catch((cause) => {
        throw connectionLost(url, cause);
      });
      const answer = { status: response.status, headers: response.headers, etag: undefined };
      const isThere = response.status === 409 && url.pathname.endsWith("/repos/create");
      if (response.ok || isThere) return { ...answer, body: chunks(url, response, idle) };
      await response.body?.cancel();
      if (response.status >= 300 && response.status < 400) {
        throw new LlqError("network", t`${shown(url)}: sends elsewhere what it was to take`);
      }
      throw this.#refusal(url, response, "write");
    } catch (error) {
      idle.stop(); // otherwise the answer's body does
      throw error;
    }
  }

  async #follow(url: URL, headers: Readonly<Record<string, string>>, idle: IdleTimer): Promise<Answer> {
    const signal = this.#signal === undefined ? idle.signal : AbortSignal.any([this.#signal, idle.signal]);
    let etag: string | undefined;
    let at = url;
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const init = { headers: this.#headersFor(at, headers), redirect: "manual", signal } as const;
      const response = await fetch(at, init).catch((cause) => {
        throw connectionLost(at, cause);
      });
      etag ??= plainEtag(response.headers.get("x-linked-etag"));
      const next = response.headers.get("location");
      if (response.status < 300 || response.status >= 400 || next === null) {
        if (!response.ok && response.status !== 416) {
          await response.body?.cancel();
          throw this.#refusal(at, response);
        }
        etag ??= plainEtag(response.headers.get("etag"));
        return { status: response.status, headers: response.headers, etag, body: chunks(at, response, idle) };
      }
      await response.body?.cancel();
      at = redirected(at, next);
    }
    throw new LlqError("network", t`${shown(url)}: more than ${MAX_REDIRECTS} redirects`);
  }

  /** Only the endpoint learns the token: files come from other hosts, by addresses that need none. */
  #headersFor(url: URL, headers: Readonly<Record<string, string>>): Record<string, string> {
    const { endpoint, token } = this.settings;
    const all = { "accept-encoding": "identity", "user-agent": "llq", ...headers };
    const isOwn = url.origin === new URL(endpoint).origin;
    return token !== undefined && isOwn ? { ...all, authorization: `Bearer ${token}` } : all;
  }

  #refusal(url: URL, { status, headers }: Response, access: "read" | "write" = "read"): Error {
    const where = shown(url);
    if (status === 408 || status === 429 || status >= 500) {
      const hint =
        status === 429 ? t`too many requests: wait, or set HF_TOKEN to be granted more` : t`try again later`;
      return new Transient(
        new LlqError("network", t`${where}: status ${status}`, { hint }),
        retryAfter(headers),
      );
    }
    if (status === 401) {
      return this.settings.token === undefined
        ? new LlqError(
            "network",
            t`${where}: the repository is private, gated or does not exist (status 401)`,
            {
              hint: t`check the name; for a private or gated repository set HF_TOKEN`,
            },
          )
        : new LlqError("network", t`${where}: the token is not accepted (status 401)`, {
            hint: t`check the name and HF_TOKEN, or the token that hf auth login has left`,
          });
    }
    if (status === 403) {
      return new LlqError("network", t`${where}: access is refused (status 403)`, {
        hint:
          access === "read"
            ? t`ask for access on the model's page, and set HF_TOKEN to a token that may read it`
            : t`HF_TOKEN must be a token that may write to the repository`,
      });
    }
    if (status === 404) {
      const missing: Record<string, string> = {
        RevisionNotFound: t`no such revision`,
        EntryNotFound: t`no such file`,
      };
      const what = missing[headers.get("x-error-code") ?? ""] ?? t`no such repository`;
      return new LlqError("bad-input", `${where}: ${what}`);
    }
    return new LlqError("network", t`${where}: status ${status}`);
  }
}

/**
 * A body of at most `limit` bytes; of a longer one, those.
 * @throws LlqError `network` for a longer one, if `excess` is to fail
 */
export async function readBody(
  { body }: Answer,
  url: URL,
  limit: number,
  excess: "fail" | "cut",
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of body) {
    parts.push(part);
    length += part.length;
    if (excess === "cut" ? length >= limit : length > limit) break;
  }
  if (length > limit && excess === "fail") {
    throw new LlqError("network", t`${shown(url)}: answers with more than ${limit} bytes`);
  }
  return new Uint8Array(Buffer.concat(parts).subarray(0, limit));
}

/** Signed addresses have secrets in their queries. */
export function shown(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

/** A failure that retry() may try to mend. */
export function transient(message: string): Error {
  return new Transient(new LlqError("network", message, { hint: t`try again: what has arrived is kept` }));
}

async function* chunks(url: URL, response: Response, idle: IdleTimer): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of response.body ?? []) {
      idle.refresh(chunk.length);
      yield chunk;
    }
  } catch (cause) {
    throw connectionLost(url, cause);
  } finally {
    idle.stop();
  }
}

function connectionLost(url: URL, cause: unknown): Error {
  const inner = cause instanceof Error ? cause.cause : undefined;
  const isIdle = cause instanceof Error && cause.name === "TimeoutError";
  const why = isIdle
    ? cause.message
    : (systemErrorCode(inner) ?? systemErrorCode(cause) ?? t`connection lost`);
  const hint = t`check the network; HF_HUB_OFFLINE=1 uses what was fetched before, HF_ENDPOINT names a mirror`;
  return new Transient(
    new LlqError("network", t`${url.origin}: cannot be reached (${why})`, { hint, cause }),
  );
}

function redirected(from: URL, location: string): URL {
  const to = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  const isAsSafe = to?.protocol === "https:" || (to?.protocol === "http:" && from.protocol === "http:");
  if (to !== undefined && isAsSafe) return to;
  throw new LlqError("network", t`${shown(from)}: redirects to something that is no safe address`);
}

/** `W/"abc"` and `"abc"` as abc. */
function plainEtag(header: string | null): string | undefined {
  return header?.replace(/^W\//, "").replaceAll('"', "") || undefined;
}
