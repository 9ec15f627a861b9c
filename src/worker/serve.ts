import { serveThread } from "#host/threads";
import { Kernels } from "../kernels/kernels.js";
import { speak } from "../language/t.js";
import {
  errorToData,
  type JobKind,
  type Reply,
  type Request,
  runJob,
  type WorkerStart,
} from "../run/threads/messages.js";

/** Does jobs of these kinds, in a thread of a pool. */
// biome-ignore lint/suspicious/noExplicitAny: each takes its own jobs
export function serve(jobKinds: readonly JobKind<any, unknown>[]): void {
  serveThread((data) => {
    const start = data as WorkerStart;
    speak(start.catalogue);
    const kernels = new Kernels(start.kernels, start.products, start.searches, start.fused);
    const kinds = new Map(jobKinds.map((kind) => [kind.name, kind]));
    return (message): Reply => {
      const { id, kind, job } = message as Request;
      try {
        return { id, result: runJob(kinds.get(kind)!, job, kernels) };
      } catch (error) {
        return { id, error: errorToData(error) };
      }
    };
  });
}
