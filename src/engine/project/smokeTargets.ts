import type { Place } from '../problems/index.ts';
import type { SmokeConfig, SmokeTarget } from './model.ts';
import type { SmokeInput } from './schema.ts';
import { milliseconds, strings } from './values.ts';

interface Surroundings {
  readonly place: Place;
  readonly defaultMs: number;
  readonly path: (relative: string) => string;
}

/** A smoke check in full, or one sentence on what its target lacks. */
export function readSmoke(
  input: SmokeInput,
  index: number,
  { place, defaultMs, path }: Surroundings,
): SmokeConfig | string {
  const shared = (fallback: string) => ({
    name: input.name ?? fallback,
    deadlineMs: milliseconds(input.timeout) ?? defaultMs,
    place,
  });
  if ('run' in input) {
    return {
      ...shared(`run ${input.run[0] ?? index + 1}`),
      kind: 'command',
      run: input.run as [string, ...string[]],
      cwd: path(input.cwd ?? '.'),
      env: strings(input.env),
    };
  }
  if ('exec' in input) {
    return {
      ...shared(`exec ${input.exec.workload}`),
      kind: 'exec',
      workload: input.exec.workload,
      ...(input.exec.container !== undefined && { container: input.exec.container }),
      command: input.exec.command,
      ...(input.contains !== undefined && { contains: input.contains }),
    };
  }
  if ('tcp' in input) {
    const target = readTarget(input.tcp);
    return typeof target === 'string' ? target : { ...shared(`tcp ${input.tcp}`), kind: 'tcp', target: target.target };
  }
  const [method, address] = 'get' in input ? (['GET', input.get] as const) : (['POST', input.post] as const);
  const target = readTarget(address);
  if (typeof target === 'string') return target;
  const latencyMs = milliseconds(input.latency);
  return {
    ...shared(`${method} ${target.path}`),
    kind: 'http',
    method,
    target: target.target,
    path: target.path,
    tls: input.tls ?? address.startsWith('https://'),
    headers: strings(input.headers),
    ...(input.body !== undefined && { body: input.body }),
    expect: {
      status: input.status === undefined ? [200] : typeof input.status === 'number' ? [input.status] : input.status,
      ...(input.contains !== undefined && { contains: input.contains }),
      ...(input.matches !== undefined && { matches: input.matches }),
      json: input.json ?? {},
      headers: strings(input.expectHeaders),
      ...(latencyMs !== undefined && { latencyMs }),
    },
  };
}

/** `service/shop-api:http/healthz` → the service `shop-api`, port `http`, path `/healthz`. */
export function readTarget(text: string): { readonly target: SmokeTarget; readonly path: string } | string {
  if (/^https?:\/\//.test(text)) {
    try {
      const url = new URL(text);
      return { target: { kind: 'url', name: url.origin }, path: url.pathname + url.search };
    } catch {
      return `"${text}" is not a URL.`;
    }
  }
  const match = /^(service|nodeport|ingress|pod)\/([^/:]+)(?::([^/]+))?(\/.*)?$/.exec(text);
  if (match === null)
    return `"${text}" is not a target; write service/<name>:<port>/<path>, nodeport/…, ingress/<host>/<path> or a URL.`;
  const [, kind, name, port, rest] = match;
  return {
    target: { kind: kind as SmokeTarget['kind'], name: name ?? '', ...(port !== undefined && { port }) },
    path: rest ?? '/',
  };
}
