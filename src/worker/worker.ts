import { parentPort, workerData } from "node:worker_threads";
import { Kernels } from "../kernels/kernels.js";
import { speak } from "../language/t.js";
import { errorToData, type Reply, type Request, runJob, type WorkerStart } from "../run/threads/messages.js";
import { JOB_KINDS } from "./job-kinds.js";

const modules = workerData as WorkerStart;
speak(modules.catalogue);
const kernels = new Kernels(modules.kernels, modules.products, modules.searches);
const kinds = new Map(JOB_KINDS.map((kind) => [kind.name, kind]));

parentPort!.on("message", ({ id, kind, job }: Request) => {
  let reply: Reply;
  try {
    reply = { id, result: runJob(kinds.get(kind)!, job, kernels) };
  } catch (error) {
    reply = { id, error: errorToData(error) };
  }
  parentPort!.postMessage(reply);
});
