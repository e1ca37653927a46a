import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { EventBody } from '../../src/engine/events/index.ts';
import { readBuilder } from '../../src/engine/images/builder.ts';
import { buildFailure } from '../../src/engine/images/buildFailure.ts';
import { buildxArguments, type PushMode } from '../../src/engine/images/buildx.ts';
import { emulationWarnings } from '../../src/engine/images/emulation.ts';
import { gate } from '../../src/engine/images/gate.ts';
import { ignoreFiles, readIgnores } from '../../src/engine/images/ignores.ts';
import { ProgressReader } from '../../src/engine/images/rawjson.ts';
import { packagesIn, readGrypeReport, readTrivyReport, type ScanReport } from '../../src/engine/images/report.ts';
import type { ImageConfig } from '../../src/engine/project/model.ts';
import { readJunit } from '../../src/engine/tests/junit.ts';

const fixture = (name: string): string => readFileSync(join(import.meta.dirname, 'fixtures/buildx', name), 'utf8');

const image: ImageConfig = {
  name: 'api',
  context: '/repo',
  dockerfile: '/repo/Dockerfile',
  repository: 'ghcr.io/acme/api',
  platforms: ['linux/amd64', 'linux/arm64'],
  args: { LEVEL: '3' },
  secrets: { token: { env: 'NPM_TOKEN' } },
  ssh: ['default'],
  cacheFrom: ['type=registry,ref=ghcr.io/acme/api:buildcache'],
  cacheTo: [],
  labels: {},
  place: { file: '/repo/slipway.yaml' },
};

/** One JSON object to a line, as buildx prints from 0.15 on, made from the pretty form of 0.13. */
function asLines(pretty: string): string {
  const parts = pretty.split(/^(?=\{$)/m);
  return parts
    .map((part) => {
      const end = part.lastIndexOf('\n}\n');
      return end === -1 ? part : `${JSON.stringify(JSON.parse(part.slice(0, end + 2)))}\n${part.slice(end + 3)}`;
    })
    .join('');
}

function read(text: string, chunk: number) {
  const events: EventBody[] = [];
  const reader = new ProgressReader((event) => events.push(event));
  for (let at = 0; at < text.length; at += chunk) reader.push(text.slice(at, at + chunk));
  return { events, reader };
}

describe('ProgressReader', () => {
  it.each([1, 7, 1000, 1e6])('gives the same steps from the pretty and the line form, in pieces of %d', (chunk) => {
    const pretty = read(fixture('run-fails.pretty.txt'), chunk);
    const lines = read(asLines(fixture('run-fails.pretty.txt')), chunk);
    expect(lines.events).toEqual(pretty.events);
    expect(lines.reader.text.trim()).toBe(pretty.reader.text.trim());
    const failed = pretty.reader.vertexes.find((vertex) => vertex.state === 'failed');
    expect(failed).toMatchObject({ name: '[3/3] RUN exit 7', error: expect.stringContaining('exit code: 7') });
    const log = pretty.events.flatMap((event) => (event.type === 'log' ? [event] : []));
    expect(log).toContainEqual(expect.objectContaining({ text: 'grüße x86_64\n', stream: 'out' }));
    expect(pretty.reader.text).toContain('ERROR: failed to solve');
    expect(pretty.reader.text).not.toContain('"vertexes"');
  });

  it('reads what buildx 0.25 wrote, a line for each message', () => {
    const { events, reader } = read(fixture('run-fails.lines.txt'), 100);
    const failed = reader.vertexes.find((vertex) => vertex.state === 'failed');
    expect(failed?.name).toBe('[3/3] RUN echo flooded && exit 7');
    expect(reader.lastWordsOf(failed?.digest ?? '')).toBe('flooded\n');
    const log = events.flatMap((event) => (event.type === 'log' ? [`${event.stream} ${event.text}`] : []));
    expect(log).toEqual(['out grüße\n', 'err oh\n', 'out flooded\n']);
    expect(reader.text).toMatch(/^WARNING: No output specified[\s\S]*ERROR: failed to build: failed to solve/);
  });

  it('joins log chunks that end inside a character', () => {
    const bytes = Buffer.from('aü');
    const message = (part: Uint8Array) =>
      `${JSON.stringify({ logs: [{ vertex: 'v', stream: 1, data: Buffer.from(part).toString('base64') }] })}\n`;
    const { events } = read(message(bytes.subarray(0, 2)) + message(bytes.subarray(2)), 1e6);
    expect(events.map((event) => (event.type === 'log' ? event.text : '')).join('')).toBe('aü');
  });

  it('reads the platform of a step and its cached state', () => {
    const vertex = {
      digest: 'sha256:1',
      name: '[linux/arm64 build 2/5] RUN make',
      started: '2026-01-01T00:00:00Z',
      completed: '2026-01-01T00:00:02Z',
      cached: true,
    };
    const { events } = read(`${JSON.stringify({ vertexes: [vertex] })}\n`, 1e6);
    expect(events).toEqual([expect.objectContaining({ platform: 'linux/arm64', state: 'cached', durationMs: 2000 })]);
  });
});

describe('buildFailure', () => {
  it.each([
    ['run-fails.pretty.txt', 'build.command', 'exit code 7', 2],
    ['run-fails.lines.txt', 'build.command', 'exit code 7', 2],
    ['copy-fails.pretty.txt', 'build.source', 'no /nothere', 1],
    ['base-missing.pretty.txt', 'build.base-image', 'localhost:5000/base/nothere:12', 0],
  ])('explains %s with its Dockerfile line', (name, code, words, line) => {
    const { reader } = read(fixture(name), 1e6);
    const failure = buildFailure(image, reader.text, 1);
    expect(failure).toMatchObject({
      code,
      message: expect.stringContaining(words),
      place: { range: { start: { line } } },
    });
    expect(failure.fix).not.toBe('');
  });

  it('takes a start that failed for want of an emulator from what the step wrote, as buildx does not say it', () => {
    // BuildKit 0.29 with buildx 0.13.1.
    const text = 'ERROR: failed to solve: process "/bin/sh -c echo hi" did not complete successfully: exit code: 1';
    const step = { output: 'exec /bin/sh: exec format error\n', platform: 'linux/s390x' };
    expect(buildFailure(image, text, 1, step)).toMatchObject({
      code: 'build.emulation',
      message: expect.stringContaining('(linux/s390x)'),
      evidence: ['exec /bin/sh: exec format error', text],
    });
    expect(buildFailure(image, text, 1).code).toBe('build.command');
  });

  it.each([
    ['ERROR: failed to solve: process "/bin/sh -c x" did not complete: exec format error', 'build.emulation'],
    ['ERROR: no match for platform in manifest: not found', 'image.platform'],
    ['denied: requested access to the resource is denied', 'registry.denied'],
    [
      'ERROR: unexpected status from HEAD request to http://localhost:5000/v2/a/b/manifests/slipway-staging: 500 Internal Server Error',
      'registry.error',
    ],
    [
      'ERROR: failed to resolve source metadata for r.io/base:1: unexpected status from HEAD request to https://r.io/v2/base/manifests/1: 503 Service Unavailable',
      'build.base-image',
    ],
    ['ERROR: Multi-platform build is not supported for the docker driver.', 'build.driver'],
    ['write /x: no space left on device', 'build.disk'],
    ['ERROR: no builder "arm" found', 'build.builder'],
    ['ERROR: Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?', 'docker.unreachable'],
    ['something new', 'build.failed'],
  ])('%s', (text, code) => {
    expect(buildFailure(image, text, 1).code).toBe(code);
  });
});

describe('buildxArguments', () => {
  it('pushes without any tag and keeps secrets out of argv', () => {
    const args = buildxArguments(image, {
      platforms: image.platforms,
      root: '/repo',
      revision: 'abc',
      metadataFile: '/m.json',
      push: 'digest',
    });
    expect(args).toContain('type=image,name=ghcr.io/acme/api,push-by-digest=true,name-canonical=true,push=true');
    expect(args).not.toContain('--tag');
    expect(args).toContain('id=token,env=NPM_TOKEN');
    expect(args).toEqual(
      expect.arrayContaining(['--platform', 'linux/amd64,linux/arm64', '--build-arg', 'LEVEL=3', '--ssh', 'default']),
    );
    expect(args.at(-1)).toBe('/repo');
  });
});

describe('where the result goes', () => {
  const outputOf = (push: PushMode) =>
    buildxArguments(image, { platforms: [], root: '/repo', metadataFile: '/m.json', push }).find((each) =>
      each.startsWith('type=image'),
    );
  it.each([
    ['digest', 'type=image,name=ghcr.io/acme/api,push-by-digest=true,name-canonical=true,push=true'],
    // buildx looks for a word of truth here and would push a second time; BuildKit takes the empty value for one.
    ['staging', 'type=image,name=ghcr.io/acme/api:slipway-staging,push='],
    ['staging-by-daemon', 'type=image,name=ghcr.io/acme/api:slipway-staging,push=true'],
  ] as const)('%s', (push, output) => {
    expect(outputOf(push)).toBe(output);
  });
});

describe('builders and emulation', () => {
  const text =
    'Name:          default\nDriver:        docker\n\nNodes:\nName:      default\nStatus:    running\nPlatforms: linux/amd64*, linux/386\n';
  it('reads buildx inspect', () => {
    expect(readBuilder(text)).toEqual({ name: 'default', driver: 'docker', platforms: ['linux/amd64', 'linux/386'] });
    expect(readBuilder('ERROR: no builder')).toBeUndefined();
  });
  it.each([
    ['FROM a\nRUN make\n', 1],
    ['FROM a\nCOPY . .\n', 0],
    ['FROM --platform=$BUILDPLATFORM a AS b\nRUN make\nFROM scratch\nCOPY --from=b /x /x\n', 0],
  ])('%j', (dockerfile, count) => {
    expect(emulationWarnings(image, dockerfile, image.platforms, ['linux/amd64'])).toHaveLength(count);
  });
  it('says nothing when the builder does not tell its platforms', () => {
    expect(emulationWarnings(image, 'FROM a\nRUN make\n', image.platforms, [])).toEqual([]);
  });
});

const trivy = (vulnerabilities: object[] | undefined): ScanReport =>
  readTrivyReport(
    JSON.stringify({
      SchemaVersion: 2,
      Metadata: {
        OS: { Family: 'debian' },
        DiffIDs: ['sha256:base', 'sha256:pip', 'sha256:copy'],
        ImageConfig: {
          history: [
            { created_by: 'ADD debian.tar / # buildkit' },
            { created_by: 'ENV X=1', empty_layer: true },
            { created_by: 'RUN /bin/sh -c pip install x # buildkit' },
            { created_by: 'COPY . /app # buildkit' },
          ],
        },
      },
      ...(vulnerabilities !== undefined && {
        Results: [{ Target: 'app', Class: 'lang-pkgs', Vulnerabilities: vulnerabilities }],
      }),
    }),
  );
const finding = (more: object = {}) => ({
  VulnerabilityID: 'CVE-1',
  PkgName: 'pyyaml',
  InstalledVersion: '5.3',
  FixedVersion: '5.4',
  Severity: 'HIGH',
  Status: 'fixed',
  ...more,
});
const scan = { severity: ['HIGH', 'CRITICAL'] as const, ignoreUnfixed: true, databaseMaxAgeDays: 0 };
const now = Date.UTC(2026, 0, 10);

describe('gate', () => {
  it('tells four outcomes apart', () => {
    const judge = (report: ScanReport, more = {}) =>
      gate({ report, scan: { ...scan, ...more }, ignores: [], now }).outcome;
    expect(judge(trivy([finding()]))).toBe('findings');
    expect(judge(trivy([finding({ Severity: 'LOW' })]))).toBe('clean');
    expect(judge(trivy(undefined))).toBe('not-scanned');
    const old = { ...trivy([]), databaseUpdatedAt: '2026-01-01T00:00:00Z' };
    expect(judge(old, { databaseMaxAgeDays: 5 })).toBe('stale-database');
    expect(judge(old, { databaseMaxAgeDays: 10 })).toBe('clean');
  });

  it('counts unfixed findings only when asked, and says how many it let pass', () => {
    const report = trivy([finding({ FixedVersion: '', Status: 'affected' })]);
    expect(gate({ report, scan, ignores: [], now })).toMatchObject({ outcome: 'clean', suppressed: 1 });
    expect(gate({ report, scan: { ...scan, ignoreUnfixed: false }, ignores: [], now }).outcome).toBe('findings');
  });

  it('knows which layer is ours and on which Dockerfile line, and what is new', () => {
    const report = trivy([
      finding({ VulnerabilityID: 'CVE-base', Layer: { DiffID: 'sha256:base' } }),
      finding({ VulnerabilityID: 'CVE-run', Layer: { DiffID: 'sha256:pip' }, Severity: 'CRITICAL' }),
    ]);
    const dockerfile = 'FROM debian\nENV X=1\nRUN pip install x\nCOPY . /app\n';
    const { gating } = gate({
      report,
      scan,
      ignores: [],
      now,
      dockerfile,
      before: new Set([report.findings[0]?.fingerprint ?? '']),
    });
    expect(gating).toMatchObject([
      { id: 'CVE-run', origin: 'own', dockerfileLine: 2, isNew: true },
      { id: 'CVE-base', origin: 'base', isNew: false },
    ]);
  });

  it.each([
    [
      'a stage that is not the last',
      'FROM debian AS app\nRUN pip install x\nCOPY . /app\nFROM app AS dev\nRUN y\n',
      'App',
      1,
    ],
    ['a stage by its number', 'FROM debian\nRUN pip install x\nCOPY . /app\nFROM scratch\nCOPY . /x\n', '0', 1],
    [
      'a stage that starts from another',
      'FROM debian AS deps\nRUN pip install x\nFROM deps\nCOPY . /app\n',
      undefined,
      1,
    ],
    ['a stage below of the same name', 'FROM debian AS a\nRUN pip install x\nFROM a AS a\nCOPY . /app\n', 'a', 1],
    [
      'a stage beside it',
      'FROM debian AS deps\nRUN pip install x\nFROM debian\nRUN pip install x\nCOPY . /app\n',
      undefined,
      3,
    ],
  ])('tells the line of %s', (_case, dockerfile, target, line) => {
    const report = trivy([finding({ Layer: { DiffID: 'sha256:pip' } })]);
    const { gating } = gate({ report, scan, ignores: [], now, dockerfile, ...(target !== undefined && { target }) });
    expect(gating).toMatchObject([{ origin: 'own', dockerfileLine: line }]);
  });

  it('accepts an ignored finding until its day, and then counts it again with a warning', () => {
    const { ignores } = readIgnores('# waits for the vendor\nCVE-1 exp:2026-01-15\n', '/repo/.trivyignore');
    expect(ignores[0]).toMatchObject({ id: 'CVE-1', until: '2026-01-15', reason: 'waits for the vendor' });
    const report = trivy([finding()]);
    expect(gate({ report, scan, ignores, now })).toMatchObject({ outcome: 'clean', suppressed: 1, diagnostics: [] });
    const later = gate({ report, scan, ignores, now: Date.UTC(2026, 0, 16) });
    expect(later).toMatchObject({
      outcome: 'findings',
      diagnostics: [{ code: 'ignore.expired', place: { range: { start: { line: 1 } } } }],
    });
  });

  it('reads the YAML form with paths, purls and places', () => {
    const text =
      'vulnerabilities:\n  - id: CVE-1\n    purls: ["pkg:pypi/pyyaml"]\n    statement: not reachable\n    expired_at: 2026-02-01\n  - id: CVE-2\n    paths: ["app/**"]\n';
    const { ignores } = readIgnores(text, '/repo/.trivyignore.yaml');
    expect(ignores).toMatchObject([
      { id: 'CVE-1', reason: 'not reachable', until: '2026-02-01', place: { range: { start: { line: 1 } } } },
      { id: 'CVE-2', paths: ['app/**'] },
    ]);
    const judge = (more: object) => gate({ report: trivy([finding(more)]), scan, ignores, now }).outcome;
    expect(judge({ PkgIdentifier: { PURL: 'pkg:pypi/pyyaml@5.3' } })).toBe('clean');
    expect(judge({ PkgIdentifier: { PURL: 'pkg:pypi/other@5.3' } })).toBe('findings');
    expect(judge({ VulnerabilityID: 'CVE-2', PkgPath: 'app/x/METADATA' })).toBe('clean');
    expect(judge({ VulnerabilityID: 'CVE-2', PkgPath: 'lib/METADATA' })).toBe('findings');
  });

  it('says so when an ignore date or a report is broken', () => {
    expect(readIgnores('CVE-1 exp:soon\n', '/x/.trivyignore').diagnostics).toMatchObject([{ code: 'ignore.date' }]);
    const yaml = 'vulnerabilities:\n  - { id: CVE-1, expired_at: soon }\n';
    expect(readIgnores(yaml, '/x/.trivyignore.yaml')).toMatchObject({
      ignores: [],
      diagnostics: [{ code: 'ignore.date', place: { range: { start: { line: 1 } } } }],
    });
    expect(() => readTrivyReport('{"SchemaVersion":2,"Resu')).toThrow(/whole report/);
    expect(() => readTrivyReport('[]')).toThrow(/whole report/);
  });

  it('reads Grype in the same model', () => {
    const report = readGrypeReport(
      JSON.stringify({
        matches: [
          {
            vulnerability: { id: 'GHSA-1', severity: 'High', fix: { versions: ['5.4'], state: 'fixed' } },
            relatedVulnerabilities: [{ id: 'CVE-1' }],
            artifact: { name: 'pyyaml', version: '5.3', type: 'python', purl: 'pkg:pypi/pyyaml@5.3' },
          },
        ],
        distro: { name: 'debian' },
      }),
    );
    const { ignores } = readIgnores('CVE-1\n', '/x/.trivyignore');
    expect(gate({ report, scan, ignores: [], now }).gating).toMatchObject([
      { id: 'GHSA-1', severity: 'HIGH', fixed: '5.4' },
    ]);
    expect(gate({ report, scan, ignores, now }).outcome).toBe('clean');
  });

  it('knows from the packages Grype found whether anything was scanned', () => {
    // Grype 0.110 on an empty folder: no components; on one wheel: the library, and the file it was read from.
    const nothing = packagesIn(
      '{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"component":{"type":"file"}}}',
    );
    const one = packagesIn('{"bomFormat":"CycloneDX","components":[{"type":"library"},{"type":"file"}]}');
    expect([nothing, one, packagesIn('{"matches":[]}'), packagesIn('')]).toEqual([0, 1, undefined, undefined]);
    const outcome = (packages: number | undefined) =>
      gate({ report: readGrypeReport('{"matches":[]}', packages), scan, ignores: [], now }).outcome;
    expect([outcome(nothing), outcome(one), outcome(undefined)]).toEqual(['not-scanned', 'clean', 'not-scanned']);
  });

  it('accepts by the rules of .grype.yaml that it can read in whole, and names the others', () => {
    const { ignores, diagnostics } = readIgnores(
      `ignore:
  - vulnerability: CVE-1
    reason: not reachable
    package: { name: py.*, type: python }
  - vulnerability: CVE-2
    fix-state: unknown
  - package: { name: curl }
`,
      '/x/.grype.yaml',
    );
    expect(ignores).toMatchObject([{ id: 'CVE-1', reason: 'not reachable', place: { range: { start: { line: 1 } } } }]);
    expect(diagnostics.map(({ message }) => message)).toEqual([
      'This exception is not applied: the gate does not read "fix-state" of a Grype rule.',
      'This exception is not applied: it names no vulnerability.',
    ]);
    const match = (name: string, type: string) =>
      `{"vulnerability":{"id":"CVE-1","severity":"High","fix":{"versions":["2"],"state":"fixed"}},"artifact":{"name":"${name}","version":"1","type":"${type}"}}`;
    const report = readGrypeReport(
      `{"matches":[${match('pyyaml', 'python')},${match('pyyaml', 'deb')},${match('numpy', 'python')}]}`,
    );
    expect(gate({ report, scan, ignores, now })).toMatchObject({ suppressed: 1, gating: [{}, {}] });
  });

  it('looks for exceptions where both scanners have theirs', () => {
    const names = (engine: 'trivy' | 'grype', ignoreFile?: string) =>
      ignoreFiles('/x', { engine, ...(ignoreFile !== undefined && { ignoreFile }) }).map((list) => list.length);
    expect([names('trivy'), names('grype'), names('grype', '/x/accepted.yaml')]).toEqual([[3], [3, 2], [1]]);
  });
});

describe('readJunit', () => {
  it('reads nested suites, failures and errors', () => {
    const report = readJunit(`<?xml version="1.0"?><testsuites><testsuite name="a"><testsuite name="b">
      <testcase classname="c" name="ok"/><testcase classname="c" name="skip"><skipped/></testcase>
      <testcase classname="c" name="bad" file="t.py" line="12"><failure message="1 != 2">trace</failure></testcase>
      <testcase classname="c" name="worse"><error>boom
more</error></testcase></testsuite></testsuite></testsuites>`);
    expect(report).toMatchObject({ passed: 1, failed: 2, skipped: 1 });
    expect(report?.failures).toMatchObject([
      { name: 'c.bad', message: '1 != 2', file: 't.py', line: 12 },
      { name: 'c.worse', message: 'boom' },
    ]);
  });
  it('is not fooled by other or broken XML', () => {
    expect(readJunit('<html></html>')).toBeUndefined();
    expect(readJunit('<testsuite><testcase')).toBeUndefined();
  });
});
