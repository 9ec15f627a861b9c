import type { Model } from "../model.js";
import type { Descriptors } from "../rows/rows.js";
import type { WorkerPool } from "../run/threads/pool.js";
import { withFiles, withPool } from "../run/threads/scope.js";
import { planDecoder } from "./plan/decoder.js";
import type { DecoderPlan } from "./plan/types.js";
import { chooseFused } from "./products/fused.js";
import { type Activations, DEFAULT_ACTIVATIONS } from "./products/matmul.js";
import { chooseProducts } from "./products/products.js";

export interface ForwardOptions {
  /** What meets quantized weights. Default: int8. */
  readonly activations?: Activations | undefined;
  /** Worker threads; 0 works in this thread. Default: one a core. The result does not depend on it. */
  readonly threads?: number | undefined;
  /** Bytes for hidden states and the threads' working memory. Default: half of what is free. */
  readonly maxMemory?: number | undefined;
  /** Called after each job with the multiply-adds done, and all there are to do. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Stops the work; the signal's reason is thrown. */
  readonly signal?: AbortSignal | undefined;
}

/** Of what measures; what writes files for others has no choice. */
export interface MeasureOptions extends ForwardOptions {
  /**
   * Whether floats may meet in fused products (chooseFused), whose last digits are the engine's own. Default: exact ones, which are the
   * same everywhere.
   */
  readonly fast?: boolean | undefined;
}

/** A model that is being run. */
export interface Session {
  readonly plan: DecoderPlan;
  readonly files: Descriptors;
  readonly activations: Activations;
  readonly pool: WorkerPool;
}

/** Opens the model's files and starts threads, for as long as `work` takes; it may open other models beside it. */
export async function withSession<T>(
  model: Model,
  { activations = DEFAULT_ACTIVATIONS, fast, threads, signal }: MeasureOptions,
  work: (session: Session, open: (other: Model) => Session) => Promise<T>,
): Promise<T> {
  const modules = { products: chooseProducts("evaluation"), fused: fast ? chooseFused() : undefined };
  return withFiles((openFiles) =>
    withPool({ threads, signal, ...modules }, (pool) => {
      const open = (one: Model): Session => {
        const files = openFiles(one.container.files);
        return { plan: planDecoder(one), files, activations, pool };
      };
      return work(open(model), open);
    }),
  );
}
