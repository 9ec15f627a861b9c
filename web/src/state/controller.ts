import type { CallName, Engine, Input, Output, Problem, Source, Stage as Work } from "../engine/protocol.js";
import { fileName, suggestedRecipe } from "./choice.js";
import type { Device } from "./device.js";
import type { Pile } from "./files.js";
import { copyTo, download } from "./keep.js";
import { chosenOf, type Target, type Task } from "./state.js";
import type { Store } from "./store.js";

/** What people do with the page, and what the engine is asked then. Everything that comes of it is an event for the store. */
export class Controller {
  readonly #store: Store;
  readonly #engine: Engine;
  readonly #examine: () => Promise<Device>;
  #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #source: Source | undefined;
  #last: (() => unknown) | undefined;

  constructor(store: Store, engine: Engine, examine: () => Promise<Device>) {
    this.#store = store;
    this.#examine = examine;
    this.#engine = engine;
  }

  openPile(pile: Pile): Promise<void> {
    if (pile.files.length === 0) {
      this.#store.dispatch({
        type: "failed",
        problem: { kind: "usage", said: "nothingDropped", message: "" },
      });
      return Promise.resolve();
    }
    return this.#open({ kind: "files", ...pile }, pile.name);
  }

  openHub(reference: string, token: string | undefined): Promise<void> {
    return this.#open({ kind: "hub", reference, token }, reference);
  }

  async #open(source: Source, name: string): Promise<void> {
    this.#source = source;
    this.#last = () => this.#open(source, name);
    this.#store.dispatch({ type: "reading", name, work: source.kind === "hub" ? "list" : "read" });
    await this.#long(async () => {
      const { target } = this.#store.state;
      const model = await this.#ask("open", source);
      const fit = await this.#ask("fit", target);
      const recipe = suggestedRecipe(fit);
      const plan = await this.#ask("plan", { recipe });
      this.#store.dispatch({ type: "opened", chosen: { model, fit, plan, recipe } });
    });
  }

  /** Says where the model is to run. */
  async aim(target: Target): Promise<void> {
    this.#store.dispatch({ type: "aimed", target });
    if (chosenOf(this.#store.state.stage) === undefined) return;
    await this.#try(async () => {
      const fit = await this.#engine.call("fit", target);
      if (this.#store.state.target === target) this.#store.dispatch({ type: "fitted", fit });
    });
  }

  async pick(recipe: string): Promise<void> {
    this.#store.dispatch({ type: "picked", recipe });
    this.#last = () => this.pick(recipe);
    await this.#try(async () => {
      // Of several choices in a row the last counts, which the store sees to.
      this.#store.dispatch({ type: "planned", plan: await this.#engine.call("plan", { recipe }) });
    });
  }

  async make(): Promise<void> {
    const chosen = chosenOf(this.#store.state.stage);
    if (chosen === undefined) return;
    const { recipe, model } = chosen;
    const work = model.toFetch > 0 ? "fetch" : "quantize";
    this.#last = () => this.make();
    this.#store.dispatch({ type: "started", work });
    await this.#long(async () => {
      const options = { recipe, name: fileName(model.name, recipe), threads: this.#threads };
      this.#store.dispatch({ type: "written", written: await this.#ask("quantize", options) });
    });
  }

  verify(): Promise<void> {
    return this.#task("verify", async () => {
      const verified = await this.#ask("verify", { threads: this.#threads });
      this.#store.dispatch({ type: "verified", verified });
    });
  }

  measure(text: string): Promise<void> {
    return this.#task("measure", async () => {
      const measured = await this.#ask("measure", { text, threads: this.#threads });
      this.#store.dispatch({ type: "measured", measured });
    });
  }

  /** Where the user says, if the browser asks; among the downloads otherwise. */
  async save(): Promise<void> {
    const { stage, device } = this.#store.state;
    if (stage.at !== "done") return;
    const { file, name } = stage.made.written;
    if (!device?.canPickTarget) return download(file, name);
    let handle: FileSystemFileHandle;
    try {
      handle = await window.showSaveFilePicker({ suggestedName: name });
    } catch {
      return; // closed without an answer
    }
    await this.#task("save", async () => {
      await copyTo(file, handle, this.#stop.signal, (done, total) => this.#progress("save", done, total));
      this.#store.dispatch({ type: "saved" });
    });
  }

  /** Has what is going on stop; it says itself when it has. */
  cancel(): void {
    this.#store.dispatch({ type: "stopping" });
    this.#stop.abort();
  }

  /** Back to the choice, with the same model. */
  async again(): Promise<void> {
    this.#store.dispatch({ type: "again" });
    await this.#discard("file");
  }

  async reset(): Promise<void> {
    this.#source = undefined;
    this.#store.dispatch({ type: "reset" });
    await this.#discard("model");
  }

  /** Removes all that the page has stored; what it has open has to be opened again. */
  async tidy(): Promise<void> {
    const { problem } = this.#store.state;
    await this.#discard("everything");
    if (problem !== undefined && this.#source !== undefined) {
      await this.#open(this.#source, nameOf(this.#source));
    }
  }

  /** Asks the browser what it can do, and how much room there is by now. */
  async look(): Promise<void> {
    this.#store.dispatch({ type: "examined", device: await this.#examine() });
  }

  async #discard(what: Input<"discard">["what"]): Promise<void> {
    await this.#long(() => this.#engine.call("discard", { what }));
    await this.look();
  }

  async retry(): Promise<void> {
    const { stage } = this.#store.state;
    this.#store.dispatch({ type: "dismissed" });
    // An engine that has crashed has to open the model again, before anything that was to be done with it.
    if (stage.at === "empty" && this.#source !== undefined) {
      await this.#open(this.#source, nameOf(this.#source));
    } else {
      await this.#last?.();
    }
  }

  dismiss(): void {
    this.#store.dispatch({ type: "dismissed" });
  }

  get #threads(): number {
    return this.#store.state.device?.threads ?? 1;
  }

  #task(name: Task["name"], work: () => Promise<void>): Promise<void> {
    this.#last = () => this.#task(name, work);
    this.#store.dispatch({ type: "tasked", name });
    return this.#long(work);
  }

  /** What takes long: tells its progress, and ends when it is told to. */
  #ask<K extends CallName>(name: K, input: Input<K>): Promise<Output<K>> {
    return this.#engine.call(name, input, {
      signal: this.#stop.signal,
      onProgress: ({ stage, done, total }) => this.#progress(stage, done, total),
    });
  }

  #progress(stage: Work, done: number, total: number): void {
    this.#store.dispatch({ type: "progressed", progress: { stage, done, total }, time: performance.now() });
  }

  /** One thing at a time: what was going on is stopped, and is over before this begins. */
  async #long(work: () => Promise<unknown>): Promise<void> {
    this.#stop.abort();
    const stop = new AbortController();
    this.#stop = stop;
    const before = this.#running;
    const mine = (async () => {
      await before;
      if (stop === this.#stop) await this.#try(work, stop);
    })();
    this.#running = mine;
    await mine;
  }

  /** What fails is said, unless something else goes on by then. */
  async #try(work: () => Promise<unknown>, stop = this.#stop): Promise<void> {
    try {
      if (stop.signal.aborted) throw CANCELLED;
      await work();
    } catch (error) {
      if (stop !== this.#stop) return;
      const problem = stop.signal.aborted ? CANCELLED : asProblem(error);
      this.#store.dispatch({ type: "failed", problem });
    }
  }
}

function nameOf(source: Source): string {
  return source.kind === "hub" ? source.reference : source.name;
}

const CANCELLED: Problem = { kind: "cancelled", message: "" };

/** Problems of the engine are so already; what the page itself meets is the browser's. */
export function asProblem(error: unknown): Problem {
  if (typeof error === "object" && error !== null && "kind" in error) return error as Problem;
  const message = error instanceof Error ? error.message : String(error);
  const isFull = error instanceof DOMException && error.name === "QuotaExceededError";
  return { kind: isFull ? "no-space" : "unexpected", message };
}
