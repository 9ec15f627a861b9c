import type { FoundRecord } from "../../run/parts/record.js";
import type { BoundOptions } from "../shared/report/bounds.js";
import type { DeliverOptions } from "../shared/report/deliver.js";

export interface FinishOptions extends DeliverOptions, BoundOptions {
  readonly threads?: number;
  readonly force?: boolean;
  readonly html?: string;
}

/** What parts may have done, and how one result is made of it. */
export interface Kind {
  /** Options beside those of all kinds. */
  readonly takes: readonly string[];
  readonly finish: (
    output: string,
    records: readonly FoundRecord[],
    options: FinishOptions,
  ) => Promise<void> | void;
}
