import { spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { BufferSource, ByteReader } from "../../formats/bytes.js";
import type { TensorSource } from "../../formats/container.js";
import { openContainer } from "../../formats/open.js";
import { readPickle } from "../../formats/torch/pickle.js";
import { readTorch } from "../../formats/torch/torch.js";
import { ALLOWED_GLOBALS } from "../../formats/torch/torch-globals.js";
import { Kernels } from "../../src/kernels/kernels.js";
import { readRowsF32 } from "../../src/rows/rows.js";
import { rowCount, storedWhole } from "../../src/tensor.js";
import { refusal } from "../support/build/build.js";
import {
  buildTorch,
  buildZip,
  P,
  type StoredTensor,
  storagePickle,
  tensorPickle,
  type ZipFile,
  type ZipOptions,
} from "../support/build/build-torch.js";
import { attack } from "../support/damage.js";
import { scratchFolder } from "../support/scratch.js";
import { TARGETS } from "../targets.js";

const golden = (name: string) => new URL(`../golden/containers/${name}`, import.meta.url).pathname;
const read = (bytes: Uint8Array) => readTorch(new BufferSource("x.pt", bytes));

/** Remembers what is on top under `count` numbers. */
function memos(count: number): string {
  return Array.from({ length: count }, (_, i) => `r${P.int(i * 7).slice(1)}`).join("");
}

/** Bits of a tensor's values as f32. */
function values(fd: number, source: TensorSource): string[] {
  const kernels = new Kernels();
  const rows = rowCount(source);
  const count = rows * (source.shape.at(-1) ?? 1);
  const tensor = {
    name: "t",
    role: "output" as const,
    layer: undefined,
    shape: source.shape,
    ...storedWhole(source),
  };
  const at = kernels.reserve(Math.max(4, count * 4));
  readRowsF32(kernels, [fd], tensor, 0, rows, at);
  return Array.from(new Uint32Array(kernels.memory.buffer, at, count), (bits) =>
    bits.toString(16).padStart(8, "0"),
  );
}

describe("a file of torch.save", () => {
  const path = golden("torch.pt");
  const expected: Record<
    string,
    [dtype: string, shape: number[], values: string[] | null, stored: string | null]
  > = JSON.parse(readFileSync(golden("torch.json")).toString());
  const { tensors, opaque, raw, metadata } = openContainer(path);

  test("has the tensors that torch finds in it", () => {
    expect([...tensors.keys(), ...opaque.keys()].sort()).toEqual(Object.keys(expected).sort());
  });

  const plain = Object.entries(expected).filter(([name, [, , bits]]) => bits !== null && !opaque.has(name));
  test.each(plain)("%s: the values are torch's", (name, [, shape, bits]) => {
    const source = tensors.get(name)!;
    expect(source.shape).toEqual(shape);
    const fd = openSync(path, "r");
    expect(values(fd, source)).toEqual(bits);
    closeSync(fd);
  });

  test("names the type of what is no plain weight", () => {
    expect(Object.fromEntries(opaque)).toEqual({
      i64: "I64",
      i32: "I32",
      i16: "I16",
      i8: "I8",
      u8: "U8",
      u16: "U16",
      bool: "BOOL",
      c64: "C64",
      f8: "F8_E4M3",
      negated: "F32, negated or conjugated",
      expanded: "F32, expanded",
      sparse: "torch._utils._rebuild_sparse_tensor",
    });
  });

  const integers = Object.entries(expected).filter(([, [, , , stored]]) => stored !== null);
  test.each(integers)("%s: the bytes are torch's", (name, [, shape, , stored]) => {
    const source = raw!.get(name)!;
    expect([source.type, source.shape]).toEqual([opaque.get(name), shape]);
    const bytes = readFileSync(path).subarray(source.offset, source.offset + source.byteLength);
    expect(bytes.toString("hex")).toBe(stored);
  });

  test("shares storages: one place in the file for tied tensors", () => {
    expect(tensors.get("module.tied")).toEqual(tensors.get("module.weight"));
    expect(tensors.get("slice")!.offset).toBeGreaterThan(tensors.get("whole")!.offset);
  });

  test("keeps plain values", () => {
    expect(Object.fromEntries([...metadata].map(([name, { value }]) => [name, value]))).toEqual({
      "values.int": -7n,
      "values.large": 1099511627776n,
      "values.float": 0.1,
      "values.text": "zażółć 🙂",
      "values.yes": true,
    });
  });
});

describe("files of PyTorch that are refused, with the way out", () => {
  test.each([
    [
      "torch-legacy.pt",
      "unsupported: torch-legacy.pt: a Python pickle, perhaps weights saved before PyTorch 1.6",
    ],
    ["torch-protocol-4.pt", "unsupported: torch-protocol-4.pt: pickle protocol 4"],
    ["torch-script.pt", "unsupported: torch-script.pt: TorchScript, a program and not only weights"],
    ["torch-skipped.pt", "bad-input: torch-skipped.pt: has the places of tensors and none of their data"],
  ])("%s", (name, message) => {
    expect(refusal(() => openContainer(golden(name))).replaceAll(golden("").toString(), "")).toBe(message);
  });
});

const FLOATS = "\0\0\x80?\0\0\0@"; // 1 and 2

describe("a zip", () => {
  const pickle = P.dictOf(["a", tensorPickle()]);
  const files: ZipFile[] = [
    { name: "m/data.pkl", data: `${P.proto}${pickle}.` },
    { name: "m/data/0", data: FLOATS },
  ];
  const [first, second] = files as [ZipFile, ZipFile];

  test.each<[what: string, options: ZipOptions]>([
    ["of the usual kind", {}],
    ["with 64-bit sizes", { zip64: true }],
    ["with a comment", { comment: "hello" }],
  ])("%s is read", (_, options) => {
    const bytes = buildZip(files, options);
    const { offset, byteLength } = readTorch(new BufferSource("x.pt", bytes)).tensors.get("a")!;
    expect(Buffer.from(bytes.subarray(offset, offset + byteLength)).toString("latin1")).toBe(FLOATS);
  });

  const sized = buildZip(files);
  // biome-ignore format: one a line
  test.each<[what: string, bytes: Uint8Array, message: string | RegExp]>([
    ["nothing but its beginning", sized.subarray(0, 40), /not a sound zip: End of central directory record signature not found/],
    ["without its last byte", sized.subarray(0, -1), /not a sound zip: End of central directory record signature not found/],
    ["with a byte after it", Buffer.concat([sized, Buffer.alloc(1)]), /not a sound zip: Invalid comment length/],
    ["cut in the middle", Buffer.concat([sized.subarray(0, 100), sized.subarray(200)]), /not a sound zip|end here|bytes expected/],
    ["a byte after its beginning", Buffer.concat([Buffer.from("P"), sized]), /not a sound zip: invalid central directory file header signature/],
    ["of many disks", buildZip(files, { disk: 1 }), "bad-input: x.pt: not a sound zip: multi-disk zip files are not supported: found disk number: 1"],
    ["of no files", buildZip([]), "bad-input: x.pt: a zip with 0 pickles named data.pkl, where torch.save writes one"],
    ["with fewer files than it says", buildZip(files, { count: 3 }), /^bad-input: x.pt: byte \d+: 46 bytes expected, but the file ends at \d+$/],
    ["with more files than it says", buildZip(files, { count: 1 }), /^bad-input: x.pt: byte \d+: the zip's directory should end here$/],
    ["with 2^40 files", buildZip(files, { count: 2 ** 40, zip64: true }), "bad-input: x.pt: a zip of 1099511627776 files; at most 131072 are allowed"],
    ["with its directory elsewhere", buildZip(files, { directoryOffset: 7 }), /not a sound zip: invalid central directory file header signature/],
    ["with its directory beyond the file", buildZip(files, { directoryOffset: 2 ** 31 }), /bytes expected, but the file ends/],
    ["with a file twice", buildZip([first, second, second]), "bad-input: x.pt: not a sound zip: m/data/0 is in it twice"],
    ["with a file without a name", buildZip([first, { ...second, name: "", localName: "" }]), "bad-input: x.pt: not a sound zip: a file has no name"],
    ["with another name in the directory", buildZip([first, { ...second, localName: "m/data/1" }]), 'bad-input: x.pt: not a sound zip: m/data/0 is named "m/data/1" in its header'],
    ["with a name that is not UTF-8", buildZip([first, { ...second, name: "m/\xff" }]), "bad-input: x.pt: not a sound zip: a file's name is not UTF-8"],
    ["with a line break in a name", buildZip([first, { ...second, name: "m\n" }]), /not a sound zip: a file's name has characters that cannot be printed/],
    ["with a compressed file", buildZip([first, { ...second, method: 8 }]), "unsupported: x.pt: m/data/0 is compressed"],
    ["with a file compressed by the directory only", buildZip([first, { ...second, method: 8, localMethod: 0 }]), "bad-input: x.pt: not a sound zip: m/data/0 is compressed in two ways"],
    ["with a file compressed by its header only", buildZip([first, { ...second, localMethod: 8 }]), "bad-input: x.pt: not a sound zip: m/data/0 is compressed in two ways"],
    ["with an encrypted file", buildZip([first, { ...second, flags: 0x809, size: 8, compressedSize: 20 }]), "unsupported: x.pt: m/data/0 is encrypted"],
    ["with a file encrypted by its header only", buildZip([first, { ...second, localFlags: 0x809 }]), "unsupported: x.pt: m/data/0 is encrypted"],
    ["with strong encryption", buildZip([first, { ...second, flags: 0x848 }]), "bad-input: x.pt: not a sound zip: strong encryption is not supported"],
    ["with a file beyond its end", buildZip([first, { ...second, compressedSize: 2 ** 31 }]), /not a sound zip: file data overflows file bounds/],
    ["with two sizes in the directory", buildZip([first, { ...second, compressedSize: 4, size: 8 }]), /not a sound zip: compressed\/uncompressed size mismatch/],
    ["with another size in a header", buildZip([first, { ...second, localSize: 7 }]), "bad-input: x.pt: not a sound zip: m/data/0 has 8 bytes, or 7 by its own header"],
    ["with a file inside another", overlapping(), /not a sound zip: m\/data\/1 begins at byte \d+, inside m\/data\/0/],
    ["with a file over the directory", buildZip([first, { ...second, compressedSize: 100 }]), /not a sound zip: the directory begins at byte \d+, inside m\/data\/0/],
    ["with a header elsewhere", buildZip([first, { ...second, offset: 1 }]), /not a sound zip: invalid local file header signature/],
    ["with a header beyond the file", buildZip([first, { ...second, offset: 2 ** 31 }]), /bytes expected, but the file ends/],
    ["with 64-bit sizes that are not there", buildZip([first, { ...second, compressedSize: 0xffffffff }]), "bad-input: x.pt: not a sound zip: file data overflows file bounds: 320 + 4294967295 > 476"],
    ["with half an extra field", buildZip([first, { ...second, extra: Buffer.from([1, 0, 8, 0, 1]) }]), /not a sound zip: extra field length exceeds extra field buffer size/],
    ["with a 64-bit size of 2^63", buildZip([first, { ...second, compressedSize: 0xffffffff, size: 0xffffffff, extra: Buffer.from([1, 0, 16, 0, ...Array(7).fill(0), 128, ...Array(7).fill(0), 128]) }]), /not a sound zip: file data overflows file bounds/],
    ["without a pickle", buildZip([second]), "bad-input: x.pt: a zip with 0 pickles named data.pkl, where torch.save writes one"],
    ["with two pickles", buildZip([first, { ...first, name: "n/data.pkl" }]), "bad-input: x.pt: a zip with 2 pickles named data.pkl, where torch.save writes one"],
    ["with a pickle deeper down", buildZip([{ ...first, name: "m/n/data.pkl" }]), "bad-input: x.pt: a zip with 0 pickles named data.pkl, where torch.save writes one"],
    ["of TorchScript", buildZip([...files, { name: "m/constants.pkl", data: "" }]), "unsupported: x.pt: TorchScript, a program and not only weights"],
    ["with the largest byte first", buildZip([...files, { name: "m/byteorder", data: "big" }]), 'unsupported: x.pt: its byte order is "big"'],
  ])("%s is refused", (_, bytes, message) => {
    const answer = refusal(() => read(bytes));
    if (typeof message === "string") expect(answer).toBe(message);
    else expect(answer).toMatch(message);
    expect(answer).toMatch(/^(bad-input|unsupported): x.pt: /);
  });

  /** The header of data/1 is in the bytes of data/0. */
  function overlapping(): Uint8Array {
    const inner = buildZip([{ name: "m/data/1", data: FLOATS, localExtra: new Uint8Array() }]);
    const outer = { ...second, data: inner.subarray(0, 30 + 8 + 8) };
    const whole = Buffer.from(buildZip([first, outer]));
    const offset = whole.indexOf("PK\x03\x04", whole.indexOf("PK\x03\x04", 4) + 4);
    return buildZip([
      first,
      outer,
      { name: "m/data/1", data: "", localName: "m/data/1", compressedSize: 8, offset },
    ]);
  }
});

describe("a pickle", () => {
  const run = (pickle: string) => {
    const bytes = Buffer.from(pickle, "latin1");
    return readPickle(new ByteReader(new BufferSource("x.pkl", bytes)), ALLOWED_GLOBALS);
  };

  test.each<[pickle: string, value: unknown]>([
    ["N", null],
    ["\x88", true],
    ["K\xff", 255],
    ["M\xff\xff", 65535],
    [P.int(-5), -5],
    [P.long(), 0],
    [P.long(0xff), -1],
    [P.long(0xff, 0), 255],
    [P.long(0, 0, 0, 0, 0, 0, 0, 0x80), -(2n ** 63n)],
    [P.float(-0.1), -0.1],
    [P.text("zażółć"), "zażółć"],
    ["U\x02ab", "ab"],
    [P.listOf(P.int(1), P.listOf()), [1, []]],
    ["]K\x01a", [1]],
    ["K\x01\x85", { kind: "tuple", items: [1] }],
    ["K\x01K\x02\x86", { kind: "tuple", items: [1, 2] }],
    ["K\x01K\x02K\x03\x87", { kind: "tuple", items: [1, 2, 3] }],
    ["}K\x01K\x02s", { kind: "dict", entries: new Map([[1, 2]]) }],
    [`${P.orderedDict}${P.text("a")}Ns`, { kind: "dict", entries: new Map([["a", null]]) }],
    [
      P.call("collections", "OrderedDict", P.listOf(P.listOf(P.text("a"), P.int(1)))),
      { kind: "dict", entries: new Map([["a", 1]]) },
    ],
    [P.global("torch", "float32"), { kind: "global", name: "torch.float32" }],
    [
      P.call("__builtin__", "set", P.listOf()),
      { kind: "call", callee: { kind: "global", name: "builtins.set" }, args: [[]] },
    ],
    [
      `${P.global("torch", "Size")})\x81`,
      { kind: "call", callee: { kind: "global", name: "torch.Size" }, args: [] },
    ],
    [`]${P.put(7)}${P.get(7)}\x86`, { kind: "tuple", items: [[], []] }],
    [`]r\xff\xff\xff\xffj\xff\xff\xff\xff\x86`, { kind: "tuple", items: [[], []] }],
    [`${P.dictOf(["__proto__", P.int(1)])}`, { kind: "dict", entries: new Map([["__proto__", 1]]) }],
  ])("%j is read", (pickle, value) => {
    expect(run(`${P.proto}${pickle}.`)).toEqual(value);
    expect(run(`\x80\x03${pickle}.`)).toEqual(value);
  });

  test("a list of 200,000 items is read", () => {
    expect(run(`${P.proto}](${"N".repeat(200_000)}e.`)).toHaveLength(200_000);
  });

  // What would run a program, or could: by every opcode that names or makes something.
  const TOO = "which tensors do not need";
  // biome-ignore format: one a line
  test.each<[pickle: string, message: string]>([
    [P.call("os", "system", P.text("touch /tmp/x")), `byte 2: the pickle asks for "os.system", ${TOO}`],
    [P.call("posix", "system", P.text("true")), `byte 2: the pickle asks for "posix.system", ${TOO}`],
    [P.call("subprocess", "Popen", P.listOf(P.text("true"))), `byte 2: the pickle asks for "subprocess.Popen", ${TOO}`],
    [P.call("builtins", "eval", P.text("1")), `byte 2: the pickle asks for "builtins.eval", ${TOO}`],
    [P.call("builtins", "exec", P.text("1")), `byte 2: the pickle asks for "builtins.exec", ${TOO}`],
    [P.call("__builtin__", "eval", P.text("1")), `byte 2: the pickle asks for "__builtin__.eval", ${TOO}`],
    [P.call("builtins", "getattr", P.global("torch", "Tensor"), P.text("x")), `byte 2: the pickle asks for "builtins.getattr", ${TOO}`],
    [P.call("importlib", "import_module", P.text("os")), `byte 2: the pickle asks for "importlib.import_module", ${TOO}`],
    [P.call("runpy", "_run_code", P.text("1")), `byte 2: the pickle asks for "runpy._run_code", ${TOO}`],
    [P.call("webbrowser", "open", P.text("http://x")), `byte 2: the pickle asks for "webbrowser.open", ${TOO}`],
    [P.call("operator", "attrgetter", P.text("system")), `byte 2: the pickle asks for "operator.attrgetter", ${TOO}`],
    [P.call("numpy", "load", P.text("x")), `byte 2: the pickle asks for "numpy.load", ${TOO}`],
    [P.call("numpy.core.multiarray", "_reconstruct", P.none), `byte 2: the pickle asks for "numpy.core.multiarray._reconstruct", ${TOO}`],
    [P.call("numpy.core.multiarray", "scalar", P.none), `byte 2: the pickle asks for "numpy.core.multiarray.scalar", ${TOO}`],
    [P.call("torch", "load", P.text("x")), `byte 2: the pickle asks for "torch.load", ${TOO}`],
    [P.call("torch.hub", "load", P.text("x")), `byte 2: the pickle asks for "torch.hub.load", ${TOO}`],
    [P.call("torch._utils", "_import_dotted_name", P.text("os")), `byte 2: the pickle asks for "torch._utils._import_dotted_name", ${TOO}`],
    [P.call("torch.jit._script", "unpackage_script_module", P.none), `byte 2: the pickle asks for "torch.jit._script.unpackage_script_module", ${TOO}`],
    [P.call("argparse", "Namespace"), `byte 2: the pickle asks for "argparse.Namespace", ${TOO}`],
    [P.global("os", "system"), `byte 2: the pickle asks for "os.system", ${TOO}`],
    [P.global("torch", "float32\0"), `byte 2: the pickle asks for "torch.float32\\u0000", ${TOO}`],
    [P.global("", ""), `byte 2: the pickle asks for ".", ${TOO}`],
    [P.global("torch", "constructor"), `byte 2: the pickle asks for "torch.constructor", ${TOO}`],
    [P.global("a".repeat(257), "x"), "byte 2: the name of a global has more than 256 characters"],
    ["ctorch", "byte 9: 1 bytes expected, 0 left"],
    [`(${P.text("x")}ios\nsystem\n`, "byte 9: opcode INST is none that tensors need"],
    [`(${P.global("torch", "Size")}o`, "byte 15: opcode OBJ is none that tensors need"],
    [`${P.text("os")}${P.text("system")}\x93`, "byte 20: opcode STACK_GLOBAL is none that tensors need"],
    ["\x82\x01", "byte 2: opcode EXT1 is none that tensors need"],
    ["\x83\x01\0", "byte 2: opcode EXT2 is none that tensors need"],
    ["\x84\x01\0\0\0", "byte 2: opcode EXT4 is none that tensors need"],
    [`${P.global("torch", "Size")})}\x92`, "byte 16: opcode NEWOBJ_EX is none that tensors need"],
    ["Pkey\n", "byte 2: opcode PERSID is none that tensors need"],
    ["0", "byte 2: opcode 0x30 is none that tensors need"],
    ["N2", "byte 3: opcode 0x32 is none that tensors need"],
    ["\x95", "byte 2: opcode 0x95 is none that tensors need"],
    ["\xff", "byte 2: opcode 0xff is none that tensors need"],
    [`${P.text("os")})R`, "byte 10: something is called that is no function or class"],
    [`N)\x81`, "byte 4: something is called that is no function or class"],
    [`${P.global("torch", "Size")}NR`, "byte 15: torch.Size is called with something that is no tuple"],
    [`${P.global("torch", "Size")}]\x81`, "byte 15: torch.Size is called with something that is no tuple"],
    [`${P.global("collections", "OrderedDict")}${P.tupleOf(P.int(1))}R`, "byte 34: an OrderedDict of something that is no list"],
    [`${P.global("collections", "OrderedDict")}${P.tupleOf(P.listOf(P.int(1)))}R`, "byte 37: an OrderedDict of something that is no list of pairs"],
    [`${tensorPickle()}}b`, "byte 160: attributes are set on something other than an OrderedDict"],
    [`${P.global("torch.nn.parameter", "Parameter")})\x81}b`, "byte 35: attributes are set on something other than an OrderedDict"],
  ])("%j is refused", (pickle, message) => {
    expect(refusal(() => run(`${P.proto}${pickle}.`)).replace(/byte 1\d\d: attr/, "byte 160: attr")).toBe(
      `bad-input: x.pkl: ${message}`,
    );
  });

  // biome-ignore format: one a line
  test.each<[what: string, pickle: string, message: string]>([
    ["of no bytes", "", "byte 0: 1 bytes expected, 0 left"],
    ["that only ends", ".", "byte 0: a value is missing"],
    ["without an end", `${P.proto}N`, "byte 3: 1 bytes expected, 0 left"],
    ["with bytes after its end", `${P.proto}N.N`, "byte 3: 1 bytes follow the pickle"],
    ["with values left over", `${P.proto}NN.`, "byte 4: the pickle ends in the middle of a value"],
    ["with a mark left over", `${P.proto}N(.`, "byte 4: a value is missing"],
    ["with a mark below its value", `${P.proto}(N.`, "byte 4: the pickle ends in the middle of a value"],
    ["with a tuple without a mark", `${P.proto}Nt.`, "byte 3: a mark is missing"],
    ["with a pair of one", `${P.proto}N\x86.`, "byte 3: a value is missing"],
    ["with a pair across a mark", `${P.proto}N(N\x86.`, "byte 5: a value is missing"],
    ["that appends to a tuple", `${P.proto})Na.`, "byte 4: items are appended to something that is no list"],
    ["that appends to nothing", `${P.proto}(Ne.`, "byte 4: a value is missing"],
    ["that sets items of a list", `${P.proto}]NNs.`, "byte 5: items are set in something that is no dict"],
    ["with a key without a value", `${P.proto}}(Nu.`, "byte 5: a dict's key has no value"],
    ["with a key twice", `${P.proto}${P.dictOf(["a", "N"], ["a", "N"])}.`, `byte 18: a dict has the key "a" twice`],
    ["with something not remembered", `${P.proto}${P.get(3)}.`, "byte 2: nothing was remembered as 3"],
    ["that remembers nothing", `${P.proto}${P.put(3)}.`, "byte 2: a value is missing"],
    ["with a text longer than it", `${P.proto}X\xff\xff\xff\xffab.`, "byte 7: 4294967295 bytes expected, 3 left"],
    ["with a text that is not UTF-8", `${P.proto}U\x02\xff\xfe.`, "byte 2: text is not UTF-8"],
    ["with half a number", `${P.proto}J\0\0`, "byte 3: 4 bytes expected, 2 left"],
    ["with half a float", `${P.proto}G\0\0`, "byte 3: 8 bytes expected, 2 left"],
    ["with half a long", `${P.proto}\x8a\xff\0`, "byte 4: 255 bytes expected, 1 left"],
  ])("%s is refused", (_, pickle, message) => {
    expect(refusal(() => run(pickle))).toBe(`bad-input: x.pkl: ${message}`);
  });

  test.each([4, 5, 255])("protocol %d is refused", (version) => {
    const pickle = `\x80${String.fromCharCode(version)}N.`;
    expect(refusal(() => run(pickle))).toBe(`unsupported: x.pkl: pickle protocol ${version}`);
  });

  test.each<[what: string, pickle: string, message: string]>([
    ["objects", "}".repeat(1 << 20), "byte 524290: the pickle has more than 524288 objects"],
    ["dicts with items", "}NNs".repeat(1 << 20), "byte 2097153: the pickle has more than 2097152 opcodes"],
    [
      "tuples in tuples",
      `N${"\x85".repeat(1 << 20)}`,
      "byte 524291: the pickle has more than 524288 objects",
    ],
    ["marks", "(".repeat(1 << 23), "byte 2097153: the pickle has more than 2097152 opcodes"],
    ["values", "N".repeat(1 << 23), "byte 2097153: the pickle has more than 2097152 opcodes"],
    ["texts", "U\x03abc".repeat(1 << 22), "byte 10485757: the pickle has more than 2097152 opcodes"],
    ["rounds", `N${P.put(0).repeat(1 << 23)}`, "byte 4194303: the pickle has more than 2097152 opcodes"],
    ["things to remember", `N${memos(1 << 20)}`, "byte 2621443: the pickle has more than 524288 objects"],
    ["bytes", "N".repeat(1 << 25), "byte 0: a pickle of 33554435 bytes; at most 33554432 are allowed"],
  ])("of more %s than any checkpoint is refused at a limit of work, within 256 MB", (_, pickle, message) => {
    const bytes = Buffer.from(`${P.proto}${pickle}.`, "latin1");
    const before = process.memoryUsage().rss;
    expect(refusal(() => readPickle(new ByteReader(new BufferSource("x.pkl", bytes)), ALLOWED_GLOBALS))).toBe(
      `bad-input: x.pkl: ${message}`,
    );
    expect(process.memoryUsage().rss - before).toBeLessThan(256e6);
  });
});

describe("tensors", () => {
  const open = (tensor: StoredTensor, storage: string = FLOATS) =>
    read(buildTorch(P.dictOf(["a", tensorPickle(tensor)]), { 0: storage }));

  test.each<[what: string, tensor: StoredTensor, shape: number[], strides: number[] | undefined]>([
    ["contiguous", {}, [2], undefined],
    ["a scalar", { size: [], stride: [], offset: 1 }, [], undefined],
    ["a row and a column", { size: [2, 1], stride: [1, 77] }, [2, 1], undefined],
    ["a step of two", { size: [1], stride: [2], offset: 1 }, [1], undefined],
    ["a transposed pair", { size: [1, 2], stride: [2, 1] }, [1, 2], undefined],
    ["backwards strides", { size: [2, 1, 1], stride: [1, 0, 0] }, [2, 1, 1], undefined],
    ["of no elements", { size: [0, 3], stride: [3, 1] }, [0, 3], undefined],
    ["of no elements, behind the storage", { size: [0], stride: [1], offset: 2 }, [0], undefined],
  ])("%s", (_, tensor, shape, strides) => {
    const found = open(tensor).tensors.get("a")!;
    expect([found.shape, found.strides]).toEqual([shape, strides]);
  });

  // biome-ignore format: one a line
  test.each<[what: string, tensor: StoredTensor, message: string]>([
    ["in no storage", { key: "1" }, "its storage, data/1, is not in the file"],
    ["in a storage outside the folder", { key: "../version" }, "its storage, data/../version, is not in the file"],
    ["in a storage that is shorter than it says", { length: 3 }, "its storage has 8 bytes; by the pickle it has 12"],
    ["in a storage that is longer than it says", { length: 1 }, "its storage has 8 bytes; by the pickle it has 4"],
    ["in a storage of another type", { storage: "DoubleStorage" }, "its storage has 8 bytes; by the pickle it has 16"],
    ["longer than its storage", { size: [3] }, "its last element is number 2 of 2 in its storage"],
    ["behind its storage", { offset: 1 }, "its last element is number 2 of 2 in its storage"],
    ["with strides beyond its storage", { stride: [2] }, "its last element is number 2 of 2 in its storage"],
    ["with elements in each other's place", { size: [2, 2], stride: [1, 0] }, "accepted"],
    ["with more elements than its storage", { size: [2, 2, 2], stride: [1, 1, 1] }, "its last element is number 3 of 2 in its storage"],
    ["with a negative size", { size: [-1] }, "a size, a stride or an offset is no whole number"],
    ["with a negative stride", { stride: [-1] }, "a size, a stride or an offset is no whole number"],
    ["with a negative offset", { offset: -1 }, "a size, a stride or an offset is no whole number"],
    ["with a negative storage", { length: -2 }, "a size, a stride or an offset is no whole number"],
    ["with fewer strides than dimensions", { size: [1, 2] }, "2 dimensions and 1 strides"],
    ["of 65 dimensions", { size: Array(65).fill(1), stride: Array(65).fill(1) }, "65 dimensions"],
    ["of 2^62 elements", { size: [2 ** 31 - 1, 2 ** 31 - 1], stride: [1, 1] }, "a tensor of 2147483647x2147483647 is too large"],
    ["in a storage of no known type", { storage: "Size" }, "the type of its elements is not given"],
  ])("%s", (_, tensor, message) => {
    const expected = message === "accepted" ? message : `bad-input: x.pt: tensor a: ${message}`;
    expect(refusal(() => open(tensor))).toBe(expected);
  });

  const v2 = (...args: string[]) => P.dictOf(["a", P.call("torch._utils", "_rebuild_tensor_v2", ...args)]);
  const storage = storagePickle(P.global("torch", "FloatStorage"), "0", 2);
  const untyped = storagePickle(P.global("torch.storage", "UntypedStorage"), "0", 8);
  const nested = (depth: number) => `${"}(X\x01\0\0\0a".repeat(depth)}N${"u".repeat(depth)}`;
  // biome-ignore format: one a line
  test.each<[what: string, pickle: string, message: string]>([
    ["a call without arguments", v2(), "tensor a: it has no storage"],
    ["a storage that is a number", v2(P.int(1), P.int(0), ")", ")"), "tensor a: it has no storage"],
    ["a reference to something else", v2(`${P.tupleOf(P.text("module"), P.none, P.text("0"))}Q`, P.int(0), ")", ")"), "tensor a: it has no storage"],
    ["a reference by number", v2(`${P.int(3)}Q`, P.int(0), ")", ")"), "tensor a: it has no storage"],
    ["a storage key that is a number", v2(`${P.tupleOf(P.text("storage"), P.global("torch", "FloatStorage"), P.int(0))}Q`, P.int(0), ")", ")"), "tensor a: it has no storage"],
    ["no strides", v2(storage, P.int(0), P.tupleOf(P.int(2))), "tensor a: its size or its strides are no tuple"],
    ["a size that is a list", v2(storage, P.int(0), P.listOf(P.int(2)), P.tupleOf(P.int(1))), "tensor a: its size or its strides are no tuple"],
    ["a size that is a fraction", v2(storage, P.int(0), P.tupleOf(P.float(1.5)), P.tupleOf(P.int(1))), "tensor a: a size, a stride or an offset is no whole number"],
    ["a size of 2^70", v2(storage, P.int(0), P.tupleOf(P.long(0, 0, 0, 0, 0, 0, 0, 0, 64)), P.tupleOf(P.int(1))), "tensor a: a size, a stride or an offset is no whole number"],
    ["a type that is missing", P.dictOf(["a", P.call("torch._utils", "_rebuild_tensor_v3", untyped, P.int(0), ")", ")", P.false, P.orderedDict)]), "tensor a: the type of its elements is not given"],
    ["a type that is a function", P.dictOf(["a", P.call("torch._utils", "_rebuild_tensor_v3", untyped, P.int(0), ")", ")", P.false, P.orderedDict, P.global("torch", "Size"))]), "tensor a: the type of its elements is not given"],
    ["a path twice", P.dictOf(["a.b", tensorPickle()], ["a", P.dictOf(["b", tensorPickle()])]), "tensor a.b is there twice"],
    ["a value's path twice", P.dictOf(["a.b", P.int(1)], ["a", P.dictOf(["b", P.int(1)])]), "a.b is there twice"],
    ["a name with a line break", P.dictOf(["a\n", tensorPickle()]), 'a name, made of the keys of its dicts, has characters that cannot be printed: "a\\n"'],
    ["no name", tensorPickle(), "a name, made of the keys of its dicts, is empty"],
    ["a name of 65,536 characters", P.dictOf(["a".repeat(65536), P.int(1)]), "a name, made of the keys of its dicts, has 65536 characters, at most 65535 are allowed"],
    ["dicts 17 deep", nested(17), "dicts in dicts, more than 16 deep"],
    ["a dict in itself", `}${P.put(0)}(${P.text("a")}${P.get(0)}u`, "dicts in dicts, more than 16 deep"],
    ["a list in itself", `]${P.put(0)}(${P.get(0)}e`, "dicts in dicts, more than 16 deep"],
    ["dicts that unfold to 2^24", bomb(12), "more than 524288 values in its dicts"],
  ])("%s is refused", (_, pickle, message) => {
    expect(refusal(() => read(buildTorch(pickle)))).toBe(`bad-input: x.pt: ${message}`);
  });

  /** Each dict has the one below it four times. */
  function bomb(depth: number): string {
    let pickle = "}";
    for (let i = 0; i < depth; i++) {
      const again = ["b", "c", "d"].map((key) => P.text(key) + P.get(i)).join("");
      pickle = `}(${P.text("a")}${pickle}${P.put(i)}${again}u`;
    }
    return pickle;
  }

  test("of functions that are not torch's to make tensors with are no tensors", () => {
    const { tensors, opaque } = read(
      buildTorch(
        P.dictOf(
          ["size", P.call("torch", "Size", ")")],
          ["device", P.call("torch", "device", P.text("cpu"))],
        ),
      ),
    );
    expect([tensors.size, opaque.size]).toEqual([0, 0]);
  });
});

describe("damage", () => {
  test.each(TARGETS.filter(({ name }) => name === "pickle" || name === "torch"))(
    "20000 damaged files: $name",
    (target) => {
      const { accepted, refused } = attack(target, 20_000, 1);
      expect(accepted).toBeGreaterThan(500);
      expect(refused).toBeGreaterThan(1000);
    },
    120_000,
  );
});

describe("llq inspect", () => {
  const folder = scratchFolder();
  const cli = new URL("../../dist/program/cli.js", import.meta.url).pathname;
  const inspect = (path: string) => spawnSync(process.execPath, [cli, "inspect", path], { encoding: "utf8" });

  test("runs nothing that a pickle asks for, and exits with 3", () => {
    const trace = join(folder, "trace");
    const path = join(folder, "model.pt");
    writeFileSync(path, buildTorch(P.dictOf(["a", P.call("os", "system", P.text(`touch ${trace}`))])));
    const { status, stdout, stderr } = inspect(path);
    expect([status, stdout]).toEqual([3, ""]);
    expect(stderr).toContain('the pickle asks for "os.system"');
    expect(stderr).toContain("nothing in the file was run");
    expect(existsSync(trace)).toBe(false);
  });

  test.each(["torch-legacy.pt", "torch-protocol-4.pt", "torch-script.pt"])(
    "exits with 4 for %s and says what to do",
    (name) => {
      const { status, stdout, stderr } = inspect(golden(name));
      expect([status, stdout]).toEqual([4, ""]);
      expect(stderr).toMatch(/hint: .*torch\.save/);
    },
  );
});
