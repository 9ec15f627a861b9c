import {
  type AddedModel,
  abilities,
  addModel,
  bitsPerWeight,
  createTokenizer,
  evaluatePerplexity,
  execute,
  findRecipe,
  LlqError,
  type Model,
  openModel,
  openOutline,
  type Plan,
  planFit,
  planQuantize,
  RECIPES,
  sha256Of,
  verify,
} from "llq/browser";
import { KnownProblem } from "./as-problem.js";
import { describeModel, describeTensor } from "./describe.js";
import { type Placed, Repository } from "./hub/repository.js";
import { Hub } from "./hub/requests.js";
import { PrivateStorage } from "./hub/storage.js";
import type {
  CallName,
  Engine,
  Fit,
  FitOptions,
  Input,
  Measured,
  MeasureOptions,
  ModelInfo,
  Output,
  PlanInfo,
  QuantizeOptions,
  Source,
  Verified,
  Watch,
  Written,
} from "./protocol.js";

/** A model that llq can read, and how to be rid of it. */
interface Opened {
  readonly added: AddedModel;
  readonly model: Model;
}

/** Of the Hub: what is still to be fetched of a model, and by whom. */
interface Remote {
  readonly repository: Repository;
  readonly token: string | undefined;
}

const ENDPOINT = "https://huggingface.co";

/** llq itself, in this worker. */
export class LocalEngine implements Engine {
  #opened: Opened | undefined;
  #remote: Remote | undefined;
  #made: Opened | undefined;
  #storage = new PrivateStorage(sha256Of);
  #written: string | undefined;

  async call<K extends CallName>(name: K, input: Input<K>, watch: Watch = {}): Promise<Output<K>> {
    const calls: { readonly [C in CallName]: (input: Input<C>) => Output<C> | Promise<Output<C>> } = {
      open: (source) => this.#open(source, watch),
      fit: (options) => this.#fit(options),
      plan: ({ recipe }) => this.#describe(this.#plan(recipe)),
      quantize: (options) => this.#quantize(options, watch),
      verify: (options) => this.#verify(options, watch),
      measure: (options) => this.#measure(options, watch),
      discard: (options) => this.#discard(options),
    };
    return calls[name](input);
  }

  async #open(source: Source, watch: Watch): Promise<ModelInfo> {
    this.#forget();
    if (source.kind === "files") {
      await this.#take(source.files, source.name);
      return this.#info(source.name);
    }
    const hub = this.#hub(source.token, watch.signal);
    watch.onProgress?.({ stage: "list", done: 0, total: 0 });
    const repository = await Repository.find(hub, source.reference);
    const onProgress = watch.onProgress ?? (() => {});
    if (repository.hasHeaders) {
      await this.#take(await repository.hollow(hub, this.#storage, onProgress), repository.name);
      this.#remote = { repository, token: source.token };
    } else {
      await this.#take(await repository.whole(hub, this.#storage, onProgress), repository.name);
    }
    return this.#info(repository.name);
  }

  async #take(files: readonly Placed[], name: string): Promise<void> {
    const added = await addModel(files, name);
    try {
      this.#opened = { added, model: openModel(added.path) };
    } catch (error) {
      added.remove();
      throw error;
    }
  }

  #info(name: string): ModelInfo {
    return describeModel(this.#model, name, this.#remote?.repository.byteLength ?? 0);
  }

  get #model(): Model {
    if (this.#opened === undefined) throw new Error("no model is open");
    return this.#opened.model;
  }

  #fit(options: FitOptions): Fit {
    const outline = openOutline(this.#opened!.added.path);
    const { memory, context } = options;
    const fit = planFit(outline, { memory, context });
    const rows = fit.rows.flatMap(({ recipe, needsImatrix, ...row }) =>
      recipe === undefined || needsImatrix || recipe === "F32" ? [] : [{ ...row, recipe }],
    );
    return { context: fit.context, suggested: fit.suggested, rows };
  }

  #plan(recipe: string): Plan {
    return planQuantize(this.#model, findRecipe(recipe), {});
  }

  #describe(plan: Plan): PlanInfo {
    return {
      recipe: RECIPES.find(({ name }) => name === plan.recipe)?.name ?? plan.recipe,
      byteLength: plan.byteLength,
      bitsPerWeight: bitsPerWeight(plan),
      tensors: plan.tensors.map(describeTensor),
      remarks: plan.remarks,
    };
  }

  async #quantize({ recipe, name, threads }: QuantizeOptions, watch: Watch): Promise<Written> {
    const { signal, onProgress } = watch;
    await this.#fetchAll(watch);
    const started = performance.now();
    await this.#removeWritten();
    const plan = this.#plan(recipe);
    const { file, sha256 } = await execute(
      plan,
      { kind: "opfs", name },
      {
        threads,
        signal,
        force: true,
        onProgress: (done, total) => onProgress?.({ stage: "quantize", done, total }),
      },
    ).catch(async (error) => {
      throw await outputProblem(error, plan.byteLength);
    });
    this.#written = name;
    const added = await addModel(file);
    this.#made = { added, model: openModel(added.path) };
    return { name, byteLength: file.size, sha256, seconds: (performance.now() - started) / 1000, file };
  }

  /** Has the whole of a model of the Hub here: plans are made of headers alone. */
  async #fetchAll(watch: Watch): Promise<void> {
    if (this.#remote === undefined) return;
    const { repository, token } = this.#remote;
    const hub = this.#hub(token, watch.signal);
    const files = await repository.whole(hub, this.#storage, watch.onProgress ?? (() => {}));
    const hollow = this.#opened;
    await this.#take(files, repository.name);
    hollow?.added.remove();
    this.#remote = undefined;
  }

  async #verify({ threads }: Input<"verify">, { signal, onProgress }: Watch): Promise<Verified> {
    const verdicts = await verify(this.#made!.model, this.#model, {
      threads,
      signal,
      onProgress: (done, total) => onProgress?.({ stage: "verify", done, total }),
    });
    return { tensors: verdicts.length, wrong: verdicts.filter(({ verdict }) => verdict === "wrong") };
  }

  async #measure({ text, threads }: MeasureOptions, { signal, onProgress }: Watch): Promise<Measured> {
    const { vocab } = this.#model;
    const tokens = createTokenizer(vocab).encode(text);
    const context = CONTEXTS.find((each) => tokens.length >= 4 * each) ?? CONTEXTS.at(-1)!;
    const result = await evaluatePerplexity(this.#made!.model, tokens, {
      base: this.#model,
      bos: vocab.addBos ? vocab.special.bos : undefined,
      context,
      threads,
      signal,
      onProgress: ({ done, total }) => onProgress?.({ stage: "measure", done, total }),
    });
    const { divergence, ppl, error, seconds, chunkMeans, count } = result;
    const { basePpl, kld, sameTop } = divergence!;
    return {
      tokens: count,
      chunks: chunkMeans.length,
      context,
      before: estimateOf(basePpl),
      after: estimateOf({ value: ppl, error }),
      divergence: estimateOf(kld),
      sameTop: estimateOf(sameTop),
      seconds,
    };
  }

  async #discard({ what }: Input<"discard">): Promise<undefined> {
    await this.#removeWritten();
    if (what === "file") return;
    if (what === "everything") await PrivateStorage.clear();
    else await this.#storage.removeOwn();
    this.#forget();
  }

  async #removeWritten(): Promise<void> {
    this.#made?.added.remove();
    this.#made = undefined;
    if (this.#written === undefined) return;
    const root = await navigator.storage.getDirectory();
    await root.removeEntry(this.#written).catch(() => {});
    this.#written = undefined;
  }

  #forget(): void {
    this.#opened?.added.remove();
    this.#opened = undefined;
    this.#remote = undefined;
  }

  #hub(token: string | undefined, signal: AbortSignal | undefined): Hub {
    return new Hub(
      { endpoint: ENDPOINT, token, fetch: (...request) => fetch(...request), patience: 1000 },
      signal,
    );
  }
}

/** What a failure to write means: another tab has the file, or there is so little room. */
async function outputProblem(error: unknown, needed: number): Promise<unknown> {
  if (!(error instanceof LlqError)) return error;
  const { message, hint } = error;
  if (error.code === "usage") return new KnownProblem({ kind: "busy", message });
  if (error.code !== "no-space") return error;
  const { quota } = await abilities();
  const numbers = quota === undefined || quota >= needed ? {} : { needed, available: quota };
  return new KnownProblem({ kind: "quota", message, hint, ...numbers });
}

/** Tokens a chunk: llama-perplexity's, and fewer for texts that have too few of those. */
const CONTEXTS = [512, 256, 128, 64];

/** A single chunk says nothing of how sure it is. */
function estimateOf({ value, error }: { readonly value: number; readonly error: number }) {
  return { value, error: Number.isFinite(error) ? error : undefined };
}
