// The person's own commands around every stage, as Snyk, Sonar or a linter are run, with env files, reports and JUnit; and how
// long runs are kept. On real builds, the real gate and a real rollout.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commit } from '../lab/examples.ts';
import { openImageProject } from './support/imageProject.ts';
import { run, test } from './support/suite.ts';

const project = openImageProject('stages');
const { env, mark, root, repository, good, newest, events, slipway, isPublished } = project;

const token = `never-to-be-seen-${process.pid}`;
/** Says what it was given, writes SARIF with one finding, fails when asked to. */
const tool = `set -e
mkdir -p out
echo "tool $1 got image \${2:-none} and token \${TOKEN:-none}"
cat > out/$1.sarif <<END
{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"$1"}},"results":[{"ruleId":"R1","level":"\${LEVEL:-warning}",
"message":{"text":"$1 does not like it"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"Dockerfile"},
"region":{"startLine":2}}}]}]}]}
END
case " $FAIL " in *" $1 "*) exit 4 ;; esac
`;
const around = (name: string, where: string, more = '') =>
  `  - { name: ${name}, ${where}, run: [sh, tools/tool.sh, ${name}]${more} }\n`;
const report = (name: string) => `, reports: [out/${name}.sarif]`;
const config = (more: string) => `version: 1
name: stages
images: { app: { repository: ${repository}, platforms: [linux/amd64] } }
scan: { severity: [CRITICAL], ignoreUnfixed: true }
test:
  - { name: unit, run: [sh, tools/unit.sh], junit: [out/unit.xml] }
commands:
${around('lint', 'before: test', report('lint'))}${around('sonar', 'after: test', `${report('sonar')}, envFile: .env.tools`)}${around('codegen', 'before: build')}\
  - { name: snyk, after: build, run: [sh, tools/tool.sh, snyk, "{image.app}"], reports: [out/snyk.sarif], env: { LEVEL: error }, optional: true }
${around('wait', 'before: scan')}${around('audit', 'after: scan')}${around('approve', 'before: publish')}${around('notify', 'after: publish')}\
${around('migrate', 'before: deploy')}${around('warm', 'after: deploy')}${around('pause', 'before: smoke')}${around('load', 'after: smoke')}${more}
environments:
  dev: { namespace: ${mark}, deploy: { manifests: { paths: k8s } }, rollout: { stability: 0s } }
`;
const dockerfile = `${good}CMD ["sleep", "100000"]\n`;

test('own commands run around every stage, with the image by digest and an env file; what they find is told and kept', async () => {
  mkdirSync(join(root, 'tools'));
  writeFileSync(join(root, '.gitignore'), '.slipway/\nout/\n');
  writeFileSync(join(root, 'tools/tool.sh'), tool);
  writeFileSync(
    join(root, 'tools/unit.sh'),
    'mkdir -p out && echo \'<testsuite><testcase name="a"/><testcase name="b"><skipped/></testcase></testsuite>\' > out/unit.xml\n',
  );
  writeFileSync(join(root, '.env.tools'), `# of Sonar\nexport TOKEN='${token}'\n`);
  const tag = project.change('stages', dockerfile, config(''));
  const { code, out } = slipway({}, 'run', '--env', 'dev');
  assert.equal(code, 0, out);
  const all = events();
  const ended = all.flatMap((event) => (event.type === 'step.finished' ? [event.step ?? ''] : []));
  const inOrder = (...steps: readonly string[]) =>
    assert.deepEqual(
      ended.filter((step) => steps.includes(step)),
      steps,
    );
  inOrder('command:lint', 'test:unit', 'command:sonar', 'command:approve');
  inOrder('command:codegen', 'build:app', 'command:wait', 'scan:app:linux/amd64', 'command:audit', 'command:approve');
  inOrder('build:app', 'command:snyk', 'command:approve', 'publish:app', 'command:notify', 'command:migrate');
  // There are no smoke checks, and what stands around them runs in their place.
  inOrder('command:migrate', 'check:dev', 'deploy:dev', 'rollout:dev', 'command:warm', 'command:pause', 'command:load');

  assert.match(out, /Test unit: done in .* \(1 passed, 1 skipped\)/);
  assert.match(out, /sonar: warning, sonar\.R1: sonar does not like it \(\S+\/Dockerfile:2:1\)/);
  assert.match(out, /snyk: error, snyk\.R1: snyk does not like it/);
  const published = all.find((event) => event.type === 'image.published');
  const digest = published?.type === 'image.published' ? published.digest : '';
  assert.ok(slipway({}, 'logs', 'command:snyk').out.includes(`got image ${repository}@${digest}`));
  assert.match(slipway({}, 'logs', 'command:sonar').out, /token \*\*\*/);
  const files = readdirSync(newest(), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  for (const file of files) {
    assert.ok(!readFileSync(join(file.parentPath, file.name), 'utf8').includes(token), file.name);
  }
  const kept = all.flatMap((event) => (event.type === 'report' ? [event.path] : []));
  assert.deepEqual(kept.sort(), [
    'reports/lint-lint.sarif',
    'reports/snyk-snyk.sarif',
    'reports/sonar-sonar.sarif',
    'reports/test-unit-unit.xml',
  ]);
  assert.ok(await isPublished(tag));
});

test('a command before publishing that fails lets no tag through, with its findings; an optional one is only told', async () => {
  const tag = project.change('refused', `${dockerfile}LABEL round=2\n`, config(''));
  const { code, out } = slipway({ FAIL: 'snyk approve' }, 'run', '--env', 'dev');
  assert.equal(code, 1, out);
  assert.match(out, /snyk: FAILED in .* \(snyk ended with exit code 4 with 1 finding\.\)/);
  assert.match(out, /✗ approve ended with exit code 4\./);
  assert.equal(await isPublished(tag), false);
  const snyk = events().find((event) => event.type === 'step.finished' && event.step === 'command:snyk');
  assert.deepEqual(snyk?.type === 'step.finished' && snyk.failure?.evidence, ['snyk does not like it']);
});

test('as many runs are kept as history.keep says, the newest of them', async () => {
  writeFileSync(join(root, 'slipway.yaml'), config('history: { keep: 2 }\n').replace(/ {2}- \{ name: lint.*\n/, ''));
  commit(root, 'keep two');
  const ids: string[] = [];
  for (let round = 0; round < 3; round += 1) {
    const { code, out } = slipway({}, 'test', '--force');
    assert.equal(code, 0, out);
    ids.push(/run (\d\S+)/.exec(out)?.[1] ?? out);
  }
  assert.deepEqual(readdirSync(join(root, '.slipway/runs')).sort(), ids.slice(1));
  const { out } = slipway({}, 'history');
  assert.deepEqual([...out.matchAll(/^\d{8}T\S+/gm)].map(([id]) => id).sort(), ids.slice(1));
});

await run('stages', async () => {
  spawnSync('kubectl', ['delete', 'namespace', mark, '--wait=false', '--ignore-not-found'], { env });
  project.remove();
});
process.exit();
