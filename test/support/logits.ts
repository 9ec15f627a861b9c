import { Kernels } from "../../src/kernels/kernels.js";
import type { Model } from "../../src/model.js";
import { prepareBlocks, runBlocks } from "../../src/net/blocks.js";
import { spanOf } from "../../src/net/group.js";
import { openHead } from "../../src/net/head.js";
import { chooseFused } from "../../src/net/products/fused.js";
import type { Activations } from "../../src/net/products/matmul.js";
import { withSession } from "../../src/net/session.js";
import { hiddenBytes } from "../../src/net/span.js";

/** Logits of every token of one chunk, [tokens][vocabulary]. */
export async function logitsOf(
  model: Model,
  tokens: Int32Array,
  activations: Activations = "f32",
  fast = false,
): Promise<Float32Array> {
  const { vocabSize } = model.hparams;
  const context = tokens.length;
  const logits = new Float32Array(context * vocabSize);
  await withSession(model, { activations, fast, threads: 0 }, async (session) => {
    const hidden = new SharedArrayBuffer(hiddenBytes(1, context, session.plan.floats));
    const span = spanOf(session.plan, hidden, [tokens]);
    await runBlocks(session, prepareBlocks(session, context), span, [tokens], () => {});
    const fused = fast ? chooseFused() : undefined;
    const kernels = new Kernels(undefined, undefined, undefined, fused);
    const head = openHead(kernels, { ...session, ...session.plan.head }, { span, first: 0, count: context });
    for (let first = 0; first < vocabSize; first += 256) {
      const rows = Math.min(256, vocabSize - first);
      const mark = kernels.mark();
      const { y, stride } = head(first, rows);
      for (let token = 0; token < context; token++) {
        logits.set(kernels.floats(y + token * stride, rows), token * vocabSize + first);
      }
      kernels.reset(mark);
    }
  });
  return logits;
}
