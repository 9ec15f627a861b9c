import type { FileRegion, HostThreads } from "../types.js";
import { type Entry, type FileEvent, follow, followFiles, openEntry, unfollowFiles } from "./files.js";
import { Ahead } from "./stores/ahead.js";
import { giveBuffer, takeBuffer, takeSpare } from "./stores/buffers.js";
import { BlobStore, HostError, SentStore, type Store } from "./stores/store.js";

// Threads are workers in the worker that has llq. What files there are goes with the first message that comes after; files
// of the page's are read by each thread itself. What a thread writes comes with its answer and is written here, in one place:
// an output is open once, and no memory has to be shared.

/** A file on its way to a thread: without a blob it is written by messages. */
interface SentEntry {
  readonly id: number;
  readonly changed: number;
  readonly blob: Blob | undefined;
}

type SentEvent = Exclude<FileEvent, { add: string }> | { readonly add: string; readonly entry: SentEntry };

/** A part of a file that the thread will read, by the id of that. */
interface ReadPart {
  readonly id: number;
  readonly position: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

interface ToThread {
  readonly events: readonly SentEvent[];
  readonly message: unknown;
  readonly ahead: readonly ReadPart[];
}

interface Write {
  readonly id: number;
  readonly position: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

interface FromThread {
  readonly answer: unknown;
  readonly writes: readonly Write[];
  /** What the thread has done with. */
  readonly spare: readonly ArrayBuffer[];
}

const streams = new WeakMap<BlobStore, Ahead>();

/** Reads a part of a page's file, while threads work; nothing where that fails, as the thread will tell. */
async function readAhead({ fd, offset, byteLength }: FileRegion): Promise<ReadPart[]> {
  const entry = openEntry(fd);
  if (!(entry?.store instanceof BlobStore)) return [];
  const stream = streams.get(entry.store) ?? new Ahead(entry.store.blob);
  streams.set(entry.store, stream);
  try {
    return [{ id: entry.id, position: offset, bytes: await stream.read(offset, byteLength) }];
  } catch {
    return [];
  }
}

/** @param stores gets those that are written here, by the ids of their files */
function sent(event: FileEvent, stores: Map<number, Store>): SentEvent {
  if (!("add" in event)) return event;
  const { id, changed, store } = event.entry;
  const blob = store instanceof BlobStore ? store.blob : undefined;
  if (blob === undefined) stores.set(id, store);
  return { add: event.add, entry: { id, changed, blob } };
}

let newWorker: (() => Worker) | undefined;

/** Sets what starts a worker with the code of src/browser/worker.ts: bundlers look for that where it is said. */
export function startWorkersBy(start: () => Worker): void {
  newWorker = start;
}

function writeAll({ id, position, bytes }: Write, stores: ReadonlyMap<number, Store>): void {
  const store = stores.get(id);
  if (store === undefined) throw new HostError("EBADF", "what was written is of a file that is gone");
  for (let done = 0; done < bytes.length; ) done += store.write(bytes.subarray(done), position + done);
}

export const { availableParallelism, jobsInHand, startThread, serveThread, threadsReadOutputs }: HostThreads =
  {
    availableParallelism: () => navigator.hardwareConcurrency || 2,
    jobsInHand: 4,
    startThread: (_entry, data, { onMessage, onError }) => {
      const worker = newWorker!();
      const stores = new Map<number, Store>();
      const queue = followFiles();
      let waiting = 0;
      let sentAll: Promise<void> = Promise.resolve();
      const send = (events: readonly SentEvent[], message: unknown, ahead: readonly ReadPart[]) => {
        const data: ToThread = { events, message, ahead };
        worker.postMessage(
          data,
          ahead.map(({ bytes }) => bytes.buffer),
        );
      };
      // Messages stay in order: those behind one that waits for a file wait too.
      const post = (message: unknown, reads?: () => readonly FileRegion[]) => {
        const news = queue.splice(0).map((event) => sent(event, stores));
        const regions = reads?.() ?? [];
        if (regions.length === 0 && waiting === 0) {
          send(news, message, []);
          return;
        }
        waiting++;
        const read = Promise.all(regions.map(readAhead));
        sentAll = sentAll
          .then(async () => {
            const ahead = (await read).flat();
            waiting--;
            send(news, message, ahead);
          })
          .catch(onError);
      };
      worker.onmessage = ({ data }: MessageEvent<FromThread>) => {
        try {
          for (const write of data.writes) {
            writeAll(write, stores);
            giveBuffer(write.bytes.buffer);
          }
          for (const buffer of data.spare) giveBuffer(buffer);
        } catch (error) {
          onError(error as Error);
          return;
        }
        onMessage(data.answer);
      };
      worker.onerror = (event) => {
        event.preventDefault();
        onError(new Error(event.message || "a worker could not be started"));
      };
      worker.onmessageerror = () => onError(new Error("a message to a worker could not be read"));
      post(data);
      return {
        post,
        terminate: () => {
          worker.onmessage = null; // what it has written is written by nobody any more
          worker.terminate();
          takeSpare(); // gives the memory back
          unfollowFiles(queue);
          return Promise.resolve();
        },
      };
    },
    serveThread: (begin) => {
      let writes: Write[] = [];
      const blobs = new Map<number, BlobStore>();
      const made = (entry: Entry | SentEntry): Entry => {
        const { id, changed, blob } = entry as SentEntry;
        if (blob === undefined) {
          return {
            id,
            changed,
            store: new SentStore((bytes, position) => {
              const copy = new Uint8Array(takeBuffer(bytes.length), 0, bytes.length);
              copy.set(bytes);
              writes.push({ id, position, bytes: copy });
            }),
          };
        }
        const store = new BlobStore(blob);
        blobs.set(id, store);
        return { id, changed, store };
      };
      let answer: ((message: unknown) => unknown) | undefined;
      self.onmessage = ({ data }: MessageEvent<ToThread>) => {
        for (const event of data.events) follow(event as FileEvent, made);
        if (answer === undefined) {
          answer = begin(data.message);
          return;
        }
        writes = [];
        const offered = new Set(data.ahead.map(({ id }) => id));
        for (const one of offered) blobs.get(one)?.offer(data.ahead.filter(({ id }) => id === one));
        const result = answer(data.message);
        const spare = takeSpare();
        (self as unknown as Worker).postMessage({ answer: result, writes, spare } satisfies FromThread, [
          ...writes.map(({ bytes }) => bytes.buffer),
          ...spare,
        ]);
        for (const id of offered) blobs.get(id)?.offer([]);
        for (const { bytes } of data.ahead) giveBuffer(bytes.buffer); // the next job's writes go in there
      };
    },
    threadsReadOutputs: false,
  };
