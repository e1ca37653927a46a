// Named builders of every driver on the real BuildKit: container, remote, kubernetes. Each runs a pipeline with a secret and
// an ssh agent mounted, is cancelled, and takes from a cache in the second build what the first one left there.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseReference, platformsOf, Registry } from '../../src/engine/images/index.ts';
import type { RunEvent } from '../../src/engine/main.ts';
import { hashContext, loadProject } from '../../src/engine/project/index.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { bundledCli } from '../bundle.ts';
import { commit, git } from '../lab/examples.ts';
import { environment } from '../lab/lab.ts';
import { addresses } from '../lab/paths.ts';
import { eventually, run, test } from './support/suite.ts';

const lab = environment();
const cli = bundledCli();
const work = mkdtempSync(join(tmpdir(), 'slipway-builders-'));
const mark = `builders-${process.pid}`;
const agent = /SSH_AUTH_SOCK=([^;]+);[\s\S]*SSH_AGENT_PID=(\d+)/.exec(
  execFileSync('ssh-agent', ['-s'], { encoding: 'utf8' }),
);
assert.ok(agent !== null);
const secret = `never-to-be-seen-${process.pid}`;
const env: NodeJS.ProcessEnv = {
  ...process.env,
  ...lab.env,
  // Builders are kept by docker's configuration: ours must not stand in anybody's list.
  DOCKER_CONFIG: join(work, 'docker'),
  SSH_AUTH_SOCK: agent[1],
  BUILD_TOKEN: secret,
};
mkdirSync(join(work, 'docker'));
execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', mark, '-f', join(work, 'key')]);
execFileSync('ssh-add', ['-q', join(work, 'key')], { env, stdio: 'ignore' });
const registry = new Registry(createSystem({ env }));

/** Asks the agent for its keys by its own protocol (11: request identities, 12: the answer), as ssh would. */
const askAgent = `use Socket;
socket(my $agent, PF_UNIX, SOCK_STREAM, 0) or die $!;
connect($agent, pack_sockaddr_un($ENV{SSH_AUTH_SOCK})) or die $!;
syswrite($agent, pack("NC", 1, 11));
my $answer = "";
while (length($answer) < 4 || length($answer) < 4 + unpack("N", $answer)) { sysread($agent, $answer, 4096, length $answer) or die "no answer" }
die "not there" unless ord(substr($answer, 4, 1)) == 12 && $answer =~ /${mark}/;
print "the agent has the key\\n";
`;
const dockerfile = (round: string) => `FROM ${lab.registry}/base/debian:12
COPY ask-agent.pl /ask-agent.pl
RUN echo ${mark} expensive > /expensive
RUN --mount=type=ssh perl /ask-agent.pl
RUN --mount=type=secret,id=token grep -q never-to-be-seen /run/secrets/token
COPY round /round-${round}
`;

/** A project of one image on a builder. */
class App {
  readonly root: string;
  readonly #name: string;

  constructor(name: string, more: string) {
    this.root = join(work, name);
    this.#name = name;
    mkdirSync(this.root);
    writeFileSync(join(this.root, '.gitignore'), '.slipway/\n');
    writeFileSync(join(this.root, 'ask-agent.pl'), askAgent);
    this.change('1', more);
    git(this.root, ['init', '-q', '-b', 'main']);
    commit(this.root, 'first');
  }

  get repository(): string {
    return `${lab.registry}/${mark}/${this.#name}`;
  }

  change(round: string, more: string): void {
    writeFileSync(join(this.root, 'Dockerfile'), dockerfile(round));
    writeFileSync(join(this.root, 'round'), round);
    writeFileSync(
      join(this.root, 'slipway.yaml'),
      `version: 1
images:
  app: { repository: ${this.repository}, platforms: [linux/amd64], ssh: [default], secrets: { token: { env: BUILD_TOKEN } }, ${more} }
scan: { enabled: false }
`,
    );
  }

  run(...args: readonly string[]) {
    const result = spawnSync(process.execPath, [cli, '-C', this.root, 'run', ...args], {
      encoding: 'utf8',
      env,
      maxBuffer: 1e8,
    });
    return { code: result.status, out: `${result.stdout}${result.stderr}` };
  }

  events(): readonly RunEvent[] {
    const runs = join(this.root, '.slipway/runs');
    const text = readFileSync(join(runs, readdirSync(runs).sort().at(-1) ?? '', 'events.jsonl'), 'utf8');
    assert.ok(!text.includes(secret), 'the secret is in no event');
    return text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  }

  /** Whether the expensive step of the last run came from a cache. */
  wasCached(): boolean {
    const found = this.events().findLast(
      (event) => event.type === 'build.vertex' && event.state !== 'running' && event.name.includes('expensive'),
    );
    assert.ok(found?.type === 'build.vertex', 'the step was seen');
    return found.state === 'cached';
  }
}

const docker = (...args: readonly string[]): string =>
  execFileSync('docker', args, { env, encoding: 'utf8', stdio: 'pipe' });

async function published(app: App): Promise<void> {
  const tag = `main-${git(app.root, ['rev-parse', '--short=7', 'HEAD'])}`;
  assert.ok((await registry.digestOf(`${app.repository}:${tag}`)) !== undefined, `${app.repository}:${tag} is there`);
}

/** Interrupts a run while its build sleeps; BuildKit must have ended the sleep when the run is over. */
async function cancelled(app: App): Promise<void> {
  const seconds = 100_000 + process.pid;
  writeFileSync(join(app.root, 'Dockerfile'), `FROM ${lab.registry}/base/debian:12\nRUN sleep ${seconds}\n`);
  commit(app.root, 'sleeps');
  const isSleeping = () => spawnSync('pgrep', ['-x', '-f', `sleep ${seconds}`]).status === 0;
  const child = spawn(process.execPath, [cli, '-C', app.root, 'run'], { env, stdio: 'ignore' });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  await eventually('the build sleeps', async () => isSleeping());
  child.kill('SIGINT');
  assert.equal(await ended, 130);
  await eventually('BuildKit has ended the step', async () => !isSleeping());
}

const drivers: Readonly<Record<string, readonly string[]>> = {
  'docker-container': ['--driver-opt', `network=host,image=${lab.registry}/base/buildkit:0.29`],
  remote: [`unix://${addresses.buildkitSocket}`],
  kubernetes: ['--driver-opt', `namespace=${mark},image=${lab.registry}/base/buildkit:0.29`],
};
const made: string[] = [];

/** The builder of a driver, made when the first case asks for it. */
function builderOf(driver: string): string {
  const name = `${mark}-${driver}`;
  if (made.includes(name)) return name;
  if (driver === 'kubernetes') execFileSync('kubectl', ['create', 'namespace', mark], { env, stdio: 'pipe' });
  docker('buildx', 'create', '--bootstrap', '--driver', driver, '--name', name, ...(drivers[driver] ?? []));
  made.push(name);
  return name;
}

for (const driver of Object.keys(drivers)) {
  const builder = `${mark}-${driver}`;
  const cache = `type=registry,ref=${lab.registry}/${mark}/cache-${driver}`;
  const more = `builder: ${builder}, cache: { from: ["${cache}"], to: ["${cache},mode=max"] }`;
  const app = new App(driver, more);

  test(`${driver}: builds with a secret and the ssh agent mounted, pushes by digest, publishes`, async () => {
    builderOf(driver);
    const { code, out } = app.run('--verbose');
    assert.equal(code, 0, out);
    assert.match(out, /the agent has the key/);
    assert.ok(!out.includes(secret));
    assert.equal(app.wasCached(), false, 'nothing was there before');
    await published(app);
    const tags = (await registry.tags(lab.registry, `${mark}/${driver}`)) ?? [];
    assert.ok(!tags.some((tag) => tag.includes('staging')), 'no staging tag is needed here');
  });

  test(`${driver}: with nothing left in the builder, a step comes from the registry's cache`, async () => {
    docker('buildx', 'prune', '--builder', builder, '--all', '--force');
    app.change('2', more);
    commit(app.root, 'second');
    const { code, out } = app.run();
    assert.equal(code, 0, out);
    assert.equal(app.wasCached(), true);
    await published(app);
  });

  test(`${driver}: cancelled, and BuildKit has ended the step`, () => cancelled(app));
}

const local = join(work, 'cache');
for (const [name, cache, later] of [
  ['local', `to: ["type=local,dest=${local},mode=max"]`, `from: ["type=local,src=${local}"]`],
  ['inline', 'to: ["type=inline"]', `from: ["type=registry,ref=${lab.registry}/${mark}/cache-inline:main"]`],
] as const) {
  test(`the ${name} cache of one builder serves another build of it`, async () => {
    const builder = builderOf('docker-container');
    const app = new App(`cache-${name}`, `builder: ${builder}, cache: { ${cache} }`);
    writeFileSync(
      join(app.root, 'slipway.yaml'),
      `${readFileSync(join(app.root, 'slipway.yaml'), 'utf8')}tags: ["{branch}"]\n`,
    );
    commit(app.root, 'moving tag');
    docker('buildx', 'prune', '--builder', builder, '--all', '--force');
    const first = app.run();
    assert.equal(first.code, 0, first.out);
    assert.equal(app.wasCached(), false, 'nothing was there before');
    docker('buildx', 'prune', '--builder', builder, '--all', '--force');
    app.change('2', `builder: ${builder}, cache: { ${later} }`);
    commit(app.root, 'second');
    const second = app.run();
    assert.equal(second.code, 0, second.out);
    assert.equal(app.wasCached(), true);
  });
}

test('images described by a bake file and a compose file: planned by target, built on the builder, gated, published', async () => {
  const builder = builderOf('docker-container');
  const app = new App('bake', `builder: ${builder}`);
  const at = (name: string) => `${lab.registry}/${mark}/bake-${name}`;
  const files: Readonly<Record<string, string>> = {
    'slipway.yaml': `version: 1
images:
  hcl: { repository: ${at('hcl')}, bake: app, builder: ${builder} }
  composed: { repository: ${at('composed')}, bake: { target: web, file: build/compose.yaml } }
tags: ["{branch}"]
scan: { severity: [CRITICAL], ignoreUnfixed: true }
`,
    'docker-bake.hcl': `variable "GREETING" {
  default = "hello"
}
target "common" {
  args = { GREETING = upper(GREETING) }
}
target "base" {
  context = "base"
}
target "app" {
  inherits  = ["common"]
  context   = "app"
  contexts  = { base = "target:base" }
  platforms = ["linux/amd64", "linux/arm64"]
  tags      = ["${at('never-this')}:1"]
  secret    = ["id=token,env=BUILD_TOKEN"]
}
`,
    'base/Dockerfile': `FROM ${lab.registry}/base/debian:12\nCOPY base /base\n`,
    'base/base': '1',
    'app/Dockerfile':
      'FROM base\nARG GREETING\nLABEL greeting=$GREETING\nRUN --mount=type=secret,id=token grep -q never-to-be-seen /run/secrets/token\n',
    'build/compose.yaml': `services:
  web:
    image: ${at('never-this')}:2
    build: { context: app, dockerfile_inline: "FROM scratch\\nCOPY Dockerfile /\\n" }
`,
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(app.root, path, '..'), { recursive: true });
    writeFileSync(join(app.root, path), text);
  }
  commit(app.root, 'bake');
  const slipway = (command: string) =>
    spawnSync(process.execPath, [cli, '-C', app.root, command], { encoding: 'utf8', env }).stdout;
  assert.match(slipway('plan'), /run +Build hcl \(bake target app\)[\s\S]*run +Build composed \(bake target web\)/);
  const { code, out } = app.run();
  assert.equal(code, 0, out);
  const scanned = app
    .events()
    .flatMap((event) => (event.type === 'scan.result' ? [`${event.image} ${event.platform}`] : []));
  assert.deepEqual(scanned.sort(), ['composed default', 'hcl linux/amd64', 'hcl linux/arm64']);
  const [signal, repository] = [new AbortController().signal, parseReference(at('hcl'))];
  const digest = (await registry.digestOf({ ...repository, tag: 'main' })) ?? '';
  const image = (await registry.manifest({ ...repository, digest })) ?? assert.fail('hcl is published');
  const arm = await registry.manifest({ ...repository, digest: platformsOf(image)['linux/arm64'] ?? '' });
  const config = await registry.blob(lab.registry, repository.repository, arm?.config?.digest ?? '', signal);
  assert.match(JSON.stringify(config), /"greeting":"HELLO"/, 'functions and inheritance are worked out');
  assert.ok((await registry.digestOf(`${at('composed')}:main`)) !== undefined);
  assert.equal(
    await registry.tags(lab.registry, `${mark}/bake-never-this`),
    undefined,
    "the files' own tags are not pushed",
  );
  assert.match(slipway('plan'), /skip +Build hcl[\s\S]*skip +Build composed/);
  writeFileSync(join(app.root, 'base/base'), '2');
  assert.match(slipway('plan'), /run +Build hcl .*changed: context[\s\S]*skip +Build composed/);

  // Without slipway.yaml: read as far as reading goes; what a function makes is asked of buildx, by plan and by init alike.
  for (const path of ['slipway.yaml', 'build', 'Dockerfile']) rmSync(join(app.root, path), { recursive: true });
  writeFileSync(
    join(app.root, 'docker-bake.hcl'),
    files['docker-bake.hcl']?.replace('context   = "app"', 'context   = lower("APP")') ?? '',
  );
  assert.match(slipway('plan'), /run +Build .*\(bake target app\)/);
  assert.match(slipway('init'), /1 image/);
  assert.match(readFileSync(join(app.root, 'slipway.yaml'), 'utf8'), /bake:\n\s+target: app\n\s+file: docker-bake.hcl/);
  assert.match(slipway('plan'), /bake target app/);
});

test('empty folders: the context hash changes exactly where BuildKit gets another tree', async () => {
  const cases: readonly (readonly [ignore: string, folder: string])[] = [
    ['', 'src/empty'],
    ['src/empty', 'src/empty'],
    ['src', 'src/deep/empty'],
    ['src\n!src/a.py', 'src/deep/empty'],
    ['', 'generated/empty'],
  ];
  for (const [index, [ignore, folder]] of cases.entries()) {
    const root = join(work, `empty-${index}`);
    mkdirSync(join(root, 'src'), { recursive: true });
    git(root, ['init', '-q']);
    for (const [path, text] of [
      ['Dockerfile', 'FROM scratch\nCOPY . /\n'],
      ['.dockerignore', `.slipway\n.git\n${ignore}\n`],
      ['.gitignore', '.slipway/\ngenerated/\n'],
      ['src/a.py', 'a\n'],
    ] as const)
      writeFileSync(join(root, path), text);
    commit(root, 'empty folders');
    const look = async () => {
      const out = join(work, `tree-${index}`);
      rmSync(out, { recursive: true, force: true });
      execFileSync('docker', ['buildx', 'build', '-q', '--output', `type=local,dest=${out}`, root], {
        env,
        stdio: 'pipe',
      });
      const system = createSystem({ env });
      const [image] = (await loadProject(system, root)).images;
      return {
        tree: readdirSync(out, { recursive: true }).map(String).sort().join(' '),
        hash: image && (await hashContext(system, root, image)),
      };
    };
    const before = await look();
    mkdirSync(join(root, folder), { recursive: true });
    const after = await look();
    assert.notEqual(before.hash, undefined);
    assert.equal(after.hash !== before.hash, after.tree !== before.tree, `${folder} with "${ignore}"`);
  }
});

/** Builds an image without commands, and says what buildx had the daemon push, and the digest that the run told. */
function pushedBy(name: string, more: NodeJS.ProcessEnv) {
  const root = join(work, name);
  mkdirSync(root);
  writeFileSync(join(root, 'Dockerfile'), `FROM ${lab.registry}/base/pause:3.9\nCOPY Dockerfile /Dockerfile\n`);
  writeFileSync(
    join(root, 'slipway.yaml'),
    `version: 1\nimages: { app: { repository: ${lab.registry}/${mark}/${name} } }\ntags: [first]\nscan: { enabled: false }\n`,
  );
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, '-C', root, '--json', 'run'], {
    encoding: 'utf8',
    env: { ...env, ...more },
  });
  assert.equal(status, 0, stdout + stderr);
  const runs = join(root, '.slipway/runs');
  const events: readonly RunEvent[] = readFileSync(join(runs, readdirSync(runs)[0] ?? '', 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const digest = events.find((event) => event.type === 'image.published')?.digest;
  assert.ok(digest !== undefined, stdout);
  const byDaemon = events.filter(
    (event) => event.type === 'build.vertex' && event.state === 'done' && / with docker$/.test(event.name),
  );
  return { digest, byDaemon: byDaemon.length };
}

const digestOf = async (name: string) =>
  registry.digestOf(parseReference(`${lab.registry}/${mark}/${name}:first`), AbortSignal.timeout(10_000));

test('a daemon that keeps images in containerd: pushed once, by BuildKit', async () => {
  const { digest, byDaemon } = pushedBy('once', {});
  assert.equal(byDaemon, 0);
  assert.equal(await digestOf('once'), digest);
});

test('a daemon with the old image store: pushed by the daemon, and told by the digest that the registry has', async () => {
  const folder = join(work, 'old-daemon');
  mkdirSync(folder);
  const host = `unix://${join(folder, 'docker.sock')}`;
  // Without a bridge of its own (`none`, too) it would take or remove docker0, which is the lab's.
  const bridge = `slip${process.pid}`;
  execFileSync('ip', ['link', 'add', 'name', bridge, 'type', 'bridge']);
  execFileSync('ip', ['address', 'add', '192.168.247.1/24', 'dev', bridge]);
  writeFileSync(
    join(folder, 'daemon.json'),
    JSON.stringify({
      features: { 'containerd-snapshotter': false },
      'storage-driver': 'vfs',
      bridge,
      iptables: false,
      hosts: [host],
      'data-root': join(folder, 'data'),
      'exec-root': join(folder, 'exec'),
      pidfile: join(folder, 'pid'),
      'insecure-registries': [lab.registry],
    }),
  );
  const daemon = spawn('dockerd', ['--config-file', join(folder, 'daemon.json')], { env, stdio: 'ignore' });
  const ended = once(daemon, 'exit');
  try {
    await eventually(
      'the second daemon answers',
      async () => spawnSync('docker', ['--host', host, 'version'], { env }).status === 0,
    );
    const { digest, byDaemon } = pushedBy('old-store', { DOCKER_HOST: host });
    assert.equal(byDaemon, 1);
    assert.equal(await digestOf('old-store'), digest);
  } finally {
    daemon.kill('SIGTERM');
    await ended;
    execFileSync('ip', ['link', 'delete', bridge]);
  }
});

/** The head of a program for s390x (big endian, machine 22): nothing here runs it. */
function foreignProgram(): Buffer {
  const bytes = Buffer.alloc(512);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 2, 1]);
  for (const [at, value] of [
    [16, 2],
    [18, 22],
    [52, 64],
    [54, 56],
    [56, 1],
  ] as const)
    bytes.writeUInt16BE(value, at);
  for (const [at, value] of [
    [24, 0x1000],
    [32, 64],
    [80, 0x1000],
    [88, 0x1000],
    [96, 512],
    [104, 512],
    [112, 0x1000],
  ] as const)
    bytes.writeBigUInt64BE(BigInt(value), at);
  bytes.writeUInt32BE(1, 20);
  bytes.writeUInt32BE(1, 64);
  bytes.writeUInt32BE(5, 68);
  return bytes;
}

test('what the builder cannot run is warned of before the build; failures name cause, line and the last words of the step', async () => {
  const app = new App('failing', `builder: ${builderOf('docker-container')}`);
  writeFileSync(join(app.root, 'sh'), foreignProgram(), { mode: 0o755 });
  const fails = (text: string, platform = 'linux/amd64') => {
    writeFileSync(join(app.root, 'Dockerfile'), text);
    const yaml = readFileSync(join(app.root, 'slipway.yaml'), 'utf8');
    writeFileSync(join(app.root, 'slipway.yaml'), yaml.replace(/platforms: \[[^\]]*\]/, `platforms: [${platform}]`));
    const { code, out } = app.run();
    assert.equal(code, 1, out);
    const finished = app.events().find((event) => event.type === 'run.finished');
    assert.ok(finished?.type === 'run.finished' && finished.failure !== undefined, out);
    const { failure } = finished;
    return { out, code: failure.code, line: failure.place?.range?.start.line, evidence: failure.evidence ?? [] };
  };

  const foreign = fails('FROM scratch\nCOPY sh /bin/sh\nRUN echo hi\n', 'linux/s390x');
  assert.match(foreign.out, /warning, build\.emulation: app: linux\/s390x cannot run on this builder.*Dockerfile:3:1/);
  const events = app.events();
  const warned = events.findIndex(
    (event) => event.type === 'diagnostic' && event.diagnostic.code === 'build.emulation',
  );
  const began = events.findIndex((event) => event.type === 'build.vertex');
  assert.ok(warned !== -1 && warned < began, 'before the first step of the build');
  assert.deepEqual([foreign.code, foreign.line], ['build.emulation', 2]);

  const base = `FROM ${lab.registry}/base/debian:12\n`;
  const broken = fails(`${base}RUN true\nRUN echo the cellar is flooded && exit 7\n`);
  assert.deepEqual([broken.code, broken.line, broken.evidence[0]], ['build.command', 2, 'the cellar is flooded']);
  assert.match(broken.out, /ended with exit code 7: echo the cellar is flooded/);
  const copy = fails(`${base}COPY nothere /x\n`);
  assert.deepEqual([copy.code, copy.line], ['build.source', 1]);
  const missing = fails(`FROM ${lab.registry}/base/nosuch:1\nRUN true\n`);
  assert.deepEqual([missing.code, missing.line], ['build.base-image', 0]);
  const misspelt = fails(`${base}RNU true\n`);
  assert.deepEqual([misspelt.code, misspelt.line], ['build.dockerfile', 1]);
  assert.match(fails('').out, /Dockerfile \S+ is empty/);
});

test('slipway tags: the newest of 200 by date, whatever their names say, in an image of its own and in a shared repository', async () => {
  const repository = `${mark}/tags`;
  const signal = new AbortController().signal;
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const descriptor = async (bytes: Uint8Array, type: string) => ({
    mediaType: type,
    size: bytes.byteLength,
    digest: await registry.putBlob(lab.registry, repository, bytes, signal),
  });
  // As commits name them: the order of the names says nothing about age.
  const tags = Array.from({ length: 200 }, (_each, index) => {
    const sha = ((index * 7_919_017) % 0xfffffff).toString(16).padStart(7, '0');
    return {
      tag: `${index % 2 === 0 ? 'api' : 'worker'}-main-${sha}`,
      created: new Date(Date.UTC(2026, 0, 1, index)).toISOString(),
    };
  });
  const push = async ({ tag, created }: (typeof tags)[number]): Promise<void> => {
    const config = Buffer.from(
      JSON.stringify({ created, os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [] } }),
    );
    const manifest = {
      schemaVersion: 2,
      mediaType,
      config: await descriptor(config, 'application/vnd.oci.image.config.v1+json'),
      layers: [],
    };
    await registry.putManifest(
      lab.registry,
      repository,
      tag,
      { bytes: Buffer.from(JSON.stringify(manifest)), mediaType },
      signal,
    );
  };
  // The registry writes to a disk that others use, too.
  for (let start = 0; start < tags.length; start += 20) await Promise.all(tags.slice(start, start + 20).map(push));
  const root = join(work, 'tags');
  mkdirSync(root);
  writeFileSync(
    join(root, 'slipway.yaml'),
    [
      'version: 1',
      'images:',
      ...['api', 'worker'].map((name) => `  ${name}: { context: ., repository: ${lab.registry}/${repository} }`),
    ].join('\n'),
  );
  writeFileSync(join(root, 'Dockerfile'), 'FROM scratch\n');
  const ask = (...args: readonly string[]): readonly string[] => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [cli, '-C', root, '--json', 'tags', ...args], {
      encoding: 'utf8',
      env,
    });
    assert.equal(status, 0, stderr);
    return stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { readonly tag: string }).tag);
  };
  const newest = tags.map(({ tag }) => tag).toReversed();
  const named = (name: string) => newest.filter((tag) => tag.startsWith(name));
  assert.deepEqual(ask(`${lab.registry}/${repository}`, '--limit', '5'), newest.slice(0, 5));
  assert.deepEqual(ask('api'), named('api').slice(0, 20));
  assert.deepEqual(ask('worker', '--limit', '1'), named('worker').slice(0, 1));
});

test('a builder that does not exist is named with what helps', async () => {
  const app = new App('unknown', 'builder: nobody-made-this');
  const { code, out } = app.run();
  assert.equal(code, 3, out);
  assert.match(out, /nobody-made-this/);
  assert.match(out, /docker buildx ls/);
});

await run('builders', async () => {
  for (const builder of made) spawnSync('docker', ['buildx', 'rm', '--force', builder], { env });
  spawnSync('kubectl', ['delete', 'namespace', mark, '--wait=false', '--ignore-not-found'], { env });
  process.kill(Number(agent[2]));
  rmSync(work, { recursive: true, force: true });
});
process.exit();
