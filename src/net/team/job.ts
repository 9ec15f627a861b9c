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

export interface MemberResult {
  /** Whether it could be done. */
  readonly done: boolean;
  /** Bytes of the thread's WebAssembly memories. */
  readonly memory: number;
}

const members = new Map<number, Member>();

export const memberJob: JobKind<MemberJob, MemberResult> = { name: "member", run };

function run({ team, call }: MemberJob): MemberResult {
  if (call.kind === "leave") {
    members.delete(team);
    return { done: true, memory: 0 };
  }
  if (call.kind === "join") members.set(team, new Member(call.joining));
  const member = members.get(team)!;
  const done = answer(member, call);
  return { done, memory: member.memory };
}

function answer(member: Member, call: MemberCall): boolean {
  switch (call.kind) {
    case "layer":
      member.loadLayer(call.layer);
      return true;
    case "head":
      member.loadHead();
      return true;
    case "step":
      member.step(call.step);
      return true;
    case "truncate":
      return member.truncate(call.sequence, call.length);
    case "copy":
      member.copy(call.sequence, call.from);
      return true;
    default:
      return true;
  }
}
