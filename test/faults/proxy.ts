// A proxy in front of a real registry that breaks things on purpose: everything it does not break is the registry's own
// answer. It can ask for tokens as hosted registries do, with a token server of its own.
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';

/** What happens to a request that matches; the first fault in the list that matches and has `times` left is used up. */
export interface Fault {
  readonly when: (request: { readonly method: string; readonly path: string }) => boolean;
  /** How often; Infinity for always. */
  times: number;
  readonly how:
    | {
        readonly kind: 'answer';
        readonly status: number;
        readonly headers?: Readonly<Record<string, string>>;
        readonly body?: string;
      }
    /** Cuts the connection: before the request is read, after its first bytes, or in the middle of the answer. */
    | { readonly kind: 'reset'; readonly at: 'start' | 'request body' | 'answer body' }
    | { readonly kind: 'slow'; readonly ms: number }
    /** Never answers. */
    | { readonly kind: 'silent' }
    /** Changes one byte of the answer. */
    | { readonly kind: 'corrupt' };
}

export interface TokenRules {
  /** Tokens that the registry takes; the token server hands out `next()`. */
  readonly isGood: (token: string) => boolean;
  readonly next: () => string;
  /** Status of the token server itself; 200 when absent. */
  readonly status?: () => number;
  readonly expiresIn?: number;
}

export interface FaultyRegistry {
  /** `127.0.0.1:<port>`. */
  readonly host: string;
  readonly seen: string[];
  set(faults: readonly Fault[], tokens?: TokenRules): void;
  close(): Promise<void>;
}

export async function startFaultyRegistry(upstream: string): Promise<FaultyRegistry> {
  let faults: readonly Fault[] = [];
  let tokens: TokenRules | undefined;
  const seen: string[] = [];
  let host = '';
  const server: Server = createServer((incoming, outgoing) => {
    const method = incoming.method ?? 'GET';
    const path = incoming.url ?? '/';
    if (path !== '/v2/') seen.push(`${method} ${path}`);
    incoming.on('error', () => outgoing.destroy());
    const fault = faults.find((one) => one.times > 0 && one.when({ method, path }));
    if (fault !== undefined) fault.times -= 1;
    const how = fault?.how;
    if (path.startsWith('/token')) {
      if (how?.kind === 'answer') return answer(incoming, outgoing, how.status, how.headers, how.body);
      const status = tokens?.status?.() ?? 200;
      const body = { token: tokens?.next() ?? '', expires_in: tokens?.expiresIn ?? 300 };
      return answer(incoming, outgoing, status, { 'content-type': 'application/json' }, JSON.stringify(body));
    }
    const token = /^Bearer (.*)$/.exec(incoming.headers.authorization ?? '')?.[1];
    if (tokens !== undefined && (token === undefined || !tokens.isGood(token))) {
      const repository = /^\/v2\/(.+)\/(?:manifests|blobs|tags|referrers)\//.exec(path)?.[1];
      const scope = repository === undefined ? '' : `,scope="repository:${repository}:pull,push"`;
      return answer(
        incoming,
        outgoing,
        401,
        { 'www-authenticate': `Bearer realm="http://${host}/token",service="lab"${scope}` },
        '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}',
      );
    }
    switch (how?.kind) {
      case 'answer':
        return answer(incoming, outgoing, how.status, how.headers, how.body);
      case 'silent':
        return;
      case 'slow':
        setTimeout(() => forward(incoming, outgoing, upstream), how.ms);
        return;
      case 'reset':
        if (how.at === 'start') incoming.socket.resetAndDestroy();
        else if (how.at === 'request body') incoming.once('data', () => incoming.socket.resetAndDestroy());
        else forward(incoming, outgoing, upstream, 'cut');
        return;
      case 'corrupt':
        return forward(incoming, outgoing, upstream, 'flip');
      default:
        return forward(incoming, outgoing, upstream);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  host = `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  return {
    host,
    seen,
    set: (next, rules) => {
      faults = next;
      tokens = rules;
      seen.length = 0;
    },
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function answer(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>> = {},
  body = '',
): void {
  incoming.resume();
  incoming.on('end', () => {
    outgoing.writeHead(status, { ...headers });
    outgoing.end(incoming.method === 'HEAD' ? undefined : body);
  });
}

function forward(incoming: IncomingMessage, outgoing: ServerResponse, upstream: string, damage?: 'cut' | 'flip'): void {
  const [hostname, port] = upstream.split(':');
  const { authorization: _authorization, ...headers } = incoming.headers;
  const onward = request(
    { hostname, port, method: incoming.method, path: incoming.url, headers: { ...headers, connection: 'close' } },
    (response) => {
      // The registry makes absolute addresses from the Host header, so its redirects come back through us.
      outgoing.writeHead(response.statusCode ?? 502, response.headers);
      if (damage === undefined) {
        response.pipe(outgoing);
        return;
      }
      response.once('data', (bytes: Buffer) => {
        const changed = Buffer.from(bytes);
        if (damage === 'cut') {
          // What was written has to leave before the connection breaks, or the other side sees no body at all.
          outgoing.write(changed.subarray(0, Math.floor(changed.length / 2)), () =>
            setImmediate(() => incoming.socket.resetAndDestroy()),
          );
          response.destroy();
          return;
        }
        changed[changed.length - 1] = 0x20;
        outgoing.write(changed);
        response.pipe(outgoing);
      });
    },
  );
  onward.on('error', () => outgoing.destroy());
  outgoing.on('close', () => onward.destroy());
  incoming.pipe(onward);
}
