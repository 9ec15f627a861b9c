import * as llq from "/llq/browser.js";

// What tests ask of llq/browser, in a worker as it is meant to be used.

const models = new Map();
const files = new Map();
let stop;

const calls = {
  abilities: () => llq.abilities(),
  async add({ input, as }) {
    const added = await llq.addModel(input);
    models.set(as, llq.openModel(added.path));
    return { path: added.path, byteLength: added.byteLength, remarks: models.get(as).remarks };
  },
  plan({ model, type }) {
    const plan = llq.planQuantize(models.get(model), llq.findRecipe(type));
    return {
      byteLength: plan.byteLength,
      types: plan.tensors.map(({ tensor, dtype }) => [tensor.name, dtype]),
    };
  },
  fit({ model, memory }) {
    return llq.planFit(llq.openOutline(models.get(model).path), { memory }).suggested;
  },
  async quantize({ model, type, target, threads, force, abortAt, as }, progress) {
    const plan = llq.planQuantize(models.get(model), llq.findRecipe(type));
    stop = new AbortController();
    const started = performance.now();
    const summary = await llq.execute(plan, target, {
      threads,
      force,
      signal: stop.signal,
      onProgress: (done, total) => {
        progress(done / total);
        if (abortAt !== undefined && done / total >= abortAt) stop.abort();
      },
    });
    if (as !== undefined) files.set(as, summary.file);
    const { sha256, byteLength, seconds, file } = summary;
    return {
      sha256,
      byteLength,
      seconds,
      all: (performance.now() - started) / 1000,
      size: file.size,
      name: file.name,
    };
  },
  async addWritten({ file, as }) {
    return calls.add({ input: files.get(file), as });
  },
  async verify({ written, source, threads }) {
    const verdicts = await llq.verify(models.get(written), models.get(source), { threads });
    return verdicts.map(({ verdict }) => verdict);
  },
  async perplexity({ model, base, text, context, threads }) {
    const own = models.get(model);
    const tokens = llq.createTokenizer(own.vocab).encode(text);
    const { ppl, error, nll, divergence } = await llq.evaluatePerplexity(own, tokens, {
      base: models.get(base),
      context,
      threads,
    });
    return { ppl, error, nll, divergence };
  },
  language: ({ language }) => llq.useLanguage(language),
  async clean() {
    const root = await navigator.storage.getDirectory();
    for await (const name of root.keys()) await root.removeEntry(name, { recursive: true });
  },
  async list() {
    const names = [];
    for await (const name of (await navigator.storage.getDirectory()).keys()) names.push(name);
    return names.sort();
  },
};

self.onmessage = async ({ data: { id, name, args } }) => {
  try {
    const result = await calls[name](args, (progress) => self.postMessage({ id, progress }));
    self.postMessage({ id, result });
  } catch (error) {
    const { code, message, hint, stack, name: kind } = error;
    self.postMessage({ id, error: { code, message, hint, stack, name: kind } });
  }
};
