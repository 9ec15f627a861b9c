import {
  createTokenizer,
  evaluatePerplexity,
  execute,
  findRecipe,
  openModel,
  planQuantize,
} from "../../src/index.js";

// What Node's library does of the same, for node-side.ts: a job as JSON in, its result as JSON out.

type Job =
  | {
      readonly do: "quantize";
      readonly model: string;
      readonly type: string;
      readonly output: string;
      readonly threads: number;
    }
  | {
      readonly do: "perplexity";
      readonly model: string;
      readonly base: string;
      readonly text: string;
      readonly context: number;
    };

const job = JSON.parse(process.argv[2]!) as Job;
if (job.do === "quantize") {
  const plan = planQuantize(openModel(job.model), findRecipe(job.type));
  const { seconds, byteLength } = await execute(plan, job.output, { threads: job.threads, force: true });
  process.stdout.write(JSON.stringify({ seconds, byteLength }));
} else {
  const model = openModel(job.model);
  const tokens = createTokenizer(model.vocab).encode(job.text);
  const options = { base: openModel(job.base), context: job.context };
  const { ppl, error, nll, divergence } = await evaluatePerplexity(model, tokens, options);
  process.stdout.write(JSON.stringify({ ppl, error, nll, divergence }));
}
