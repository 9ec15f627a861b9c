// What llq needs of the system it runs in, and all of it: node/ and browser/ have it each. Files go by the names and the
// meaning of node:fs, as far as they are here, so that Node's are its own functions; `#host/*` in package.json says
// which is taken. Everything is done when a call returns: parsers and jobs are ordinary functions.

/** What tells a file from every other, and from itself when it has changed. */
export interface BigStat {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  isFile(): boolean;
  isDirectory(): boolean;
}

export interface Stat {
  readonly size: number;
  readonly mtimeMs: number;
  /** Names that the file has. */
  readonly nlink: number;
  /** Of 512 bytes, that it takes. */
  readonly blocks: number;
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
}

export interface StatOf<T> {
  (file: T, options: { readonly bigint: true }): BigStat;
  (file: T): Stat;
}

export interface StatOfPath extends StatOf<string> {
  (path: string, options: { readonly bigint: true; readonly throwIfNoEntry: false }): BigStat | undefined;
  (path: string, options: { readonly throwIfNoEntry: false }): Stat | undefined;
}

export interface HostFiles {
  readonly constants: {
    readonly O_RDONLY: number;
    readonly O_WRONLY: number;
    readonly O_RDWR: number;
    readonly O_CREAT: number;
    /** Not everywhere. */
    readonly O_NOFOLLOW?: number;
    readonly O_NONBLOCK?: number;
  };
  /** By flags, or `r`, `wx`, `wx+`. */
  readonly openSync: (path: string, flags: number | "r" | "wx" | "wx+", mode?: number) => number;
  readonly closeSync: (fd: number) => void;
  /** Without a position from the start of a file that was just opened. Gives the number of bytes; 0 at the end. */
  readonly readSync: {
    (fd: number, target: Uint8Array): number;
    (fd: number, target: Uint8Array, offset: number, length: number, position: number): number;
  };
  readonly writeSync: (
    fd: number,
    source: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ) => number;
  readonly readFileSync: (path: string) => Uint8Array;
  /** All of it, behind what was written to the descriptor before. */
  readonly writeFileSync: (fd: number, content: string | Uint8Array) => void;
  readonly ftruncateSync: (fd: number, byteLength: number) => void;
  readonly fsyncSync: (fd: number) => void;
  readonly fdatasync: (fd: number, done: (error: Error | null) => void) => void;
  readonly fstatSync: StatOf<number>;
  readonly statSync: StatOfPath;
  readonly lstatSync: StatOfPath;
  readonly statfsSync: (path: string) => { readonly bavail: number; readonly bsize: number };
  readonly existsSync: (path: string) => boolean;
  readonly readdirSync: (path: string) => string[];
  readonly readlinkSync: (path: string) => string;
  readonly realpathSync: (path: string) => string;
  readonly mkdirSync: (path: string, options: { readonly recursive: true }) => unknown;
  readonly renameSync: (from: string, to: string) => void;
  readonly rmSync: (path: string, options: { readonly force: true }) => void;
  readonly lutimesSync: (path: string, accessed: Date, changed: Date) => void;
}

export interface HostPaths {
  readonly basename: (path: string, ending?: string) => string;
  readonly dirname: (path: string) => string;
  readonly extname: (path: string) => string;
  readonly join: (...parts: string[]) => string;
  readonly resolve: (...parts: string[]) => string;
  /** The same for paths of Windows. */
  readonly win32: { readonly basename: (path: string) => string };
}

/** Bytes and text. */
export interface HostBytes {
  /** Bytes that are not UTF-8 become U+FFFD; a byte order mark is part of the text. */
  readonly decodeUtf8: (bytes: Uint8Array) => string;
  readonly encodeUtf8: (text: string) => Uint8Array<ArrayBuffer>;
  /** Bytes of a text in UTF-8. */
  readonly utf8Length: (text: string) => number;
  readonly isUtf8: (bytes: Uint8Array) => boolean;
  /** A character for each byte. */
  readonly decodeLatin1: (bytes: Uint8Array) => string;
  /** As much as is base64. */
  readonly decodeBase64: (text: string) => Uint8Array<ArrayBuffer>;
  readonly encodeBase64: (bytes: Uint8Array) => string;
  readonly encodeHex: (bytes: Uint8Array) => string;
  readonly concatBytes: (parts: readonly Uint8Array[]) => Uint8Array<ArrayBuffer>;
  /** Negative, 0 or positive, as bytes are in order. */
  readonly compareBytes: (a: Uint8Array, b: Uint8Array) => number;
  /** Reads UTF-8 from one place of the bytes to another, many times. */
  readonly textOf: (bytes: Uint8Array) => (start: number, end: number) => string;
  /** The same of a character for each byte. */
  readonly latin1Of: (bytes: Uint8Array) => (start: number, end: number) => string;
  /** Turns each two, or each four bytes, in place. */
  readonly swap16: (bytes: Uint8Array) => void;
  readonly swap32: (bytes: Uint8Array) => void;
}

export interface Hash {
  update(data: string | ArrayBufferView): Hash;
  digest(): Uint8Array;
  digest(form: "hex"): string;
}

export interface HostHash {
  readonly createHash: (algorithm: "sha256") => Hash;
  /** @param before of the bytes before these */
  readonly crc32: (bytes: Uint8Array, before?: number) => number;
}

export interface HostTime {
  readonly delay: (milliseconds: number) => Promise<unknown>;
  /** Calls again and again, which keeps no program alive; what it gives stops that. */
  readonly repeat: (milliseconds: number, call: () => void) => () => void;
  /** After what else is waiting has had its turn. */
  readonly nextTurn: () => Promise<unknown>;
}

/** The engine of JavaScript and WebAssembly. */
export interface HostEngine {
  /** For a report of a bug. */
  readonly engineName: string;
  /** Products with relaxed SIMD that are worth a trial here. */
  readonly relaxedDots: readonly ("i16" | "i32")[];
  /** Makes relaxed SIMD known, where it is behind a flag. */
  readonly allowRelaxed: () => void;
  /** V8, where its flags can be set: its version of two numbers. */
  readonly pairable: () => { readonly version: string; readonly setFlag: (flag: string) => void } | undefined;
}

export interface HostMemory {
  /** Bytes that may be had without others being pushed out. */
  readonly availableMemory: () => number;
  /** The most bytes that this program has had so far. */
  readonly peakResident: () => number;
}

/** Who this is, for locks. */
export interface HostProcess {
  readonly ownPid: number;
  /** Two processes of one place see each other. */
  readonly ownPlace: () => string;
  readonly isAlive: (pid: number) => boolean;
  /** When a process began, in the system's own count; undefined where that cannot be told. */
  readonly startOf: (pid: number) => string | undefined;
}

/** A part of an open file. */
export interface FileRegion {
  readonly fd: number;
  readonly offset: number;
  readonly byteLength: number;
}

/** A thread, from outside. */
export interface HostThread {
  /** @param reads what the thread will read then: asked where it is worth while to have it read before */
  post(message: unknown, reads?: () => readonly FileRegion[]): void;
  /** When it resolves the thread touches nothing any more. */
  terminate(): Promise<unknown>;
}

export interface ThreadEvents {
  readonly onMessage: (message: unknown) => void;
  /** It has ended by an error that it did not report itself, or what it wrote could not be written. */
  readonly onError: (error: Error) => void;
}

export interface HostThreads {
  readonly availableParallelism: () => number;
  /** Jobs a thread has at once, so that it need not wait for the next message, nor for files that are read for it. */
  readonly jobsInHand: number;
  /** @param entry of the code that the thread runs @param data what it starts with */
  readonly startThread: (entry: string, data: unknown, events: ThreadEvents) => HostThread;
  /** In a thread: `begin` gets what it starts with and gives what answers messages. */
  readonly serveThread: (begin: (data: unknown) => (message: unknown) => unknown) => void;
  /** Whether threads read outputs that another has opened; else that is for the thread which opened them. */
  readonly threadsReadOutputs: boolean;
}

/** The most that damaged counts of a record may ask for. */
export interface RecordLimits {
  readonly maxArrayLength?: number;
  readonly maxMapLength?: number;
  readonly maxStrLength?: number;
  readonly maxBinLength?: number;
  readonly maxExtLength?: number;
}

/** What runs write down for others, in MessagePack: nothing where files do not last. */
export interface HostRecords {
  /** Whether another run finds what was written down. */
  readonly recordsLast: boolean;
  readonly encode: (record: unknown) => Uint8Array;
  /** @throws Error for what is none */
  readonly decode: (bytes: Uint8Array, limits?: RecordLimits) => unknown;
  /** Records one after the other. */
  readonly decodeMulti: (bytes: Uint8Array, limits?: RecordLimits) => Iterable<unknown>;
}

/** Files that belong to llq itself. */
export interface HostAssets {
  /** Where the code is that looks for them, for messages. */
  readonly codePath: () => string;
  /** Where a file of dist/ (or package.json) is; undefined when it is nowhere. */
  readonly findInstalled: (name: string) => string | undefined;
  /** The content of a compressed one. */
  readonly readCompressed: (path: string) => Uint8Array;
}
