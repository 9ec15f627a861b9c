import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { Copy } from "./copy.js";
import { type Instrumented, place, SWITCH } from "./instrumented.js";

/** How a file of tests ended. */
export interface Run {
  readonly outcome: "passed" | "failed" | "timeout";
  readonly seconds: number;
  /** The first test that failed. */
  readonly failure: string | undefined;
}

/** A copy of the repository with all mutants in it, and a vitest that runs its tests, a file at a time. */
export class Lane {
  readonly #copy: Copy;
  #server: ChildProcess | undefined;

  constructor(root: string, instrumented: Instrumented) {
    this.#copy = new Copy(root);
    place(instrumented, this.#copy);
  }

  /**
   * Runs a file of tests until one fails.
   *
   * @param test its path in the repository
   * @param options.names what the names of tests match that are run, of all
   * @param options.active the mutant that is on
   * @param options.met where the ids of mutants are written that the tests come by, of any thread and process
   * @param options.seconds after which all that runs is ended
   */
  async run(
    test: string,
    options: { names?: string | undefined; active?: string; met?: string; seconds: number },
  ): Promise<Run> {
    const { names, active, met, seconds } = options;
    this.#server ??= await this.#serve();
    this.#copy.write(SWITCH, JSON.stringify({ active, met }));
    const started = performance.now();
    const listening = new AbortController();
    const { signal } = listening;
    const answer = Promise.race([
      once(this.#server, "message", { signal }),
      once(this.#server, "exit", { signal }),
    ]);
    this.#server.send({ file: join(this.#copy.root, test), names });
    const late = Symbol();
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<typeof late>((resolve) => {
      timer = setTimeout(() => resolve(late), seconds * 1000);
    });
    const first = await Promise.race([answer, timeout]);
    clearTimeout(timer);
    listening.abort();
    const spent = (performance.now() - started) / 1000;
    const said = first === late ? undefined : first[0];
    if (said === null || typeof said !== "object") {
      this.#end();
      return { outcome: first === late ? "timeout" : "failed", seconds: spent, failure: undefined };
    }
    return { outcome: said.passed ? "passed" : "failed", seconds: spent, failure: said.failure };
  }

  close(): void {
    this.#end();
    this.#copy.remove();
  }

  async #serve(): Promise<ChildProcess> {
    const entry = new URL("server.js", import.meta.url).pathname;
    // A group of its own, so that it is ended with all that its tests have started.
    const server = fork(entry, { cwd: this.#copy.root, detached: true, stdio: "ignore" });
    await once(server, "message");
    return server;
  }

  #end(): void {
    const { pid } = this.#server ?? {};
    this.#server = undefined;
    if (pid === undefined) return;
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  }
}
