import { captureHeadJob, captureJob } from "../eval/calibrate/capture/capture.js";
import { feedbackJob } from "../eval/calibrate/codes/feedback.js";
import { arrangeJob, choleskyJob } from "../eval/calibrate/moments/factor.js";
import { momentsJob } from "../eval/calibrate/moments/moments.js";
import { outputSquaresJob } from "../eval/imatrix/output-squares.js";
import { scoreJob } from "../eval/perplexity/score.js";
import { embedJob } from "../net/embed.js";
import { layerJob } from "../net/layer.js";
import { memberJob } from "../net/team/job.js";
import { compareJob } from "../run/measure/compare.js";
import { deviationJob } from "../run/measure/deviation.js";
import { trialJob } from "../run/measure/trial.js";
import type { JobKind } from "../run/threads/messages.js";
import { checksumJob } from "../run/write/checksum.js";
import { encodeJob } from "../run/write/encode.js";

/** Every kind of work that threads do. */
// biome-ignore lint/suspicious/noExplicitAny: each takes its own jobs
export const JOB_KINDS: readonly JobKind<any, unknown>[] = [
  encodeJob,
  checksumJob,
  compareJob,
  deviationJob,
  trialJob,
  embedJob,
  layerJob,
  scoreJob,
  memberJob,
  captureJob,
  captureHeadJob,
  outputSquaresJob,
  momentsJob,
  arrangeJob,
  choleskyJob,
  feedbackJob,
];
