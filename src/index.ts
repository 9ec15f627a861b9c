// The library: what the commands themselves call. docs/library.md shows it.
export type {
  Container,
  Metadata,
  MetaField,
  MetaType,
  MetaValue,
  TensorSource,
} from "../formats/container.js";
export type { DTypeName } from "../formats/dtype.js";
export { type ErrorCode, EXIT_CODE, LlqError } from "../formats/errors.js";
export { type Imatrix, openImatrix } from "../formats/imatrix/imatrix.js";
export { openContainer } from "../formats/open.js";
export { openSensitivity, type Sensitivity } from "../formats/sensitivity.js";
export { type Calibration, calibrate } from "./eval/calibrate/calibrate.js";
export type { CalibrateOptions, Effort } from "./eval/calibrate/options.js";
export { type FeedbackReport, removeScratch } from "./eval/calibrate/scratch.js";
export { type CalibrationChunks, calibrationChunks, unknownImatrix } from "./eval/calibrate/text.js";
export { type ChoiceOptions, type ChoiceResult, evaluateChoice } from "./eval/choice/choice.js";
export {
  type CategoryResult,
  evaluateChoiceFolder,
  type FolderResult,
  readQuestionFolder,
  type SubjectFile,
} from "./eval/choice/folder.js";
export type { ProtocolName } from "./eval/choice/protocols.js";
export { type QuestionFile, readQuestions } from "./eval/choice/questions.js";
export {
  type ComparedModel,
  type CompareOptions,
  compareModels,
  type MeasuredModel,
  type ModelComparison,
} from "./eval/compare/compare-models.js";
export { type Baseline, withBaseline } from "./eval/divergence/baseline.js";
export type { Divergence } from "./eval/divergence/kld.js";
export type { ImatrixProgress } from "./eval/imatrix/imatrix.js";
export {
  type ImatrixSource,
  type WriteImatrixOptions,
  type WrittenImatrix,
  writeImatrix,
} from "./eval/imatrix/imatrix-file.js";
export {
  type BoundName,
  type Bounds,
  describeVerdict,
  type GateResult,
  gateResult,
  judge,
  type Outcome,
  type Verdict,
} from "./eval/perplexity/gate.js";
export {
  evaluatePerplexity,
  type Perplexity,
  type PerplexityOptions,
  type PerplexityProgress,
} from "./eval/perplexity/perplexity.js";
export {
  type SensitivitySource,
  type WriteSensitivityOptions,
  type WrittenSensitivity,
  writeSensitivity,
} from "./eval/sensitivity/sensitivity-file.js";
export {
  type Answered,
  evaluateWritten,
  type WrittenOptions,
  type WrittenResult,
} from "./eval-gen/evaluate.js";
export { type Paired, pairRuns } from "./eval-gen/pairs.js";
export { type FiledQuestion, readWrittenQuestions } from "./eval-gen/questions.js";
export { findWrittenTask, WRITTEN_TASKS } from "./eval-gen/tasks/index.js";
export { type BatchOptions, generateBatch } from "./generate/batch.js";
export { Chat, type ChatModel, chatEncoder } from "./generate/chat/chat.js";
export {
  type ChatTemplate,
  chatTemplateOf,
  type Message,
  type RenderOptions,
  renderChat,
} from "./generate/chat/template.js";
export type { Engine, EngineOptions, Feed, LoadEngine, Sequence } from "./generate/engine.js";
export {
  type Generated,
  type Generation,
  generate,
  type RunOptions,
  type Timings,
} from "./generate/generate.js";
export { Held } from "./generate/held.js";
export type { ContextShift, FinishReason, GenerateOptions, Piece, TopToken } from "./generate/lane.js";
export { loadEngine } from "./generate/load-engine.js";
export { SAMPLING_ORDER, type SamplerOptions, type SamplingStep } from "./generate/sampling/sampler.js";
export { Detokenizer, type DetokenizerOptions } from "./generate/text/detokenizer.js";
export { endTokens } from "./generate/text/end-tokens.js";
export { type FetchedModel, type FetchOptions, fetchModel } from "./hub/fetch-model.js";
export { type HubReference, parseHubReference } from "./hub/reference.js";
export { type HubSettings, readHubSettings } from "./hub/settings.js";
export { pairVectors } from "./kernels/products.js";
export { useLanguage } from "./language/catalogue.js";
export { LANGUAGES, type Language } from "./language/language.js";
export { type Lora, parseLora, withLora } from "./lora.js";
export { type Model, openModel } from "./model.js";
export type { Activations } from "./net/products/matmul.js";
export { configOutline, type Outline, openOutline } from "./outline.js";
export { type Limit, planBySize, type TooSmall } from "./quant/by-size/by-size.js";
export { type Menu, menuOf } from "./quant/by-size/menu.js";
export type { PriceList } from "./quant/by-size/prices.js";
export {
  type CopiedTensor,
  type CopyPlan,
  planCopy,
  planSplit,
  type SplitRule,
} from "./quant/copy.js";
export { type Fit, type FitOptions, type FitRow, planFit } from "./quant/fit/fit.js";
export { editMetadata, type MetaEdits, parseSet, parseSpecialToken } from "./quant/meta-edit.js";
export { type KeyValue, parseKeyValue } from "./quant/metadata.js";
export {
  bitsPerWeight,
  losslessType,
  type Plan,
  planConvert,
  planKeep,
  planQuantize,
  type QuantizeOptions,
  type TensorPlan,
} from "./quant/plan.js";
export { parseOverride } from "./quant/recipes/override.js";
export { findRecipe, RECIPES, type Recipe } from "./quant/recipes/recipes.js";
export { type PlanPart, splitBySize, splitLikeSource } from "./quant/split.js";
export { type ComparisonReport, comparisonMarkdown } from "./report/comparison.js";
export { type Made, madeHere } from "./report/html/made.js";
export { comparisonPage } from "./report/html/page.js";
export { toJunit } from "./report/junit.js";
export { toMarkdown } from "./report/markdown.js";
export { type Gate, type Report, toDocument } from "./report/report.js";
export { type AppraiseOptions, appraise } from "./run/measure/appraise.js";
export { type Digest, type HashLine, type HashOptions, hashTensors } from "./run/measure/hash.js";
export { type TensorVerdict, type VerifyOptions, verify } from "./run/measure/verify.js";
export { type CopyOptions, copyTensors } from "./run/write/copy.js";
export {
  type ExecuteOptions,
  execute,
  executeParts,
  executeTogether,
  type Summary,
  type TensorReport,
} from "./run/write/execute.js";
export { createTokenizer } from "./tokenizer/tokenizer.js";
export type { Tokenizer } from "./tokenizer/types.js";
