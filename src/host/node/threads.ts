import * as os from "node:os";
import { parentPort, Worker, workerData } from "node:worker_threads";
import type { HostThreads } from "../types.js";

/**
 * Threads work in WebAssembly's memory and make few objects. Left alone, V8 lets the young ones of each thread grow to tens of
 * megabytes before it looks at them.
 */
const LIMITS = { maxYoungGenerationSizeMb: 3 };

export const { availableParallelism, jobsInHand, startThread, serveThread, threadsReadOutputs }: HostThreads =
  {
    availableParallelism: () => os.availableParallelism(),
    jobsInHand: 2,
    startThread: (entry, data, { onMessage, onError }) => {
      const worker = new Worker(entry, { workerData: data, resourceLimits: LIMITS });
      worker.on("message", onMessage);
      worker.on("error", onError);
      return { post: (message) => worker.postMessage(message), terminate: () => worker.terminate() };
    },
    serveThread: (begin) => {
      const answer = begin(workerData);
      parentPort!.on("message", (message) => parentPort!.postMessage(answer(message)));
    },
    threadsReadOutputs: true,
  };
