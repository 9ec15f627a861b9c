import * as jinja from "@huggingface/jinja";

// The package's own types name their files without endings, which NodeNext does not resolve; these are what is used here.

export interface Token {
  readonly value: string;
  readonly type: string;
}

/** A template that is parsed. */
export interface Program {
  readonly type: "Program";
}

export interface Value {
  readonly type: string;
  readonly value: unknown;
}

interface Environment {
  set(name: string, value: unknown): Value;
}

interface Interpreter {
  run(program: Program): Value;
  /** Called for every part of the program, by way of itself. */
  evaluate(node: unknown, environment: Environment): Value;
}

interface Jinja {
  tokenize(
    source: string,
    options: { readonly trim_blocks: boolean; readonly lstrip_blocks: boolean },
  ): Token[];
  parse(tokens: readonly Token[]): Program;
  readonly Environment: new () => Environment;
  readonly Interpreter: new (global: Environment) => Interpreter;
}

export const { tokenize, parse, Environment, Interpreter } = jinja as unknown as Jinja;
