import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

export interface Ended {
  readonly passed: boolean;
  readonly failure: string | undefined;
}

/** A vitest in a process of its own, and in a group, so that it is ended with all that its tests have started. */
export class Server {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(script: string, root: string): Promise<Server> {
    const entry = new URL(script, import.meta.url).pathname;
    const child = fork(entry, { cwd: root, detached: true, stdio: "ignore" });
    await once(child, "message");
    return new Server(child);
  }

  /** Runs files one after the other; `stuck` is the one in which nothing was heard for so many seconds. */
  async runAll(
    files: readonly string[],
    silence: number,
  ): Promise<{ ended: Map<string, Ended>; stuck: string | undefined }> {
    const ended = new Map<string, Ended>();
    const isDone = await new Promise<boolean>((resolve) => {
      let timer: NodeJS.Timeout;
      const wait = () => {
        clearTimeout(timer);
        timer = setTimeout(() => resolve(false), silence * 1000);
      };
      const finish = (all: boolean) => {
        clearTimeout(timer);
        this.#child.removeAllListeners("message");
        this.#child.removeAllListeners("exit");
        resolve(all);
      };
      this.#child.on("message", (message: "done" | (Ended & { file: string })) => {
        if (message === "done") return finish(true);
        ended.set(message.file, message);
        wait();
      });
      this.#child.on("exit", () => finish(false));
      wait();
      this.#child.send(files);
    });
    return { ended, stuck: isDone ? undefined : files.find((file) => !ended.has(file)) };
  }

  end(): void {
    try {
      process.kill(-this.#child.pid!, "SIGKILL");
    } catch {
      // It has ended.
    }
  }
}
