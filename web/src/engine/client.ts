import type { CallName, Engine, Input, Output, Problem, Reply, Request, Watch } from "./protocol.js";

/** The part of a Worker that is needed; tests have one of their own. */
export interface Port {
  postMessage(message: Request): void;
  addEventListener(type: "message", listener: (event: { data: Reply }) => void): void;
  addEventListener(type: "error" | "messageerror", listener: (event: { message?: string }) => void): void;
  terminate(): void;
}

interface Waiting {
  readonly watch: Watch;
  readonly done: (output: unknown) => void;
  readonly fail: (problem: Problem) => void;
}

/** The engine in a worker. One that has crashed is started anew with the next call, which then has to open its model first. */
export class EngineClient implements Engine {
  readonly #start: () => Port;
  readonly #waiting = new Map<number, Waiting>();
  #language: string;
  #port: Port | undefined;
  #last = 0;

  constructor(start: () => Port, language: string) {
    this.#start = start;
    this.#language = language;
  }

  /** What problems and remarks are said in from now on. */
  speak(language: string): void {
    this.#language = language;
    this.#port?.postMessage({ language });
  }

  call<K extends CallName>(name: K, input: Input<K>, watch: Watch = {}): Promise<Output<K>> {
    const id = ++this.#last;
    const { signal } = watch;
    return new Promise<unknown>((done, fail) => {
      const port = this.#port ?? this.#open();
      this.#waiting.set(id, { watch, done, fail });
      port.postMessage({ id, call: name, input } as Request);
      signal?.addEventListener("abort", () => {
        if (this.#waiting.has(id)) port.postMessage({ id, cancel: true });
      });
    }) as Promise<Output<K>>;
  }

  /** Ends whatever is going on at once. */
  stop(): void {
    this.#end({ kind: "cancelled", message: "" });
  }

  #open(): Port {
    const port = this.#start();
    this.#port = port;
    port.addEventListener("message", ({ data }) => this.#take(data));
    for (const type of ["error", "messageerror"] as const) {
      port.addEventListener(type, ({ message }) => this.#end({ kind: "crashed", message: message ?? type }));
    }
    port.postMessage({ language: this.#language });
    return port;
  }

  #take(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    if (waiting === undefined) return;
    if ("progress" in reply) {
      waiting.watch.onProgress?.(reply.progress);
      return;
    }
    this.#waiting.delete(reply.id);
    if ("problem" in reply) waiting.fail(reply.problem);
    else waiting.done(reply.output);
  }

  #end(problem: Problem): void {
    this.#port?.terminate();
    this.#port = undefined;
    const left = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { fail } of left) fail(problem);
  }
}
