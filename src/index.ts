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
export type { ImatrixEntry, ImatrixSums } from "../formats/imatrix/imatrix.js";
export { type Imatrix, openImatrix } from "../formats/imatrix/imatrix.js";
export { openContainer } from "../formats/open.js";
// What these speak of, for programs that name it.
export type { TensorSensitivity } from "../formats/sensitivity.js";
export { openSensitivity, type Sensitivity } from "../formats/sensitivity.js";
export type { HParams } from "./arch/hparams.js";
export { type Calibration, calibrate } from "./eval/calibrate/calibrate.js";
export type { Damping } from "./eval/calibrate/moments/factor.js";
export type { CalibrateOptions, Effort } from "./eval/calibrate/options.js";
export { type FeedbackReport, removeScratch } from "./eval/calibrate/scratch.js";
export type { TextOptions } from "./eval/calibrate/text.js";
export { type CalibrationChunks, calibrationChunks, unknownImatrix } from "./eval/calibrate/text.js";
export type { Tuning } from "./eval/calibrate/tuning.js";
export { type ChoiceOptions, type ChoiceResult, evaluateChoice } from "./eval/choice/choice.js";
export {
  type CategoryResult,
  evaluateChoiceFolder,
  type FolderResult,
  readQuestionFolder,
  type SubjectFile,
  type SubjectResult,
} from "./eval/choice/folder.js";
export type { ProtocolName } from "./eval/choice/protocols.js";
export type { NumberedQuestion } from "./eval/choice/questions.js";
export { type QuestionFile, readQuestions } from "./eval/choice/questions.js";
export type { AnsweredQuestion, Summary as ChoiceSummary } from "./eval/choice/summary.js";
export type {
  HarnessTask,
  Option as ChoiceOption,
  Question as ChoiceQuestion,
  Task as ChoiceTask,
  Truths,
} from "./eval/choice/tasks/types.js";
export type { PartDeviation, TensorError } from "./eval/compare/compare-models.js";
export {
  type ComparedModel,
  type CompareOptions,
  compareModels,
  type MeasuredModel,
  type ModelComparison,
} from "./eval/compare/compare-models.js";
export { type Baseline, withBaseline } from "./eval/divergence/baseline.js";
export type {
  BaselineFile,
  CodesBaseline,
  FileBase,
  FullBaseline,
  TopBaseline,
} from "./eval/divergence/baseline-record.js";
export type { Histogram } from "./eval/divergence/histogram.js";
export type { Keep } from "./eval/divergence/keep.js";
export type { Divergence, Percentiles } from "./eval/divergence/kld.js";
export type { Picking } from "./eval/harness/examples.js";
export type { ComputedImatrix, ImatrixOptions, ImatrixProgress } from "./eval/imatrix/imatrix.js";
export type { ImatrixForm } from "./eval/imatrix/imatrix-file.js";
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
export type {
  Protocol as PerplexityProtocol,
  ProtocolName as PerplexityProtocolName,
  ProtocolOptions,
} from "./eval/perplexity/protocol.js";
export type { Estimate, Interval } from "./eval/perplexity/statistics.js";
export type { ChunkMeans } from "./eval/perplexity/tally.js";
export {
  type SensitivitySource,
  type WriteSensitivityOptions,
  type WrittenSensitivity,
  writeSensitivity,
} from "./eval/sensitivity/sensitivity-file.js";
export type { Judged, WrittenProgress } from "./eval-gen/evaluate.js";
export {
  type Answered,
  evaluateWritten,
  type WrittenOptions,
  type WrittenResult,
} from "./eval-gen/evaluate.js";
export type { Examples } from "./eval-gen/examples.js";
export type { PairedRun } from "./eval-gen/pairs.js";
export { type Paired, pairRuns } from "./eval-gen/pairs.js";
export { type FiledQuestion, readWrittenQuestions } from "./eval-gen/questions.js";
export { findWrittenTask, WRITTEN_TASKS } from "./eval-gen/tasks/index.js";
export type { Manner, Score, WrittenQuestion, WrittenTask } from "./eval-gen/tasks/types.js";
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
export type { TeamEngine } from "./generate/load-engine.js";
export { loadEngine } from "./generate/load-engine.js";
export { SAMPLING_ORDER, type SamplerOptions, type SamplingStep } from "./generate/sampling/sampler.js";
export { Detokenizer, type DetokenizerOptions } from "./generate/text/detokenizer.js";
export { endTokens } from "./generate/text/end-tokens.js";
export { type FetchedModel, type FetchOptions, fetchModel } from "./hub/fetch-model.js";
export { type HubReference, parseHubReference } from "./hub/reference.js";
export type { Environment as HubEnvironment } from "./hub/settings.js";
export { type HubSettings, readHubSettings } from "./hub/settings.js";
export type { Searches } from "./kernels/kernels.js";
export type { Dot, Fused, Products, Purpose, UntriedProducts } from "./kernels/products.js";
export { pairVectors } from "./kernels/products.js";
export { useLanguage } from "./language/catalogue.js";
export { LANGUAGES, type Language } from "./language/language.js";
export { type Lora, parseLora, withLora } from "./lora.js";
export { type Model, openModel } from "./model.js";
export { chooseFused } from "./net/products/fused.js";
export type { Activations } from "./net/products/matmul.js";
export type { ForwardOptions, MeasureOptions } from "./net/session.js";
export { configOutline, type Outline, openOutline } from "./outline.js";
export type { Option as SizeOption, Quote } from "./quant/by-size/allocate.js";
export { type Limit, planBySize, type TooSmall } from "./quant/by-size/by-size.js";
export type { Mix } from "./quant/by-size/menu.js";
export { type Menu, menuOf } from "./quant/by-size/menu.js";
export type { PriceKind, PriceList, Prices } from "./quant/by-size/prices.js";
export {
  type CopiedTensor,
  type CopyPlan,
  planCopy,
  planSplit,
  type SplitRule,
} from "./quant/copy.js";
export type { Amount } from "./quant/fit/amount.js";
export { type Fit, type FitOptions, type FitRow, planFit } from "./quant/fit/fit.js";
export type { KvType, RunMemory } from "./quant/fit/memory.js";
export type { Weights as ImportanceWeights } from "./quant/importance.js";
export { editMetadata, type MetaEdits, parseSet, parseSpecialToken } from "./quant/meta-edit.js";
export { type KeyValue, parseKeyValue } from "./quant/metadata.js";
export type { BySize, ChoicesOptions } from "./quant/plan.js";
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
export type { Choice as TypeChoice, Settled, TypeOptions } from "./quant/recipes/choose.js";
export type { Condition as RuleCondition } from "./quant/recipes/conditions.js";
export type { Override } from "./quant/recipes/override.js";
export { parseOverride } from "./quant/recipes/override.js";
export { findRecipe, RECIPES, type Recipe } from "./quant/recipes/recipes.js";
export type { Rule } from "./quant/recipes/rules.js";
export { type PlanPart, splitBySize, splitLikeSource } from "./quant/split.js";
export { type ComparisonReport, comparisonMarkdown } from "./report/comparison.js";
export { type Made, madeHere } from "./report/html/made.js";
export { comparisonPage } from "./report/html/page.js";
export { toJunit } from "./report/junit.js";
export { toMarkdown } from "./report/markdown.js";
export { type Gate, type Report, toDocument } from "./report/report.js";
export type { Role } from "./role.js";
export { type AppraiseOptions, appraise } from "./run/measure/appraise.js";
export { type Digest, type HashLine, type HashOptions, hashTensors } from "./run/measure/hash.js";
export { type TensorVerdict, type VerifyOptions, verify } from "./run/measure/verify.js";
export type { PoolOptions } from "./run/threads/scope.js";
export { type CopyOptions, copyTensors } from "./run/write/copy.js";
export {
  type ExecuteOptions,
  execute,
  executeParts,
  executeTogether,
  type Summary,
  type TensorReport,
} from "./run/write/execute.js";
export type { Tensor } from "./tensor.js";
export type { MergeList } from "./tokenizer/bpe/merge-list.js";
export type { Texts } from "./tokenizer/bpe/rank-file.js";
export type { TokenIndex } from "./tokenizer/bpe/token-index.js";
export { createTokenizer } from "./tokenizer/tokenizer.js";
export type {
  FolderRules,
  MatchedToken,
  SpecialToken,
  SpecialTokens,
  Tokenizer,
  Vocab,
  VocabKind,
} from "./tokenizer/types.js";
