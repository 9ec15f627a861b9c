import { expect, it } from "vitest";
import { examine } from "../../web/src/state/device.js";

// What Chromium, Firefox and Safari have and lack; real ones of the latter two are not at hand.
const storage = (quota: number, usage: number) => ({
  getDirectory: () => {},
  estimate: async () => ({ quota, usage }),
});

it("finds what Chromium has", async () => {
  const device = await examine({
    crossOriginIsolated: true,
    isSecureContext: true,
    showSaveFilePicker: () => {},
    showDirectoryPicker: () => {},
    navigator: { hardwareConcurrency: 8, deviceMemory: 16, serviceWorker: {}, storage: storage(10e9, 1e9) },
  });
  expect(device).toEqual({
    isolated: true,
    secure: true,
    threads: 8,
    memory: 16e9,
    room: 9e9,
    used: 1e9,
    canStore: true,
    canPickTarget: true,
    canPickFolder: true,
    simd: true,
    canIsolate: true,
  });
});

it("does without what Firefox and Safari lack: pickers, and a word on memory", async () => {
  const device = await examine({
    crossOriginIsolated: false,
    isSecureContext: true,
    navigator: { hardwareConcurrency: 4, storage: storage(5e9, 6e9) },
  });
  expect(device).toMatchObject({
    isolated: false,
    memory: undefined,
    room: 0,
    canStore: true,
    canPickTarget: false,
    canPickFolder: false,
  });
});

it("does without storage, and with one that does not say how much there is", async () => {
  const refusing = { getDirectory: () => {}, estimate: () => Promise.reject(new Error("SecurityError")) };
  expect(await examine({ navigator: {} })).toMatchObject({ canStore: false, room: undefined, threads: 1 });
  expect(await examine({ navigator: { storage: refusing } })).toMatchObject({
    canStore: true,
    room: undefined,
  });
});
