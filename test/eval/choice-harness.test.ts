import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { modelTokenizer } from "../../src/commands/shared/text.js";
import { evaluateChoice } from "../../src/eval/choice/choice.js";
import { PROTOCOL } from "../../src/eval/choice/protocols.js";
import { readQuestions } from "../../src/eval/choice/questions.js";
import { categoriesOf } from "../../src/eval/choice/tasks/categories.js";
import { CEVAL_SUBJECTS, CMMLU_SUBJECTS } from "../../src/eval/choice/tasks/subjects.js";
import { PythonRandom } from "../../src/eval/harness/random.js";
import { openModel } from "../../src/model.js";
import { refusal } from "../support/build/build.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const folder = scratchFolder();
const golden = (name: string) =>
  JSON.parse(readFileSync(new URL(`../golden/harness/${name}`, import.meta.url), "utf8"));
const tiny = openModel(TINY_LLAMA);
const tokenizer = modelTokenizer(tiny);

/** What lm-evaluation-harness computes, see golden/make/harness_choice.py. */
interface Run {
  readonly task: string;
  readonly data: string;
  readonly shots: number;
  /** Tokens; null for the model's. */
  readonly context: number | null;
  readonly metrics: Readonly<Record<"acc" | "acc_norm" | "perplexity", number>>;
  readonly questions: readonly { readonly logLikelihoods: number[]; readonly greedy: boolean[] }[];
}
const { runs }: { runs: Run[] } = golden("choice.json");
const rows = golden("choice-questions.json");

/** The questions as a file of JSON, whose name says what they are about. */
function file(name: string, split: string) {
  const subject = { mmlu: "anatomy", ceval: "law", cmmlu: "anatomy" }[name] ?? name;
  const path = join(folder, `${subject}_${split === "train" ? "dev" : "val"}.json`);
  writeFileSync(path, JSON.stringify(rows[name][split]));
  return readQuestions(path);
}

describe("by the harness' protocol, log-likelihoods and metrics are those of lm-eval 0.4.13", () => {
  test.each(runs.map((run) => [`${run.task}, ${run.shots} shots, context ${run.context}`, run] as const))(
    "%s",
    async (_, { task, data, shots, context, metrics, questions }) => {
      const contextLength = context ?? tiny.hparams.contextLength;
      const model = { ...tiny, hparams: { ...tiny.hparams, contextLength } };
      const found = await evaluateChoice(model, tokenizer, file(data, "test"), {
        protocol: "harness",
        threads: 0,
        ...(shots > 0 ? { examples: file(data, "train"), shots } : {}),
      });
      const isSecond = task === "truthfulqa_mc2";
      const first = ({ length }: readonly unknown[], own: readonly unknown[]) =>
        data === "truthfulqa" && isSecond ? own.length - length : 0;
      for (const [i, { logLikelihoods, greedy }] of questions.entries()) {
        const own = found.questions[i]!;
        const from = first(logLikelihoods, own.logLikelihoods);
        for (const [k, value] of logLikelihoods.entries()) {
          expect(Math.abs(own.logLikelihoods[from + k]! / value - 1)).toBeLessThan(1e-5);
          expect(own.greedy[from + k]).toBe(greedy[k]);
        }
      }
      expect(isSecond ? found.truthfulness : found.accuracy.value).toBeCloseTo(metrics.acc, 6);
      expect(found.accuracyNormalized?.value).toBe(metrics.acc_norm);
      if (metrics.perplexity !== undefined) expect(found.perplexity! / metrics.perplexity).toBeCloseTo(1, 5);
      if (context !== null) expect(found.cut).toBeGreaterThan(0);
    },
  );
});

test("Python's random numbers", () => {
  // CPython 3.11: random.Random(1234).sample(range(n), k) one after the other, of a pool and of a set
  const random = new PythonRandom(1234);
  expect(random.sample([...Array(10).keys()], 4)).toEqual([7, 1, 0, 9]);
  expect(random.sample([...Array(7473).keys()], 5)).toEqual([7462, 6610, 4769, 286, 5501]);
});

test("C-Eval's test questions have no answers", () => {
  const path = join(folder, "law_test.csv");
  writeFileSync(path, "id,question,A,B,C,D\n0,一年有几个月？,十,十一,十二,十三\n");
  expect(refusal(() => readQuestions(path))).toMatch(
    /^bad-input: .*C-Eval's test questions, whose answers are not published/,
  );
});

test("no more shots than there are questions beside the one that is asked", async () => {
  const options = { protocol: "harness", examples: file("boolq", "train"), threads: 0 } as const;
  await expect(
    evaluateChoice(tiny, tokenizer, file("boolq", "test"), { ...options, shots: 3 }),
  ).rejects.toThrow(/3 shots, but 3 questions to take them from/);
});

describe("a prompt of nothing", () => {
  const { encode } = PROTOCOL.harness;
  const words = (...ids: number[]) => ({ ...tokenizer, encode: () => Int32Array.from(ids) });
  const vocab = (special: object) => ({ ...tiny.vocab, special }) as typeof tiny.vocab;

  // TemplateLM.loglikelihood of lm-evaluation-harness 0.4.13: prefix_token_id, or the ending's own first token if it is that
  test.each([
    [{ bos: 1, eos: 2 }, [7, 8], { tokens: [1, 7, 8], start: 1 }],
    [{ bos: 1, eos: 2 }, [1, 8], { tokens: [1, 8], start: 1 }],
    [{ eos: 2 }, [7], { tokens: [2, 7], start: 1 }],
    [{}, [7, 8], { tokens: [7, 8], start: 1 }],
  ])("with %j before %j", (special, ids, expected) => {
    const { tokens, start } = encode(vocab(special), words(...ids), "", "x");
    expect({ tokens: [...tokens], start }).toEqual(expected);
  });
});

// What HFLM._loglikelihood_tokens takes: context and ending, of these the last context + 1 tokens, of which the last is not
// read; an ending longer than the context is an error there.
test.each([
  ["both fit", 5, 2, 8, { first: 0, start: 2 }],
  ["to the last", 9, 2, 8, { first: 0, start: 2 }],
  ["the prompt is cut", 10, 4, 8, { first: 1, start: 3 }],
  ["but for a token", 10, 2, 8, { first: 1, start: 1 }],
  ["to nothing", 10, 1, 8, undefined],
  ["the ending alone is too long", 10, 1, 4, undefined],
  ["no prompt", 3, 0, 8, undefined],
  ["no ending", 3, 3, 8, undefined],
])(
  "%s: %d tokens of which the ending begins at %d, of a context of %d",
  (_, length, start, context, kept) => {
    const tokens = Int32Array.from({ length }, (_, i) => i);
    const cut = PROTOCOL.harness.cut({ tokens, start }, context);
    expect(cut === undefined ? undefined : { tokens: [...cut.tokens], start: cut.start }).toEqual(
      kept === undefined ? undefined : { tokens: [...tokens.subarray(kept.first)], start: kept.start },
    );
  },
);

test("by llq's own protocol nothing is cut", () => {
  const sequence = { tokens: new Int32Array(8), start: 3 };
  expect(PROTOCOL.llq.cut(sequence, 8)).toBe(sequence);
  expect(PROTOCOL.llq.cut(sequence, 9)).toBe(sequence);
  expect(PROTOCOL.llq.cut(sequence, 7)).toBeUndefined();
});

describe("subjects, as they are published", () => {
  const namesIn = (task: string, isHarness = false) =>
    [...new Set(Object.values(categoriesOf(task, isHarness)).flat())].sort();

  test.each<[string, number, ReadonlyMap<string, string>]>([
    ["C-Eval", 52, CEVAL_SUBJECTS],
    ["CMMLU", 67, CMMLU_SUBJECTS],
  ])("%s has %d, each with a Chinese name, and each in a category", (task, count, names) => {
    expect(names.size).toBe(count);
    expect([...names.keys()].sort()).toEqual(namesIn(task));
    for (const [subject, name] of names) {
      expect(subject).toMatch(/^[a-z]+(_[a-z]+)*$/);
      expect(name).toMatch(/^\p{Script=Han}{2,}$/u);
    }
    expect(new Set(names.values()).size).toBe(count);
  });

  test("MMLU has 57, and the harness counts one elsewhere", () => {
    expect(namesIn("MMLU")).toHaveLength(57);
    expect(namesIn("MMLU", true)).toEqual(namesIn("MMLU"));
    const sizes = (isHarness: boolean) =>
      Object.values(categoriesOf("MMLU", isHarness)).map(({ length }) => length);
    expect(sizes(false)).toEqual([18, 13, 12, 14]);
    expect(sizes(true)).toEqual([19, 13, 12, 13]);
  });

  // As their publishers have them, of those that differ between the two most.
  test.each([
    [CMMLU_SUBJECTS, "professional_accounting", "专业会计"],
    [CMMLU_SUBJECTS, "professional_law", "专业法学"],
    [CMMLU_SUBJECTS, "professional_medicine", "专业医学"],
    [CMMLU_SUBJECTS, "professional_psychology", "专业心理学"],
    [CMMLU_SUBJECTS, "high_school_physics", "高中物理学"],
    [CEVAL_SUBJECTS, "high_school_physics", "高中物理"],
    [CEVAL_SUBJECTS, "physician", "医师资格"],
    [CEVAL_SUBJECTS, "modern_chinese_history", "近代史纲要"],
  ])("%#: %s", (names, subject, name) => {
    expect((names as ReadonlyMap<string, string>).get(subject as string)).toBe(name);
  });
});
