// llq/browser: for a dedicated worker of a page. docs/library.md shows it.

import {
  evaluatePerplexity as evaluate,
  type Perplexity,
  type PerplexityOptions,
} from "../eval/perplexity/perplexity.js";
import { provideAsset } from "../host/browser/assets.js";
import { startWorkersBy } from "../host/browser/threads.js";
import { addModules } from "../kernels/modules.js";
import { useLanguage as speak } from "../language/catalogue.js";
import type { Language } from "../language/language.js";
import type { Model } from "../model.js";
import { needSharedMemory } from "./abilities.js";
import type { AddedModel, ModelInput } from "./api.js";
import { fetchOnce } from "./assets.js";
import { addFiles } from "./input.js";

export type {
  Container,
  Metadata,
  MetaField,
  MetaType,
  MetaValue,
  TensorSource,
} from "../../formats/container.js";
export { byteLength, type DTypeName, elementCount } from "../../formats/dtype.js";
export { type ErrorCode, LlqError } from "../../formats/errors.js";
export { type Imatrix, openImatrix } from "../../formats/imatrix/imatrix.js";
export type { HParams } from "../arch/hparams.js";
export type { Divergence, Percentiles } from "../eval/divergence/kld.js";
export type { Perplexity, PerplexityOptions, PerplexityProgress } from "../eval/perplexity/perplexity.js";
export { formatHubReference, type HubReference, isSafePath, parseHubReference } from "../hub/reference.js";
export { type Patience, retried, retryAfter, Transient } from "../hub/retry.js";
export { type Selection, selectFiles } from "../hub/select.js";
export { isWholeHeader } from "../hub/whole-header.js";
export { LANGUAGES, type Language } from "../language/language.js";
export { type Model, openModel } from "../model.js";
export { configOutline, type Outline, openOutline } from "../outline.js";
export { type Limit, planBySize, type TooSmall } from "../quant/by-size/by-size.js";
export { type Fit, type FitOptions, type FitRow, planFit } from "../quant/fit/fit.js";
export type { KvType, RunMemory } from "../quant/fit/memory.js";
export {
  bitsPerWeight,
  losslessType,
  type Plan,
  planConvert,
  planKeep,
  planQuantize,
  type QuantizeOptions,
  type TensorPlan,
} from "../quant/plan.js";
export { type Override, parseOverride } from "../quant/recipes/override.js";
export { findRecipe, RECIPES, type Recipe } from "../quant/recipes/recipes.js";
export { type TensorVerdict, type VerifyOptions, verify } from "../run/measure/verify.js";
export type { ExecuteOptions, Summary, TensorReport } from "../run/write/execute.js";
export type { Tensor } from "../tensor.js";
export { createTokenizer } from "../tokenizer/tokenizer.js";
export type { SpecialTokens, Tokenizer, Vocab } from "../tokenizer/types.js";
export { abilities } from "./abilities.js";
export type {
  Abilities,
  AddedModel,
  BrowserSummary,
  ModelInput,
  OutputTarget,
  PlacedFile,
} from "./api.js";
export { type DigestOptions, sha256Of } from "./digest.js";
export { execute } from "./execute.js";

// Bundlers look for these two forms, where they stand: what they name is made part of the page.
startWorkersBy(() => new Worker(new URL("./worker.js", import.meta.url), { type: "module" }));
const kernels = () => fetchOnce(new URL("./kernels.gz", import.meta.url), addModules);
const products = () => fetchOnce(new URL("./products.gz", import.meta.url), addModules);
const chinese = () =>
  fetchOnce(new URL("./zh.gz", import.meta.url), (content) => provideAsset("browser/zh.gz", content));

/**
 * Makes files of the page known, for openModel and all that takes a path.
 * @param name of the folder, for several files that have none: the model is called by it
 * @throws LlqError `usage` for no files, `bad-input` for paths that lead out of the folder or come twice, `network` when llq's
 * own files cannot be fetched
 */
export async function addModel(input: ModelInput, name = "model"): Promise<AddedModel> {
  await kernels();
  return addFiles(input, name);
}

/** From now on says everything in a language. @throws LlqError `network` when its sentences cannot be fetched */
export async function useLanguage(language: Language): Promise<void> {
  if (language === "zh") await chinese();
  speak(language);
}

/**
 * Perplexity of a text, and how far the model is from a base, as evaluatePerplexity of llq.
 * @throws LlqError `unsupported` in a page that is not isolated from others (COOP and COEP)
 */
export async function evaluatePerplexity(
  model: Model,
  tokens: Int32Array | undefined,
  options: Omit<PerplexityOptions, "save"> = {},
): Promise<Perplexity> {
  needSharedMemory();
  await products();
  return evaluate(model, tokens, options);
}
