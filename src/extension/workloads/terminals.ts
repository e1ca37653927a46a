// Logs and shells of workloads in terminals of the editor, without any other program.
import { PassThrough, Writable } from 'node:stream';
import * as vscode from 'vscode';
import type { Engine } from '../../engine/main.ts';
import { isCancelled, toFailure } from '../../engine/problems/index.ts';

type Operations = Awaited<ReturnType<Engine['operations']>>;

export interface WorkTarget {
  readonly environment: string;
  /** `deployment/web`, `pod/web-0`: as the engine finds them. */
  readonly named: string;
}

/** Colours that every theme has, so that pods can be told apart. */
const colours = [36, 33, 35, 32, 34, 31] as const;

/** What both have: a signal that ends with the terminal, and words for failures. */
abstract class WorkTerminal implements vscode.Pseudoterminal {
  readonly #write = new vscode.EventEmitter<string>();
  readonly #close = new vscode.EventEmitter<number>();
  readonly onDidWrite = this.#write.event;
  readonly onDidClose = this.#close.event;
  readonly stop = new AbortController();
  protected size: vscode.TerminalDimensions | undefined;

  open(size: vscode.TerminalDimensions | undefined): void {
    this.size = size;
    this.work().then(
      (code) => {
        if (code !== undefined) this.#close.fire(code);
      },
      (error: unknown) => {
        if (isCancelled(error)) return;
        const { message, fix } = toFailure(error);
        this.line(`\u001b[31m${message}\u001b[0m`);
        if (fix !== undefined) this.line(fix);
      },
    );
  }

  close(): void {
    this.stop.abort();
  }

  abstract handleInput(data: string): void;

  /** An exit code closes the terminal; undefined leaves it open to be read. */
  protected abstract work(): Promise<number | undefined>;

  protected write(text: string): void {
    this.#write.fire(text);
  }

  protected line(text: string): void {
    this.#write.fire(`${text.replaceAll('\n', '\r\n')}\r\n`);
  }
}

/** Follows the logs of all pods of a workload, across restarts. Ctrl-C stops; what was written stays. */
export class LogsTerminal extends WorkTerminal {
  readonly #operations: Operations;
  readonly #target: WorkTarget;
  readonly #colours = new Map<string, number>();

  constructor(operations: Operations, target: WorkTarget) {
    super();
    this.#operations = operations;
    this.#target = target;
  }

  override handleInput(data: string): void {
    if (data !== '\u0003' || this.stop.signal.aborted) return;
    this.stop.abort();
    this.line(vscode.l10n.t('Stopped.'));
  }

  protected override async work(): Promise<undefined> {
    const { environment, named } = this.#target;
    this.line(`\u001b[2m${vscode.l10n.t('Logs of {0} on {1}; Ctrl-C stops.', named, environment)}\u001b[0m`);
    await this.#operations.followLogs(
      { environment },
      { workload: named, tail: 200 },
      {
        signal: this.stop.signal,
        onLine: ({ pod, container, text }) => this.line(`${this.#prefix(pod, container)} ${text}`),
        onNote: ({ message }) => this.line(`\u001b[2m${message}\u001b[0m`),
      },
    );
    return undefined;
  }

  #prefix(pod: string, container: string): string {
    const colour = this.#colours.get(pod) ?? colours[this.#colours.size % colours.length] ?? 36;
    this.#colours.set(pod, colour);
    return `\u001b[${colour}m${pod}/${container}\u001b[0m`;
  }
}

/** The other side of a shell's output: tells its size and its changes, as a TTY of Node does. */
class ScreenStream extends Writable {
  rows: number;
  columns: number;
  readonly #show: (text: string) => void;
  readonly #decoder = new TextDecoder();

  constructor(size: vscode.TerminalDimensions | undefined, show: (text: string) => void) {
    super();
    this.rows = size?.rows ?? 24;
    this.columns = size?.columns ?? 80;
    this.#show = show;
  }

  resize({ rows, columns }: vscode.TerminalDimensions): void {
    this.rows = rows;
    this.columns = columns;
    this.emit('resize');
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    // A character may be cut by the end of a packet.
    this.#show(this.#decoder.decode(chunk, { stream: true }));
    done();
  }
}

/** A shell in the newest ready pod of a workload. */
export class ShellTerminal extends WorkTerminal {
  readonly #operations: Operations;
  readonly #target: WorkTarget;
  readonly #input = new PassThrough();
  #screen: ScreenStream | undefined;

  constructor(operations: Operations, target: WorkTarget) {
    super();
    this.#operations = operations;
    this.#target = target;
  }

  override handleInput(data: string): void {
    this.#input.write(data);
  }

  setDimensions(size: vscode.TerminalDimensions): void {
    this.size = size;
    this.#screen?.resize(size);
  }

  override close(): void {
    super.close();
    this.#input.end();
  }

  protected override async work(): Promise<number> {
    const { environment, named } = this.#target;
    const screen = new ScreenStream(this.size, (text) => this.write(text));
    this.#screen = screen;
    return this.#operations.terminal(
      { environment },
      { workload: named, command: [] },
      { in: this.#input, out: screen, err: screen, isTty: true },
      this.stop.signal,
    );
  }
}
