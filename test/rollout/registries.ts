// A registry with moods, in front of the lab's own: the first part of a repository's name chooses how it answers.
import { createServer, request, type Server } from 'node:http';

export const PORT = 5055;
export const LOGIN = { username: 'corpus', password: 'corpus-password' } as const;

/**
 * - `auth`: wants {@link LOGIN}; `limit`: 429; `broken/<key>`: 503 for 12 s after the first request for that key;
 * - `slow/<key>`: every answer comes 12 s late; `gone`: 404 for every manifest.
 */
export function startRegistries(upstream: string): Promise<Server> {
  const firstAsked = new Map<string, number>();
  const [host = 'localhost', port = '5000'] = upstream.split(':');
  const server = createServer((incoming, outgoing) => {
    const url = incoming.url ?? '/';
    const match = /^\/v2\/(auth|limit|gone|broken|slow)((?:\/key-[a-z0-9-]+)?)\/(.*)$/.exec(url);
    const refuse = (status: number, code: string, headers: Record<string, string> = {}): void => {
      outgoing.writeHead(status, { 'content-type': 'application/json', ...headers });
      outgoing.end(JSON.stringify({ errors: [{ code, message: code.toLowerCase() }] }));
    };
    if (match === null) {
      // The version check needs no login here: clients then ask without one and are told by the repository.
      outgoing.writeHead(url.startsWith('/v2') ? 200 : 404, { 'docker-distribution-api-version': 'registry/2.0' });
      outgoing.end('{}');
      return;
    }
    const [, mood, key = '', rest = ''] = match;
    const now = Date.now();
    const since = now - (firstAsked.get(`${mood}${key}`) ?? now);
    if (!firstAsked.has(`${mood}${key}`)) firstAsked.set(`${mood}${key}`, now);
    if (mood === 'limit') return refuse(429, 'TOOMANYREQUESTS', { 'retry-after': '1' });
    if (mood === 'gone') return refuse(404, 'MANIFEST_UNKNOWN');
    if (mood === 'broken' && since < 12_000) return refuse(503, 'UNAVAILABLE');
    if (mood === 'auth') {
      const wanted = `Basic ${Buffer.from(`${LOGIN.username}:${LOGIN.password}`).toString('base64')}`;
      if (incoming.headers.authorization !== wanted)
        return refuse(401, 'UNAUTHORIZED', { 'www-authenticate': 'Basic realm="corpus"' });
    }
    const { host: _host, authorization: _authorization, ...headers } = incoming.headers;
    const pass = (): void => {
      const through = request({ host, port, path: `/v2/${rest}`, method: incoming.method, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      });
      through.on('error', () => refuse(502, 'UNAVAILABLE'));
      incoming.pipe(through);
    };
    if (mood === 'slow') setTimeout(pass, 12_000);
    else pass();
  });
  return new Promise((resolve, reject) => {
    let isTold = false;
    server.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') return reject(error);
      // The manifests name the port, so two runs cannot have one each.
      if (!isTold) console.log(`Port ${PORT} is in use: waiting for the other run of the corpus to end.`);
      isTold = true;
      setTimeout(() => server.listen(PORT, '0.0.0.0'), 1000);
    });
    server.listen(PORT, '0.0.0.0', () => resolve(server));
  });
}
