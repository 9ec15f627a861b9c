import type { JobKind } from "../../run/threads/messages.js";
import { type Joining, Member, type Step } from "./member.js";

// What a team's threads are asked to do. Between jobs a thread keeps its member, by the team's number.

export type MemberCall =
  | { readonly kind: "join"; readonly joining: Joining }
  | { readonly kind: "layer"; readonly layer: number }
  | { readonly kind: "head" }
  | { readonly kind: "step"; readonly step: Step }
  | { readonly kind: "truncate"; readonly sequence: number; readonly length: number }
  | { readonly kind: "copy"; readonly sequence: number; readonly from: number }
  | { readonly kind: "leave" };

export interface MemberJob {
  readonly team: number;
  readonly call: MemberCall;
}

/** Bytes of the thread's WebAssembly memories. */
export type MemberResult = number;

const members = new Map<number, Member>();

export const memberJob: JobKind<MemberJob, MemberResult> = { name: "member", run };

function run({ team, call }: MemberJob): MemberResult {
  if (call.kind === "leave") {
    members.delete(team);
    return 0;
  }
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
