import type { JobKind } from "../../run/threads/messages.js";
import { Deserted } from "./exchange.js";
import { type Joining, Member, type Step } from "./member.js";

// What a team's threads are asked to do. Between jobs a thread keeps its member, by the team's number.

export type MemberCall =
  | { readonly kind: "join"; readonly joining: Joining }
  | { readonly kind: "layer"; readonly layer: number }
  | { readonly kind: "head" }
  | { readonly kind: "step"; readonly step: Step }
  | { readonly kind: "truncate"; readonly sequence: number; readonly length: number }
  | { readonly kind: "copy"; readonly sequence: number; readonly from: number };

export interface MemberJob {
  readonly team: number;
  readonly call: MemberCall;
}

/** Bytes of the thread's WebAssembly memories; undefined where another thread has failed, which says why. */
export type MemberResult = number | undefined;

const members = new Map<number, Member>();

export const memberJob: JobKind<MemberJob, MemberResult> = {
  name: "member",
  run,
  about: ({ call }) => (call.kind === "layer" ? `layer ${call.layer}` : call.kind),
};

/** Forgets a team's member in this thread. */
export function leave(team: number): void {
  members.delete(team);
}

function run(job: MemberJob): MemberResult {
  try {
    return obey(job);
  } catch (error) {
    if (error instanceof Deserted) return undefined;
    throw error;
  }
}

function obey({ team, call }: MemberJob): number {
  if (call.kind === "join") members.set(team, new Member(call.joining));
  const member = members.get(team)!;
  switch (call.kind) {
    case "layer":
      member.loadLayer(call.layer);
      break;
    case "head":
      member.loadHead();
      break;
    case "step":
      member.step(call.step);
      break;
    case "truncate":
      member.truncate(call.sequence, call.length);
      break;
    case "copy":
      member.copy(call.sequence, call.from);
      break;
  }
  return member.memory;
}
