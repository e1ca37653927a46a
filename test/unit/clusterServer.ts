// A small API server over plain http for tests of the client: what it answers, the test says.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Cluster, openCluster } from '../../src/engine/cluster/index.ts';
import { createSystem, type System } from '../../src/engine/system/index.ts';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
}

export type Handler = (asked: Asked, answer: ServerResponse) => void;

export class FakeApi {
  readonly asked: Asked[] = [];
  handler: Handler = (_asked, answer) => {
    answer.writeHead(404).end('{}');
  };
  readonly #server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://x');
    const asked = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
    };
    this.asked.push(asked);
    request.resume();
    request.on('end', () => this.handler(asked, response));
  });

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', () => resolve()));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  kubeconfig(token = 'secret-token'): string {
    return kubeconfigText('fake', `http://127.0.0.1:${this.port}`, token);
  }

  open(): Promise<Cluster> {
    return openCluster(systemWith({ KUBE_CONFIG: Buffer.from(this.kubeconfig()).toString('base64') }), {});
  }
}

export function kubeconfigText(name: string, server: string, token: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [{ name, cluster: { server } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace: 'shop' } }],
  });
}

export function systemWith(env: Record<string, string>, isTrusted = true): System {
  return createSystem({ env: { HOME: '/nonexistent', ...env }, isTrusted: () => isTrusted });
}

export function json(answer: ServerResponse, body: unknown, status = 200, headers: Record<string, string> = {}): void {
  answer.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

export const status = (code: number, reason: string, message: string): object => ({
  kind: 'Status',
  status: 'Failure',
  code,
  reason,
  message,
});
