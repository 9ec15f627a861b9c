// zip:  [local header | name | extra | data | descriptor?]…  directory  end of directory
// Of all that zip can be, the part that torch.save writes; see torch.md.

import { compareBytes, decodeLatin1, decodeUtf8, encodeUtf8 } from "#host/bytes";
import {
  type Entry,
  fromRandomAccessReader,
  type LocalFileHeader,
  RandomAccessReader,
  type ZipFile,
} from "#zip";
import { t } from "../../src/language/t.js";
import type { ByteSource } from "../bytes.js";
import { nameProblem } from "../container.js";
import { badInput, LlqError } from "../errors.js";

/** Where an archive has the bytes of a file. */
export interface ZipEntry {
  readonly offset: number;
  readonly byteLength: number;
  /** Otherwise they are the file's own. */
  readonly compressed: boolean;
  /** What the directory says of the bytes; they are not checked. */
  readonly crc32: number;
}

// A checkpoint has a file for each storage, and an optimizer's two more for each.
const MAX_ENTRIES = 2 ** 17;

/**
 * The files in an archive, by name, in the directory's order. Reads headers only.
 * @throws LlqError `bad-input` when the archive is damaged, or one in which other programs might find other files:
 * entries that overlap, are there twice, or have two names; `unsupported` when a file is encrypted
 */
export function readZip(source: ByteSource): Map<string, ZipEntry> {
  const reader = new SyncReader(source);
  const zip = openArchive(source, reader);
  if (zip.entryCount > MAX_ENTRIES) {
    throw badInput(t`${source.name}: a zip of ${zip.entryCount} files; at most ${MAX_ENTRIES} are allowed`);
  }
  const entries = new Map<string, ZipEntry>();
  const spans: Span[] = [];
  const directory = { name: t`the directory`, begin: source.byteLength, end: source.byteLength };
  while (zip.entriesRead < zip.entryCount) {
    const entry = readEntry(source, zip);
    directory.begin = Math.min(directory.begin, reader.end - recordLength(entry));
    directory.end = reader.end;
    const name = entryName(source, entry.fileNameRaw);
    if (entries.has(name)) throw damaged(source, t`${name} is in it twice`);
    const offset = dataStart(source, zip, entry, name);
    entries.set(name, {
      offset,
      byteLength: entry.compressedSize,
      compressed: entry.compressionMethod !== 0,
      crc32: entry.crc32,
    });
    spans.push({ name, begin: entry.relativeOffsetOfLocalHeader, end: offset + entry.compressedSize });
  }
  checkApart(source, [...spans, directory]);
  if (entries.size > 0) checkDirectoryEnd(source, directory.end);
  return entries;
}

/**
 * Gives yauzl its bytes before it asks for more. All its work is then done when a call returns, so that reading an
 * archive is a function like the other parsers, although yauzl speaks in callbacks.
 */
class SyncReader extends RandomAccessReader {
  readonly #source: ByteSource;
  /** Where the last read ended. */
  end = 0;

  constructor(source: ByteSource) {
    super();
    this.#source = source;
  }

  override read(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    let error: Error | null = null;
    try {
      buffer.set(this.#source.read(position, length), offset);
    } catch (cause) {
      error = cause as Error;
    }
    this.end = position + length;
    callback(error);
  }
}

type Callback<T> = (error: Error | null, value: T) => void;

/** What `start` hands to its callback. @throws LlqError when that is an error, or when it does not call back at once */
function result<T>(source: ByteSource, start: (callback: Callback<T>) => void): T {
  let outcome: { readonly error: Error | null; readonly value: T } | undefined;
  start((error, value) => {
    outcome ??= { error, value };
  });
  // yauzl puts off reading nothing at all: a name and extra fields that are empty.
  if (outcome === undefined) throw damaged(source, t`a file has no name`);
  const { error, value } = outcome as { error: Error | null; value: T };
  if (error instanceof LlqError) throw error;
  if (error !== null && error !== undefined) throw damaged(source, error.message.replace(/\.$/, ""));
  return value;
}

function openArchive(source: ByteSource, reader: SyncReader): ZipFile {
  const options = { autoClose: false, lazyEntries: true, decodeStrings: false };
  return result<ZipFile>(source, (done) => fromRandomAccessReader(reader, source.byteLength, options, done));
}

function readEntry(source: ByteSource, zip: ZipFile): Entry {
  return result<Entry>(source, (done) => {
    zip.removeAllListeners("entry").once("entry", (entry) => done(null, entry));
    zip.removeAllListeners("error").on("error", (error) => done(error, undefined as never));
    zip.readEntry();
  });
}

/** Bytes of an entry in the directory. */
function recordLength({ fileNameLength, extraFieldLength, fileCommentLength }: Entry): number {
  return 46 + fileNameLength + extraFieldLength + fileCommentLength;
}

function entryName(source: ByteSource, raw: Uint8Array): string {
  const name = decodeUtf8(raw);
  if (compareBytes(encodeUtf8(name), raw) !== 0) throw damaged(source, t`a file's name is not UTF-8`);
  const problem = nameProblem(name);
  if (problem !== undefined) throw damaged(source, t`a file's name ${problem}`);
  return name;
}

/** Where the entry's bytes begin, once the header before them says the same of them as the directory. */
function dataStart(source: ByteSource, zip: ZipFile, entry: Entry, name: string): number {
  const local = result<LocalFileHeader>(source, (done) => zip.readLocalFileHeader(entry, done));
  if (!local.fileName.equals(entry.fileNameRaw)) {
    throw damaged(
      source,
      t`${name} is named ${JSON.stringify(local.fileName.toString("latin1"))} in its header`,
    );
  }
  if (entry.isEncrypted() || (local.generalPurposeBitFlag & 1) !== 0) {
    throw new LlqError("unsupported", t`${source.name}: ${name} is encrypted`);
  }
  if (local.compressionMethod !== entry.compressionMethod) {
    throw damaged(source, t`${name} is compressed in two ways`);
  }
  // Headers written before the data leave the size open, as 0 or, in zip64, as the largest number.
  const { compressedSize: size } = local;
  if (size !== entry.compressedSize && size !== 0 && size !== 0xffffffff) {
    throw damaged(source, t`${name} has ${entry.compressedSize} bytes, or ${size} by its own header`);
  }
  return local.fileDataStart;
}

/** What lies where in the file, its header included. */
interface Span {
  readonly name: string;
  readonly begin: number;
  readonly end: number;
}

function checkApart(source: ByteSource, spans: Span[]): void {
  spans.sort((a, b) => a.begin - b.begin);
  for (const [i, { name, begin }] of spans.entries()) {
    const before = spans[i - 1];
    if (before !== undefined && begin < before.end) {
      throw damaged(source, t`${name} begins at byte ${begin}, inside ${before.name}`);
    }
  }
}

/** The directory's length is its end's; the number of files, which yauzl goes by, must not leave some of them out. */
function checkDirectoryEnd(source: ByteSource, at: number): void {
  const mark = decodeLatin1(source.read(at, 4));
  if (mark !== "PK\x05\x06" && mark !== "PK\x06\x06") {
    throw badInput(
      t`${source.name}: byte ${at}: the zip's directory should end here`,
      t`the file is damaged`,
    );
  }
}

function damaged(source: ByteSource, what: string): LlqError {
  return badInput(
    t`${source.name}: not a sound zip: ${what}`,
    t`the file is truncated or damaged: fetch it again`,
  );
}
