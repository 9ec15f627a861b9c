import { t } from "../language/t.js";
import type { HubSettings } from "./settings.js";

/** Aborts when nothing has happened for a while, or so little that it would go on for ever. */
export class IdleTimer {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #rate: NodeJS.Timeout;
  #received = 0;

  constructor({ idleTimeout, slowest, slowTime }: Pick<HubSettings, "idleTimeout" | "slowest" | "slowTime">) {
    const abort = (why: string) => this.#controller.abort(new DOMException(why, "TimeoutError"));
    this.#timer = setTimeout(() => abort(t`nothing arrives`), idleTimeout);
    this.#rate = setInterval(() => {
      if (this.#received * 1000 < slowest * slowTime) abort(t`less than ${slowest} bytes a second arrive`);
      this.#received = 0;
    }, slowTime);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  refresh(bytes: number): void {
    this.#received += bytes;
    this.#timer.refresh();
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearInterval(this.#rate);
  }
}
