// A plain-http way to the lab's API server that can be made to misbehave: cut connections, throttle, forget history, go away.
import { readFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { Agent, request } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { parse } from 'yaml';

export class ApiFront {
  /** Refuses every second request with 429 and Retry-After. */
  isThrottling = false;
  /** Tells every second watch, half a second after its start, that its version is gone. */
  isForgetful = false;
  /** Takes no request at all. */
  isAway = false;
  throttled = 0;
  forgotten = 0;
  cuts = 0;
  #requests = 0;
  #watches = 0;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;

  constructor(kubeconfig: string) {
    const config = parse(readFileSync(kubeconfig, 'utf8'));
    const { cluster } = config.clusters[0];
    const { user } = config.users[0];
    const agent = new Agent({
      keepAlive: true,
      ca: readFileSync(cluster['certificate-authority']),
      cert: readFileSync(user['client-certificate']),
      key: readFileSync(user['client-key']),
    });
    this.#server = createServer((incoming, outgoing) => {
      if (this.isAway) {
        incoming.socket.destroy();
        return;
      }
      this.#requests += 1;
      if (this.isThrottling && this.#requests % 2 === 0) {
        this.throttled += 1;
        answerStatus(outgoing, 429, 'TooManyRequests', 'the server has received too many requests', {
          'retry-after': '1',
        });
        return;
      }
      const isWatch = /[?&]watch=1/.test(incoming.url ?? '');
      const { host: _host, ...headers } = incoming.headers;
      const through = request(
        new URL(incoming.url ?? '/', cluster.server),
        { method: incoming.method, headers, agent },
        (answer) => {
          outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
          // A watch without news has no body yet: its headers must not wait for one.
          outgoing.flushHeaders();
          answer.pipe(outgoing);
          answer.on('error', () => outgoing.destroy());
          outgoing.on('close', () => answer.destroy());
          if (isWatch) {
            this.#watches += 1;
            if (this.isForgetful && this.#watches % 2 === 0) setTimeout(() => this.#forget(outgoing), 500);
          }
        },
      );
      through.on('error', () => outgoing.destroy());
      incoming.pipe(through);
    });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  #forget(outgoing: ServerResponse): void {
    if (outgoing.destroyed || !this.isForgetful) return;
    this.forgotten += 1;
    const object = {
      kind: 'Status',
      apiVersion: 'v1',
      status: 'Failure',
      reason: 'Expired',
      code: 410,
      message: 'too old resource version',
    };
    outgoing.write(`${JSON.stringify({ type: 'ERROR', object })}\n`);
  }

  start(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, '127.0.0.1', () => resolve()));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Breaks every connection there is. */
  cut(): void {
    this.cuts += this.#sockets.size;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Well again, for the next test. */
  calm(): void {
    this.isThrottling = false;
    this.isForgetful = false;
    this.isAway = false;
  }

  stop(): void {
    this.cut();
    this.#server.close();
  }
}

function answerStatus(
  outgoing: ServerResponse,
  code: number,
  reason: string,
  message: string,
  headers: Record<string, string>,
): void {
  outgoing.writeHead(code, { 'content-type': 'application/json', ...headers });
  outgoing.end(JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message }));
}
