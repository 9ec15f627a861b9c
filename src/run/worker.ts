import { parentPort, workerData } from "node:worker_threads";
import { errorToData, type Reply, type Request, runJob } from "./jobs.js";
import { Kernels } from "./kernels.js";

const kernels = new Kernels(workerData as WebAssembly.Module);

parentPort!.on("message", ({ id, job }: Request) => {
  let reply: Reply;
  try {
    reply = { id, result: runJob(job, kernels) };
  } catch (error) {
    reply = { id, error: errorToData(error) };
  }
  parentPort!.postMessage(reply);
});
