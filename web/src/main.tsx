import { render } from "preact";
import { EngineClient } from "./engine/client.js";
import { Controller } from "./state/controller.js";
import { examine } from "./state/device.js";
import { fromDrop } from "./state/files.js";
import { isBusy } from "./state/state.js";
import { Store } from "./state/store.js";
import { type Language, preferred } from "./texts/index.js";
import { App } from "./view/app.js";
import "./style/index.css";

const root = document.querySelector("#app")!;
let language = preferred(navigator.languages);

const store = new Store();
const engine = new EngineClient(
  () => new Worker(new URL("./engine/worker.js", import.meta.url), { type: "module" }),
  language.code,
);
const actions = new Controller(store, engine, () => examine(window as never));

function speak(next: Language): void {
  language = next;
  engine.speak(next.code);
  draw();
}

function draw(): void {
  document.documentElement.lang = language.tag;
  render(<App state={store.state} language={language} actions={actions} speak={speak} />, root);
}

// However many events there are, a page is drawn once for each picture that a screen shows.
let isDue = false;
store.watch(() => {
  if (isDue) return;
  isDue = true;
  queueMicrotask(() => {
    isDue = false;
    draw();
  });
});

const holdsFiles = ({ dataTransfer }: DragEvent) => dataTransfer?.types.includes("Files") === true;

// The whole page takes what is dropped: a browser would else leave the page to show the file.
window.addEventListener("dragover", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  const takes = !isBusy(store.state.stage);
  if (event.dataTransfer !== null) event.dataTransfer.dropEffect = takes ? "copy" : "none";
  if (takes && !store.state.dragged) store.dispatch({ type: "dragged", over: true });
});
window.addEventListener("dragleave", ({ relatedTarget }) => {
  if (relatedTarget === null && store.state.dragged) store.dispatch({ type: "dragged", over: false });
});
window.addEventListener("drop", async (event) => {
  if (!holdsFiles(event) || event.dataTransfer === null) return;
  event.preventDefault();
  store.dispatch({ type: "dragged", over: false });
  if (!isBusy(store.state.stage)) await actions.openPile(await fromDrop(event.dataTransfer));
});
window.addEventListener("beforeunload", (event) => {
  if (isBusy(store.state.stage)) event.preventDefault();
});

draw();
actions.look();
