import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { DTypeName } from "../../../formats/dtype.js";
import { compileKernels } from "../../../src/kernels/kernels.js";
import { chooseProducts } from "../../../src/net/products/products.js";
import { load, printTable } from "../measure.js";
import type { Question, Setting } from "./decode-worker.js";

const TYPES: readonly DTypeName[] = ["Q4_0", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS", "F16", "BF16", "F32"];
const TOKENS = [1, 4, 8];

/**
 * How fast weights that stay in memory are multiplied with few tokens: what bounds a model that writes one token after the
 * other. Wall time: memory is shared with whatever else the machine does.
 */
export async function benchDecode(): Promise<void> {
  const setting: Setting = { kernels: compileKernels(), products: chooseProducts("generation") };
  const url = new URL("./decode-worker.js", import.meta.url);
  const workers = [0, 1].map(() => new Worker(url, { workerData: setting }));
  const total = async (threads: number, question: Question) => {
    const answers = workers.slice(0, threads).map((worker) => {
      worker.postMessage(question);
      return once(worker, "message") as Promise<[number]>;
    });
    return (await Promise.all(answers)).reduce((sum, [speed]) => sum + speed, 0);
  };
  const rows: string[][] = [];
  for (const type of TYPES) {
    const row: string[] = [type];
    for (const threads of [1, 2]) {
      for (const tokens of TOKENS) row.push(((await total(threads, { type, tokens })) / 1e9).toFixed(1));
    }
    rows.push(row);
  }
  await Promise.all(workers.map((worker) => worker.terminate()));
  const columns = [1, 2].flatMap((threads) => TOKENS.map((tokens) => `${threads} × ${tokens}`));
  console.log(
    `\nproducts with weights in memory, 10^9 bytes of them per second, threads × tokens, ${load()}`,
  );
  printTable(["type", ...columns], rows);
}
