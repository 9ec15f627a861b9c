import { parentPort, workerData } from "node:worker_threads";
import { errorToData, type Reply, type Request, runJob } from "./jobs.js";
import { Kernels } from "./kernels.js";
import type { WorkerModules } from "./pool.js";

const modules = workerData as WorkerModules;
const kernels = new Kernels(modules.kernels, modules.products);

parentPort!.on("message", ({ id, job }: Request) => {
  let reply: Reply;
  try {
    reply = { id, result: runJob(job, kernels) };
  } catch (error) {
    reply = { id, error: errorToData(error) };
  }
  parentPort!.postMessage(reply);
});
