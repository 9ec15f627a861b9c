import { scoreJob } from "../eval/perplexity/score.js";
import { embedJob } from "../net/embed.js";
import { layerJob } from "../net/layer.js";
import { compareJob } from "../run/measure/compare.js";
import { trialJob } from "../run/measure/trial.js";
import { encodeJob } from "../run/write/encode.js";
import { serve } from "../worker/serve.js";

// A thread of llq/browser: the kinds of work that it has (src/worker/job-kinds.ts has all).
serve([encodeJob, compareJob, trialJob, embedJob, layerJob, scoreJob]);
