import { closeSync, rmSync } from "#host/files";
import { byteLength, type DTypeName } from "../../../formats/dtype.js";
import type { Model } from "../../model.js";
import { planDecoder } from "../../net/plan/decoder.js";
import type { Session } from "../../net/session.js";
import type { Weights } from "../../quant/importance.js";
import { encodeJob } from "../../run/write/encode.js";
import { createFile } from "../../run/write/output.js";
import { checkTensor, encodeJobs } from "../../run/write/tensor-jobs.js";
import { storedWhole, type Tensor } from "../../tensor.js";

/** One tensor of a model, rounded to a type. */
export interface Perturbation {
  readonly tensor: Tensor;
  readonly dtype: DTypeName;
  /** From an importance matrix: the rounding is the one that quantizing with it would give. */
  readonly weights: Weights | undefined;
}

/**
 * A file for rounded tensors. To the evaluator a perturbed model is a model one of whose tensors is stored here, so
 * it needs to know nothing of perturbations.
 */
export class Scratch {
  readonly #path: string;
  readonly #fd: number;

  constructor(path: string) {
    this.#path = path;
    this.#fd = createFile(path);
  }

  /**
   * The session with one tensor of its model rounded; its bytes go to `offset` and stay until others do.
   * @throws LlqError `no-space` when the disk is full, or what it holds is not what was written
   */
  async perturb(
    session: Session,
    model: Model,
    { tensor, dtype, weights }: Perturbation,
    offset: number,
  ): Promise<Session> {
    const size = byteLength(dtype, tensor.shape);
    const plan = { tensor, dtype, weights, offset, byteLength: size, reason: "", fellBack: false };
    const file = { fd: this.#fd, name: this.#path };
    const jobs = encodeJobs(plan, session.files, file);
    const results = (await Promise.all(jobs.map((job) => session.pool.run(encodeJob, job)))).flat();
    await checkTensor(session.pool, plan, file, results);
    const source = { file: session.files.length, offset, byteLength: size, dtype, shape: tensor.shape };
    const rounded: Tensor = { ...tensor, ...storedWhole(source) };
    const tensors = model.tensors.map((each) => (each === tensor ? rounded : each));
    return { ...session, files: [...session.files, this.#fd], plan: planDecoder({ ...model, tensors }) };
  }

  close(): void {
    closeSync(this.#fd);
    rmSync(this.#path, { force: true });
  }
}
