// A command inside a container: collected, or with a terminal.
import type { Readable, Writable } from 'node:stream';
import { type ExecResult, execInPod, isReady, type KubeObject, streamInPod } from '../cluster/index.ts';
import { SlipwayError } from '../problems/index.ts';
import { containerOf, findObject, type Named, podsOf, type Scope, words } from './find.ts';

export interface ExecRequest {
  /** A workload (its newest ready pod is taken) or a pod. */
  readonly workload: Named;
  readonly container?: string;
  /** Empty = a shell: bash where there is one, else sh. */
  readonly command: readonly string[];
}

export interface ExecOutcome extends ExecResult {
  readonly pod: string;
  readonly container: string;
}

/** Streams of a terminal. `out` may have `rows` and `columns` and tell `resize`, as a TTY of Node does. */
export interface Terminal {
  readonly in: Readable;
  readonly out: Writable;
  /** Not used with a TTY, which has one stream only. */
  readonly err: Writable;
  readonly isTty: boolean;
}

/** Needs no shell parsing of ours: one fixed script, started by name. */
const SHELL = ['sh', '-c', 'if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi'] as const;

/** Runs a command and collects its output; a non-zero code is a result. */
export async function execute(request: ExecRequest, scope: Scope): Promise<ExecOutcome> {
  const { pod, container } = await placeOf(request, scope);
  const where = { namespace: pod.metadata.namespace ?? scope.namespace, pod: pod.metadata.name, container };
  const result = await execInPod(scope.cluster, where, commandOf(request), scope.signal).catch((error: unknown) => {
    throw explained(error, request);
  });
  return { ...result, pod: where.pod, container };
}

/** Runs a command with the person's own terminal. Gives its exit code. */
export async function executeInTerminal(request: ExecRequest, scope: Scope, terminal: Terminal): Promise<number> {
  const { pod, container } = await placeOf(request, scope);
  const where = { namespace: pod.metadata.namespace ?? scope.namespace, pod: pod.metadata.name, container };
  return streamInPod(scope.cluster, where, commandOf(request), terminal, scope.signal).catch((error: unknown) => {
    throw explained(error, request);
  });
}

const commandOf = ({ command }: ExecRequest): readonly string[] => (command.length === 0 ? SHELL : command);

async function placeOf(
  request: ExecRequest,
  scope: Scope,
): Promise<{ readonly pod: KubeObject; readonly container: string }> {
  const object = await findObject(request.workload, scope);
  const pods = object.kind === 'Pod' ? [object] : await podsOf(object, scope);
  const alive = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  // A pod that is not ready can be entered as well; that is when one wants to look.
  const pod = alive.find(isReady) ?? alive[0];
  if (pod === undefined) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'exec.no-pod',
      message: `No pod of ${words({ apiVersion: '', kind: object.kind, name: object.metadata.name })} runs.`,
      fix: 'slipway describe says why.',
    });
  }
  return { pod, container: containerOf(pod, request.container) };
}

function explained(error: unknown, request: ExecRequest): unknown {
  if (!SlipwayError.is(error) || error.code !== 'exec.refused') return error;
  if (!/executable file not found|no such file or directory/i.test(error.message)) return error;
  return new SlipwayError({
    reason: 'usage',
    code: 'exec.not-found',
    message: error.message,
    fix:
      request.command.length === 0
        ? 'The image has no shell. Name a program that it has: slipway exec WORKLOAD -- PROGRAM; for a shell beside it: kubectl debug -it POD --image=busybox --target=CONTAINER.'
        : 'Name a program that the image has; without a shell in the image, pipes and && cannot be used.',
  });
}
