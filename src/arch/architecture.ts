import type { MetaField } from "../../formats/container.js";
import type { Role } from "../role.js";
import type { Transform, ValueStep } from "../tensor.js";
import type { View } from "./checkpoint/woven-experts.js";
import type { Dimension } from "./dimensions.js";
import type { HParams } from "./hparams.js";
import type { DecoderTraits } from "./traits.js";

/** Rows `first` to `first + count`, for each of `ranges`, of a source that has `rows`. */
export interface Part {
  readonly rows: number;
  readonly ranges: readonly { readonly first: number; readonly count: number }[];
}

/** One tensor of an architecture, or one of every block when the names hold `{i}`. */
export interface TensorRow {
  /** GGUF name. */
  readonly name: string;
  /**
   * Hugging Face name, or the names that different writers use; absent for a tensor that is computed. With `{e}`
   * it stands for as many tensors as the first dimension says, one of each expert, which are stacked.
   */
  readonly source?: string | readonly string[];
  readonly role: Role;
  /** Outermost dimension first; checked against the file. */
  readonly shape: readonly Dimension[];
  /** The rows of the source that make up this tensor, where several share one; see fused.ts. */
  readonly part?: (hparams: HParams, layer: number | undefined) => Part;
  /** What of the source it is, where that is no run of its rows. */
  readonly view?: View;
  /** The source has rows and columns the other way round. */
  readonly transposed?: true;
  /** The source's shape where it is written otherwise: with dimensions of one in between. */
  readonly storedShape?: readonly Dimension[];
  /** From the Hugging Face layout to GGUF's. */
  readonly transform?: (hparams: HParams, layer: number | undefined) => Transform;
  /** From Hugging Face's values to GGUF's. */
  readonly steps?: readonly ValueStep[] | ((hparams: HParams) => readonly ValueStep[]);
  /** mlx-lm does the steps before it saves. */
  readonly doneByMlx?: true;
  /** The source may have fewer rows: the others are 0. */
  readonly padded?: true;
  /** May be absent (biases, RoPE divisors). */
  readonly optional?: true;
  /** Optional, and read by nobody where it is there: no configuration says it. */
  readonly unread?: true;
  /** Whether models of these numbers have it at all, in that block; default: all have. */
  readonly when?: (hparams: HParams, layer: number | undefined) => boolean;
}

/** What a config.json says of its model. */
export interface HfModel {
  readonly vocabSize: number;
  /** The output is the embedding. */
  readonly tied: boolean;
  /** What a tokenizer.json of SentencePiece's pieces becomes, if not SentencePiece by scores. */
  readonly ofPieces?: "pieceBpe";
  /** `<architecture>.*` metadata, without the architecture. */
  readonly keys: readonly (readonly [key: string, field: MetaField])[];
  /** Roles of the optional tensors that the model has according to its config. */
  readonly optional?: readonly Role[];
  /** From its layout to GGUF's, where that is another than the family's. */
  readonly transforms?: Readonly<Partial<Record<Role, TensorRow["transform"]>>> | undefined;
  /** Values of the tensors that no checkpoint holds and GGUF wants, by GGUF name. */
  readonly computed?: ReadonlyMap<string, readonly number[]>;
  /** What its config has done to the values of tensors of a role, behind the steps of their rows. */
  readonly steps?: ReadonlyMap<Role, readonly ValueStep[]>;
  /** What is to be said of the model: where other readers of its GGUF will compute something else. */
  readonly remarks?: readonly string[];
}

/** A model family: what its checkpoints hold, how that becomes GGUF, and how the decoder computes. */
export interface Architecture {
  /** general.architecture. Of several with one name, the first says what its GGUF files hold. */
  readonly name: string;
  /** The models it covers, as people call them. */
  readonly covers: readonly string[];
  /** In which the newest of them came out; absent: before 2025. */
  readonly year?: number | undefined;
  /** The strings in config.json's `architectures`. */
  readonly classes: readonly string[];
  /** Where a class stands for several families: whether the config is one of this. */
  readonly accepts?: (config: Readonly<Record<string, unknown>>) => boolean;
  /** @throws LlqError `bad-input` for fields that are missing or wrong, `unsupported` for variants we lack */
  readonly read: (file: string, json: unknown) => HfModel;
  readonly tensors: readonly TensorRow[];
  /** Tensors of checkpoints that hold nothing of the model, such as cached RoPE frequencies. */
  readonly ignored: readonly string[];
  /** mlx-lm multiplies some weights by factors of the config before it saves them, which does not say so. */
  readonly multipliedByMlx?: true;
  /**
   * Sources of tensors that hold one number in each layer, by the GGUF key that lists them; also among those ignored.
   */
  readonly layerNumbers?: Readonly<Record<string, string>>;
  readonly decoder: (hparams: HParams) => DecoderTraits;
}
