import { availableParallelism, jobsInHand, startThread, threadsReadOutputs } from "#host/threads";
import { nextTurn } from "#host/time";
import { LlqError } from "../../../formats/errors.js";
import type { FileRegion, HostThread } from "../../host/types.js";
import { installedPath } from "../../installed.js";
import { compileKernels, Kernels, type Searches } from "../../kernels/kernels.js";
import type { Fused, Products } from "../../kernels/products.js";
import { spoken, t } from "../../language/t.js";
import {
  errorFromData,
  type JobKind,
  type Reply,
  type Request,
  runJob,
  type WorkerStart,
} from "./messages.js";

interface Waiting {
  readonly request: Request;
  readonly reads: (() => readonly FileRegion[]) | undefined;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

interface Thread {
  readonly worker: HostThread;
  readonly inHand: Map<number, Waiting>;
}

/** Worker threads that take jobs in order. With `threads` 0 the jobs run in this thread, one by one. */
export class WorkerPool {
  readonly threads: number;
  readonly #threads: Thread[] = [];
  readonly #queue: Waiting[] = [];
  readonly #modules: WorkerStart;
  readonly #own: Kernels | undefined;
  /** For what this thread alone can read. */
  #reader: Kernels | undefined;
  #nextId = 0;
  #failure: Error | undefined;

  /**
   * @param products for jobs that multiply
   * @param searches for jobs that round
   * @param fused for jobs that multiply floats, in place of those in `products`
   */
  constructor(
    threads: number = availableParallelism(),
    products?: Products,
    searches?: Searches,
    fused?: Fused,
  ) {
    this.threads = threads;
    this.#modules = { kernels: compileKernels(), products, searches, fused, catalogue: spoken() };
    if (threads === 0) this.#own = new Kernels(this.#modules.kernels, products, searches, fused);
    for (let i = 0; i < threads; i++) this.#threads.push(this.#start());
  }

  /** Rejects with what the job threw; jobs that are still waiting go on. */
  run<J, R>(kind: JobKind<J, R>, job: J): Promise<R> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#own !== undefined) return this.#runHere(kind, job, this.#own);
    if (kind.readsOutput && !threadsReadOutputs) {
      this.#reader ??= new Kernels(this.#modules.kernels);
      return this.#runHere(kind, job, this.#reader);
    }
    return new Promise<unknown>((resolve, reject) => {
      const reads = kind.reads && (() => kind.reads!(job));
      this.#queue.push({ request: { id: this.#nextId++, kind: kind.name, job }, reads, resolve, reject });
      this.#dispatch();
    }) as Promise<R>;
  }

  /** Gives every thread a job of its own, for threads that work in step; without threads there is one job. */
  runOnEach<J, R>(kind: JobKind<J, R>, jobs: readonly J[]): Promise<R[]> {
    if (this.#own !== undefined) return Promise.all(jobs.map((job) => this.run(kind, job)));
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const results = this.#threads.map(
      (thread, i) =>
        new Promise<unknown>((resolve, reject) => {
          const request = { id: this.#nextId++, kind: kind.name, job: jobs[i] };
          thread.inHand.set(request.id, { request, reads: undefined, resolve, reject });
          thread.worker.post(request);
        }) as Promise<R>,
    );
    return Promise.all(results);
  }

  /**
   * Ends the threads; jobs that have not finished are rejected. When it resolves no thread touches a
   * descriptor any more, so files may be closed.
   */
  async close(): Promise<void> {
    this.#failure ??= new LlqError("interrupted", t`the work was stopped`);
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
    this.#rejectAll(this.#failure);
  }

  #rejectAll(error: Error): void {
    const inHand = this.#threads.flatMap((thread) => [...thread.inHand.values()]);
    for (const waiting of [...inHand, ...this.#queue.splice(0)]) waiting.reject(error);
    for (const thread of this.#threads) thread.inHand.clear();
  }

  /** After a breath, so that signals and progress get their turn. */
  async #runHere<J, R>(kind: JobKind<J, R>, job: J, kernels: Kernels): Promise<R> {
    await nextTurn();
    if (this.#failure !== undefined) throw this.#failure;
    return runJob(kind, job, kernels);
  }

  #dispatch(): void {
    for (let depth = 0; depth < jobsInHand; depth++) {
      for (const thread of this.#threads) {
        while (thread.inHand.size <= depth) {
          const next = this.#queue.shift();
          if (next === undefined) return;
          this.#send(thread, next);
        }
      }
    }
  }

  /** Rejects a job that cannot be sent: what a step divides by may have to be read for it. */
  #send({ inHand, worker }: Thread, next: Waiting): void {
    try {
      worker.post(next.request, next.reads);
      inHand.set(next.request.id, next);
    } catch (error) {
      next.reject(error as Error);
    }
  }

  #start(): Thread {
    const inHand = new Map<number, Waiting>();
    const worker = startThread(installedPath("program/worker.js"), this.#modules, {
      onMessage: (message) => {
        const reply = message as Reply;
        const waiting = inHand.get(reply.id);
        if (waiting === undefined) return; // rejected meanwhile
        inHand.delete(reply.id);
        this.#dispatch();
        if ("result" in reply) waiting.resolve(reply.result);
        else waiting.reject(errorFromData(reply.error));
      },
      onError: (error) => {
        this.#failure ??= error;
        this.#rejectAll(this.#failure);
      },
    });
    return { worker, inHand };
  }
}
