// A repository on a real Gitea, end to end: token, push, a generated workflow, a runner, the registry, and the CI host seen
// and steered by the command line.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { askPush } from '../../src/engine/lint/index.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { bundledCli } from '../bundle.ts';
import { checkBy } from '../ci/schemas.ts';
import { labEnv } from '../lab/lab.ts';
import { GiteaAccount } from './support/giteaAccount.ts';
import { GiteaRunner } from './support/giteaRunner.ts';
import { FILTERS, PUSHES } from './support/pushFilters.ts';
import { run, test } from './support/suite.ts';

const lab = await labEnv(['core', 'gitea']);
const account = new GiteaAccount(lab.env, `ci-${process.pid}`);
const { url, host, user } = account;
const root = mkdtempSync(join(tmpdir(), 'slipway-gitea-'));
const home = mkdtempSync(join(tmpdir(), 'slipway-gitea-home-'));
const main = bundledCli();
const base = { ...process.env, ...lab.env, HOME: home, DOCKER_CONFIG: join(home, 'docker'), CI: '1' };
const tokens = { full: '', read: '' };
const runner = new GiteaRunner(url, {
  ...base,
  NPM_CONFIG_PREFIX: join(home, 'npm'),
  PATH: `${join(home, 'npm', 'bin')}:${lab.env.PATH}`,
});

interface Output {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Not blocking: the runner lives in this process. */
function command(
  file: string,
  args: readonly string[],
  more: {
    readonly env?: Readonly<Record<string, string>>;
    readonly input?: string;
    readonly onOut?: (text: string) => void;
  } = {},
): Promise<Output> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, [...args], { cwd: root, env: { ...base, ...more.env } });
    let out = '';
    let err = '';
    child.stdout.on('data', (bytes: Buffer) => {
      out += bytes.toString('utf8');
      more.onOut?.(out);
    });
    child.stderr.on('data', (bytes: Buffer) => {
      err += bytes.toString('utf8');
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? -1, out, err }));
    // A command that reads nothing may be gone before this is written.
    child.stdin.on('error', () => {});
    child.stdin.end(more.input ?? '');
  });
}

const slipway = (
  args: readonly string[],
  token: string = tokens.full,
  onOut?: (text: string) => void,
): Promise<Output> =>
  command(process.execPath, [main, ...args], {
    env: token === '' ? {} : { GITEA_TOKEN: token, GITEA_HOST: host },
    ...(onOut !== undefined && { onOut }),
  });

/** A failure is thrown where the result is looked at, not while nobody listens. */
const settled = <T>(work: Promise<T>): Promise<() => T> =>
  work.then(
    (value) => () => value,
    (error: unknown) => () => {
      throw error;
    },
  );

async function ok(work: Promise<Output>): Promise<string> {
  const { code, out, err } = await work;
  assert.equal(code, 0, `${out}${err}`);
  return out;
}

const git = (...args: readonly string[]) =>
  ok(command('git', ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.com', ...args]));

const raw = async (path: string): Promise<unknown> =>
  (
    await fetch(`${url}/api/v1/repos/${user}/app/actions/${path}`, {
      headers: { authorization: `token ${tokens.full}` },
    })
  ).json();

interface RunJson {
  readonly id: string;
  readonly number: string;
  readonly state: string;
  readonly commit: string;
  readonly event: string;
  readonly workflow: string;
  readonly attempt: number;
}
const jsonLines = <T>(text: string): readonly T[] =>
  text
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
const newest = async (): Promise<RunJson> => {
  const [first] = jsonLines<RunJson>(await ok(slipway(['--json', 'ci', 'list', '-n', '1'])));
  assert.ok(first);
  return first;
};

test('an account with tokens for the repository and for packages', async () => {
  await account.create();
  tokens.full = await account.token('full', ['write:repository', 'write:package', 'write:user']);
  tokens.read = await account.token('read', ['read:repository']);
  await account.api('POST', 'user/repos', { name: 'app', private: true });
  const login = await command('docker', ['login', host, '--username', user, '--password-stdin'], {
    input: tokens.full,
  });
  assert.equal(login.code, 0, login.err);
});

test('a generated workflow, pushed, is a run that the command line sees', async () => {
  writeFileSync(join(root, 'Dockerfile'), 'FROM scratch\nCOPY hello /hello\n');
  writeFileSync(join(root, 'hello'), 'hello\n');
  writeFileSync(
    join(root, 'slipway.yaml'),
    `version: 1
images:
  app: { repository: ${host}/${user}/app, platforms: [linux/amd64] }
tags: ["{sha}"]
test:
  - name: database
    run: [python3, -c, "import os, socket, urllib.parse; u = urllib.parse.urlsplit(os.environ['DATABASE_URL']); socket.create_connection((u.hostname, u.port), 5); assert (u.hostname, str(u.port)) == (os.environ['POSTGRES_HOST'], os.environ['POSTGRES_PORT']); print('postgres answers')"]
    env: { DATABASE_URL: "postgres://app:test-only@{service.postgres.host}:{service.postgres.port}/app" }
    services:
      postgres:
        image: ${lab.registry}/base/postgres:15
        env: { POSTGRES_DB: app, POSTGRES_USER: app, POSTGRES_PASSWORD: test-only }
        health: [pg_isready, -h, 127.0.0.1, -U, app]
        ports: [5432]
scan: { severity: [HIGH, CRITICAL] }
`,
  );
  // What CI installs instead of a published package: a command that is this checkout's.
  mkdirSync(join(root, 'tools'));
  writeFileSync(
    join(root, 'tools', 'package.json'),
    JSON.stringify({ name: 'slipway-of-the-test', version: '1.0.0', bin: { slipway: 'slipway.sh' } }),
  );
  writeFileSync(join(root, 'tools', 'slipway.sh'), `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`, {
    mode: 0o755,
  });
  mkdirSync(join(root, '.gitea', 'workflows'), { recursive: true });
  writeFileSync(
    join(root, '.gitea', 'workflows', 'by-hand.yml'),
    `name: by hand
on:
  workflow_dispatch:
    inputs:
      greeting: { type: string, required: true }
jobs:
  greet:
    runs-on: ubuntu-latest
    steps:
      - name: Greet
        run: |
          echo "greeting is \${{ inputs.greeting }}"
          echo "::error file=hello,line=1,title=Greeting::not friendly enough"
          echo "\${{ inputs.greeting }}" > note.txt
      - name: Keep
        uses: actions/upload-artifact@v4
        with: { name: greeting, path: note.txt }
      - name: Judge
        run: test "\${{ inputs.greeting }}" = friendly
      - name: Never
        run: echo never
`,
  );
  const text = await ok(slipway(['init', '--ci', 'gitea', '--package', './tools']));
  assert.match(text, /\.gitea\/workflows\/slipway\.yml/);
  await git('init', '-q', '-b', 'main');
  await git('add', '-A');
  await git('commit', '-qm', 'First version');
  await git('remote', 'add', 'origin', `${url}/${user}/app.git`);
  await git('push', '-q', account.pushUrl('app', tokens.full), 'main');
  // The server reads the workflow after it has answered the push.
  while ((await ok(slipway(['--json', 'ci', 'list']))).trim() === '')
    await new Promise((resolve) => setTimeout(resolve, 200));
  const seen = await newest();
  assert.equal(seen.state, 'queued');
  assert.equal(seen.commit, (await git('rev-parse', 'HEAD')).trim());
  assert.match(await ok(slipway(['ci', 'show'])), /no runner with ubuntu-latest has taken it/);
});

test("Gitea's own answers are of its published schema", async () => {
  const { id } = await newest();
  checkBy('gitea', 'runs', await raw('runs'));
  checkBy('gitea', 'run', await raw(`runs/${id}`));
  checkBy('gitea', 'jobs', await raw(`runs/${id}/jobs`));
  checkBy('gitea', 'workflows', await raw('workflows'));
});

test('the runner runs it: test with a database, gate, image in the registry; the log is followed live', async () => {
  await runner.register(await account.registration('app'), ['ubuntu-latest']);
  // The job stands still in its middle until the follower has read that far.
  let goOn: () => void = () => {};
  const isRead = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  runner.onLine = async (line) => {
    if (/Test, build|publish.*started|database: started|database/i.test(line)) await isRead;
  };
  const working = settled(runner.work(1));
  let before = '';
  const following = slipway(['ci', 'logs', 'pipeline', '--follow'], tokens.full, (text) => {
    if (before === '' && /checkout/.test(text)) {
      before = text;
      goOn();
    }
  });
  assert.deepEqual((await working)(), ['RESULT_SUCCESS'], (await following).out);
  runner.onLine = async () => {};
  const followed = await following;
  assert.equal(followed.code, 0, followed.err);
  assert.doesNotMatch(before, /Succeeded/);
  assert.match(followed.out, /Succeeded/);
  const seen = await newest();
  assert.equal(seen.state, 'succeeded');
  const tag = seen.commit.slice(0, 7);
  const shown = await ok(slipway(['ci', 'show', '--images']));
  assert.match(shown, new RegExp(`image app: ${host}/${user}/app:${tag}\\S* sha256:`));
  assert.match(shown, /✓ pipeline/);
  // The generated workflow keeps what the pipeline found out.
  const [kept] = jsonLines<{ readonly files: readonly string[] }>(
    await ok(slipway(['--json', 'ci', 'artifacts', '--get', 'slipway-reports', '--dir', 'kept'])),
  );
  assert.ok(
    kept?.files.some((file) => /scan-app.*\.json$/.test(file)),
    kept?.files.join(', '),
  );
});

test('a workflow is started with inputs, fails, and says where', async () => {
  assert.match(await ok(slipway(['ci', 'workflows'])), /by-hand\.yml/);
  const working = settled(runner.work(1));
  const started = await slipway([
    '--json',
    'ci',
    'run',
    'by-hand.yml',
    '--ref',
    'main',
    '-f',
    'greeting=hello',
    '--watch',
  ]);
  assert.deepEqual((await working)(), ['RESULT_FAILURE']);
  assert.equal(started.code, 1, started.err);
  const {
    run: last,
    jobs,
    annotations,
  } = JSON.parse(await ok(slipway(['--json', 'ci', 'show']))) as {
    readonly run: RunJson;
    readonly jobs: readonly {
      readonly state: string;
      readonly steps: readonly { readonly name: string; readonly state: string }[];
    }[];
    readonly annotations: readonly object[];
  };
  assert.equal(last.event, 'workflow_dispatch');
  assert.equal(last.state, 'failed');
  const steps = jobs[0]?.steps.map(({ name, state }) => `${name} ${state}`) ?? [];
  for (const wanted of ['Greet succeeded', 'Judge failed', 'Never skipped'])
    assert.ok(steps.includes(wanted), steps.join(', '));
  assert.deepEqual(
    annotations.map((each) => ({ ...each, job: '' })),
    [{ path: 'hello', line: 1, severity: 'error', title: 'Greeting', message: 'not friendly enough', job: '' }],
  );
  assert.match(await ok(slipway(['ci', 'logs'])), /greeting is hello/);
});

test('what the run left behind is listed, fetched and unpacked', async () => {
  assert.match(await ok(slipway(['ci', 'artifacts'])), /^greeting 1 KiB$/m);
  const { id } = await newest();
  checkBy('gitea', 'artifacts', await raw(`runs/${id}/artifacts`));
  const [saved] = jsonLines<{ readonly folder: string; readonly files: readonly string[] }>(
    await ok(slipway(['--json', 'ci', 'artifacts', '--get', 'greeting', '--dir', 'out'])),
  );
  assert.deepEqual(saved?.files, ['note.txt']);
  assert.equal(readFileSync(join(root, 'out/greeting/note.txt'), 'utf8'), 'hello\n');
  const again = await slipway(['ci', 'artifacts', '--get', 'greeting', '--dir', 'out']);
  assert.match(again.err, /stands there already/);
  assert.match((await slipway(['ci', 'artifacts', '--get', 'other'])).err, /has no artifact other[\s\S]*greeting/);
});

test('its failed jobs run again, in a second attempt', async () => {
  const working = settled(runner.work(1));
  const again = await slipway(['ci', 'rerun', '--failed', '--watch']);
  assert.deepEqual((await working)(), ['RESULT_FAILURE']);
  assert.equal(again.code, 1, again.err);
  assert.match(again.out, /attempt 2|Its failed jobs run again/);
});

test('what this server cannot do is said with the way there', async () => {
  const { code, err } = await slipway(['ci', 'cancel']);
  assert.equal(code, 2, err);
  assert.match(err, /Gitea 1\.26\.0 cannot cancel a run over its API; Gitea 28 can/);
  assert.match(err, new RegExp(`Do it on its web page: ${url}/${user}/app/actions/runs/\\d+`));
});

test('what a push starts is what the server itself starts', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-filters-'));
  const inFolder = (...args: readonly string[]) =>
    ok(command('git', ['-C', folder, '-c', 'user.name=Ada', '-c', 'user.email=ada@example.com', ...args]));
  try {
    await account.api('POST', 'user/repos', { name: 'filters' });
    const remote = account.pushUrl('filters', tokens.full);
    mkdirSync(join(folder, '.gitea/workflows'), { recursive: true });
    for (const [name, on] of Object.entries(FILTERS)) {
      const text = `on: ${on}\njobs: { a: { runs-on: nowhere, steps: [{ run: 'true' }] } }\n`;
      writeFileSync(join(folder, '.gitea/workflows', `${name}.yml`), text);
    }
    await inFolder('init', '-q', '-b', 'main');
    await inFolder('add', '-A');
    await inFolder('commit', '-qm', 'Workflows');
    await inFolder('push', '-q', remote, 'main');
    const system = createSystem();
    const wrong: string[] = [];
    const silent: string[] = [];
    for (const [index, { branch, tag, files, message = `Push ${index}` }] of PUSHES.entries()) {
      if (branch !== undefined) await inFolder('checkout', '-q', '-B', branch, branch === 'main' ? 'main' : 'HEAD');
      for (const file of files) {
        mkdirSync(dirname(join(folder, file)), { recursive: true });
        writeFileSync(join(folder, file), `${index}\n`);
      }
      await inFolder('add', '-A', '-f');
      await inFolder('commit', '-q', '--allow-empty', '-m', message);
      if (tag !== undefined) await inFolder('tag', tag);
      await inFolder('push', '-q', remote, tag ?? `HEAD:refs/heads/${branch}`);
      const sha = (await inFolder('rev-parse', 'HEAD')).trim();
      const isSkipped = message.includes('[skip ci]');
      if (isSkipped) silent.push(sha);
      const started = await startedBy(sha, isSkipped);
      const answers = await askPush(system, folder, {
        files,
        ref: tag === undefined ? { branch: branch ?? '' } : { tag },
        message,
      });
      for (const { workflow, runs, reason } of answers) {
        const name = workflow.replace(/^.*\/|\.yml$/g, '');
        if ((runs === 'yes') !== started.has(name))
          wrong.push(`${tag ?? branch} ${files.join(' ')}: ${name} ${FILTERS[name]} said ${runs} (${reason})`);
      }
      assert.equal(answers.length, Object.keys(FILTERS).length);
    }
    // Later pushes were handled since.
    for (const sha of silent) assert.equal((await startedBy(sha, true)).size, 0);
    assert.ok(silent.length > 0);
    assert.deepEqual(wrong, []);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }

  /** The workflows of a commit, once the last of them is there; a push that starts none is followed by the next push. */
  async function startedBy(sha: string, isNone: boolean): Promise<ReadonlySet<string>> {
    for (;;) {
      const answer = await fetch(`${url}/api/v1/repos/${user}/filters/actions/runs?head_sha=${sha}&limit=50`, {
        headers: { authorization: `token ${tokens.full}` },
      });
      const { workflow_runs: runs } = (await answer.json()) as {
        readonly workflow_runs: readonly { readonly path: string }[] | null;
      };
      const names = (runs ?? []).map(({ path }) => path.replace(/@.*$/, '').replace(/^.*\/|\.yml$/g, ''));
      if (names.includes('zz') || isNone) return new Set(names);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
});

test('a token that may only read, one that was revoked, and none', async () => {
  assert.match(await ok(slipway(['ci'], tokens.read)), /First version|slipway/);
  const denied = await slipway(['ci', 'run', 'by-hand.yml', '-f', 'greeting=x'], tokens.read);
  assert.equal(denied.code, 3);
  assert.match(denied.err, /may not do this[\s\S]*write:repository/);
  await account.api('DELETE', `users/${user}/tokens/read`);
  const revoked = await slipway(['ci'], tokens.read);
  assert.match(revoked.err, /does not accept the token from GITEA_TOKEN/);
  for (const { out, err } of [denied, revoked]) assert.ok(!`${out}${err}`.includes(tokens.read));
  const stranger = await slipway(['ci'], '');
  assert.match(stranger.err, /not there, or it is private/);
});

await run('gitea', async () => {
  runner.dispose();
  await account.remove();
  rmSync(root, { recursive: true, force: true });
  rmSync(home, { recursive: true, force: true });
});
