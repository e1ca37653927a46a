import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { probeHost, repositoryOf } from '../../src/engine/ci/detect.ts';
import { Nudge, pollDelay } from '../../src/engine/ci/follow.ts';
import { chooseRemote, readRemotes } from '../../src/engine/ci/gitConfig.ts';
import { provenSteps, stepsByLog } from '../../src/engine/ci/giteaSteps.ts';
import { type CiRun, findRepository, joinCommits, logOfStep, plainLog } from '../../src/engine/ci/index.ts';
import { firstErrorLine, logAnnotations } from '../../src/engine/ci/logText.ts';
import { parseRemote, sshHostName } from '../../src/engine/ci/remote.ts';
import { stateOfGitlab, stateOfPair } from '../../src/engine/ci/state.ts';
import { findToken } from '../../src/engine/ci/token.ts';
import { giteaAbility, parseGiteaVersion } from '../../src/engine/ci/version.ts';
import { Secrets } from '../../src/engine/events/secrets.ts';
import { createSystem, FakeClock } from '../../src/engine/system/index.ts';
import { workspace } from './workspaces.ts';

describe('remotes', () => {
  it.each([
    ['https://github.com/acme/shop.git', 'github', 'https://api.github.com/', 'acme/shop'],
    ['https://ada:s3cret@github.com/acme/shop', 'github', 'https://api.github.com/', 'acme/shop'],
    ['git@github.com:acme/shop.git', 'github', 'https://api.github.com/', 'acme/shop'],
    ['ssh://git@ssh.github.com:443/acme/shop.git', 'github', 'https://api.github.com/', 'acme/shop'],
    ['git+ssh://git@github.com/acme/shop.git/', 'github', 'https://api.github.com/', 'acme/shop'],
    ['org-123@github.com:acme/shop.git', 'github', 'https://api.github.com/', 'acme/shop'],
    ['git@acme.ghe.com:acme/shop', 'github', 'https://api.acme.ghe.com/', 'acme/shop'],
    ['https://gitlab.com/acme/team/back/shop.git', 'gitlab', 'https://gitlab.com/api/v4/', 'acme/team/back/shop'],
    ['git@altssh.gitlab.com:acme/shop.git', 'gitlab', 'https://gitlab.com/api/v4/', 'acme/shop'],
    ['https://codeberg.org/acme/shop', 'gitea', 'https://codeberg.org/api/v1/', 'acme/shop'],
    ['HTTPS://GitHub.com/Acme/Shop.git', 'github', 'https://api.github.com/', 'Acme/Shop'],
  ])('%s', (url, kind, api, path) => {
    const remote = parseRemote('origin', url);
    expect(remote?.shown).not.toContain('s3cret');
    expect(remote && repositoryOf(remote)).toMatchObject({ kind, api, path });
  });

  it.each([
    '/srv/git/shop.git',
    '../shop',
    'C:\\git\\shop',
    'C:/git/shop',
    'file:///srv/shop',
    'github.com',
    'https://github.com/acme',
  ])('%s leads to no host', (url) => expect(parseRemote('origin', url)).toBeUndefined());

  it('takes the kind, the path below the host and the protocol from what is known', () => {
    const below = parseRemote('origin', 'https://git.acme.example:8443/gitea/acme/shop.git');
    expect(below && repositoryOf(below, { 'git.acme.example:8443': { kind: 'gitea', prefix: 'gitea' } })).toEqual({
      kind: 'gitea',
      host: 'git.acme.example:8443',
      web: 'https://git.acme.example:8443/gitea/',
      api: 'https://git.acme.example:8443/gitea/api/v1/',
      path: 'acme/shop',
    });
    const ssh = parseRemote('origin', 'ssh://git@git.acme.example:2222/acme/shop.git');
    expect(ssh && repositoryOf(ssh)).toBeUndefined();
    expect(ssh && repositoryOf(ssh, { 'git.acme.example': { kind: 'github' } })?.api).toBe(
      'https://git.acme.example/api/v3/',
    );
    expect(ssh && repositoryOf(ssh, { 'git.acme.example': { kind: 'gitea', protocol: 'http' } })?.web).toBe(
      'http://git.acme.example/',
    );
  });

  it('resolves aliases of the ssh configuration', () => {
    const config =
      'Host work other\n  User git\n  HostName github.com\nHost *\n  HostName nowhere\nMatch host x\n HostName y\n';
    expect(sshHostName(config, 'work')).toBe('github.com');
    expect(sshHostName(config, 'example.com')).toBe('example.com');
    expect(parseRemote('origin', 'work:acme/shop', (name) => sshHostName(config, name))?.host).toBe('github.com');
  });

  it('reads the remotes of a worktree, with CRLF and without a process', async () => {
    const root = workspace({
      'main/.git/config':
        '[core]\r\n\tbare = false\r\n[remote "origin"]\r\n\turl = git@github.com:ada/shop.git\r\n[remote "up"]\r\n\turl = "https://gitlab.com/acme/shop.git"\r\n[branch "dev"]\r\n\tremote = up\r\n',
      'main/.git/HEAD': 'ref: refs/heads/main\r\n',
      'main/.git/worktrees/side/HEAD': 'ref: refs/heads/dev\n',
      'main/.git/worktrees/side/commondir': '../..\n',
      'side/src/a.ts': '',
    });
    writeFileSync(join(root, 'side', '.git'), `gitdir: ${join(root, 'main/.git/worktrees/side')}\n`);
    const system = createSystem({ env: {} });
    const main = await readRemotes(system, join(root, 'main'));
    expect(main).toMatchObject({ branch: 'main', top: join(root, 'main') });
    expect(main && chooseRemote(main)?.name).toBe('origin');
    const side = await readRemotes(system, join(root, 'side', 'src'));
    expect(side).toMatchObject({ branch: 'dev', upstream: 'up', top: join(root, 'side') });
    expect(side && chooseRemote(side)?.host).toBe('gitlab.com');
    expect(side && chooseRemote(side, 'origin')?.host).toBe('github.com');
    expect((await findRepository(system, join(root, 'side')))?.repository).toMatchObject({ kind: 'gitlab' });
    expect(await readRemotes(system, '/')).toBeUndefined();
  });
});

describe('probing', () => {
  const servers: Server[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
  });
  async function serve(
    answers: Readonly<
      Record<string, { readonly status: number; readonly body?: object; readonly headers?: Record<string, string> }>
    >,
  ) {
    const seen: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      seen.push(request.headers.authorization);
      const answer = answers[request.url ?? ''];
      response.writeHead(answer?.status ?? 404, answer?.headers);
      response.end(JSON.stringify(answer?.body ?? {}));
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const host = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
    const probe = async (path: string) => {
      const remote = parseRemote('origin', `http://ada:pw@${host}/${path}`);
      if (remote === undefined) throw new Error('no remote');
      return probeHost(createSystem({ env: { GITEA_TOKEN: 'x'.repeat(20) } }), remote, new AbortController().signal);
    };
    return { probe, seen };
  }

  it.each([
    ['gitea', { '/api/v1/version': { status: 200, body: { version: '1.26.0' } } }],
    [
      'gitea',
      { '/api/v1/version': { status: 403, body: { message: 'Only signed in user is allowed to call APIs.' } } },
    ],
    ['gitlab', { '/api/v4/version': { status: 401, body: { message: '401 Unauthorized' } } }],
    ['github', { '/api/v3/meta': { status: 401, headers: { 'x-github-request-id': '1' } } }],
  ])('finds %s without sending anything secret', async (kind, answers) => {
    const { probe, seen } = await serve(answers);
    expect(await probe('acme/shop')).toEqual({ kind });
    expect(seen.every((authorization) => authorization === undefined)).toBe(true);
  });

  it('finds an installation below a path, and nothing where there is none', async () => {
    const { probe } = await serve({ '/git/api/v1/version': { status: 200, body: { version: '16.0.2+gitea-1.22.0' } } });
    expect(await probe('git/acme/shop')).toEqual({ kind: 'gitea', prefix: 'git' });
    expect(await probe('acme/shop')).toBeUndefined();
  });
});

describe('tokens', () => {
  const github = { kind: 'github', host: 'github.com', web: '', api: '', path: 'a/b' } as const;
  const gitlab = { kind: 'gitlab', host: 'git.acme.example', web: '', api: '', path: 'a/b' } as const;
  const gitea = { kind: 'gitea', host: 'localhost:3000', web: '', api: '', path: 'a/b' } as const;
  const find = (env: Record<string, string>, repository: typeof github | typeof gitlab | typeof gitea) =>
    findToken(createSystem({ env }), repository, new Secrets());

  it('takes the variables of each host in their order', async () => {
    expect((await find({ GITHUB_TOKEN: 'two', GH_TOKEN: 'one' }, github)).token).toEqual({
      token: 'one',
      from: 'GH_TOKEN',
    });
    expect((await find({ GITLAB_TOKEN: 't', GITLAB_HOST: 'https://git.acme.example/' }, gitlab)).token?.from).toBe(
      'GITLAB_TOKEN',
    );
    expect((await find({ GITEA_TOKEN: 't', GITEA_SERVER_URL: 'http://localhost:3000' }, gitea)).token?.from).toBe(
      'GITEA_TOKEN',
    );
  });

  it('sends a token to no host that it was not meant for, and says how to', async () => {
    const gitlabs = await find({ GITLAB_TOKEN: 't' }, gitlab);
    expect(gitlabs.token).toBeUndefined();
    expect(gitlabs.hints[0]).toContain('GITLAB_HOST=git.acme.example');
    expect(
      (await find({ GITHUB_TOKEN: 't', GITHUB_SERVER_URL: 'http://localhost:3000' }, github)).token,
    ).toBeUndefined();
    expect((await find({ GITEA_TOKEN: 't' }, gitea)).token).toBeUndefined();
  });

  it("reads the hosts' command lines, and registers what it finds", async () => {
    const home = workspace({
      '.config/gh/hosts.yml':
        'github.com:\n    user: ada\n    users:\n        ada:\n            oauth_token: gho_0123456789\n    git_protocol: ssh\n',
      '.config/glab-cli/config.yml':
        'hosts:\n    git.acme.example:\n        token: !!null glpat-0123456789\n        api_protocol: https\n',
      '.config/tea/config.yml':
        'logins:\n  - name: lab\n    url: http://localhost:3000\n    token: 0123456789abcdef\n    default: true\n',
    });
    const system = createSystem({ env: { HOME: home } });
    const secrets = new Secrets();
    expect((await findToken(system, github, secrets)).token).toMatchObject({
      token: 'gho_0123456789',
      from: expect.stringContaining('gh ('),
    });
    expect((await findToken(system, gitlab, secrets)).token).toMatchObject({ token: 'glpat-0123456789' });
    expect((await findToken(system, gitea, secrets)).token).toMatchObject({ token: '0123456789abcdef' });
    expect(secrets.mask('a gho_0123456789 b glpat-0123456789 c')).toBe('a *** b *** c');
  });

  it('asks gh itself where the token is in the keyring', async () => {
    const home = workspace({ '.config/gh/hosts.yml': 'github.com:\n    user: ada\n' });
    mkdirSync(join(home, 'bin'));
    writeFileSync(
      join(home, 'bin', 'gh'),
      '#!/bin/sh\n[ "$*" = "auth token --hostname github.com" ] && echo gho_fromkeyring\n',
      { mode: 0o755 },
    );
    const system = createSystem({ env: { HOME: home, PATH: `${join(home, 'bin')}:/usr/bin:/bin` } });
    expect((await findToken(system, github, new Secrets())).token).toEqual({
      token: 'gho_fromkeyring',
      from: 'gh auth token',
    });
  });
});

describe('words and versions', () => {
  it.each([
    ['completed', 'success', 'succeeded'],
    ['completed', 'timed_out', 'timed-out'],
    ['completed', 'action_required', 'waiting'],
    ['in_progress', null, 'running'],
    ['queued', '', 'queued'],
    ['blocked', undefined, 'waiting'],
    ['something_new', null, 'unknown'],
  ])('%s %s is %s', (status, conclusion, state) => expect(stateOfPair(status, conclusion)).toBe(state));

  it.each([
    ['failed', true, 'warning'],
    ['failed', false, 'failed'],
    ['waiting_for_resource', false, 'waiting'],
    ['canceling', false, 'running'],
    ['manual', false, 'waiting'],
  ])('GitLab %s (%s) is %s', (status, isAllowed, state) => expect(stateOfGitlab(status, isAllowed)).toBe(state));

  it.each([
    ['1.23.8', 'runs', false],
    ['1.24.0', 'dispatch', true],
    ['1.24.0', 'runs', false],
    ['1.25.0', 'runs', true],
    ['1.25.4', 'rerun', false],
    ['1.26.0~rc1', 'rerun', true],
    ['1.27.3+dev-12-gabc', 'cancel', false],
    ['28.0.0', 'cancel', true],
    ['16.0.2+gitea-1.22.0', 'cancel', true],
    ['16.0.2+gitea-1.22.0', 'rerun', false],
    ['not a version', 'cancel', true],
  ] as const)('%s: %s %s', (text, action, isAble) =>
    expect(giteaAbility(parseGiteaVersion(text), action).isAble).toBe(isAble),
  );
});

describe('logs', () => {
  const text =
    '\uFEFF2026-11-21T06:00:00.1000000Z ##[group]Run make\n2026-11-21T06:00:00.2000000Z \u001b[36;1mmake\u001b[0m\n2026-11-21T06:00:00.3Z ##[endgroup]\n2026-11-21T06:00:04.9Z 10%\r2026-11-21T06:00:05.1Z 100%\r\n2026-11-21T06:00:07.0Z ##[error]Process completed with exit code 2.\n';

  it('are shown without times, colours and rewritten lines', () => {
    expect(plainLog(text)).toBe('▸ Run make\nmake\n100%\n##[error]Process completed with exit code 2.\n');
    expect(plainLog('a\u001b[0Ksection_start:1763700000:step_script[collapsed=true]\r\u001b[0KScript\nx\n')).toContain(
      'Script',
    );
    expect(firstErrorLine(plainLog(text).split('\n'))).toBe(3);
  });

  it('are cut to a step by its times', () => {
    const step = logOfStep(text, { startedAt: '2026-11-21T06:00:00Z', finishedAt: '2026-11-21T06:00:04Z' });
    expect(step?.split('\n')).toHaveLength(4);
    expect(logOfStep(text, {})).toBeUndefined();
  });

  it('give their workflow commands as remarks', () => {
    expect(
      logAnnotations(
        '2026-11-21T06:00:00Z ::warning file=./src/a.ts,line=3,endLine=5,col=2,title=A%2C B::50%25%0Aof it\r\n::error::no file\n::notice file=b.ts::hint\n',
        '7',
      ),
    ).toEqual([
      {
        path: 'src/a.ts',
        line: 3,
        endLine: 5,
        column: 2,
        severity: 'warning',
        title: 'A, B',
        message: '50%\nof it',
        job: '7',
      },
      { path: 'b.ts', line: 1, severity: 'info', message: 'hint', job: '7' },
    ]);
  });
});

describe('polling', () => {
  const base = { faults: 0, rate: undefined, now: 0, spread: 0.5 } as const;
  it('is slow when idle, quicker when something runs, slower after faults', () => {
    expect(pollDelay({ ...base, attention: 'idle' })).toBe(60_000);
    expect(pollDelay({ ...base, attention: 'active' })).toBe(10_000);
    expect(pollDelay({ ...base, attention: 'open' })).toBe(4_000);
    expect(pollDelay({ ...base, attention: 'open', faults: 3 })).toBe(32_000);
    expect(pollDelay({ ...base, attention: 'idle', faults: 50 })).toBe(600_000);
  });

  it('spreads what is left of a limit over the time until it is renewed', () => {
    const rate = { limit: 60, remaining: 4, resetsAt: 600_000 };
    expect(pollDelay({ ...base, attention: 'open', rate })).toBe(600_000);
    expect(pollDelay({ ...base, attention: 'open', rate: { ...rate, remaining: 40 } })).toBe(4_000);
  });

  it('is woken by a nudge, also by one that came before the sleep', async () => {
    const clock = new FakeClock();
    const system = { ...createSystem({ env: {} }), clock };
    const nudge = new Nudge();
    const stop = new AbortController();
    const slept = nudge.sleep(system, 60_000, stop.signal);
    nudge.now();
    await slept;
    nudge.now();
    await nudge.sleep(system, 60_000, stop.signal);
    const cancelled = nudge.sleep(system, 60_000, stop.signal);
    stop.abort();
    await expect(cancelled).rejects.toMatchObject({ name: 'CancelledError' });
  });
});

describe('commit, run, image, environment', () => {
  const run = (id: string, commit: string): CiRun => ({
    id,
    number: id,
    title: '',
    workflow: 'build',
    event: 'push',
    ref: 'main',
    commit,
    state: 'succeeded',
    detail: '',
    createdAt: '',
    attempt: 1,
    url: '',
  });
  const a = 'a'.repeat(40);
  const b = 'b'.repeat(40);
  const published = (digest: string) => [
    { image: 'api', repository: 'ghcr.io/acme/api', tags: [`main-${digest}`], digest: `sha256:${digest}` },
  ];
  const journal = (id: string, commit: string, startedAt: string, more: object = {}) => ({
    id,
    state: 'succeeded',
    environment: 'dev',
    startedAt,
    commit,
    rolledBack: false,
    published: published(id),
    deployed: { environment: 'dev' },
    ...more,
  });

  it('are joined; a dirty run tells nothing, and only the newest deploy is the one that stands', () => {
    const stories = joinCommits(
      [run('2', b), run('1', a)],
      [
        journal('x', a, '2026-11-21T06:00:00Z'),
        journal('y', b, '2026-11-21T07:00:00Z', { rolledBack: true }),
        journal('z', a, '2026-11-21T05:00:00Z', { isDirty: true }),
      ],
      [
        { image: 'api', repository: 'ghcr.io/acme/api', tag: 'v1', digest: 'sha256:x', revision: a },
        { image: 'web', repository: 'ghcr.io/acme/web', tag: 'v1', digest: 'sha256:w', revision: b.slice(0, 12) },
      ],
    );
    expect(stories.map(({ commit }) => commit)).toEqual([b, a]);
    expect(stories[0]?.images.map(({ reference, from }) => `${reference} ${from}`)).toEqual([
      'ghcr.io/acme/api:main-y journal',
      'ghcr.io/acme/web:v1 registry',
    ]);
    expect(stories[0]?.environments).toEqual([
      { name: 'dev', journalRun: 'y', at: '2026-11-21T07:00:00Z', state: 'rolled back', isNewest: true },
    ]);
    expect(stories[1]?.images).toHaveLength(1);
    expect(stories[1]?.environments).toMatchObject([{ journalRun: 'x', isNewest: false }]);
  });
});

describe("Gitea's steps", () => {
  const step = (name: string, times: object) => ({ number: 1, name, state: 'failed' as const, ...times });
  const job = {
    id: '1',
    run: '1',
    name: 'x',
    state: 'failed' as const,
    detail: '',
    url: '',
    steps: [step('a', { startedAt: 't' }), step('b', { startedAt: 't' }), step('c', {})],
  };
  it('are not believed when all of them say what the job says', () => {
    const proven = provenSteps(job);
    const { steps } = proven;
    expect(steps.map(({ state }) => state)).toEqual(['unknown', 'unknown', 'skipped']);
    const log =
      '2026-11-21T06:00:00Z   \u2705  Success - Main a [1.2s]\n2026-11-21T06:00:00Z   \u274C  Failure - Main b\n';
    expect(stepsByLog(proven, log).map(({ state }) => state)).toEqual(['succeeded', 'failed', 'skipped']);
  });
  it('are taken as they are when they differ, and when one alone began', () => {
    const mixed = { ...job, steps: [{ ...step('a', {}), state: 'succeeded' as const }, step('b', {})] };
    expect(provenSteps(mixed)).toBe(mixed);
    const alone = provenSteps({ ...job, steps: [step('a', { startedAt: 't' }), step('b', {})] });
    expect(alone.steps.map(({ state }) => state)).toEqual(['failed', 'skipped']);
  });
});
