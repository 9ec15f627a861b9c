import type { Model } from "../../model.js";
import { countWork, prepareBlocks, runBlocks } from "../../net/blocks.js";
import { fitMemory, runGroup } from "../../net/group.js";
import { type ForwardOptions, withSession } from "../../net/session.js";
import type { LayerSquares } from "../../net/squares.js";
import { outputSquaresJob, outputSquaresMemory } from "./output-squares.js";

export interface CollectOptions extends ForwardOptions {
  /** Chunks before this one are left out: an earlier run has done them. */
  readonly firstChunk: number;
  /** What goes into the output matrix, too: to onLayer as a layer behind the last. */
  readonly output?: boolean | undefined;
  /** Called for every layer and chunk, in any order: the sums of `count` chunks, the first of which is `chunk`. */
  readonly onLayer: (layer: number, chunk: number, count: number, squares: LayerSquares) => void;
  /** Called when all layers of all chunks before `chunk` are through, now and then. */
  readonly onGroup: (chunk: number) => void;
}

/** Groups become larger until one takes about this long: what a kill may cost. Each reads the whole model. */
const GROUP_SECONDS = 60;

/**
 * Runs chunks of tokens, all of one length, through the blocks of the model, layer by layer as scoreChunks does,
 * and adds up the squares of what goes into each matrix. The sums of a chunk are the same for every number of
 * threads.
 */
export async function collectSquares(
  model: Model,
  chunks: readonly Int32Array[],
  options: CollectOptions,
): Promise<void> {
  await withSession(model, options, async (session) => {
    const context = chunks[0]!.length;
    const { firstChunk, output = false, onLayer, onGroup } = options;
    const { files, activations, pool } = session;
    const { layers, head } = session.plan;
    const left = chunks.length - firstChunk;
    const size = fitMemory(session, left, context, options, (count) =>
      output ? outputSquaresMemory(head, count * context) : 0,
    );
    const blocks = prepareBlocks(session, context);
    const advance = countWork(left * blocks.chunkWork, options);
    let groupChunks = Math.max(1, session.pool.threads);
    for (let first = firstChunk; first < chunks.length; ) {
      const started = performance.now();
      const group = chunks.slice(first, first + Math.min(groupChunks, size.groupChunks));
      await runGroup(session, size, group, async (at, span, own) => {
        const start = first + at;
        await runBlocks(session, blocks, span, own, advance, (layer, squares) =>
          onLayer(layer, start, span.chunks, squares),
        );
        if (!output) return;
        const squares = await pool.run(outputSquaresJob, { files, activations, span, head });
        onLayer(layers.length, start, span.chunks, squares);
      });
      first += group.length;
      onGroup(first);
      if (performance.now() - started < (GROUP_SECONDS * 1000) / 2) groupChunks *= 2;
    }
  });
}
