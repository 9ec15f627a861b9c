import type { Model } from "../model.js";
import { Team } from "../net/team/team.js";
import { planQuantize } from "../quant/plan.js";
import type { Engine, EngineOptions, Feed, Sequence } from "./engine.js";
import { checkMemory, generateMemory } from "./memory.js";

/**
 * Loads a model to generate with. Its weights stay in memory, about as small as they are stored.
 * @throws LlqError `usage` for a context beyond the positions that the model has learned, heads that do not divide into
 * the blocks of `kvType`, and a recipe for a model that is quantized already; `no-space` when it needs more memory than
 * there is
 */
export async function loadEngine(
  model: Model,
  { recipe, onWarning, ...options }: EngineOptions,
): Promise<TeamEngine> {
  const plan = recipe && planQuantize(model, recipe);
  const types = plan && new Map(plan.tensors.map(({ tensor, dtype }) => [tensor.name, dtype]));
  const warning = checkMemory(model.path, generateMemory(model, options)(types));
  if (warning !== undefined) onWarning?.(warning);
  return new TeamEngine(await Team.load(model, { ...options, types }));
}

/** An engine over threads that go through the model in step. */
export class TeamEngine implements Engine {
  readonly #team: Team;
  /** Numbers of sequences that are free. */
  readonly #free: number[];
  readonly #numbers = new Map<Sequence, number>();

  constructor(team: Team) {
    this.#team = team;
    this.#free = Array.from({ length: team.sequences }, (_, i) => team.sequences - 1 - i);
  }

  get vocabSize(): number {
    return this.#team.plan.hparams.vocabSize;
  }

  get context(): number {
    return this.#team.context;
  }

  get sequences(): number {
    return this.#team.sequences;
  }

  get piece(): number {
    return this.#team.piece;
  }

  open(): Sequence {
    const number = this.#free.pop();
    if (number === undefined) throw new RangeError(`more than ${this.sequences} sequences`);
    const team = this.#team;
    team.truncate(number, 0);
    const sequence: Sequence = {
      get length() {
        return team.lengthOf(number);
      },
      truncate: (length) => team.truncate(number, length),
      copyFrom: (other) => team.copy(number, this.#numberOf(other)),
      close: () => {
        if (this.#numbers.delete(sequence)) this.#free.push(number);
      },
    };
    this.#numbers.set(sequence, number);
    return sequence;
  }

  /** Feeds of one token go through the layers together, longer ones one after the other. */
  async step(feeds: readonly Feed[]): Promise<Float32Array[]> {
    const logits: Float32Array[] = [];
    const singles = [...feeds.keys()].filter((i) => feeds[i]!.tokens.length === 1);
    if (singles.length > 0) {
      const numbers = singles.map((i) => this.#numberOf(feeds[i]!.sequence));
      const tokens = Int32Array.from(singles, (i) => feeds[i]!.tokens[0]!);
      const results = await this.#team.step(numbers, tokens);
      for (const [k, i] of singles.entries()) logits[i] = results[k]!;
    }
    for (const [i, feed] of feeds.entries()) {
      if (feed.tokens.length !== 1)
        logits[i] = (await this.#team.step([this.#numberOf(feed.sequence)], feed.tokens))[0]!;
    }
    return logits;
  }

  #numberOf(sequence: Sequence): number {
    const number = this.#numbers.get(sequence);
    if (number === undefined) throw new Error("the sequence is closed");
    return number;
  }

  close(): Promise<void> {
    return this.#team.close();
  }
}
