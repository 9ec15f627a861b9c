import { formatHubReference, type HubReference, parseHubReference, selectFiles } from "llq/browser";
import type { Progress } from "../protocol.js";
import { fetchFile, type Growing } from "./fetch-file.js";
import { fetchHollow } from "./headers.js";
import { type HubFile, listRepository } from "./listing.js";
import { HubProblem } from "./problem.js";
import type { Hub } from "./requests.js";

/** A file under the path that a model finds it by. */
export interface Placed {
  readonly path: string;
  readonly file: File;
}

/** A model of the Hub: what there is of it, and what is fetched so far. */
export class Repository {
  readonly reference: HubReference;
  readonly #commit: string;
  readonly #small: readonly HubFile[];
  readonly #weights: readonly HubFile[];

  private constructor(
    reference: HubReference,
    commit: string,
    small: readonly HubFile[],
    weights: readonly HubFile[],
  ) {
    this.reference = reference;
    this.#commit = commit;
    this.#small = small;
    this.#weights = weights;
  }

  /** Asks what there is, and chooses what makes up the model. @throws HubProblem, LlqError */
  static async find(hub: Hub, text: string): Promise<Repository> {
    const reference = parseHubReference(`hf:${text}`);
    const { commit, files } = await listRepository(hub, reference);
    const paths = files.map(({ path }) => path);
    const { weights, others } = selectFiles(formatHubReference(reference), paths, reference.path);
    if (weights.length === 0) throw new HubProblem("hubNoModel", formatHubReference(reference));
    const isIndex = (path: string) => path.endsWith(".json");
    const filesOf = (wanted: readonly string[]) => files.filter(({ path }) => wanted.includes(path));
    const small = filesOf([...others, ...weights.filter(isIndex)]);
    return new Repository(reference, commit, small, filesOf(weights.filter((path) => !isIndex(path))));
  }

  /** As people call it. */
  get name(): string {
    return this.reference.name;
  }

  /** Bytes of the weights. */
  get byteLength(): number {
    return this.#weights.reduce((sum, { size }) => sum + size, 0);
  }

  /** Whether a header says all that a plan is made of. */
  get hasHeaders(): boolean {
    return this.#weights.every(({ path }) => /\.(safetensors|gguf)$/.test(path));
  }

  /** Every file, of the weights the headers only. */
  async hollow(hub: Hub, storage: Storage, onProgress: (progress: Progress) => void): Promise<Placed[]> {
    const placed = await this.#fetch(hub, this.#small, storage, onProgress);
    for (const file of this.#weights) {
      const blob = await fetchHollow(hub, this.#url(hub, file), file);
      placed.push({ path: this.#placeOf(file), file: new File([blob], nameOf(file)) });
    }
    return placed;
  }

  /** Every file, whole. */
  whole(hub: Hub, storage: Storage, onProgress: (progress: Progress) => void): Promise<Placed[]> {
    return this.#fetch(hub, [...this.#small, ...this.#weights], storage, onProgress);
  }

  async #fetch(
    hub: Hub,
    files: readonly HubFile[],
    storage: Storage,
    onProgress: (progress: Progress) => void,
  ): Promise<Placed[]> {
    const total = files.reduce((sum, { size }) => sum + size, 0);
    const placed: Placed[] = [];
    let before = 0;
    for (const file of files) {
      // Files of another commit are others, whatever they are called.
      const key = [this.reference.owner, this.reference.name, this.#commit, ...file.path.split("/")].join(
        "--",
      );
      const fetched = await storage.grow(key, (growing) =>
        fetchFile(hub, this.#url(hub, file), file, growing, (done) =>
          onProgress({ stage: "fetch", done: before + done, total }),
        ),
      );
      placed.push({ path: this.#placeOf(file), file: fetched });
      before += file.size;
    }
    return placed;
  }

  #url(hub: Hub, { path }: HubFile): URL {
    const { owner, name } = this.reference;
    const encoded = path.split("/").map(encodeURIComponent).join("/");
    return new URL(`${hub.settings.endpoint}/${owner}/${name}/resolve/${this.#commit}/${encoded}`);
  }

  /** Models are called by their folders, and metadata is made of the name. */
  #placeOf(file: HubFile): string {
    return `${this.reference.name}/${nameOf(file)}`;
  }
}

/** Where fetched files are kept. */
export interface Storage {
  /** Has a file grow by what `fetch` adds, and gives it as it is then. */
  grow(key: string, fetch: (growing: Growing) => Promise<void>): Promise<File>;
}

function nameOf({ path }: HubFile): string {
  // Templates of a folder of their own are looked for there.
  return path.includes("additional_chat_templates/")
    ? `additional_chat_templates/${path.split("/").at(-1)}`
    : path.split("/").at(-1)!;
}
