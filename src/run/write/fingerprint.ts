import { createHash } from "#host/hash";
import type { Imatrix } from "../../../formats/imatrix/imatrix.js";
import { Kernels } from "../../kernels/kernels.js";
import type { Model } from "../../model.js";
import { closeLate, lateFile } from "../../rows/late.js";
import { readRowsF32 } from "../../rows/rows.js";
import { rowLength } from "../../tensor.js";

/**
 * SHA-256 of a model's architecture, of the names and shapes of its tensors, and of the values of its vectors: norms
 * differ between any two trainings, are quick to read, and are F32 in every file made of a checkpoint.
 */
export function modelFingerprint({ architecture, container, tensors }: Model): string {
  const hash = createHash("sha256").update(architecture.name);
  const kernels = new Kernels();
  const files = container.files.map(lateFile);
  try {
    const sorted = [...tensors].sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const tensor of sorted) {
      hash.update(JSON.stringify([tensor.name, tensor.shape]));
      if (tensor.shape.length > 1) continue;
      kernels.reset();
      const address = kernels.reserve(rowLength(tensor) * 4);
      readRowsF32(kernels, files, tensor, 0, 1, address);
      hash.update(kernels.bytes(address, rowLength(tensor) * 4));
    }
  } finally {
    closeLate();
  }
  return hash.digest("hex");
}

/** SHA-256 of what an importance matrix says. */
export function imatrixFingerprint({ entries }: Imatrix): string {
  const hash = createHash("sha256");
  for (const [name, values] of [...entries].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(JSON.stringify([name, values.length])).update(values);
  }
  return hash.digest("hex");
}
