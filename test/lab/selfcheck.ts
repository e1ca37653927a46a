// `npm run lab -- check`: every part used for real, each check on its own, with what went wrong in words.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { attempt, run } from './command.ts';
import { giteaAccount } from './gitea.ts';
import { type LabEnvironment, labEnv } from './lab.ts';
import { status } from './lifecycle.ts';
import { LabError, messageOf } from './problem.ts';

const namespace = 'lab-check';

interface Check {
  readonly name: string;
  /** Part that must be ready, for what is not of the core; the check is skipped without it. */
  readonly part?: string;
  readonly run: (bench: Bench) => Promise<void>;
}

/** What a check works with: a folder of its own and the lab's programs. */
interface Bench {
  readonly lab: LabEnvironment;
  readonly folder: string;
  /** Writes files below the folder and gives the folder. */
  write(name: string, files: Readonly<Record<string, string>>): string;
  /** Runs a program of the lab and gives its output; throws with its words. */
  tool(file: string, ...args: readonly string[]): Promise<string>;
}

function expect(isTrue: boolean, message: string): void {
  if (!isTrue) throw new LabError(message);
}

/** Tries until it does not throw. */
async function eventually<T>(fn: () => Promise<T>, timeoutMs = 30_000): Promise<T> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await fn();
    } catch (error) {
      if (Date.now() > end) throw error;
      await sleep(200);
    }
  }
}

async function get(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
  expect(response.ok, `${url} answered ${response.status}`);
  return response.text();
}

const labels = { app: 'web' };
const web = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
  {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 0,
          containers: [
            {
              name: 'web',
              image: 'localhost:5000/base/django:3.2',
              command: [
                'sh',
                '-c',
                'mkdir /srv/w && cd /srv/w && echo served > index.html && exec python3 -m http.server 8000',
              ],
              readinessProbe: { httpGet: { path: '/', port: 8000 }, periodSeconds: 1 },
            },
          ],
        },
      },
    },
  },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace },
    spec: { type: 'NodePort', selector: labels, ports: [{ port: 80, targetPort: 8000 }] },
  },
];

const chart = {
  'Chart.yaml': 'apiVersion: v2\nname: check\nversion: 0.1.0\n',
  'values.yaml': 'text: from values\n',
  'templates/map.yaml':
    'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: {{ .Release.Name }} }\ndata: { text: {{ .Values.text | quote }} }\n',
};

const oldYaml = {
  Dockerfile: 'FROM localhost:5000/base/django:3.2\nCOPY old /usr/local/lib/python3.11/dist-packages/\n',
  'old/PyYAML-5.3.dist-info/METADATA': 'Metadata-Version: 2.1\nName: PyYAML\nVersion: 5.3\n',
};

const gate = ['--severity', 'HIGH,CRITICAL', '--ignore-unfixed', '--exit-code', '9', '--quiet', '--format', 'json'];

const checks: readonly Check[] = [
  {
    name: 'buildx pushes an image for three platforms, and the registry shows it',
    run: async ({ write, tool, lab }) => {
      const folder = write('push', { Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
      const platforms = 'linux/amd64,linux/arm64,linux/arm/v7';
      await tool(
        'docker',
        'buildx',
        'build',
        '--platform',
        platforms,
        '--push',
        '-t',
        `${lab.registry}/lab-check/push:1`,
        folder,
      );
      const index = await tool('docker', 'buildx', 'imagetools', 'inspect', `${lab.registry}/lab-check/push:1`);
      for (const platform of platforms.split(',')) expect(index.includes(platform), `${platform} is missing: ${index}`);
    },
  },
  {
    name: 'an arm64 image runs, emulated',
    run: async ({ tool }) => {
      const machine = await tool(
        'docker',
        'run',
        '--rm',
        '--platform',
        'linux/arm64',
        'localhost:5000/base/django:3.2',
        'uname',
        '-m',
      );
      expect(machine.trim() === 'aarch64', `uname -m said ${machine}`);
      // The tag stays on the platform pulled last; leave it on the machine's own.
      await tool('docker', 'pull', '--quiet', '--platform', 'linux/amd64', 'localhost:5000/base/django:3.2');
    },
  },
  {
    name: 'postgres answers on a published port, with user and database from its environment',
    run: async ({ tool }) => {
      const env = ['-e', 'POSTGRES_USER=shop', '-e', 'POSTGRES_PASSWORD=secret', '-e', 'POSTGRES_DB=shop'];
      const id = (
        await tool('docker', 'run', '-d', '--rm', '-p', '127.0.0.1::5432', ...env, 'localhost:5000/base/postgres:15')
      ).trim();
      try {
        const address = (await tool('docker', 'port', id, '5432')).trim();
        const port = address.split(':').at(-1) ?? '';
        const query = `import psycopg2; c = psycopg2.connect(host="127.0.0.1", port=${port}, user="shop", password="secret", dbname="shop").cursor(); c.execute("select 40 + 2"); print(c.fetchone()[0])`;
        const answer = await eventually(() =>
          tool('docker', 'run', '--rm', '--network', 'host', 'localhost:5000/base/django:3.2', 'python3', '-c', query),
        );
        expect(answer.trim() === '42', `the database said ${answer}`);
      } finally {
        await tool('docker', 'rm', '-f', id);
      }
    },
  },
  {
    name: 'redis answers',
    run: async ({ tool }) => {
      const id = (await tool('docker', 'run', '-d', '--rm', 'localhost:5000/base/redis:7')).trim();
      try {
        const answer = await eventually(() => tool('docker', 'exec', id, 'redis-cli', 'ping'));
        expect(answer.trim() === 'PONG', `redis said ${answer}`);
      } finally {
        await tool('docker', 'rm', '-f', id);
      }
    },
  },
  {
    name: 'a Deployment of two pods becomes ready',
    run: async ({ write, tool }) => {
      await tool('kubectl', 'delete', 'namespace', namespace, '--ignore-not-found', '--timeout=60s');
      const folder = write('web', { 'web.json': JSON.stringify({ apiVersion: 'v1', kind: 'List', items: web }) });
      await tool('kubectl', 'apply', '-f', join(folder, 'web.json'));
      await tool('kubectl', '-n', namespace, 'rollout', 'status', 'deployment/web', '--timeout=60s');
    },
  },
  {
    name: 'logs and exec reach a pod',
    run: async ({ tool }) => {
      const name = await tool('kubectl', '-n', namespace, 'exec', 'deployment/web', '--', 'cat', '/srv/w/index.html');
      expect(name.trim() === 'served', `exec gave ${name}`);
      const log = await tool('kubectl', '-n', namespace, 'logs', 'deployment/web');
      expect(log.includes('GET /'), `the log has no probe in it: ${log}`);
    },
  },
  {
    name: 'a service answers by node port, cluster address and name',
    run: async ({ tool, lab }) => {
      const port = await tool(
        'kubectl',
        '-n',
        namespace,
        'get',
        'service',
        'web',
        '-o',
        'jsonpath={.spec.ports[0].nodePort}',
      );
      expect(
        (await eventually(() => get(`http://${lab.nodeAddress}:${port}/`))).trim() === 'served',
        'node port: other text',
      );
      const script = `import urllib.request as u; print(u.urlopen("http://web.${namespace}.svc.cluster.local/", timeout=5).read().decode())`;
      const text = await tool('kubectl', '-n', namespace, 'exec', 'deployment/web', '--', 'python3', '-c', script);
      expect(text.trim() === 'served', `by name: ${text}`);
    },
  },
  {
    name: 'port-forward reaches a pod',
    run: async ({ lab }) => {
      const args = ['-n', namespace, 'port-forward', 'deployment/web', ':8000', '--address', '127.0.0.1'];
      const child = spawn(join(lab.bin, 'kubectl'), args, {
        env: { ...process.env, ...lab.env },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      try {
        const port = await new Promise<string>((resolve, reject) => {
          child.stdout.on('data', (bytes: Buffer) => {
            const found = /127\.0\.0\.1:(\d+)/.exec(bytes.toString())?.[1];
            if (found !== undefined) resolve(found);
          });
          child.once('exit', (code) => reject(new LabError(`port-forward ended with ${code}`)));
        });
        expect((await get(`http://127.0.0.1:${port}/`)).trim() === 'served', 'other text');
      } finally {
        child.kill();
      }
    },
  },
  {
    name: 'a missing tag is reported by the kubelet within 10 s',
    run: async ({ tool }) => {
      await tool(
        'kubectl',
        '-n',
        namespace,
        'set',
        'image',
        'deployment/web',
        'web=localhost:5000/base/django:no-such-tag',
      );
      const query = '{.items[*].status.containerStatuses[*].state.waiting.reason}';
      await eventually(async () => {
        const reasons = await tool('kubectl', '-n', namespace, 'get', 'pods', '-o', `jsonpath=${query}`);
        expect(/ErrImagePull|ImagePullBackOff/.test(reasons), `waiting reasons: "${reasons}"`);
      }, 10_000);
    },
  },
  {
    name: 'helm installs, upgrades and uninstalls',
    run: async ({ write, tool }) => {
      const folder = write('chart', chart);
      const release = ['upgrade', '--install', 'check', folder, '-n', namespace, '--atomic', '--timeout', '60s'];
      await tool('helm', ...release);
      await tool('helm', ...release, '--set', 'text=second');
      const text = await tool('kubectl', '-n', namespace, 'get', 'configmap', 'check', '-o', 'jsonpath={.data.text}');
      expect(text === 'second', `the config map says ${text}`);
      await tool('helm', 'uninstall', 'check', '-n', namespace);
    },
  },
  {
    name: 'trivy passes the clean base and fails an image with an old PyYAML',
    run: async ({ write, tool, lab }) => {
      await tool('trivy', 'image', '--image-src', 'remote', ...gate, `${lab.registry}/base/django:3.2`);
      const folder = write('old', oldYaml);
      const image = `${lab.registry}/lab-check/old-yaml:1`;
      await tool('docker', 'buildx', 'build', '--platform', 'linux/amd64', '--push', '-t', image, folder);
      const scan = await attempt(join(lab.bin, 'trivy'), ['image', '--image-src', 'remote', ...gate, image], {
        env: lab.env,
      });
      expect(scan.code === 9, `the scan ended with ${scan.code}: ${scan.stderr}`);
      expect(scan.stdout.includes('CVE-2020-14343'), 'CVE-2020-14343 is not in the report');
    },
  },
  {
    name: 'grype finds the same in the image with an old PyYAML',
    part: 'grype',
    run: async ({ write, tool, lab }) => {
      const image = `${lab.registry}/lab-check/old-yaml:2`;
      const folder = write('old-again', oldYaml);
      await tool('docker', 'buildx', 'build', '--platform', 'linux/amd64', '--push', '-t', image, folder);
      const args = [`registry:${image}`, '--output', 'json', '--only-fixed', '--fail-on', 'high'];
      const scan = await attempt(join(lab.bin, 'grype'), args, {
        env: { ...lab.env, GRYPE_REGISTRY_INSECURE_USE_HTTP: 'true' },
      });
      expect(scan.code === 2, `the scan ended with ${scan.code}: ${scan.stderr}`);
      expect(scan.stdout.includes('CVE-2020-14343'), 'CVE-2020-14343 is not in the report');
    },
  },
  {
    name: 'cosign signs and verifies an image with a key',
    part: 'cosign',
    run: async ({ write, lab }) => {
      const folder = write('keys', { '.keep': '' });
      const env = { ...lab.env, COSIGN_PASSWORD: 'lab', COSIGN_YES: 'true' };
      const cosign = (...args: readonly string[]) =>
        run(join(lab.bin, 'cosign'), args, { env, cwd: folder, timeoutMs: 60_000 });
      await cosign('generate-key-pair');
      const registry = ['--allow-insecure-registry', '--allow-http-registry'];
      const image = `${lab.registry}/base/pause:3.9`;
      await cosign(
        'sign',
        '--key',
        'cosign.key',
        '--use-signing-config=false',
        '--tlog-upload=false',
        ...registry,
        image,
      );
      await cosign('verify', '--key', 'cosign.pub', '--insecure-ignore-tlog=true', ...registry, image);
    },
  },
  {
    name: 'Flux applies a Kustomization from a Gitea repository',
    part: 'gitea',
    run: (bench) => fluxFromGitea(bench),
  },
];

async function fluxFromGitea({ tool, write }: Bench): Promise<void> {
  const { url, user, password } = giteaAccount;
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const api = (path: string, method: string, body?: unknown) =>
    fetch(`${url}/api/v1/${path}`, {
      method,
      headers: { authorization, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  await api(`repos/${user}/lab-check`, 'DELETE');
  const created = await api('user/repos', 'POST', { name: 'lab-check', default_branch: 'main' });
  expect(created.status === 201, `repository: ${created.status} ${await created.text()}`);
  const map = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'from-git', namespace },
    data: { text: 'from git' },
  };
  const content = Buffer.from(JSON.stringify(map)).toString('base64');
  // Flux reads only files called YAML; JSON is YAML.
  const commit = { content, message: 'A map', branch: 'main' };
  const pushed = await api(`repos/${user}/lab-check/contents/map.yaml`, 'POST', commit);
  expect(pushed.status === 201, `commit: ${pushed.status} ${await pushed.text()}`);
  const named = { name: 'lab-check', namespace };
  const items = [
    { apiVersion: 'v1', kind: 'Secret', metadata: named, stringData: { username: user, password } },
    {
      apiVersion: 'source.toolkit.fluxcd.io/v1',
      kind: 'GitRepository',
      metadata: named,
      spec: {
        interval: '1m',
        url: `${url}/${user}/lab-check.git`,
        ref: { branch: 'main' },
        secretRef: { name: 'lab-check' },
      },
    },
    {
      apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
      kind: 'Kustomization',
      metadata: named,
      spec: { interval: '1m', prune: true, path: './', sourceRef: { kind: 'GitRepository', name: 'lab-check' } },
    },
  ];
  const folder = write('flux', { 'flux.json': JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) });
  await tool('kubectl', 'apply', '-f', join(folder, 'flux.json'));
  await tool('kubectl', '-n', namespace, 'wait', '--for=condition=Ready', 'kustomization/lab-check', '--timeout=60s');
  const text = await tool('kubectl', '-n', namespace, 'get', 'configmap', 'from-git', '-o', 'jsonpath={.data.text}');
  expect(text === 'from git', `the config map says ${text}`);
}

/** Runs all checks, says each one's result and the closing line. True when none failed. */
export async function selfcheck(say: (line: string) => void): Promise<boolean> {
  const lab = await labEnv();
  const ready = new Set((await status()).filter(({ state }) => state === 'ready').map(({ name }) => name));
  const hasFlux = ready.has('source-controller') && ready.has('kustomize-controller');
  const folder = mkdtempSync(join(tmpdir(), 'slipway-lab-check-'));
  const bench: Bench = {
    lab,
    folder,
    write: (name, files) => {
      for (const [file, text] of Object.entries(files)) {
        const path = join(folder, name, file);
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, text);
      }
      return join(folder, name);
    },
    tool: (file, ...args) => run(join(lab.bin, file), args, { env: lab.env, timeoutMs: 120_000 }),
  };
  const counts = { passed: 0, failed: 0, skipped: 0 };
  try {
    for (const check of checks) {
      const started = Date.now();
      const isSkipped = check.part !== undefined && !(ready.has(check.part) && (check.part !== 'gitea' || hasFlux));
      const problem = isSkipped ? undefined : await check.run(bench).then(() => undefined, messageOf);
      const result = isSkipped ? 'skipped' : problem === undefined ? 'passed' : 'failed';
      counts[result] += 1;
      say(`${result.padEnd(7)} ${check.name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
      if (problem !== undefined) say(problem.replaceAll(/^/gm, '        '));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await attempt(join(lab.bin, 'kubectl'), ['delete', 'namespace', namespace, '--ignore-not-found', '--wait=false'], {
      env: lab.env,
    });
  }
  say(`${counts.passed} passed, ${counts.failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''}`);
  return counts.failed === 0;
}
