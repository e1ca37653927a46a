// A project of one image whose Dockerfile and configuration a suite changes from run to run, on the lab's registry.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from '../../../src/engine/images/index.ts';
import type { RunEvent } from '../../../src/engine/main.ts';
import { createSystem } from '../../../src/engine/system/index.ts';
import { bundledCli } from '../../bundle.ts';
import { commit, git } from '../../lab/examples.ts';
import { environment as labEnvironment } from '../../lab/lab.ts';

export interface Output {
  readonly code: number | null;
  readonly out: string;
}

export function openImageProject(name: string) {
  const lab = labEnvironment();
  const env: NodeJS.ProcessEnv = { ...process.env, ...lab.env };
  const cli = bundledCli();
  const work = mkdtempSync(join(tmpdir(), `slipway-${name}-`));
  const mark = `${name}-${process.pid}`;
  const root = join(work, 'app');
  const repository = `${lab.registry}/${mark}/app`;
  const registry = new Registry(createSystem({ env }));
  const runs = join(root, '.slipway/runs');
  const newest = (): string => join(runs, readdirSync(runs).sort().at(-1) ?? '');
  const events = (): readonly RunEvent[] =>
    readFileSync(join(newest(), 'events.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  const config = (more = ''): string => `version: 1
name: ${name}
images: { app: { repository: ${repository}, platforms: [linux/amd64] } }
scan: { severity: [HIGH, CRITICAL], ignoreUnfixed: true${more} }
`;
  /** An image that has nothing to find, and one with an old PyYAML in a layer of ours. */
  const good = `FROM ${lab.registry}/base/debian:12\nCOPY slipway.yaml /slipway.yaml\n`;
  const bad = `${good}COPY vulnerable /usr/lib/python3/dist-packages/PyYAML-5.3.dist-info\n`;
  mkdirSync(join(root, 'vulnerable'), { recursive: true });
  mkdirSync(join(root, 'k8s'));
  writeFileSync(join(root, '.gitignore'), '.slipway/\n');
  writeFileSync(join(root, 'vulnerable/METADATA'), 'Metadata-Version: 2.1\nName: PyYAML\nVersion: 5.3\n');
  writeFileSync(join(root, 'Dockerfile'), good);
  writeFileSync(
    join(root, 'k8s/app.yaml'),
    `apiVersion: apps/v1
kind: Deployment
metadata: { name: app }
spec:
  selector: { matchLabels: { app: app } }
  template:
    metadata: { labels: { app: app } }
    spec: { containers: [{ name: app, image: "${repository}" }] }
`,
  );
  writeFileSync(join(root, 'slipway.yaml'), config());
  git(root, ['init', '-q', '-b', 'main']);
  commit(root, 'first');

  return {
    lab,
    env,
    work,
    mark,
    root,
    repository,
    registry,
    good,
    bad,
    config,
    newest,
    events,
    slipway(more: NodeJS.ProcessEnv, ...args: readonly string[]): Output {
      const result = spawnSync(process.execPath, [cli, '-C', root, ...args], {
        encoding: 'utf8',
        env: { ...env, ...more },
        maxBuffer: 1e8,
      });
      return { code: result.status, out: `${result.stdout}${result.stderr}` };
    },
    /** What the scanner found in the newest run, as the gate judged it. */
    result() {
      const found = events().findLast((event) => event.type === 'scan.result');
      assert.ok(found?.type === 'scan.result');
      return found;
    },
    /** Commits; the tag that the commit gets. */
    change(message: string, dockerfile: string, yaml = config()): string {
      writeFileSync(join(root, 'Dockerfile'), dockerfile);
      writeFileSync(join(root, 'slipway.yaml'), yaml);
      return `main-${commit(root, message).slice(0, 7)}`;
    },
    head: (): string => `main-${git(root, ['rev-parse', '--short=7', 'HEAD'])}`,
    isPublished: async (tag: string): Promise<boolean> =>
      (await registry.digestOf(`${repository}:${tag}`)) !== undefined,
    remove: (): void => rmSync(work, { recursive: true, force: true }),
  };
}
