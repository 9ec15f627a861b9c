import { setTimeout as wait } from "node:timers/promises";
import type { HostTime } from "../types.js";

export const { delay, repeat, nextTurn }: HostTime = {
  delay: (milliseconds) => wait(milliseconds),
  repeat: (milliseconds, call) => {
    const timer = setInterval(call, milliseconds).unref();
    return () => clearInterval(timer);
  },
  nextTurn: () => new Promise(setImmediate),
};
