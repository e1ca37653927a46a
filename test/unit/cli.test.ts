import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { Command, Option } from 'commander';
import { afterAll, describe, expect, it } from 'vitest';
import { candidatesFor } from '../../src/cli/commands/completion.ts';
import { planLines } from '../../src/cli/commands/planWords.ts';
import { ProblemLines } from '../../src/cli/problemLines.ts';
import type { Plan, Project, RunEvent } from '../../src/engine/main.ts';
import { succeededRun, writeRun } from '../editor/samples/runs.ts';

const main = join(import.meta.dirname, '../../src/cli/main.ts');
const root = mkdtempSync(join(tmpdir(), 'slipway-cli-'));
writeFileSync(
  join(root, 'slipway.yaml'),
  'version: 1\ntags: [v1]\nenvironments:\n  dev: { deploy: { manifests: { paths: . } } }\n  prod: { deploy: { manifests: { paths: . } } }\n',
);
writeRun(root, succeededRun('20200101T000000Z-aaaaaa', '2020-01-01T00:00:00.000Z', 5));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const slipway = (...args: readonly string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: 'utf8', cwd: root });
  return { code: status, out: stdout, err: stderr };
};

describe('a plan of many images', () => {
  const step = (kind: string, title: string, action: 'run' | 'skip', why: string) => ({
    kind,
    title,
    decision: { action, why },
  });
  const numbers = Array.from({ length: 20 }, (_, index) => String(index + 1).padStart(2, '0'));
  const plan = {
    environment: null,
    tags: ['main-1234567'],
    isDirty: false,
    steps: [
      step('test', 'Test unit', 'run', 'it has not run here before'),
      ...numbers.map((number) => step('build', `Build svc-${number}`, 'skip', 'unchanged since run 1')),
      ...numbers.map((number) =>
        step('publish', `Publish svc-${number}`, 'run', number < '03' ? 'changed: files' : 'changed: tags'),
      ),
    ],
  } as unknown as Plan;
  const project = { name: 'many', diagnostics: [] } as unknown as Project;

  it('has a line for what is alike, and one for each when all are asked for', () => {
    const lines = planLines(plan, project);
    expect(lines.map((line) => line.replace(/ {2,}/g, ' | '))).toEqual([
      'many: no environment (up to publish), tags main-1234567',
      ' | run | Test unit | it has not run here before',
      ' | skip | Build svc-01 … svc-20 (20) | unchanged since run 1',
      ' | run | Publish svc-01 | changed: files',
      ' | run | Publish svc-02 | changed: files',
      ' | run | Publish svc-03 … svc-20 (18) | changed: tags',
      '21 of 41 steps would run; --verbose lists each.',
    ]);
    expect(planLines(plan, project, 'all')).toHaveLength(42);
  });
});

describe('what steps find in files', () => {
  const found = (message: string, severity = 'warning') =>
    ({
      type: 'diagnostic',
      step: 'scan:api',
      diagnostic: { severity, code: 'c', message, place: { file: '/r/Dockerfile' }, fix: 'Mend it.' },
    }) as unknown as RunEvent;
  const end = { type: 'step.finished', step: 'scan:api' } as unknown as RunEvent;

  it('is a line each, once, and the rest of a step is counted at its end', () => {
    const lines = new ProblemLines(2);
    const told = [found('one'), found('one'), found('hint', 'info'), found('two'), found('three'), found('four'), end];
    expect(told.flatMap((event) => lines.linesOf(event, () => 'Scan api'))).toEqual([
      'Scan api: warning, c: one (/r/Dockerfile) Fix: Mend it.',
      'Scan api: warning, c: two (/r/Dockerfile) Fix: Mend it.',
      'Scan api: 2 more like these; --verbose shows all',
    ]);
    const all = new ProblemLines(Number.POSITIVE_INFINITY);
    expect(told.flatMap((event) => all.linesOf(event, () => 'Scan api'))).toHaveLength(5);
  });
});

describe('words that may stand next', () => {
  const program = new Command('slipway').option('-C, --directory <folder>', 'workspace root').option('--json', 'lines');
  program
    .command('run')
    .description('Run it.')
    .addOption(new Option('-e, --env <name>', 'environment'))
    .addOption(new Option('--until <stage>', 'stop').choices(['test', 'build']))
    .option('--only <stage>', 'only this stage (may be repeated): test, build, scan');
  program.command('logs').argument('<step>').argument('[run]');
  const flux = program.command('flux').description('Flux.');
  flux.command('status').description('Where it is.');
  program.command('complete', { hidden: true });
  const words = (...given: readonly string[]) => {
    const { fixed, values } = candidatesFor(program, given);
    return values ?? fixed.map(({ word }) => word);
  };

  it.each([[['']], [['-C', 'elsewhere', '']], [['--json', '']]] as const)(
    'commands after %o, not the hidden one',
    (given) => {
      expect(words(...given)).toEqual(['run', 'logs', 'flux', 'help']);
    },
  );

  it.each([
    [
      ['run', '--'],
      ['--env', '--until', '--only', '--directory', '--json'],
    ],
    [
      ['run', '--until', ''],
      ['test', 'build'],
    ],
    [
      ['run', '--only', ''],
      ['test', 'build', 'scan'],
    ],
    [['run', '--env', ''], 'environment'],
    [['logs', ''], 'step'],
    [['logs', 'build:api', ''], 'run'],
    [
      ['flux', ''],
      ['status', 'help'],
    ],
    [['-C', ''], []],
  ] as const)('%o → %o', (given, expected) => {
    expect(words(...given)).toEqual(expected);
  });
});

describe('completion in bash', () => {
  const hasBash = spawnSync('bash', ['--version']).status === 0;
  it.runIf(hasBash)(
    'completes commands, environments and step ids with colons',
    () => {
      const bin = join(root, 'bin');
      mkdirSync(bin, { recursive: true });
      const file = join(bin, 'slipway');
      writeFileSync(file, `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`);
      chmodSync(file, 0o755);
      const script = `eval "$(slipway completion bash)"
      for line in "$@"; do
        COMP_LINE=$line; COMP_POINT=\${#line}; _slipway; printf '%s ' "\${COMPREPLY[@]}"; echo
      done`;
      const lines = ['slipway his', 'slipway run --env ', 'slipway logs build:a'];
      const out = execFileSync('bash', ['-c', script, 'bash', ...lines], {
        encoding: 'utf8',
        cwd: root,
        env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` },
      });
      // Bash has what stands before the last colon already.
      expect(
        out
          .trim()
          .split('\n')
          .map((line) => line.trim()),
      ).toEqual(['history', 'dev prod', 'api']);
    },
    120_000,
  );
});

describe('mistakes on the command line', () => {
  it.each([
    [['-C', join(root, 'nowhere'), 'plan'], /There is no folder .*nowhere\.\nFix: Correct the path given by -C/],
    [['history', '-n', 'many'], /'many' is invalid\. It must be a whole number from 1 on/],
    [['run', '--tag', 'x'], /no environment is named\.\nFix: Name one with --env/],
    [['check'], /Fix: Name one with --env: dev, prod\./],
    [['logs', 'build:nothing'], /has no step build:nothing/],
  ] as const)('%o', { timeout: 120_000 }, (args, words) => {
    const { code, err } = slipway(...args);
    expect(err).toMatch(words);
    expect(code).toBe(2);
  });

  it('a dry run without a deploy is the plan, and leaves no run', { timeout: 120_000 }, () => {
    const { code, out } = slipway('run', '--dry-run');
    expect(out).toMatch(/no environment \(up to publish\)[\s\S]*Dry run: nothing was built, tagged, written or locked/);
    expect(code).toBe(0);
    expect(readdirSync(join(root, '.slipway', 'runs'))).toHaveLength(1);
  });

  it('are JSON with --json', { timeout: 120_000 }, () => {
    const { code, out } = slipway('--json', 'check');
    expect(code).toBe(2);
    expect(JSON.parse(out)).toMatchObject({
      type: 'error',
      failure: { reason: 'usage', fix: 'Name one with --env: dev, prod.' },
    });
  });
});

describe('the program people install', () => {
  it('knows the oldest Node that the package wants', () => {
    const { engines } = JSON.parse(readFileSync('package.json', 'utf8')) as {
      readonly engines: { readonly node: string };
    };
    const [, major, minor] =
      /OLDEST = \{ major: (\d+), minor: (\d+) \}/.exec(readFileSync('src/cli/main.ts', 'utf8')) ?? [];
    expect(`>=${major}.${minor}`).toBe(engines.node);
  });
});
