import { parentPort, workerData } from "node:worker_threads";
import { Kernels } from "../kernels/kernels.js";
import type { WorkerModules } from "../run/threads/pool.js";
import { errorToData, type Reply, type Request, runJob } from "./jobs.js";

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
