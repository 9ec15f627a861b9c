// What the kills and faults of kills.ts are aimed at.

/** Something that writes, and can be gone on with. */
export interface Scenario {
  readonly name: string;
  readonly args: readonly string[];
  /** What it gives, in the order in which they are to be there: the first stands for all. */
  readonly outputs: readonly string[];
  readonly again: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** What is thrown away before each turn, beside the outputs. */
  readonly clear?: string;
}

const again = ["--resume", "--force"];
const model = "inputs/model";
const text = "inputs/text.txt";

export const SPLIT: readonly string[] = [
  "quantize",
  model,
  "-o",
  "split.gguf",
  "--type",
  "Q8_0",
  "--split-max-size",
  "300K",
  "--force",
];

/**
 * One of each kind of output.
 * @param parts what SPLIT writes
 * @param hub variables by which a Hub is found, which keeps its files in home
 */
export function scenarios(parts: readonly string[], hub: Readonly<Record<string, string>>): Scenario[] {
  return [
    {
      name: "quantize",
      args: ["quantize", model, "-o", "q.gguf", "--type", "Q4_K", "--force"],
      outputs: ["q.gguf"],
      again,
    },
    { name: "split outputs", args: SPLIT, outputs: parts, again },
    {
      name: "imatrix",
      args: ["imatrix", model, text, "-o", "i.gguf", "-c", "32", "--chunks", "16", "--force"],
      outputs: ["i.gguf"],
      again,
    },
    {
      name: "sensitivity",
      args: ["sensitivity", model, text, "-o", "s.json", "-c", "16", "--chunks", "2", "--force"],
      outputs: ["s.json"],
      again,
    },
    {
      name: "calibrate",
      args: [
        ...["quantize", model, "-o", "c.gguf", "--type", "Q4_0", "--force"],
        ...["--calibrate", text, "--calibrate-tokens", "64"],
      ],
      outputs: ["c.gguf"],
      again,
    },
    {
      name: "baseline",
      args: ["eval-ppl", model, text, "--save", "b.llq", "-c", "32", "--chunks", "16", "--force"],
      outputs: ["b.llq"],
      again: [],
    },
    {
      name: "Hub",
      args: ["convert", "hf:test/model", "-o", "h.gguf", "--force"],
      outputs: ["h.gguf"],
      again,
      env: hub,
      clear: "home",
    },
  ];
}
