import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Secrets } from '../../src/engine/events/secrets.ts';
import { findCredential } from '../../src/engine/images/credentials.ts';
import { classify, platformsOf } from '../../src/engine/images/manifest.ts';
import {
  credentialKey,
  formatReference,
  isHelperTag,
  normalPlatform,
  parseReference,
} from '../../src/engine/images/reference.ts';
import { Registry } from '../../src/engine/images/registry.ts';
import { acceptRealm, parseChallenges } from '../../src/engine/images/registryAuth.ts';
import { retryAfter } from '../../src/engine/images/registryErrors.ts';
import { createSystem, type System } from '../../src/engine/system/index.ts';

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;
const servers: Server[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** A server that speaks the protocol, for what a healthy registry never says. */
async function serve(handler: Handler): Promise<{ readonly host: string; readonly seen: string[] }> {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (bytes) => {
      body += bytes;
    });
    request.on('end', () => {
      if (request.url !== '/v2/') seen.push(`${request.method} ${request.url} ${request.headers.authorization ?? '-'}`);
      handler(request, response, body);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return { host: `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`, seen };
}

const folder = (): string => {
  const made = mkdtempSync(join(tmpdir(), 'slipway-registry-'));
  folders.push(made);
  return made;
};

function systemWith(config?: object, env: Record<string, string> = {}, now?: { sleeps: number[] }): System {
  const home = folder();
  if (config !== undefined) writeFileSync(join(home, 'config.json'), JSON.stringify(config));
  const system = createSystem({ env: { PATH: process.env.PATH, HOME: home, DOCKER_CONFIG: home, ...env } });
  if (now === undefined) return system;
  return {
    ...system,
    clock: {
      now: () => Date.UTC(2026, 0, 1),
      sleep: async (ms) => {
        now.sleeps.push(ms);
      },
    },
  };
}

const json = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}) => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
};

describe('parseReference', () => {
  it.each([
    ['nginx', 'docker.io/library/nginx'],
    ['acme/web:1', 'docker.io/acme/web:1'],
    ['index.docker.io/acme/web', 'docker.io/acme/web'],
    ['localhost/web', 'localhost/web'],
    ['localhost:5000/web:1.0', 'localhost:5000/web:1.0'],
    [`ghcr.io/a/b/c:tag@sha256:${'a'.repeat(64)}`, `ghcr.io/a/b/c:tag@sha256:${'a'.repeat(64)}`],
  ])('%s', (text, expected) => {
    expect(formatReference(parseReference(text))).toBe(expected);
  });

  it.each(['Acme/web', 'web:', 'web:.a', 'web@sha256:zz', 'a//b', '', `web:${'a'.repeat(129)}`])(
    'refuses %j',
    (text) => {
      expect(() => parseReference(text)).toThrow(/is not an image reference/);
    },
  );

  it('maps the key of Docker Hub and normalises platforms', () => {
    expect(credentialKey('docker.io')).toBe('https://index.docker.io/v1/');
    expect(
      ['linux/arm64/v8', 'linux/aarch64', 'linux/arm', 'linux/x86_64', 'linux/arm/v6'].map(normalPlatform),
    ).toEqual(['linux/arm64', 'linux/arm64', 'linux/arm/v7', 'linux/amd64', 'linux/arm/v6']);
    expect(
      [`sha256-${'a'.repeat(64)}.sig`, 'buildcache', 'slipway-staging', '1.0', 'cache-fix'].filter(isHelperTag),
    ).toHaveLength(3);
  });
});

describe('parseChallenges', () => {
  it('reads several challenges in one header, with commas inside quotes', () => {
    expect(
      parseChallenges(
        'Negotiate, Bearer realm="https://a/token",service="s",scope="repository:x:pull,push", Basic realm="b"',
      ),
    ).toEqual([
      { scheme: 'bearer', parameters: { realm: 'https://a/token', service: 's', scope: 'repository:x:pull,push' } },
      { scheme: 'basic', parameters: { realm: 'b' } },
    ]);
  });
});

describe('acceptRealm', () => {
  const registry = new URL('https://registry.example.com/');
  it.each([
    'http://auth.example.com/token',
    'https://169.254.169.254/token',
    'https://127.0.0.1/token',
    'https://[::1]/t',
    'https://10.0.0.1/',
    'not a url',
  ])('refuses %s', (realm) => {
    expect(() => acceptRealm(registry, realm)).toThrow(/No credentials were sent/);
  });
  it('accepts another public host by https, and its own address whatever it is', () => {
    expect(acceptRealm(registry, 'https://auth.docker.io/token').host).toBe('auth.docker.io');
    expect(acceptRealm(new URL('http://127.0.0.1:5000/'), 'http://127.0.0.1:5001/token').port).toBe('5001');
  });
});

describe('Registry', () => {
  it('asks for every manifest type, so an index is found', async () => {
    const { host } = await serve((request, response) => {
      // As distribution 2.8 does: without the index type in Accept an index does not exist.
      const isAsked = (request.headers.accept ?? '').includes('application/vnd.oci.image.index.v1+json');
      if (request.url === '/v2/') json(response, 200, {});
      else if (isAsked) {
        response.writeHead(200, { 'docker-content-digest': 'sha256:abc' });
        response.end();
      } else json(response, 404, {});
    });
    expect(await new Registry(systemWith()).digestOf(`${host}/app:1`)).toBe('sha256:abc');
  });

  it('exchanges the challenge for a token once and shares it among requests at the same time', async () => {
    let tokens = 0;
    const { host, seen } = await serve((request, response) => {
      const url = new URL(request.url ?? '', 'http://x');
      if (url.pathname === '/token') {
        tokens += 1;
        expect(url.searchParams.getAll('scope')).toContain('repository:app:pull');
        // `access_token` and no lifetime: both are allowed.
        json(response, 200, { access_token: 'secret-token' });
      } else if (request.headers.authorization === 'Bearer secret-token') {
        json(response, 200, { tags: ['1', '2'] });
      } else {
        response.writeHead(401, {
          'www-authenticate': `Bearer realm="http://${request.headers.host}/token",service="x",scope="repository:app:pull"`,
        });
        response.end();
      }
    });
    const registry = new Registry(systemWith());
    await registry.tags(host, 'app');
    expect(await Promise.all([registry.tags(host, 'app'), registry.tags(host, 'app')])).toEqual([
      ['1', '2'],
      ['1', '2'],
    ]);
    expect(tokens).toBeLessThanOrEqual(2);
    expect(seen.filter((line) => line.includes('/tags/list') && line.endsWith('-'))).toHaveLength(1);
  });

  it('falls back from the refresh-token form to Basic when the server has no form', async () => {
    const { host, seen } = await serve((request, response) => {
      if (request.url?.startsWith('/token')) {
        if (request.method === 'POST') json(response, 404, {});
        else json(response, 200, { token: 't' });
      } else if (request.headers.authorization === 'Bearer t') json(response, 200, { tags: null });
      else {
        response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${request.headers.host}/token"` });
        response.end();
      }
    });
    const system = systemWith({ auths: { [host]: { identitytoken: 'refresh-me' } } });
    expect(await new Registry(system, new Secrets()).tags(host, 'app')).toEqual([]);
    expect(seen.some((line) => line.startsWith('POST /token'))).toBe(true);
  });

  it('says denied after a second 401 and does not try for ever', async () => {
    let asked = 0;
    const { host } = await serve((_request, response) => {
      asked += 1;
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' });
      response.end(JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: 'no' }] }));
    });
    const system = systemWith({ auths: { [host]: { auth: Buffer.from('user:pass:word').toString('base64') } } });
    await expect(new Registry(system).digestOf(`${host}/app:1`)).rejects.toMatchObject({ code: 'registry.denied' });
    expect(asked).toBeLessThan(6);
  });

  it('follows pages to their end, and refuses to be sent to another host', async () => {
    const { host } = await serve((request, response) => {
      if (request.url === '/v2/') json(response, 200, {});
      else if (request.url?.includes('last=b')) json(response, 200, { tags: ['c'] });
      else json(response, 200, { tags: ['a', 'b'] }, { link: '</v2/app/tags/list?n=1000&last=b>; rel="next"' });
    });
    expect(await new Registry(systemWith()).tags(host, 'app')).toEqual(['a', 'b', 'c']);
    const evil = await serve((request, response) => {
      if (request.url === '/v2/') json(response, 200, {});
      else json(response, 200, { tags: ['a'] }, { link: '<https://evil.example/v2/app/tags/list?last=a>; rel="next"' });
    });
    await expect(new Registry(systemWith()).tags(evil.host, 'app')).rejects.toMatchObject({ code: 'registry.link' });
  });

  it('ends on a page that links to itself', async () => {
    const { host } = await serve((_request, response) => {
      json(response, 200, { tags: ['a'] }, { link: '</v2/app/tags/list?n=1000>; rel="next"' });
    });
    expect(await new Registry(systemWith()).tags(host, 'app')).toEqual(['a']);
  });

  it.each([
    ['seconds', '7', [7_000]],
    ['a date', new Date(Date.UTC(2026, 0, 1, 0, 0, 9)).toUTCString(), [9_000]],
  ])('waits as Retry-After says in %s', async (_name, header, expected) => {
    const now = { sleeps: [] as number[] };
    let asked = 0;
    const { host } = await serve((request, response) => {
      if (request.url === '/v2/') json(response, 200, {});
      else {
        asked += 1;
        if (asked === 1) json(response, 429, { errors: [{ code: 'TOOMANYREQUESTS' }] }, { 'retry-after': header });
        else json(response, 200, { tags: ['x'] });
      }
    });
    expect(await new Registry(systemWith(undefined, {}, now)).tags(host, 'app')).toEqual(['x']);
    expect(now.sleeps).toEqual(expected);
  });

  it('names a limit that lasts too long to wait for', async () => {
    const now = { sleeps: [] as number[] };
    const { host } = await serve((request, response) => {
      if (request.url === '/v2/') json(response, 200, {});
      else json(response, 429, { errors: [{ code: 'TOOMANYREQUESTS' }] }, { 'retry-after': '3600' });
    });
    await expect(new Registry(systemWith(undefined, {}, now)).tags(host, 'app')).rejects.toMatchObject({
      code: 'registry.rate-limited',
      message: expect.stringContaining('until 01:00 UTC'),
    });
    expect(now.sleeps).toEqual([]);
  });

  it('tries again after a 5xx and a torn connection', async () => {
    const now = { sleeps: [] as number[] };
    let asked = 0;
    const { host } = await serve((request, response) => {
      if (request.url === '/v2/') {
        json(response, 200, {});
        return;
      }
      asked += 1;
      if (asked === 1) json(response, 503, 'busy');
      else if (asked === 2) request.socket.destroy();
      else json(response, 200, { tags: ['x'] });
    });
    expect(await new Registry(systemWith(undefined, {}, now)).tags(host, 'app')).toEqual(['x']);
    expect(asked).toBe(3);
  });

  it('does not carry its authorisation to where a blob redirects', async () => {
    const store = await serve((request, response) =>
      json(response, 200, { auth: request.headers.authorization ?? null }),
    );
    const { host } = await serve((request, response) => {
      if (request.headers.authorization === undefined) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' });
        response.end();
      } else {
        response.writeHead(307, { location: `http://${store.host}/blob` });
        response.end();
      }
    });
    const system = systemWith({ auths: { [host]: { auth: Buffer.from('u:p').toString('base64') } } });
    expect(await new Registry(system).blob(host, 'app', 'sha256:x')).toEqual({ auth: null });
  });

  it('finds referrers by the fallback tag where the API is missing, and none where that is missing too', async () => {
    const { host } = await serve((request, response) => {
      if (request.url === '/v2/') json(response, 200, {});
      else if (request.url?.endsWith('/manifests/sha256-aa')) {
        json(
          response,
          200,
          { manifests: [{ digest: 'sha256:sig', artifactType: 'a/b' }] },
          { 'content-type': 'application/vnd.oci.image.index.v1+json' },
        );
      } else json(response, 404, {});
    });
    const registry = new Registry(systemWith());
    expect(await registry.referrers(host, 'app', 'sha256:aa')).toMatchObject([
      { digest: 'sha256:sig', artifactType: 'a/b' },
    ]);
    expect(await registry.referrers(host, 'app', 'sha256:bb')).toEqual([]);
  });

  it('refuses content that is not what its digest says', async () => {
    const { host } = await serve((request, response) =>
      json(response, request.url === '/v2/' ? 200 : 200, { manifests: [] }),
    );
    await expect(new Registry(systemWith()).manifest(`${host}/app@sha256:${'a'.repeat(64)}`)).rejects.toMatchObject({
      code: 'registry.corrupt',
    });
  });

  it('words an immutable tag and an unreachable host', async () => {
    const { host } = await serve((request, response) => {
      if (request.url === '/v2/') json(response, 200, {});
      else
        json(response, 400, {
          errors: [{ code: 'TAG_INVALID', message: 'The image tag already exists and is immutable' }],
        });
    });
    const manifest = classify(Buffer.from('{"manifests":[]}'), 'sha256:x', '');
    await expect(new Registry(systemWith()).putManifest(host, 'app', '1', manifest)).rejects.toMatchObject({
      code: 'registry.immutable',
    });
    await expect(
      new Registry(systemWith(undefined, {}, { sleeps: [] })).digestOf('127.0.0.1:1/app:1'),
    ).rejects.toMatchObject({
      code: 'registry.unreachable',
    });
  });

  it('contacts nothing in an untrusted workspace', async () => {
    const system = createSystem({ isTrusted: () => false });
    await expect(new Registry(system).digestOf('localhost:5000/x:1')).rejects.toMatchObject({ reason: 'untrusted' });
  });
});

describe('findCredential', () => {
  const helper = (home: string, script: string) => {
    const path = join(home, 'docker-credential-test');
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
    return { PATH: `${home}${delimiter}${process.env.PATH}` };
  };

  it('splits at the first colon and prefers the helper of a host over the general store', async () => {
    const basic = systemWith({
      auths: { 'https://ghcr.io/v1/': { auth: Buffer.from('user:a:b').toString('base64') } },
    });
    expect(await findCredential(basic, 'ghcr.io')).toEqual({ kind: 'basic', username: 'user', password: 'a:b' });
    const home = folder();
    const env = helper(home, 'read key; echo "{\\"Username\\":\\"<token>\\",\\"Secret\\":\\"idtoken:$key\\"}"');
    const system = systemWith({ credsStore: 'nothere', credHelpers: { 'ghcr.io': 'test' } }, env);
    expect(await findCredential(system, 'ghcr.io')).toEqual({
      kind: 'identity',
      username: '',
      token: 'idtoken:ghcr.io',
    });
  });

  it('takes "not found" of a helper for anonymous and names the file of a missing one', async () => {
    const home = folder();
    const env = helper(home, 'echo "credentials not found in native keychain"; exit 1');
    expect(await findCredential(systemWith({ credsStore: 'test' }, env), 'ghcr.io')).toEqual({ kind: 'anonymous' });
    await expect(findCredential(systemWith({ credsStore: 'desktop.exe' }), 'ghcr.io')).rejects.toMatchObject({
      code: 'credentials.helper',
      message: expect.stringMatching(/docker-credential-desktop\.exe, named in .*config\.json, is not on PATH/),
    });
  });

  it('lets DOCKER_AUTH_CONFIG win and masks what it finds', async () => {
    const secrets = new Secrets();
    const auth = Buffer.from('ci:very-secret').toString('base64');
    const system = systemWith(undefined, { DOCKER_AUTH_CONFIG: JSON.stringify({ auths: { 'ghcr.io': { auth } } }) });
    expect(await findCredential(system, 'ghcr.io', secrets)).toMatchObject({ username: 'ci' });
    expect(secrets.mask('password very-secret')).toBe('password ***');
  });

  it('reports a broken file with its path', async () => {
    const system = systemWith();
    writeFileSync(join(system.env.DOCKER_CONFIG ?? '', 'config.json'), '{');
    await expect(findCredential(system, 'ghcr.io')).rejects.toMatchObject({ code: 'credentials.broken' });
  });
});

describe('manifests', () => {
  it('hides attestations and counts real platforms', () => {
    const index = classify(
      Buffer.from(
        JSON.stringify({
          manifests: [
            { digest: 'sha256:1', platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } },
            {
              digest: 'sha256:2',
              platform: { os: 'unknown', architecture: 'unknown' },
              annotations: { 'vnd.docker.reference.digest': 'sha256:1' },
            },
          ],
        }),
      ),
      'sha256:i',
      'application/vnd.oci.image.index.v1+json; charset=utf-8',
    );
    expect(index).toMatchObject({ kind: 'index', mediaType: 'application/vnd.oci.image.index.v1+json' });
    expect(platformsOf(index)).toEqual({ 'linux/arm64': 'sha256:1' });
  });

  it('reads Retry-After in both forms', () => {
    const with_ = (value: string) =>
      retryAfter(new Response('', { headers: { 'retry-after': value } }), Date.UTC(2026, 0, 1));
    expect(with_('3')).toBe(3_000);
    expect(with_('Thu, 01 Jan 2026 00:01:00 GMT')).toBe(60_000);
    expect(with_('soon')).toBeUndefined();
  });
});
