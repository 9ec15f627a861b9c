// A pickle is a program for a stack machine. This machine has the opcodes that torch.load allows with weights_only,
// and builds data: a call is written down, never made. See torch.md.
import { encodeHex, utf8Length } from "#host/bytes";
import { t } from "../../src/language/t.js";
import type { ByteReader } from "../bytes.js";
import { badInput, LlqError } from "../errors.js";
import {
  isKind,
  ORDERED_DICT,
  type PickleDict,
  type PickleGlobal,
  type PickleTuple,
  type PickleValue,
} from "./pickle-values.js";

// A byte of a pickle can ask for fifty of memory. A state dict of 50,000 tensors has up to three quarters of each.
const MAX_BYTES = 1 << 25;
const MAX_STEPS = 2 ** 21;
/** Of lists, tuples, dicts and calls; of things remembered as well. */
const MAX_OBJECTS = 2 ** 19;
/** Of items put into dicts: one list of pairs can be made a dict again and again. */
const MAX_ITEMS = 2 ** 20;
const MAX_LINE = 256;

/**
 * Runs the pickle from where `reader` stands to the end of its source.
 * @param allowed names of the globals that may occur, as `module.name`
 * @throws LlqError `bad-input` for a damaged pickle, and for one that needs another opcode or global; `unsupported`
 * for the protocols from 4 on
 */
export function readPickle(reader: ByteReader, allowed: ReadonlySet<string>): PickleValue {
  return new Unpickler(reader, allowed).run();
}

class Unpickler {
  readonly #reader: ByteReader;
  readonly #allowed: ReadonlySet<string>;
  readonly #stack: PickleValue[] = [];
  /** Heights of the stack. */
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, PickleValue>();
  #made = 0;
  #items = 0;
  /** Where the opcode under way begins. */
  #at = 0;

  constructor(reader: ByteReader, allowed: ReadonlySet<string>) {
    this.#reader = reader;
    this.#allowed = allowed;
  }

  run(): PickleValue {
    const { remaining } = this.#reader;
    if (remaining > MAX_BYTES)
      throw this.#error(t`a pickle of ${remaining} bytes; at most ${MAX_BYTES} are allowed`);
    for (let steps = 0; ; steps++) {
      this.#at = this.#reader.offset;
      const opcode = this.#reader.u8();
      if (opcode === STOP) break;
      if (steps === MAX_STEPS) throw this.#error(t`the pickle has more than ${MAX_STEPS} opcodes`);
      const step = Unpickler.#STEPS[opcode] ?? this.#refuse(opcode);
      step(this, this.#reader);
    }
    const value = this.#pop();
    if (this.#stack.length + this.#marks.length > 0)
      throw this.#error(t`the pickle ends in the middle of a value`);
    if (this.#reader.remaining > 0) throw this.#error(t`${this.#reader.remaining} bytes follow the pickle`);
    return value;
  }

  /** By opcode. */
  static readonly #STEPS: Readonly<Record<number, (m: Unpickler, r: ByteReader) => void>> = {
    128: (m, r) => m.#protocol(r.u8()), // PROTO
    99: (m) => m.#push(m.#global(`${m.#line()}.${m.#line()}`)), // c GLOBAL
    82: (m) => m.#call(), // R REDUCE
    129: (m) => m.#call(), // NEWOBJ
    98: (m) => m.#build(), // b BUILD
    81: (m) => m.#make({ kind: "reference", id: m.#pop() }), // Q BINPERSID

    40: (m) => m.#marks.push(m.#stack.length), // ( MARK
    41: (m) => m.#push(EMPTY_TUPLE), // ) EMPTY_TUPLE
    116: (m) => m.#make({ kind: "tuple", items: m.#popToMark() }), // t TUPLE
    133: (m) => m.#make({ kind: "tuple", items: m.#popSome(1) }), // TUPLE1
    134: (m) => m.#make({ kind: "tuple", items: m.#popSome(2) }), // TUPLE2
    135: (m) => m.#make({ kind: "tuple", items: m.#popSome(3) }), // TUPLE3
    93: (m) => m.#make([]), // ] EMPTY_LIST
    97: (m) => m.#append(m.#popSome(1)), // a APPEND
    101: (m) => m.#append(m.#popToMark()), // e APPENDS
    125: (m) => m.#make({ kind: "dict", entries: undefined }), // } EMPTY_DICT
    115: (m) => m.#setItems(m.#popSome(2)), // s SETITEM
    117: (m) => m.#setItems(m.#popToMark()), // u SETITEMS
    143: (m) => m.#make(EMPTY_TUPLE), // EMPTY_SET; no opcode allowed here puts anything into it

    104: (m, r) => m.#get(r.u8()), // h BINGET
    106: (m, r) => m.#get(r.u32()), // j LONG_BINGET
    113: (m, r) => m.#put(r.u8()), // q BINPUT
    114: (m, r) => m.#put(r.u32()), // r LONG_BINPUT

    78: (m) => m.#push(null), // N NONE
    136: (m) => m.#push(true), // NEWTRUE
    137: (m) => m.#push(false), // NEWFALSE
    75: (m, r) => m.#push(r.u8()), // K BININT1
    77: (m, r) => m.#push(r.u16()), // M BININT2
    74: (m, r) => m.#push(r.i32()), // J BININT
    138: (m, r) => m.#push(m.#long(r.bytes(r.u8()))), // LONG1
    71: (m, r) => m.#push(doubleOf(r.bytes(8))), // G BINFLOAT
    88: (m, r) => m.#push(m.#text(r.u32())), // X BINUNICODE
    85: (m, r) => m.#push(m.#text(r.u8())), // U SHORT_BINSTRING
  };

  #protocol(version: number): void {
    if (version <= 3) return;
    throw new LlqError("unsupported", t`${this.#reader.source.name}: pickle protocol ${version}`, {
      hint: t`save it again with torch.save's own protocol, 2`,
    });
  }

  #global(asked: string): PickleGlobal {
    const name = asked.replace(/^__builtin__\./, "builtins."); // Python 2
    if (this.#allowed.has(name)) return { kind: "global", name };
    throw this.#error(t`the pickle asks for ${JSON.stringify(asked)}, which tensors do not need`, UNSAFE());
  }

  /** Writes down a call. An OrderedDict alone is made, since items are put into it. */
  #call(): void {
    const [callee, args] = this.#popSome(2);
    if (!isKind(callee, "global")) throw this.#error(t`something is called that is no function or class`);
    if (!isKind(args, "tuple"))
      throw this.#error(t`${callee.name} is called with something that is no tuple`);
    if (callee.name === ORDERED_DICT) this.#make(this.#orderedDict(args.items[0] ?? []));
    else this.#make({ kind: "call", callee, args: args.items });
  }

  #orderedDict(pairs: PickleValue): PickleDict {
    const dict: PickleDict = { kind: "dict", entries: undefined };
    if (!Array.isArray(pairs)) throw this.#error(t`an OrderedDict of something that is no list`);
    for (const pair of pairs) {
      const [key, value] = isKind(pair, "tuple") ? pair.items : Array.isArray(pair) ? pair : [];
      if (value === undefined) throw this.#error(t`an OrderedDict of something that is no list of pairs`);
      this.#setItem(dict, key!, value);
    }
    return dict;
  }

  /** Attributes: a state dict's versions of modules. On a tensor they could replace its bytes. */
  #build(): void {
    const [target] = this.#popSome(2);
    if (!isKind(target, "dict"))
      throw this.#error(t`attributes are set on something other than an OrderedDict`);
    this.#push(target);
  }

  #append(items: readonly PickleValue[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) throw this.#error(t`items are appended to something that is no list`);
    for (const item of items) list.push(item);
  }

  #setItems(items: readonly PickleValue[]): void {
    const dict = this.#top();
    if (!isKind(dict, "dict")) throw this.#error(t`items are set in something that is no dict`);
    if (items.length % 2 !== 0) throw this.#error(t`a dict's key has no value`);
    for (let i = 0; i < items.length; i += 2) this.#setItem(dict, items[i]!, items[i + 1]!);
  }

  #setItem(dict: PickleDict, key: PickleValue, value: PickleValue): void {
    if (this.#items++ === MAX_ITEMS)
      throw this.#error(t`the pickle has dicts of more than ${MAX_ITEMS} items`);
    dict.entries ??= new Map();
    if (dict.entries.has(key)) throw this.#error(t`a dict has the key ${shown(key)} twice`);
    dict.entries.set(key, value);
  }

  #get(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) throw this.#error(t`nothing was remembered as ${index}`);
    this.#push(value);
  }

  #put(index: number): void {
    if (this.#memo.size === MAX_OBJECTS) throw this.#tooMuch();
    this.#memo.set(index, this.#top());
  }

  /** Little endian, two's complement. */
  #long(bytes: Uint8Array): number | bigint {
    const digits = encodeHex(bytes.slice().reverse());
    const value = digits === "" ? 0n : BigInt.asIntN(bytes.length * 8, BigInt(`0x${digits}`));
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  #text(length: number): string {
    const text = this.#reader.text(length);
    if (text.includes("\ufffd") && utf8Length(text) !== length) throw this.#error(t`text is not UTF-8`);
    return text;
  }

  /** A line without its end. */
  #line(): string {
    let line = "";
    for (let c = this.#reader.u8(); c !== 0x0a; c = this.#reader.u8()) {
      if (line.length === MAX_LINE)
        throw this.#error(t`the name of a global has more than ${MAX_LINE} characters`);
      line += String.fromCharCode(c);
    }
    return line;
  }

  #push(value: PickleValue): void {
    this.#stack.push(value);
  }

  /** Pushes a new object. */
  #make(value: PickleValue): void {
    if (this.#made++ === MAX_OBJECTS) throw this.#tooMuch();
    this.#stack.push(value);
  }

  #top(): PickleValue {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) throw this.#error(t`a value is missing`);
    return this.#stack.at(-1)!;
  }

  #pop(): PickleValue {
    this.#top();
    return this.#stack.pop()!;
  }

  #popSome(count: number): PickleValue[] {
    const from = this.#stack.length - count;
    if (from < (this.#marks.at(-1) ?? 0)) throw this.#error(t`a value is missing`);
    return this.#stack.splice(from);
  }

  #popToMark(): PickleValue[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw this.#error(t`a mark is missing`);
    return this.#stack.splice(mark);
  }

  #refuse(opcode: number): never {
    const name = REFUSED[opcode] ?? `0x${opcode.toString(16).padStart(2, "0")}`;
    throw this.#error(t`opcode ${name} is none that tensors need`);
  }

  #tooMuch(): LlqError {
    return this.#error(t`the pickle has more than ${MAX_OBJECTS} objects`);
  }

  #error(message: string, hint = t`the pickle is damaged`): LlqError {
    return badInput(t`${this.#reader.source.name}: byte ${this.#at}: ${message}`, hint);
  }
}

const STOP = 0x2e;
const EMPTY_TUPLE: PickleTuple = { kind: "tuple", items: [] };
const UNSAFE = () =>
  t`nothing in the file was run; if you trust it, load it in Python and save its state dict alone`;

/** Opcodes that build or call in other ways, for messages. */
const REFUSED: Readonly<Record<number, string>> = {
  80: "PERSID",
  105: "INST",
  111: "OBJ",
  130: "EXT1",
  131: "EXT2",
  132: "EXT4",
  146: "NEWOBJ_EX",
  147: "STACK_GLOBAL",
};

function doubleOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0);
}

function shown(key: PickleValue): string {
  return typeof key === "string" ? JSON.stringify(key.slice(0, 80)) : `(${typeof key})`;
}
