// The globals that torch.load allows in a pickle with weights_only (torch 2.15), and what the ones that matter here
// mean. They are names; nothing stands behind them.
import { ORDERED_DICT } from "./pickle-values.js";

/** Prefix of a typed storage's class to the type of its elements, as in ELEMENT_TYPES; of others the name is enough. */
const STORAGES: Readonly<Record<string, string>> = {
  Double: "F64",
  Float: "F32",
  Half: "F16",
  BFloat16: "BF16",
  Long: "I64",
  Int: "I32",
  Short: "I16",
  Char: "I8",
  Byte: "U8",
  Bool: "BOOL",
  ComplexFloat: "C64",
  ComplexDouble: "C128",
};

/** The same for torch.dtype; of others the name is enough. */
const DTYPE_NAMES: Readonly<Record<string, string>> = {
  float64: "F64",
  float32: "F32",
  float16: "F16",
  bfloat16: "BF16",
  float8_e4m3fn: "F8_E4M3",
  float8_e5m2: "F8_E5M2",
  float8_e8m0fnu: "F8_E8M0",
  float8_e4m3fnuz: "F8_E4M3FNUZ",
  float8_e5m2fnuz: "F8_E5M2FNUZ",
  int64: "I64",
  int32: "I32",
  int16: "I16",
  int8: "I8",
  uint64: "U64",
  uint32: "U32",
  uint16: "U16",
  uint8: "U8",
  bool: "BOOL",
  complex64: "C64",
};

// biome-ignore format: a list
const OTHER_DTYPES = [
  "complex32", "complex128", "bcomplex32", "float4_e2m1fn_x2", "qint8", "qint32", "quint8", "quint4x2", "quint2x4",
  "bits1x8", "bits2x4", "bits4x2", "bits8", "bits16",
  "int1", "int2", "int3", "int4", "int5", "int6", "int7", "uint1", "uint2", "uint3", "uint4", "uint5", "uint6", "uint7",
  "per_tensor_affine", "per_tensor_symmetric", "per_channel_affine", "per_channel_symmetric",
  "per_channel_affine_float_qparams",
];
const OTHER_STORAGES = ["QInt8", "QInt32", "QUInt8", "QUInt4x2", "QUInt2x4"];
const TENSOR_CLASSES = ["Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte"];

export const UNTYPED_STORAGE = "torch.storage.UntypedStorage";

/** Type of the elements, by the global that says it. */
export const ELEMENT_TYPE_OF: ReadonlyMap<string, string> = new Map([
  ...Object.entries(STORAGES).flatMap(([name, type]): [string, string][] => [
    [`torch.${name}Storage`, type],
    [`torch.cuda.${name}Storage`, type],
  ]),
  ...Object.entries(DTYPE_NAMES).map(([name, type]): [string, string] => [`torch.${name}`, type]),
  ...OTHER_STORAGES.map((name): [string, string] => [`torch.${name}Storage`, name]),
  ...OTHER_DTYPES.map((name): [string, string] => [`torch.${name}`, name]),
]);

/** Functions whose first argument is the tensor they return. */
export const WRAPPERS: ReadonlySet<string> = new Set([
  "torch._utils._rebuild_parameter",
  "torch._utils._rebuild_parameter_with_state",
]);

/** Functions that return a view of a storage: where among the arguments dtype and math bits are, if anywhere. */
export const VIEWS: ReadonlyMap<string, { readonly dtype?: number; readonly bits?: number }> = new Map([
  ["torch._utils._rebuild_tensor", {}],
  ["torch._utils._rebuild_tensor_v2", { bits: 6 }],
  ["torch._utils._rebuild_tensor_v3", { dtype: 6, bits: 7 }],
]);

/** Calls another of these functions, its first argument, with its third. */
export const FROM_TYPE = "torch._tensor._rebuild_from_type_v2";

/** Functions that return tensors of other kinds, whose values are not those of a storage. */
export const OTHER_TENSORS: ReadonlySet<string> = new Set([
  "torch._utils._rebuild_device_tensor_from_cpu_tensor",
  "torch._utils._rebuild_device_tensor_from_numpy",
  "torch._utils._rebuild_meta_tensor_no_storage",
  "torch._utils._rebuild_qtensor",
  "torch._utils._rebuild_sparse_tensor",
  "torch._utils._rebuild_wrapper_subclass",
]);

export const ALLOWED_GLOBALS: ReadonlySet<string> = new Set([
  ORDERED_DICT,
  "collections.Counter",
  "_codecs.encode",
  "builtins.bytearray",
  "builtins.complex",
  "builtins.set",
  "torch.Size",
  "torch.Tensor",
  "torch.device",
  "torch.nn.parameter.Parameter",
  "torch.serialization._get_layout",
  "torch.storage.TypedStorage",
  UNTYPED_STORAGE,
  FROM_TYPE,
  ...WRAPPERS,
  ...VIEWS.keys(),
  ...OTHER_TENSORS,
  ...ELEMENT_TYPE_OF.keys(),
  ...["torch.", "torch.cuda."].flatMap((module) => [`${module}BoolTensor`, ...classes(module)]),
  ...["torch.sparse.", "torch.cuda.sparse."].flatMap(classes),
]);

function classes(module: string): string[] {
  return TENSOR_CLASSES.map((name) => `${module}${name}Tensor`);
}
