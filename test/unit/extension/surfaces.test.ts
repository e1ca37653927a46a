import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { LiveWorkloadView, RunView } from '../../../src/engine/main.ts';
import type { ImageConfig, Project } from '../../../src/engine/project/model.ts';
import { project } from '../../../src/engine/run/projection.ts';
import { deployDiffText, environmentText } from '../../../src/extension/actions/compareText.ts';
import { issueData } from '../../../src/extension/surfaces/issueData.ts';
import { scanProblems } from '../../../src/extension/surfaces/scanProblems.ts';
import { stepProblems } from '../../../src/extension/surfaces/stepProblems.ts';
import { taskLines } from '../../../src/extension/surfaces/taskText.ts';
import { gatedRun, rolledBackRun, type SampleRun, succeededRun } from '../../editor/samples/runs.ts';

function viewOf(run: SampleRun): RunView {
  const view = project(run.events);
  if (view === undefined) throw new Error('the sample has no start');
  return view;
}

const image = (name: string): ImageConfig => ({
  name,
  context: '/work/shop',
  dockerfile: `/work/shop/docker/${name}.Dockerfile`,
  repository: `registry.example/shop-${name}`,
  platforms: ['linux/amd64', 'linux/arm64'],
  args: {},
  secrets: {},
  ssh: [],
  cacheFrom: [],
  cacheTo: [],
  labels: {},
  place: { file: '/work/shop/slipway.yaml' },
});

describe('what other steps found, as problems', () => {
  const lint = (state: string, messages: readonly string[]) => ({
    ...viewOf(succeededRun()),
    steps: [
      {
        id: 'command:lint',
        kind: 'command',
        state,
        problems: messages.map((message) => ({ severity: 'warning', code: 'x', message, place: { file: '/r/a' } })),
      },
    ],
  });
  const problems = (runs: readonly object[], commands: readonly string[] = ['lint']) =>
    stepProblems(
      runs as RunView[],
      {
        commands: commands.map((name) => ({ name })),
        tests: [],
      } as unknown as Project,
    ).map(({ message }) => message);

  it('are those of the newest run that did the work, while the step is in the project', () => {
    expect(problems([lint('skipped', []), lint('failed', ['a', 'a', 'b']), lint('succeeded', ['c'])])).toEqual([
      'a',
      'b',
    ]);
    expect(problems([lint('succeeded', []), lint('failed', ['a'])])).toEqual([]);
    expect(problems([lint('failed', ['a'])], ['other'])).toEqual([]);
  });
});

describe('scan findings as problems', () => {
  const images = [image('api'), image('worker')];

  it('are those of the newest scan, one for all platforms, at the line that brought them', () => {
    const problems = scanProblems([viewOf(gatedRun())], images);
    expect(problems.map(({ id, line, file }) => `${id} ${line} ${file.split('/').at(-1)}`)).toEqual([
      'CVE-2020-14343 3 api.Dockerfile',
      'CVE-2019-10906 3 api.Dockerfile',
      'CVE-2022-37434 0 api.Dockerfile',
    ]);
    expect(problems[0]?.message).toMatch(
      /^PyYAML 5\.3\.1: CRITICAL .*fixed in 5\.4; image api, linux\/amd64, linux\/arm64$/,
    );
  });

  it('are gone with a newer clean scan', () => {
    expect(scanProblems([viewOf(succeededRun()), viewOf(gatedRun())], images)).toEqual([]);
  });

  it('stay when a newer run did not scan', () => {
    const unscanned = { ...viewOf(succeededRun()), scans: [] };
    expect(scanProblems([unscanned, viewOf(gatedRun())], images)).toHaveLength(3);
  });

  it('of an image that is no longer here are left out', () => {
    expect(scanProblems([viewOf(gatedRun())], [image('worker')])).toEqual([]);
  });
});

describe('lines of a task', () => {
  const manifest = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    readonly contributes: { readonly problemPatterns: readonly { readonly regexp: string }[] };
  };
  const regexp = manifest.contributes.problemPatterns[0]?.regexp ?? '';

  it('say steps with their ends, and failures so that the problem matcher finds file, line and code', () => {
    const toLines = taskLines('/work/shop');
    const lines = gatedRun().events.flatMap(toLines);
    expect(lines[0]).toMatch(/^run 20261121T095000Z-0b0b0b for dev$/);
    const found = lines.map((line) => new RegExp(regexp).exec(line)).filter((match) => match !== null);
    expect(found[0]?.slice(1, 6)).toEqual(['docker/api.Dockerfile', '4', '1', 'error', 'gate.findings']);
    expect(lines.at(-1)).toMatch(/^run \S+-[0-9a-f]{6} failed in 21 s$/);
  });

  it('tell no steps that a failure kept from starting, only those it ended', () => {
    const [start] = gatedRun().events;
    if (start === undefined) throw new Error('the sample has no start');
    const toLines = taskLines('/work/shop');
    const end = { type: 'step.finished', outcome: 'cancelled', durationMs: 0, message: 'Not started: x.' } as const;
    expect(toLines({ ...start, ...end, step: 'deploy:dev' } as never)).toEqual([]);
    toLines({ ...start, type: 'step.started', key: null, attempt: 1, step: 'build:api' } as never);
    expect(toLines({ ...start, ...end, step: 'build:api' } as never)[0]).toMatch(/cancelled in/);
  });

  it('say what a rollback brought back', () => {
    const lines = rolledBackRun().events.flatMap(taskLines('/work/shop'));
    expect(lines.some((line) => line.includes('rollback: Revision 6 serves again'))).toBe(true);
  });
});

describe('texts', () => {
  it('lay environments side by side', () => {
    const workload = {
      ref: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'api' },
      state: 'ready',
      message: '',
      desired: 2,
      updated: 2,
      ready: 2,
      available: 2,
      pods: [],
      images: ['registry.example/api:1.2@sha256:abc'],
    } satisfies LiveWorkloadView;
    const environment = { deploy: { kind: 'manifests', paths: [], images: [], prune: false } } as never;
    expect(environmentText(environment, [workload])).toBe(
      'deployed by  manifests\n\nDeployment api\n  image      registry.example/api:1.2\n  digest     sha256:abc\n  available  2 of 2\n  state      ready\n',
    );
    expect(environmentText(environment, [])).toContain('nothing is deployed');
  });

  it('say what a deploy would change', () => {
    const object = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'api', namespace: 'shop' };
    const text = deployDiffText('dev', [
      { object, action: 'change', changes: [{ path: 'spec.replicas', before: 1, after: 2 }] },
      { object: { ...object, name: 'worker' }, action: 'none', changes: [] },
    ]);
    expect(text).toBe(
      'A deploy to dev would change 1 of 2 objects.\n\n~ Deployment shop/api\n    spec.replicas\n      - 1\n      + 2\n',
    );
  });

  it('report an issue without names of the project', () => {
    const shop = {
      root: '/work/secret-shop',
      name: 'secret-shop',
      source: 'config',
      images: [image('api')],
      environments: [],
      diagnostics: [],
    } as unknown as Project;
    const text = issueData({
      version: '0.1.0',
      editor: 'Code 1.109.0',
      host: 'desktop',
      platform: 'linux x64, Node 22',
      isTrusted: true,
      roots: [{ project: shop, newest: viewOf(gatedRun()) }],
    });
    expect(text).toMatch(/newest run: failed/);
    expect(text).toMatch(/scan: failed in 2600 ms, gate gate\.findings/);
    expect(text).not.toMatch(/secret-shop|registry\.example|api/);
  });
});
