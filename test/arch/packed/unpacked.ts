import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Container, TensorSource } from "../../../formats/container.js";
import { openContainer } from "../../../formats/open.js";
import { Kernels } from "../../../src/kernels/kernels.js";
import { unpackWeights } from "../../../src/rows/packed/index.js";
import { readRowsF32 } from "../../../src/rows/rows.js";
import { storedWhole, type Tensor } from "../../../src/tensor.js";
import type { Target } from "../../support/damage.js";
import type { Random } from "../../support/random.js";

const kernels = new Kernels();

/** A file of test/golden/containers with its weights in place. */
export function unpack(file: string, config: object = {}): Container {
  const container = openContainer(goldenPath(file));
  return unpackWeights(container, "config.json", config);
}

/** All rows, read `step` at a time. */
export function rowsOf(
  { files }: Pick<Container, "files">,
  source: TensorSource,
  step: number,
  parts: Partial<Tensor> = {},
): Float32Array {
  const name = "t";
  const tensor: Tensor = {
    ...storedWhole(source),
    name,
    role: "ffn_up",
    layer: 0,
    shape: source.shape,
    ...parts,
  };
  const columns = source.shape.at(-1)!;
  const rows = source.shape.slice(0, -1).reduce((product, length) => product * length, 1);
  const descriptors = files.map((file) => openSync(file, "r"));
  const result = new Float32Array(rows * columns);
  for (let first = 0; first < rows; first += step) {
    const count = Math.min(step, rows - first);
    kernels.reset();
    const address = kernels.reserve(count * columns * 4);
    readRowsF32(kernels, descriptors, tensor, first, count, address);
    result.set(kernels.floats(address, count * columns), first * columns);
  }
  for (const fd of descriptors) closeSync(fd);
  return result;
}

/** The tensors whose names begin so, which begin otherwise then. */
export function prefixed(container: Container, prefix: string, other = ""): Container {
  const only = <T>(map: ReadonlyMap<string, T>) =>
    new Map(
      [...map].flatMap(([name, of]) =>
        name.startsWith(prefix) ? [[other + name.slice(prefix.length), of] as const] : [],
      ),
    );
  return { ...container, tensors: only(container.tensors), raw: only(container.raw ?? new Map()) };
}

export function sha256(values: Float32Array): string {
  return createHash("sha256").update(new Uint8Array(values.buffer)).digest("hex");
}

/** A safetensors file of test/golden/containers in which a text is another of the same length. */
export function altered(file: string, from: string, to: string): Uint8Array {
  const text = readFileSync(goldenPath(file), "latin1");
  if (from.length !== to.length || !text.includes(from)) throw new Error(`${from} cannot become ${to}`);
  return Buffer.from(text.replace(from, to), "latin1");
}

/** Files of a packed format with what they say of themselves damaged: every weight that is left is read. */
export function packedTarget(file: string, folder: string, config: object, prefix = "", other = ""): Target {
  const bytes = Uint8Array.from(readFileSync(goldenPath(file)));
  const digits = [...bytes.keys()].filter((at) => isDigit(bytes[at]!) && isDigit(bytes[at + 1] ?? 0));
  const renumbered = (random: Random) => {
    const copy = Uint8Array.from(bytes);
    copy[random.pick(digits)] = 0x30 + random.below(10);
    return copy;
  };
  const parse = (damaged: Uint8Array) => {
    const path = join(folder, "damaged.safetensors");
    writeFileSync(path, damaged);
    const container = unpackWeights(prefixed(openContainer(path), prefix, other), "config.json", config);
    for (const source of container.tensors.values()) if (source.coded) rowsOf(container, source, 1000);
  };
  return { name: file, samples: [{ bytes, renumbered }], parse };
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function goldenPath(file: string): string {
  return `test/golden/containers/packed-${file}.safetensors`;
}
