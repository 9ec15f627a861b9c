import type { TensorSource } from "./container.js";
import { elementCount } from "./dtype.js";
import { ELEMENT_TYPES } from "./elements.js";
import { badInput, LlqError } from "./errors.js";
import { isKind, type PickleCall, type PickleValue } from "./pickle.js";
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
}

/** As many as NumPy allows. */
const MAX_RANK = 64;

/**
 * Where the tensor is that a call would make; what kind it is, as text, when its values are not simply weights in a
 * storage; undefined when the call makes something other than a tensor.
 * @throws LlqError `bad-input` when its storage is not in the file, or it is not inside its storage
 */
export function locateTensor(
  name: string,
  call: PickleCall,
  storages: Storages,
): TensorSource | string | undefined {
  const fault = (problem: string) =>
    badInput(`${storages.file}: tensor ${name}: ${problem}`, "the file is damaged");
  const { callee, args } = innermost(call);
  if (OTHER_TENSORS.has(callee.name)) return callee.name;
  const extra = VIEWS.get(callee.name);
  if (extra === undefined) return undefined;
  const [reference, offset, size, stride] = args;
  const storage = parseStorage(reference, fault);
  const type = extra.dtype === undefined ? storage.type : elementType(args[extra.dtype], fault);
  const shape = parseSizes(size, fault);
  const strides = parseSizes(stride, fault);
  if (strides.length !== shape.length) {
    throw fault(`${shape.length} dimensions and ${strides.length} strides`);
  }
  const { bits = 0, dtype } = (Object.hasOwn(ELEMENT_TYPES, type) && ELEMENT_TYPES[type]) || {};
  if (dtype === undefined) return type;
  if (extra.bits !== undefined && hasEntries(args[extra.bits])) return `${type}, negated or conjugated`;
  if (shape.some((length, i) => length > 1 && strides[i] === 0)) return `${type}, expanded`;

  const entry = storages.find(storage.key);
  if (entry === undefined) throw fault(`its storage, data/${storage.key}, is not in the file`);
  const bytes = bits / 8;
  const storedBytes = storage.untyped ? storage.length : storage.length * bytes;
  if (entry.byteLength !== storedBytes) {
    throw fault(`its storage has ${entry.byteLength} bytes; by the pickle it has ${storedBytes}`);
  }
  const view = { shape, strides, offset: wholeNumber(offset, fault) };
  const count = checkInside(view, storedBytes / bytes, fault);
  return {
    file: 0,
    offset: entry.offset + view.offset * bytes,
    byteLength: count * bytes,
    dtype,
    shape,
    ...(isContiguous(view) ? {} : { strides }),
  };
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
    throw fault("it has no storage");
  }
  const untyped = storageClass.name === UNTYPED_STORAGE;
  const type = untyped ? "U8" : elementType(storageClass, fault);
  return { key, type, untyped, length: wholeNumber(length, fault) };
}

function elementType(value: PickleValue | undefined, fault: Fault): string {
  const type = isKind(value, "global") ? ELEMENT_TYPE_OF.get(value.name) : undefined;
  if (type === undefined) throw fault("the type of its elements is not given");
  return type;
}

function parseSizes(value: PickleValue | undefined, fault: Fault): number[] {
  if (!isKind(value, "tuple")) throw fault("its size or its strides are no tuple");
  if (value.items.length > MAX_RANK) throw fault(`${value.items.length} dimensions`);
  return value.items.map((item) => wholeNumber(item, fault));
}

function wholeNumber(value: PickleValue | undefined, fault: Fault): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw fault("a size, a stride or an offset is no whole number");
}

function hasEntries(value: PickleValue | undefined): boolean {
  return isKind(value, "dict") && value.entries !== undefined;
}

interface View {
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
}

/** Elements of a view, which must lie inside its storage, and not in each other's place. */
function checkInside({ shape, strides, offset }: View, stored: number, fault: Fault): number {
  let count: number;
  try {
    count = elementCount(shape);
  } catch (cause) {
    throw fault(cause instanceof LlqError ? cause.message : String(cause));
  }
  const last = shape.reduce((at, length, i) => at + (length - 1) * strides[i]!, offset);
  if (count > 0 && last >= stored)
    throw fault(`its last element is number ${last} of ${stored} in its storage`);
  if (count > stored) throw fault(`${count} elements in a storage of ${stored}`);
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
