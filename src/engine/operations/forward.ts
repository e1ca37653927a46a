// Port-forwards of our own: to a service, a workload or a pod, made again by themselves.
import { type ForwardTarget, forwardPort, type PortForward, refOf } from '../cluster/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { Clock } from '../system/index.ts';
import { findObject, type Named, noPods, podQuery, type Scope, words } from './find.ts';

export interface ForwardRequest {
  /** `svc/web`, `deploy/web`, `pod/web-0`, or a bare name of a workload. */
  readonly to: Named;
  /** Name or number; absent = the first one. */
  readonly port?: string;
  /** Absent or 0 = any free one. */
  readonly localPort?: number;
}

export interface ForwardEvents {
  /** Connections go to this pod from now on. */
  readonly onPod?: (pod: string, port: number) => void;
  /** A connection could not be made; the forward stays. */
  readonly onProblem?: (message: string) => void;
}

export interface Forward extends PortForward {
  /** `http://localhost:<port>`, whatever is spoken there. */
  readonly url: string;
  readonly target: string;
}

/** Listens until the scope's signal aborts or it is closed. */
export async function forward(
  request: ForwardRequest,
  scope: Scope,
  options: ForwardEvents & { readonly clock: Clock },
): Promise<Forward> {
  const object = await findObject(request.to, scope);
  const namespace = object.metadata.namespace ?? scope.namespace;
  const base = { namespace, name: object.metadata.name, ...(request.port !== undefined && { port: request.port }) };
  let target: ForwardTarget;
  if (object.kind === 'Service') target = { kind: 'service', ...base };
  else if (object.kind === 'Pod') target = { kind: 'pod', ...base };
  else {
    const query = await podQuery(object, scope);
    if (query === undefined || !('labels' in query)) throw noPods(object);
    target = { kind: 'workload', labels: query.labels, ...base };
  }
  const { clock, onPod, onProblem } = options;
  const opened = await forwardPort(scope.cluster, target, {
    signal: scope.signal,
    clock,
    ...(request.localPort !== undefined && { localPort: request.localPort }),
    ...(onPod !== undefined && { onPod }),
    ...(onProblem !== undefined && { onProblem }),
  });
  return { ...opened, url: `http://localhost:${opened.port}`, target: words(refOf(object)) };
}

/** `8080:http`, `:80` or `80`, as kubectl takes it. Throws SlipwayError `usage`. */
export function parsePorts(text: string): { readonly localPort: number; readonly port: string } {
  const [local, remote] = text.includes(':') ? text.split(':') : [text, text];
  const number = local === '' ? 0 : /^\d+$/.test(local ?? '') ? Number(local) : text.includes(':') ? Number.NaN : 0;
  if (remote === undefined || remote === '' || !(number >= 0 && number < 65_536)) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'forward.ports',
      message: `"${text}" is no pair of ports.`,
      fix: 'Write LOCAL:REMOTE, :REMOTE for any free local port, or REMOTE; the remote one may be a name.',
    });
  }
  return { localPort: number, port: remote };
}
