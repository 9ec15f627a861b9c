import type { HostTime } from "../types.js";

export const { delay, repeat, nextTurn }: HostTime = {
  delay: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
  repeat: (milliseconds, call) => {
    const timer = setInterval(call, milliseconds);
    return () => clearInterval(timer);
  },
  // A timer would wait for 4 ms from the fifth on.
  nextTurn: () =>
    new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        port1.close();
        resolve(undefined);
      };
      port2.postMessage(undefined);
    }),
};
