import type { Stage } from "../engine/protocol.js";
import type { Texts } from "../texts/index.js";

const KEYS = {
  list: "stageList",
  fetch: "stageFetch",
  read: "stageRead",
  quantize: "stageQuantize",
  hash: "stageHash",
  verify: "stageVerify",
  measure: "stageMeasure",
  save: "stageSave",
} as const satisfies Record<Stage, keyof Texts>;

export function stageText(t: Texts, stage: Stage): string {
  return t[KEYS[stage]];
}
