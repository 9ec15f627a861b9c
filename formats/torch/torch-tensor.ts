import { t } from "../../src/language/t.js";
import type { RawSource, TensorSource } from "../container.js";
import { elementCount } from "../dtype.js";
import { ELEMENT_TYPES } from "../elements.js";
import { badInput, LlqError } from "../errors.js";
import { isKind, type PickleCall, type PickleValue } from "./pickle-values.js";
import {
  ELEMENT_TYPE_OF,
  FROM_TYPE,
  OTHER_TENSORS,
  UNTYPED_STORAGE,
  VIEWS,
  WRAPPERS,
} from "./torch-globals.js";
import type { ZipEntry } from "./zip.js";

/** The bytes that a file of torch.save keeps outside its pickle. */
export interface Storages {
  /** The file, for messages. */
  readonly file: string;
  readonly find: (key: string) => ZipEntry | undefined;
  /** Whether the zip has a sum of every file's bytes; PyTorch can be told to compute none. */
  readonly hasSums: boolean;
}

/** As many as NumPy allows. */
const MAX_RANK = 64;

/** A tensor as Container has it. */
export type Located =
  | { readonly source: TensorSource }
  /** Not simply weights in a storage; `raw` when it can be read nonetheless. */
  | { readonly opaque: string; readonly raw?: RawSource };

/**
 * Where the tensor is that a call would make; undefined when the call makes something else.
 * @throws LlqError `bad-input` when its storage is not in the file, or it is not inside its storage
 */
export function locateTensor(name: string, call: PickleCall, storages: Storages): Located | undefined {
  const fault = (problem: string) =>
    badInput(t`${storages.file}: tensor ${name}: ${problem}`, t`the file is damaged`);
  const { callee, args } = innermost(call);
  if (OTHER_TENSORS.has(callee.name)) return { opaque: callee.name };
  const extra = VIEWS.get(callee.name);
  if (extra === undefined) return undefined;
  const [reference, first, size, stride] = args;
  const storage = parseStorage(reference, fault);
  const type = extra.dtype === undefined ? storage.type : elementType(args[extra.dtype], fault);
  const view = {
    shape: parseSizes(size, fault),
    strides: parseSizes(stride, fault),
    first: wholeNumber(first, fault),
  };
  const { shape, strides } = view;
  if (strides.length !== shape.length) {
    throw fault(t`${shape.length} dimensions and ${strides.length} strides`);
  }
  const { bits = 0, dtype } = (Object.hasOwn(ELEMENT_TYPES, type) && ELEMENT_TYPES[type]) || {};
  if (bits % 8 !== 0 || bits === 0) return { opaque: type };
  if (extra.bits !== undefined && hasEntries(args[extra.bits]))
    return { opaque: t`${type}, negated or conjugated` };
  if (shape.some((length, i) => length > 1 && strides[i] === 0)) return { opaque: `${type}, expanded` };

  const bytes = bits / 8;
  const { entry, stored } = findStorage(storage, bytes, storages, fault);
  const count = checkInside(view, stored, fault);
  const place = { file: 0, offset: entry.offset + view.first * bytes, byteLength: count * bytes, shape };
  const contiguous = isContiguous(view);
  if (dtype !== undefined) return { source: { ...place, dtype, ...(contiguous ? {} : { strides }) } };
  return { opaque: type, ...(contiguous ? { raw: { ...place, type } } : {}) };
}

/** Where a storage is, and how many elements it has. */
function findStorage(storage: Storage, bytes: number, storages: Storages, fault: Fault) {
  const entry = storages.find(storage.key);
  if (entry === undefined) throw fault(t`its storage, data/${storage.key}, is not in the file`);
  const byteLength = storage.untyped ? storage.length : storage.length * bytes;
  if (entry.byteLength !== byteLength) {
    throw fault(t`its storage has ${entry.byteLength} bytes; by the pickle it has ${byteLength}`);
  }
  // skip_data reserves the place, and nothing more: no bytes but none have the sum 0.
  if (storages.hasSums && entry.crc32 === 0 && entry.byteLength > 0) {
    throw new LlqError("bad-input", t`${storages.file}: has the places of tensors and none of their data`, {
      hint: t`it was saved under torch.serialization.skip_data(): save it again without`,
    });
  }
  return { entry, stored: byteLength / bytes };
}

type Fault = (problem: string) => LlqError;

/** The call that makes the tensor which others pass on, as a Parameter for one. */
function innermost(call: PickleCall): PickleCall {
  for (;;) {
    const [first, , third] = call.args;
    if (WRAPPERS.has(call.callee.name) && isKind(first, "call")) call = first;
    else if (call.callee.name === FROM_TYPE && isKind(first, "global") && isKind(third, "tuple")) {
      call = { kind: "call", callee: first, args: third.items };
    } else return call;
  }
}

interface Storage {
  readonly key: string;
  /** Of its elements. */
  readonly type: string;
  readonly untyped: boolean;
  /** In elements; in bytes, when untyped. */
  readonly length: number;
}

/** A storage's persistent id: ("storage", class, key, device, length). */
function parseStorage(reference: PickleValue | undefined, fault: Fault): Storage {
  const id = isKind(reference, "reference") && isKind(reference.id, "tuple") ? reference.id.items : [];
  const [tag, storageClass, key, , length] = id;
  if (tag !== "storage" || !isKind(storageClass, "global") || typeof key !== "string") {
    throw fault(t`it has no storage`);
  }
  const untyped = storageClass.name === UNTYPED_STORAGE;
  const type = untyped ? "U8" : elementType(storageClass, fault);
  return { key, type, untyped, length: wholeNumber(length, fault) };
}

function elementType(value: PickleValue | undefined, fault: Fault): string {
  const type = isKind(value, "global") ? ELEMENT_TYPE_OF.get(value.name) : undefined;
  if (type === undefined) throw fault(t`the type of its elements is not given`);
  return type;
}

function parseSizes(value: PickleValue | undefined, fault: Fault): number[] {
  if (!isKind(value, "tuple")) throw fault(t`its size or its strides are no tuple`);
  if (value.items.length > MAX_RANK) throw fault(t`${value.items.length} dimensions`);
  return value.items.map((item) => wholeNumber(item, fault));
}

function wholeNumber(value: PickleValue | undefined, fault: Fault): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw fault(t`a size, a stride or an offset is no whole number`);
}

function hasEntries(value: PickleValue | undefined): boolean {
  return isKind(value, "dict") && value.entries !== undefined;
}

interface View {
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  /** Number of its first element in the storage. */
  readonly first: number;
}

/** Elements of a view, which must lie inside its storage, and not in each other's place. */
function checkInside({ shape, strides, first }: View, stored: number, fault: Fault): number {
  let count: number;
  try {
    count = elementCount(shape);
  } catch (cause) {
    throw fault(cause instanceof LlqError ? cause.message : String(cause));
  }
  const last = shape.reduce((at, length, i) => at + (length - 1) * strides[i]!, first);
  if (count > 0 && last >= stored)
    throw fault(t`its last element is number ${last} of ${stored} in its storage`);
  if (count > stored) throw fault(t`${count} elements in a storage of ${stored}`);
  return count;
}

/** As torch has it: the stride of a dimension of length 1 does not matter. */
function isContiguous({ shape, strides }: View): boolean {
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && strides[i] !== expected) return shape.includes(0);
    expected *= shape[i]!;
  }
  return true;
}
