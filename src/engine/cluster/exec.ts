import { PassThrough, type Readable, Writable } from 'node:stream';
import { CancelledError, SlipwayError } from '../problems/index.ts';
import type { Cluster } from './cluster.ts';
import { at, listOf, textOf } from './object.ts';

export interface ExecResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Container {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

/**
 * Runs a command in a container and collects what it writes. A non-zero code is a result. Throws SlipwayError `cluster`
 * when the container cannot be entered (no such program, not running), and CancelledError.
 */
export async function execInPod(
  cluster: Cluster,
  where: Container,
  command: readonly string[],
  signal: AbortSignal,
): Promise<ExecResult> {
  const stdout = new Collector();
  const stderr = new Collector();
  const code = await enter(cluster, where, command, { out: stdout, err: stderr, in: null, isTty: false }, signal);
  return { code, stdout: stdout.text, stderr: stderr.text };
}

/**
 * Runs a command in a container with streams of the caller; `out` and `err` are ended, but for those of the process. Gives the exit code; throws as
 * {@link execInPod}. What was started in the container may outlive an aborted signal unless it has a terminal, which
 * hangs up.
 */
export function streamInPod(
  cluster: Cluster,
  where: Container,
  command: readonly string[],
  streams: { readonly in: Readable; readonly out: Writable; readonly err: Writable; readonly isTty: boolean },
  signal: AbortSignal,
): Promise<number> {
  return enter(cluster, where, command, streams, signal);
}

async function enter(
  cluster: Cluster,
  where: Container,
  command: readonly string[],
  streams: {
    readonly in: Readable | null;
    readonly out: Writable;
    readonly err: Writable;
    readonly isTty: boolean;
  },
  signal: AbortSignal,
): Promise<number> {
  const { Exec } = await import('@kubernetes/client-node');
  // The library would go on listening to the person's input after the end.
  const input = streams.in === null ? null : streams.in.pipe(new PassThrough());
  return new Promise((resolve, reject) => {
    let socket: { close(): void } | undefined;
    const onAbort = (): void => {
      if (input !== null) streams.in?.unpipe(input);
      socket?.close();
      reject(new CancelledError());
    };
    if (signal.aborted) {
      reject(new CancelledError());
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    const settle = (act: () => void): void => {
      signal.removeEventListener('abort', onAbort);
      if (input !== null) streams.in?.unpipe(input);
      socket?.close();
      act();
    };
    new Exec(cluster.config)
      .exec(
        where.namespace,
        where.pod,
        where.container,
        [...command],
        streams.out,
        // A terminal has one stream; the API server refuses stderr beside it.
        streams.isTty ? null : streams.err,
        input,
        streams.isTty,
        (status) => {
          const cause = listOf(at(status, 'details', 'causes')).find((item) => item.reason === 'ExitCode');
          if (status.status === 'Success') settle(() => resolve(0));
          else if (cause !== undefined) settle(() => resolve(Number(textOf(cause.message) ?? 1)));
          else settle(() => reject(refused(where.pod, command, status.message ?? 'no reason given')));
        },
      )
      .then((opened) => {
        socket = opened;
        if (signal.aborted) opened.close();
        opened.onclose = () =>
          settle(() => reject(refused(where.pod, command, 'the connection closed before the command ended')));
        opened.onerror = (event: { readonly message: string }) =>
          settle(() => reject(refused(where.pod, command, event.message)));
      })
      .catch((error: unknown) =>
        settle(() => reject(refused(where.pod, command, error instanceof Error ? error.message : String(error)))),
      );
  });
}

function refused(pod: string, command: readonly string[], why: string): SlipwayError {
  return new SlipwayError({
    reason: 'cluster',
    code: 'exec.refused',
    message: `${command[0] ?? ''} could not be run in pod ${pod}: ${why}`,
  });
}

class Collector extends Writable {
  readonly #chunks: Buffer[] = [];

  get text(): string {
    return Buffer.concat(this.#chunks).toString('utf8');
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#chunks.push(Buffer.from(chunk));
    done();
  }
}
