import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Contact, openCluster, WatchCache } from '../../src/engine/cluster/index.ts';
import { Secrets } from '../../src/engine/events/secrets.ts';
import { SlipwayError } from '../../src/engine/problems/index.ts';
import { realClock } from '../../src/engine/system/clock.ts';
import { type Asked, FakeApi, json, kubeconfigText, status, systemWith } from './clusterServer.ts';

const folder = mkdtempSync(join(tmpdir(), 'slipway-kubeconfig-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const signal = new AbortController().signal;
const failure = async (work: Promise<unknown>): Promise<SlipwayError> => {
  try {
    await work;
  } catch (error) {
    if (SlipwayError.is(error)) return error;
    throw error;
  }
  throw new Error('did not fail');
};

describe('kubeconfig', () => {
  const one = file('one', kubeconfigText('one', 'https://one.example.com', 'token-one'));
  const two = file('two', kubeconfigText('two', 'https://two.example.com', 'token-two'));

  test('the list in KUBECONFIG is merged, the first current context counts, absent files are passed over', async () => {
    const env = { KUBECONFIG: ['/nonexistent/zero', one, two].join(delimiter) };
    expect((await openCluster(systemWith(env), {})).context).toBe('one');
    const cluster = await openCluster(systemWith(env), { context: 'two' });
    expect([cluster.api.server, cluster.namespace]).toEqual(['https://two.example.com', 'shop']);
  });

  test('of two entries with one name the first counts', async () => {
    const other = file('other', kubeconfigText('one', 'https://other.example.com', 't'));
    const cluster = await openCluster(systemWith({ KUBECONFIG: [one, other].join(delimiter) }), {});
    expect(cluster.api.server).toBe('https://one.example.com');
  });

  test('a named file goes before everything else', async () => {
    const cluster = await openCluster(systemWith({ KUBECONFIG: one }), { kubeconfig: two });
    expect([cluster.context, cluster.kubeconfig]).toEqual(['two', two]);
  });

  test.each([
    ['base64', (text: string) => Buffer.from(text).toString('base64')],
    [
      'base64 in lines',
      (text: string) =>
        (
          Buffer.from(text)
            .toString('base64')
            .match(/.{1,64}/g) ?? []
        ).join('\n'),
    ],
    ['plain', (text: string) => text],
  ])('content in a variable, %s', async (_how, encode) => {
    const text = kubeconfigText('ci', 'https://ci.example.com', 'token-ci');
    for (const name of ['KUBE_CONFIG', 'KUBECONFIG_B64', 'KUBECONFIG_BASE64', 'KUBE_CONFIG_DATA']) {
      expect((await openCluster(systemWith({ [name]: encode(text) }), {})).api.server).toBe('https://ci.example.com');
    }
  });

  test('KUBECONFIG may hold the content itself, plain or base64; tools then get it as a private file', async () => {
    const text = kubeconfigText('ci', 'https://ci.example.com', 'token-ci');
    for (const value of [text, Buffer.from(text).toString('base64')]) {
      const cluster = await openCluster(systemWith({ KUBECONFIG: value }), {});
      expect([cluster.api.server, await cluster.kubeconfigForTool(0)]).toEqual(['https://ci.example.com', text]);
    }
    const ofFile = await openCluster(systemWith({ KUBECONFIG: one }), {});
    expect(await ofFile.kubeconfigForTool(0)).toBeUndefined();
    const { files } = systemWith({});
    let seen = '';
    await expect(
      files.withPrivateFile('kubeconfig', text, async (path) => {
        seen = path;
        expect(readFileSync(path, 'utf8')).toBe(text);
        if (process.platform !== 'win32') expect(statSync(path).mode & 0o777).toBe(0o600);
        throw new Error('helm failed');
      }),
    ).rejects.toThrow('helm failed');
    expect(existsSync(seen)).toBe(false);
  });

  describe('exec plugin', () => {
    const asked = join(folder, 'asked');
    const plugin = (name: string, script: string): string => {
      const path = file(name, `#!/bin/sh\necho "$KUBERNETES_EXEC_INFO" >> '${asked}'\n${script}\n`);
      chmodSync(path, 0o755);
      return path;
    };
    const credential = (token: string, end?: string): string =>
      `echo '${JSON.stringify({ apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status: { token, ...(end !== undefined && { expirationTimestamp: end }) } })}'`;
    const withExec = (server: string, exec: object): string =>
      file(
        `exec-${Math.random()}`,
        JSON.stringify({
          ...JSON.parse(kubeconfigText('one', server, '')),
          users: [{ name: 'one', user: { exec: { apiVersion: 'client.authentication.k8s.io/v1', ...exec } } }],
        }),
      );
    const times = (): number =>
      existsSync(asked) ? readFileSync(asked, 'utf8').trim().split('\n').filter(Boolean).length : 0;
    beforeEach(() => rmSync(asked, { force: true }));

    test.skipIf(process.platform === 'win32')(
      'is asked once for all connections, told the cluster, and its token is masked',
      async () => {
        const api = new FakeApi();
        await api.start();
        try {
          api.handler = (_asked, answer) => json(answer, { kind: 'Pod', metadata: {} });
          plugin('login', credential('token-from-plugin'));
          // Named by a path from the file's folder, as kubectl has it.
          const path = withExec(`http://127.0.0.1:${api.port}`, { command: './login', provideClusterInfo: true });
          const secrets = new Secrets();
          const system = systemWith({ KUBECONFIG: path });
          const ref = { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'web' };
          const clusters = await Promise.all([1, 2, 3].map(() => openCluster(system, {}, secrets)));
          expect(times()).toBe(0);
          await Promise.all(clusters.map((cluster) => cluster.get(ref, signal)));
          await (await openCluster(system, {}, secrets)).get(ref, signal);
          expect(times()).toBe(1);
          expect(JSON.parse(readFileSync(asked, 'utf8')).spec.cluster.server).toBe(`http://127.0.0.1:${api.port}`);
          expect(api.asked.every(({ headers }) => headers.authorization === 'Bearer token-from-plugin')).toBe(true);
          expect(secrets.mask('token-from-plugin')).not.toContain('from-plugin');
        } finally {
          await api.stop();
        }
      },
    );

    test.skipIf(process.platform === 'win32')('is asked again when its credentials have ended', async () => {
      const api = new FakeApi();
      await api.start();
      try {
        api.handler = (_asked, answer) => json(answer, { kind: 'Pod', metadata: {} });
        const command = plugin('short', credential('t1', new Date(Date.now() + 1000).toISOString()));
        const system = systemWith({ KUBECONFIG: withExec(`http://127.0.0.1:${api.port}`, { command }) });
        const ref = { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'web' };
        await (await openCluster(system, {})).get(ref, signal);
        await (await openCluster(system, {})).get(ref, signal);
        expect(times()).toBe(2);
      } finally {
        await api.stop();
      }
    });

    test.skipIf(process.platform === 'win32')(
      'is asked again, once, when the server refuses what it gave',
      async () => {
        const api = new FakeApi();
        await api.start();
        try {
          let good = 'none';
          api.handler = ({ headers }, answer) =>
            headers.authorization === `Bearer ${good}`
              ? json(answer, { kind: 'Pod', metadata: {} })
              : json(answer, status(401, 'Unauthorized', 'Unauthorized'), 401);
          // A new token each time: t1, t2, …
          const count = `t$(wc -l < '${asked}' | tr -d ' ')`;
          const command = plugin('counting', credential('TOKEN').replace('TOKEN', `'"${count}"'`));
          const system = systemWith({ KUBECONFIG: withExec(`http://127.0.0.1:${api.port}`, { command }) });
          const ref = { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'web' };
          const clusters = await Promise.all([1, 2, 3].map(() => openCluster(system, {})));
          const getAll = () => Promise.all(clusters.map((cluster) => cluster.get(ref, signal)));
          good = 't1';
          await getAll();
          good = 't2';
          await getAll();
          await getAll();
          expect(times()).toBe(2);
          good = 'none';
          expect((await failure(clusters[0]?.get(ref, signal) ?? Promise.resolve())).code).toBe('api.Unauthorized');
          expect(times()).toBe(3);
        } finally {
          await api.stop();
        }
      },
    );

    test.skipIf(process.platform === 'win32')(
      'has been asked: tools get what it gave, unless that ends while they run',
      async () => {
        const end = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString();
        const opened = (name: string, script: string, exec: object = {}) =>
          openCluster(
            systemWith({ KUBECONFIG: withExec('https://x.example.com', { command: plugin(name, script), ...exec }) }),
            {},
          );
        const long = await opened('long', credential('t-long', end(30)));
        const config = JSON.parse((await long.kubeconfigForTool(6 * 60_000)) ?? '{}');
        expect([config['current-context'], config.clusters[0].cluster.server, config.users[0].user]).toEqual([
          'one',
          'https://x.example.com',
          { token: 't-long' },
        ]);
        await long.kubeconfigForTool(6 * 60_000);
        expect(times()).toBe(1);
        expect(await (await opened('brief', credential('t', end(5)))).kubeconfigForTool(6 * 60_000)).toBeUndefined();
      },
    );

    test.skipIf(process.platform === 'win32')(
      'that fails is quoted, and never started in Restricted Mode',
      async () => {
        const command = plugin('broken', 'echo "session expired" >&2; exit 1');
        const env = { KUBECONFIG: withExec('http://127.0.0.1:1', { command, installHint: 'Run: login again.' }) };
        const cluster = await openCluster(systemWith(env), {});
        const error = await failure(cluster.get({ apiVersion: 'v1', kind: 'Pod', namespace: 'x', name: 'y' }, signal));
        expect([error.message, error.fix]).toEqual([expect.stringContaining('session expired'), 'Run: login again.']);
        const before = times();
        expect((await failure(openCluster(systemWith(env, false), {}))).reason).toBe('untrusted');
        expect(times()).toBe(before);
      },
    );
  });

  test('credentials are masked from then on', async () => {
    const secrets = new Secrets();
    await openCluster(systemWith({ KUBECONFIG: one }), {}, secrets);
    expect(secrets.mask('Bearer token-one')).not.toContain('token-one');
  });

  test.each([
    ['kubeconfig.missing', { KUBECONFIG: '/nonexistent/a' }, {}, '/nonexistent/a'],
    ['kubeconfig.missing', {}, {}, '~/.kube/config|/nonexistent/.kube/config'],
    ['kubeconfig.missing', {}, { kubeconfig: '/nonexistent/b' }, '/nonexistent/b'],
    ['kubeconfig.context', { KUBECONFIG: one }, { context: 'tow' }, 'tow'],
    ['kubeconfig.broken', { KUBE_CONFIG: 'bm90aGluZw==' }, {}, 'KUBE_CONFIG'],
    ['kubeconfig.none', { KUBECONFIG: file('empty', '{"apiVersion":"v1","kind":"Config"}') }, {}, 'context'],
  ])('%s is said', async (code, env, target, says) => {
    const error = await failure(openCluster(systemWith(env as unknown as Record<string, string>), target));
    expect(error).toMatchObject({ reason: 'cluster', code });
    expect(error.message).toMatch(new RegExp(says.replaceAll('/', '\\/')));
  });

  test('nothing is opened in an untrusted workspace', async () => {
    expect(await failure(openCluster(systemWith({ KUBECONFIG: one }, false), {}))).toMatchObject({
      reason: 'untrusted',
    });
  });
});

describe('one API server', () => {
  const api = new FakeApi();
  beforeEach(() => api.start());
  afterEach(async () => {
    await api.stop();
    api.asked.length = 0;
  });
  const pod = (name: string, version: number, more: object = {}): object => ({
    metadata: {
      name,
      namespace: 'shop',
      uid: `uid-${name}`,
      resourceVersion: String(version),
      managedFields: [{ manager: 'x' }],
      ...more,
    },
  });

  test('the token is sent, lists are read page by page, items get their kind', async () => {
    api.handler = ({ query }, answer) =>
      query.get('continue') === null
        ? json(answer, { metadata: { continue: 'next', resourceVersion: '7' }, items: [pod('a', 1)] })
        : json(answer, { metadata: { resourceVersion: '7' }, items: [pod('b', 2)] });
    const cluster = await api.open();
    const { items, resourceVersion } = await cluster.listWithVersion(
      { apiVersion: 'v1', kind: 'Pod', namespace: 'shop' },
      signal,
    );
    expect(items.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual(['Pod a', 'Pod b']);
    expect(resourceVersion).toBe('7');
    expect(api.asked[0]?.headers.authorization).toBe('Bearer secret-token');
  });

  test('kinds are discovered once; one that is not known is asked for again', async () => {
    let isThere = false;
    api.handler = ({ path }, answer) => {
      if (path === '/apis/example.com/v1') {
        if (!isThere) return json(answer, status(404, 'NotFound', 'no'), 404);
        return json(answer, {
          resources: [
            { name: 'widgets', kind: 'Widget', namespaced: true },
            { name: 'widgets/status', kind: 'Widget' },
          ],
        });
      }
      json(answer, { metadata: { name: 'w' } });
    };
    const cluster = await api.open();
    const ref = { apiVersion: 'example.com/v1', kind: 'Widget', name: 'w', namespace: 'shop' };
    expect(await cluster.get(ref, signal)).toBeUndefined();
    isThere = true;
    expect(await cluster.get(ref, signal)).toBeDefined();
    await cluster.get(ref, signal);
    expect(api.asked.filter(({ path }) => path === '/apis/example.com/v1')).toHaveLength(2);
    expect(api.asked.at(-1)?.path).toBe('/apis/example.com/v1/namespaces/shop/widgets/w');
  });

  test('a missing right is named', async () => {
    const message = 'pods is forbidden: User "dev" cannot list resource "pods" in API group "" in the namespace "shop"';
    api.handler = (_asked, answer) => json(answer, status(403, 'Forbidden', message), 403);
    const cluster = await api.open();
    const error = await failure(cluster.list({ apiVersion: 'v1', kind: 'Pod', namespace: 'shop' }, signal));
    expect(error).toMatchObject({ code: 'api.Forbidden', fix: 'Ask for the right to list pods in namespace shop.' });
  });

  test('throttled requests are repeated when the server says so', async () => {
    let left = 2;
    api.handler = (_asked, answer) => {
      left -= 1;
      if (left >= 0) return json(answer, status(429, 'TooManyRequests', 'slow down'), 429, { 'retry-after': '0' });
      json(answer, { metadata: { name: 'a' } });
    };
    const cluster = await api.open();
    expect(await cluster.get({ apiVersion: 'v1', kind: 'Pod', name: 'a', namespace: 'shop' }, signal)).toBeDefined();
    expect(api.asked).toHaveLength(3);
  });

  test('a server that is not there is unreachable', async () => {
    const cluster = await openCluster(systemWith({ KUBE_CONFIG: kubeconfigText('x', 'http://127.0.0.1:1', 't') }), {});
    expect(
      await failure(cluster.get({ apiVersion: 'v1', kind: 'Pod', name: 'a', namespace: 'shop' }, signal)),
    ).toMatchObject({ code: 'cluster.unreachable' });
  });

  describe('watch', () => {
    /** Lists of versions, and what each watch gets; the last watch stays open. */
    async function watching(
      lists: readonly (readonly object[])[],
      watches: readonly (readonly (object | 'cut' | 'half')[])[],
      until: (cache: WatchCache, contacts: readonly Contact[]) => boolean,
      onWatch: (asked: Asked, index: number) => readonly [number, object] | undefined = () => undefined,
    ): Promise<{ readonly cache: WatchCache; readonly contacts: readonly Contact[]; readonly changes: number }> {
      let listed = 0;
      let watched = 0;
      api.handler = (asked, answer) => {
        if (asked.query.get('watch') !== '1') {
          const items = lists[Math.min(listed, lists.length - 1)] ?? [];
          listed += 1;
          return json(answer, { metadata: { resourceVersion: String(listed * 100) }, items });
        }
        const index = watched;
        watched += 1;
        const refusal = onWatch(asked, index);
        if (refusal !== undefined) return json(answer, refusal[1], refusal[0]);
        answer.writeHead(200, { 'content-type': 'application/json' });
        for (const event of watches[index] ?? []) {
          if (event === 'cut') answer.destroy();
          else if (event === 'half') answer.write('{"type":"ADDED","obj');
          else answer.write(`${JSON.stringify(event)}\n`);
        }
        // Each watch but the last one is ended by the server, as it does every few minutes.
        if (index < watches.length - 1) answer.end();
      };
      const cluster = await api.open();
      const stop = new AbortController();
      const contacts: Contact[] = [];
      let changes = 0;
      const cache = await new Promise<WatchCache>((resolve) => {
        const look = (): void => {
          if (until(made, contacts)) resolve(made);
        };
        const made: WatchCache = new WatchCache(
          cluster,
          { apiVersion: 'v1', kind: 'Pod', namespace: 'shop' },
          {
            clock: { ...realClock, sleep: () => new Promise((wake) => setImmediate(wake)) },
            signal: stop.signal,
            onChange: () => {
              changes += 1;
              setImmediate(look);
            },
            onContact: (contact) => {
              contacts.push(contact);
              setImmediate(look);
            },
          },
        );
      });
      stop.abort();
      return { cache, contacts, changes };
    }
    const names = (cache: WatchCache): readonly string[] =>
      [...cache.objects()].map(({ metadata }) => metadata.name).sort();

    test('adds, changes, removes; bookmarks move the version on; managed fields are not kept', async () => {
      const { cache } = await watching(
        [[pod('a', 1)]],
        [
          [
            { type: 'ADDED', object: pod('b', 101) },
            { type: 'MODIFIED', object: pod('a', 102, { labels: { x: 'y' } }) },
            { type: 'DELETED', object: pod('b', 103) },
            { type: 'BOOKMARK', object: { metadata: { resourceVersion: '140' } } },
          ],
          [{ type: 'ADDED', object: pod('c', 141) }],
        ],
        (made) => names(made).join() === 'a,c',
      );
      expect([...cache.objects()].find(({ metadata }) => metadata.name === 'a')?.metadata).toMatchObject({
        labels: { x: 'y' },
      });
      expect([...cache.objects()][0]?.metadata.managedFields).toBeUndefined();
      const versions = api.asked
        .filter(({ query }) => query.get('watch') === '1')
        .map(({ query }) => query.get('resourceVersion'));
      expect(versions.slice(0, 2)).toEqual(['100', '140']);
      expect(api.asked.filter(({ query }) => query.get('watch') !== '1')).toHaveLength(1);
    });

    test('410 Gone as an event: a new list, and what went meanwhile is gone', async () => {
      const { contacts } = await watching(
        [
          [pod('a', 1), pod('b', 2)],
          [pod('b', 2), pod('c', 3)],
        ],
        [[{ type: 'ERROR', object: status(410, 'Expired', 'too old resource version') }], []],
        (made) => names(made).join() === 'b,c',
      );
      expect(contacts.map(({ state }) => state)).toEqual(['connected']);
    });

    test('410 Gone as an answer', async () => {
      await watching(
        [[pod('a', 1)], [pod('b', 2)]],
        [[], []],
        (made) => names(made).join() === 'b',
        (_asked, index) => (index === 0 ? [410, status(410, 'Expired', 'too old')] : undefined),
      );
      expect(api.asked.filter(({ query }) => query.get('watch') !== '1')).toHaveLength(2);
    });

    test('a connection that is cut in the middle of a line goes on from the last whole one', async () => {
      const { contacts } = await watching(
        [[pod('a', 1)]],
        [
          [{ type: 'ADDED', object: pod('b', 101) }, 'half', 'cut'],
          [
            { type: 'ADDED', object: pod('b', 101) },
            { type: 'ADDED', object: pod('c', 102) },
          ],
        ],
        (made) => names(made).join() === 'a,b,c',
      );
      const [, second] = api.asked.filter(({ query }) => query.get('watch') === '1');
      expect(['100', '101']).toContain(second?.query.get('resourceVersion'));
      expect(contacts.at(-1)?.state).toBe('connected');
    });

    test('a server in trouble: reconnecting with a count, then connected', async () => {
      const { contacts } = await watching(
        [[pod('a', 1)]],
        [[], [], [], [{ type: 'ADDED', object: pod('b', 101) }]],
        (made) => names(made).join() === 'a,b',
        (_asked, index) => (index < 3 ? [500, status(500, 'InternalError', 'etcd is away')] : undefined),
      );
      const states = contacts.map((contact) =>
        contact.state === 'reconnecting' ? `${contact.state} ${contact.attempt}` : contact.state,
      );
      expect(states).toEqual(['connected', 'reconnecting 1', 'reconnecting 2', 'reconnecting 3', 'connected']);
    });

    test('without the right to watch contact is lost for good', async () => {
      const { contacts } = await watching(
        [[pod('a', 1)]],
        [[]],
        (_made, seen) => seen.at(-1)?.state === 'lost',
        () => [403, status(403, 'Forbidden', 'no')],
      );
      expect(contacts.at(-1)).toMatchObject({ state: 'lost' });
    });
  });
});
