// The only ways out of the engine: processes, files, network, clock and environment. Everything above takes a System.
import { hostname } from 'node:os';
import { type Clock, realClock } from './clock.ts';
import { type Files, realFiles } from './files.ts';
import { Processes } from './processes.ts';

export type { Clock } from './clock.ts';
export { FakeClock } from './clock.ts';
export type { AppendFile, FileChange, Files } from './files.ts';
export type { ProcessRequest, ProcessResult } from './processes.ts';
export { Processes } from './processes.ts';
export { isTreeAlive, killTree } from './processTree.ts';
export { findTool, howToInstall, requireTool } from './tools.ts';

export interface System {
  readonly processes: Processes;
  readonly files: Files;
  /** Global `fetch` or one that knows the host's proxy and CA settings. Throws only for network faults. */
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
  readonly host: string;
  readonly pid: number;
  /** False in VS Code's Restricted Mode: then no process starts and nothing outside the workspace is contacted. */
  readonly isTrusted: () => boolean;
}

export interface SystemOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly fetch?: typeof fetch;
  readonly isTrusted?: () => boolean;
}

/** The real machine. The owner calls `system.processes.dispose()` at the end: no child outlives it. */
export function createSystem(options: SystemOptions = {}): System {
  const env = options.env ?? process.env;
  const isTrusted = options.isTrusted ?? (() => true);
  return {
    processes: new Processes({ env, isTrusted }),
    files: realFiles,
    fetch: options.fetch ?? globalThis.fetch,
    clock: realClock,
    env,
    platform: process.platform,
    host: hostname(),
    pid: process.pid,
    isTrusted,
  };
}
