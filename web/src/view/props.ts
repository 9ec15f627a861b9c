import type { Formats } from "../format.js";
import type { Controller } from "../state/controller.js";
import type { Texts } from "../texts/index.js";

/** What people can do: everything that a view may call. */
export type Actions = Pick<Controller, Exclude<keyof Controller, symbol>>;

/** A language, in the two letters that views write on every line. */
export interface Words {
  readonly t: Texts;
  readonly f: Formats;
}
