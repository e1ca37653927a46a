import { type ChildProcess, spawn } from 'node:child_process';
import { StringDecoder } from 'node:string_decoder';
import { CancelledError, SlipwayError } from '../problems/index.ts';
import { isTreeAlive, killTree } from './processTree.ts';
import { findTool, mergeEnv, missingTool } from './tools.ts';

export interface ProcessRequest {
  /** A program name looked up on PATH, or a path. Never a command line. */
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  /** Added to the environment; `undefined` removes a variable. Secrets go here, never into `args`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly stdin?: string | Uint8Array;
  /** Milliseconds until the tree is stopped and the call fails with reason `timeout`. No limit when absent. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Called with decoded text as it arrives; chunks are not line aligned. */
  readonly onStdout?: (text: string) => void;
  readonly onStderr?: (text: string) => void;
  /** Bytes of each stream kept for the result; older text is dropped first. Default 16 MiB. */
  readonly keep?: number;
}

export interface ProcessResult {
  /** Exit code, or 128 + signal number convention is not used: `null` when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly durationMs: number;
}

/** From a polite SIGINT to SIGTERM, and from that to SIGKILL (buildx cancels its solve and helm rolls back on SIGINT). */
const GRACE_MS = 5_000;

/**
 * Runs programs: argv only, no shell, each child leading its own process group, so that cancelling or disposing stops
 * everything it started. One instance owns all its children.
 */
export class Processes {
  readonly #env: Readonly<Record<string, string | undefined>>;
  readonly #isTrusted: () => boolean;
  readonly #children = new Map<number, { readonly child: ChildProcess; readonly done: Promise<unknown> }>();
  #isDisposed = false;

  constructor(options: { env: Readonly<Record<string, string | undefined>>; isTrusted?: () => boolean }) {
    this.#env = options.env;
    this.#isTrusted = options.isTrusted ?? (() => true);
  }

  /** Pids of the children that run now. */
  get running(): readonly number[] {
    return [...this.#children.keys()];
  }

  /**
   * Runs to the end and gives code and output; a non-zero code is a result, not an error.
   * Throws SlipwayError `untrusted`, `tool-missing` (with where it was looked for), `timeout`, and CancelledError.
   */
  async run(request: ProcessRequest): Promise<ProcessResult> {
    if (!this.#isTrusted()) {
      throw new SlipwayError({
        reason: 'untrusted',
        message: `${request.file} was not started: this workspace is not trusted.`,
        fix: 'Trust the workspace (command "Workspaces: Manage Workspace Trust"), then try again.',
      });
    }
    if (this.#isDisposed || request.signal?.aborted) throw new CancelledError();
    const env = mergeEnv(this.#env, request.env ?? {});
    const file = findTool(request.file, env);
    if (file === undefined) throw missingTool(request.file);

    const started = Date.now();
    const child = spawn(file, [...request.args], {
      cwd: request.cwd,
      env,
      // A group of its own, so that signals to us (Ctrl-C in a terminal) do not reach it past our own order of stopping.
      detached: process.platform !== 'win32',
      shell: false,
      windowsHide: true,
      stdio: [request.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    const done = this.#collect(child, request, started);
    if (child.pid !== undefined) {
      const pid = child.pid;
      this.#children.set(pid, { child, done: done.catch(() => {}) });
      void done.catch(() => {}).finally(() => this.#children.delete(pid));
    }
    return done;
  }

  /**
   * As {@link run}, and throws SlipwayError `tool-failed` with the last lines of stderr when the code is not 0.
   */
  async check(request: ProcessRequest): Promise<ProcessResult> {
    const result = await this.run(request);
    if (result.code === 0) return result;
    throw toolFailed(request, result);
  }

  /** Stops every child tree, politely first, and waits until none is left. Later calls to run are refused. */
  async dispose(graceMs = GRACE_MS): Promise<void> {
    this.#isDisposed = true;
    await Promise.all([...this.#children.entries()].map(([pid, { done }]) => stop(pid, done, graceMs)));
  }

  #collect(child: ChildProcess, request: ProcessRequest, started: number): Promise<ProcessResult> {
    return new Promise((resolve, reject) => {
      const stdout = new Tail(request.keep, request.onStdout);
      const stderr = new Tail(request.keep, request.onStderr);
      child.stdout?.on('data', (bytes: Buffer) => stdout.push(bytes));
      child.stderr?.on('data', (bytes: Buffer) => stderr.push(bytes));
      if (request.stdin !== undefined) {
        // A child that exits without reading its input makes this fail; its exit code tells the story.
        child.stdin?.on('error', () => {});
        child.stdin?.end(request.stdin);
      }
      let ended: 'cancelled' | 'timeout' | undefined;
      const closed = new Promise<void>((close) => child.once('close', () => close()));
      const end = (why: 'cancelled' | 'timeout') => {
        if (ended !== undefined || child.pid === undefined) return;
        ended = why;
        void stop(child.pid, closed, GRACE_MS);
      };
      const onAbort = () => end('cancelled');
      request.signal?.addEventListener('abort', onAbort, { once: true });
      const timer = request.timeoutMs === undefined ? undefined : setTimeout(() => end('timeout'), request.timeoutMs);
      const settle = () => {
        clearTimeout(timer);
        request.signal?.removeEventListener('abort', onAbort);
      };
      child.once('error', (error) => {
        settle();
        reject(
          (error as NodeJS.ErrnoException).code === 'ENOENT'
            ? missingTool(request.file)
            : new SlipwayError(
                { reason: 'tool-failed', message: `${request.file} could not be started: ${error.message}` },
                { cause: error },
              ),
        );
      });
      child.once('close', (code, signal) => {
        settle();
        const result = {
          code,
          signal,
          stdout: stdout.end(),
          stderr: stderr.end(),
          durationMs: Date.now() - started,
        };
        if (ended === 'cancelled') reject(new CancelledError());
        else if (ended === 'timeout') {
          reject(
            new SlipwayError({
              reason: 'timeout',
              message: `${request.file} was stopped after ${Math.round((request.timeoutMs ?? 0) / 1000)} s without finishing.`,
              evidence: lastLines(result.stderr || result.stdout),
            }),
          );
        } else resolve(result);
      });
    });
  }
}

/** SIGINT, after the grace SIGTERM, after another SIGKILL; resolves when the whole group is gone. */
async function stop(pid: number, done: Promise<unknown>, graceMs: number): Promise<void> {
  let isDone = false;
  void done.then(
    () => {
      isDone = true;
    },
    () => {
      isDone = true;
    },
  );
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) {
    killTree(pid, signal);
    const end = Date.now() + (signal === 'SIGKILL' ? 2_000 : graceMs);
    while (Date.now() < end) {
      // The leader may exit before those it started: the group decides, not the child.
      if (isDone && !isTreeAlive(pid)) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    // Once the leader has gone its pipes may be held open by a grandchild; the next signal reaches that as well.
  }
}

class Tail {
  readonly #decoder = new StringDecoder('utf8');
  readonly #keep: number;
  readonly #onText: ((text: string) => void) | undefined;
  #text = '';

  constructor(keep = 16 * 1024 * 1024, onText?: (text: string) => void) {
    this.#keep = keep;
    this.#onText = onText;
  }

  push(bytes: Buffer): void {
    this.#add(this.#decoder.write(bytes));
  }

  end(): string {
    this.#add(this.#decoder.end());
    return this.#text;
  }

  #add(text: string): void {
    if (text === '') return;
    this.#onText?.(text);
    this.#text += text;
    if (this.#text.length > this.#keep * 1.25) this.#text = this.#text.slice(-this.#keep);
  }
}

export function toolFailed(request: ProcessRequest, result: ProcessResult): SlipwayError {
  const how = result.code === null ? `was ended by ${result.signal}` : `failed with exit code ${result.code}`;
  const text = lastLines(result.stderr.trim() === '' ? result.stdout : result.stderr);
  return new SlipwayError({
    reason: 'tool-failed',
    message: `${request.file} ${request.args[0] ?? ''} ${how}${text.length > 0 ? `: ${text.at(-1)}` : '.'}`,
    evidence: text,
  });
}

function lastLines(text: string, count = 20): readonly string[] {
  return text
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '')
    .slice(-count);
}
