import { randomBytes } from "node:crypto";
import {
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { systemErrorCode } from "../../formats/errors.js";
import { writeError } from "../run/write/encode.js";
import type { HubFile } from "./listing.js";
import type { HubReference } from "./reference.js";

/**
 * One repository in the cache that all tools for the Hub share:
 *
 *     models--owner--name/blobs/<digest>               a file's bytes
 *     models--owner--name/refs/<revision>              the commit that a branch or tag was last
 *     models--owner--name/snapshots/<commit>/<path>    a relative link to a blob
 *
 * What it is given as paths must be safe (isSafePath).
 */
export class RepositoryCache {
  readonly #folder: string;
  readonly #locks: string;

  constructor(cache: string, { owner, name }: HubReference) {
    const repository = `models--${owner}--${name}`;
    this.#folder = join(cache, repository);
    this.#locks = join(cache, ".locks", repository);
  }

  blobPath({ digest }: HubFile): string {
    return join(this.#folder, "blobs", digest.hex);
  }

  /** Where a blob grows until it is complete. */
  partialPath(file: HubFile): string {
    return `${this.blobPath(file)}.llq-incomplete`;
  }

  lockPath({ digest }: HubFile): string {
    return join(this.#locks, `${digest.hex}.llq-lock`);
  }

  snapshotPath(commit: string, path = ""): string {
    return join(this.#folder, "snapshots", commit, path);
  }

  /** Whether the whole file is there. */
  has(file: HubFile): boolean {
    const blob = this.blobPath(file);
    return existsSync(blob) && statSync(blob).size === file.size;
  }

  /** Bytes of it that an earlier run has left. */
  partialSize(file: HubFile): number {
    return statSync(this.partialPath(file), { throwIfNoEntry: false })?.size ?? 0;
  }

  /** The commit that `revision` was when it was last asked for; itself, for a commit; undefined if unknown. */
  knownCommit(revision: string): string | undefined {
    if (isCommit(revision)) return existsSync(this.snapshotPath(revision)) ? revision : undefined;
    const ref = join(this.#folder, "refs", revision);
    if (!existsSync(ref) || !statSync(ref).isFile()) return undefined;
    const commit = readFileSync(ref, "utf8").trim();
    return isCommit(commit) && existsSync(this.snapshotPath(commit)) ? commit : undefined;
  }

  /** Paths of the files in a snapshot that are whole. */
  snapshotFiles(commit: string): string[] {
    const folder = this.snapshotPath(commit);
    return readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((path) => statSync(join(folder, path), { throwIfNoEntry: false })?.isFile())
      .map((path) => path.replaceAll("\\", "/"));
  }

  /** Notes what `revision` is now. */
  noteCommit(revision: string, commit: string): void {
    if (isCommit(revision) || this.knownCommit(revision) === commit) return;
    const ref = join(this.#folder, "refs", revision);
    try {
      this.#replace(ref, (path) => writeFileSync(path, commit, { flag: "wx" }));
    } catch (error) {
      // A cache that others only read can still have all that is needed.
      if (!READ_ONLY.includes(systemErrorCode(error instanceof Error ? error.cause : undefined) ?? ""))
        throw error;
    }
  }

  /** Makes the snapshot's entry for a file whose blob is there. */
  link(commit: string, file: HubFile): void {
    const blob = this.blobPath(file);
    const entry = this.snapshotPath(commit, file.path);
    if (existsSync(entry) && statSync(entry).size === file.size) return;
    const ways = [
      (path: string) => symlinkSync(relative(dirname(entry), blob), path),
      // Windows lets not everybody make symbolic links, and some file systems have none, or none at all.
      (path: string) => linkSync(realpathSync(blob), path),
      (path: string) => copyFileSync(blob, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE),
    ];
    this.#replace(entry, (path) => {
      for (const [i, way] of ways.entries()) {
        try {
          return way(path);
        } catch (error) {
          if (i === ways.length - 1 || !NO_LINKS.includes(systemErrorCode(error) ?? "")) throw error;
        }
      }
    });
  }

  /** Has `make` create a file under a name of its own, which then takes the place of `path`: others may do so too. */
  #replace(path: string, make: (path: string) => void): void {
    const own = `${path}.llq-${process.pid}-${randomBytes(4).toString("hex")}`;
    try {
      mkdirSync(dirname(path), { recursive: true });
      make(own);
      renameSync(own, path);
    } catch (cause) {
      rmSync(own, { force: true });
      throw writeError(path, cause);
    }
  }
}

const READ_ONLY: readonly string[] = ["EROFS", "EACCES", "EPERM"];
const NO_LINKS: readonly string[] = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EXDEV", "EMLINK"];

function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}
