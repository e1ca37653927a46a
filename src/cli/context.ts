import type { Engine } from '../engine/main.ts';
import type { System } from '../engine/system/index.ts';

/** What a command has: made when it runs, after the global options are known. */
export interface CliContext {
  readonly system: System;
  readonly root: string;
  readonly engine: Engine;
  readonly signal: AbortSignal;
  /** What the person wrote after `--`, as it is. */
  readonly rest: readonly string[];
  readonly isJson: boolean;
  readonly isVerbose: boolean;
  readonly print: (text: string) => void;
  readonly exitWith: (code: number) => void;
}
