import { type Event, reduce } from "./reduce.js";
import { START, type State } from "./state.js";

/** The one state that there is, and who looks at it. */
export class Store {
  #state: State = START;
  readonly #watchers: (() => void)[] = [];

  get state(): State {
    return this.#state;
  }

  dispatch(event: Event): void {
    const before = this.#state;
    this.#state = reduce(before, event);
    if (this.#state !== before) for (const watcher of this.#watchers) watcher();
  }

  watch(watcher: () => void): void {
    this.#watchers.push(watcher);
  }
}
