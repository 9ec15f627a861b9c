/** What a sequence leaves in a layer for the tokens to come: of this thread's heads or channels. */
export interface MixerState {
  /** Tokens behind it. */
  readonly length: number;
  /** Forgets the tokens from position `length` on; false, and nothing done, where it cannot. */
  truncate(length: number): boolean;
  /** Takes over what another sequence left in the same layer. */
  copyFrom(other: MixerState): void;
}
