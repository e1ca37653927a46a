import { Writable } from 'node:stream';
import { CancelledError, SlipwayError } from '../problems/index.ts';
import type { Cluster } from './cluster.ts';
import { at, listOf, textOf } from './object.ts';

export interface ExecResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a command in a container and collects what it writes. A non-zero code is a result. Throws SlipwayError `cluster`
 * when the container cannot be entered (no such program, not running), and CancelledError.
 */
export async function execInPod(
  cluster: Cluster,
  where: { readonly namespace: string; readonly pod: string; readonly container: string },
  command: readonly string[],
  signal: AbortSignal,
): Promise<ExecResult> {
  const { Exec } = await import('@kubernetes/client-node');
  const stdout = new Collector();
  const stderr = new Collector();
  return new Promise((resolve, reject) => {
    let socket: { close(): void } | undefined;
    const onAbort = (): void => {
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
      act();
    };
    new Exec(cluster.config)
      .exec(where.namespace, where.pod, where.container, [...command], stdout, stderr, null, false, (status) => {
        const cause = listOf(at(status, 'details', 'causes')).find((item) => item.reason === 'ExitCode');
        if (status.status === 'Success') settle(() => resolve({ code: 0, stdout: stdout.text, stderr: stderr.text }));
        else if (cause !== undefined) {
          settle(() => resolve({ code: Number(textOf(cause.message) ?? 1), stdout: stdout.text, stderr: stderr.text }));
        } else settle(() => reject(refused(where.pod, command, status.message ?? 'no reason given')));
      })
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
