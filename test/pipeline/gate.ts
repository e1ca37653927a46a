// The gate on the real Trivy and Grype: its five outcomes, accepted findings and their end, what is new, whose layer it is,
// SARIF, configuration; and signatures by the real cosign, verified before a deploy.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { parseReference, Registry, sbomsOf } from '../../src/engine/images/index.ts';
import type { RunEvent } from '../../src/engine/main.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { bundledCli } from '../bundle.ts';
import { commit, edit, git } from '../lab/examples.ts';
import { environment as labEnvironment } from '../lab/lab.ts';
import { run, test } from './support/suite.ts';

const lab = labEnvironment();
const env: NodeJS.ProcessEnv = { ...process.env, ...lab.env };
const cli = bundledCli();
const work = mkdtempSync(join(tmpdir(), 'slipway-gate-'));
const mark = `gate-${process.pid}`;
const root = join(work, 'app');
const registry = new Registry(createSystem({ env }));
mkdirSync(join(root, 'vulnerable'), { recursive: true });
mkdirSync(join(root, 'k8s'));
writeFileSync(join(root, '.gitignore'), '.slipway/\n');
writeFileSync(join(root, 'vulnerable/METADATA'), 'Metadata-Version: 2.1\nName: PyYAML\nVersion: 5.3\n');
const good = `FROM ${lab.registry}/base/debian:12\nCOPY slipway.yaml /slipway.yaml\n`;
const bad = `${good}COPY vulnerable /usr/lib/python3/dist-packages/PyYAML-5.3.dist-info\n`;
const config = (more = '') => `version: 1
name: gate
images: { app: { repository: ${lab.registry}/${mark}/app, platforms: [linux/amd64] } }
scan: { severity: [HIGH, CRITICAL], ignoreUnfixed: true${more} }
`;
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
    spec: { containers: [{ name: app, image: "${lab.registry}/${mark}/app" }] }
`,
);
writeFileSync(join(root, 'slipway.yaml'), config());
git(root, ['init', '-q', '-b', 'main']);
commit(root, 'first');

function slipway(more: NodeJS.ProcessEnv, ...args: readonly string[]) {
  const result = spawnSync(process.execPath, [cli, '-C', root, ...args], {
    encoding: 'utf8',
    env: { ...env, ...more },
    maxBuffer: 1e8,
  });
  return { code: result.status, out: `${result.stdout}${result.stderr}` };
}
const runs = join(root, '.slipway/runs');
const newest = (): string => join(runs, readdirSync(runs).sort().at(-1) ?? '');
const events = (): readonly RunEvent[] =>
  readFileSync(join(newest(), 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
const result = () => {
  const found = events().findLast((event) => event.type === 'scan.result');
  assert.ok(found?.type === 'scan.result');
  return found;
};
/** Commits and runs; the tag that the commit would get. */
function change(message: string, dockerfile: string, yaml = config()): string {
  writeFileSync(join(root, 'Dockerfile'), dockerfile);
  writeFileSync(join(root, 'slipway.yaml'), yaml);
  return `main-${commit(root, message).slice(0, 7)}`;
}
const isPublished = async (tag: string) =>
  (await registry.digestOf(`${lab.registry}/${mark}/app:${tag}`)) !== undefined;

test('clean: published', async () => {
  const tag = change('clean', `${good}LABEL round=1\n`);
  const { code, out } = slipway({}, 'run');
  assert.equal(code, 0, out);
  assert.equal(result().outcome, 'clean');
  assert.ok(await isPublished(tag));
});

test('findings: no tag, the layer is ours with its line, SARIF beside the report', async () => {
  const tag = change('findings', bad);
  const { code, out } = slipway({}, 'run');
  assert.equal(code, 1, out);
  const found = result();
  assert.equal(found.outcome, 'findings');
  const [first] = found.gating;
  assert.equal(first?.package, 'PyYAML');
  assert.equal(first?.origin, 'own');
  assert.equal(first?.dockerfileLine, 2, 'the COPY that brought it');
  assert.equal(first?.isNew, true, 'it was not there in the scan before');
  assert.equal(await isPublished(tag), false);
  const sarif = JSON.parse(
    readFileSync(join(newest(), found.reports.find((path) => path.endsWith('.sarif')) ?? ''), 'utf8'),
  );
  assert.equal(sarif.version, '2.1.0');
  assert.ok(existsSync(join(newest(), 'reports/scan-app-linux-amd64.json')));
});

test('the same finding a second time is not new, and one of the base image is told from ours', async () => {
  change(
    'again',
    bad.replace('base/debian:12', 'base/django:3.2'),
    config().replace('ignoreUnfixed: true', 'ignoreUnfixed: false'),
  );
  assert.equal(slipway({}, 'run').code, 1);
  const { gating } = result();
  const own = gating.filter(({ package: name }) => name === 'PyYAML');
  assert.ok(own.length > 0 && own.every(({ isNew, origin }) => isNew === false && origin === 'own'));
  const base = gating.filter(({ id }) => id === 'CVE-2023-45853');
  assert.ok(base.length > 0 && base.every(({ origin }) => origin === 'base'));
});

test('accepted with a reason and a date: published; after the date it counts again, with a warning', async () => {
  const ids = [...new Set(result().gating.map(({ id }) => id))];
  assert.ok(ids.length > 1);
  const ignore = (date: string) =>
    `vulnerabilities:\n${ids.map((id) => `  - { id: ${id}, statement: not reachable, expired_at: ${date} }`).join('\n')}\n`;
  writeFileSync(join(root, '.trivyignore.yaml'), ignore('2999-01-01'));
  const tag = change('accepted', bad);
  const accepted = slipway({}, 'run');
  assert.equal(accepted.code, 0, accepted.out);
  assert.equal(result().outcome, 'clean');
  assert.ok(result().suppressed >= 1);
  assert.ok(await isPublished(tag));
  writeFileSync(join(root, '.trivyignore.yaml'), ignore('2020-01-01'));
  const later = change('expired', bad);
  const { code, out } = slipway({}, 'run');
  assert.equal(code, 1, out);
  assert.equal(result().outcome, 'findings');
  assert.ok(events().some((event) => event.type === 'diagnostic' && event.diagnostic.code === 'ignore.expired'));
  assert.equal(await isPublished(later), false);
  rmSync(join(root, '.trivyignore.yaml'));
});

test('not scanned: said, and not called clean', async () => {
  change('empty', 'FROM scratch\nCOPY slipway.yaml /slipway.yaml\n');
  const { code, out } = slipway({}, 'run');
  assert.equal(result().outcome, 'not-scanned', out);
  assert.match(out, /nothing in the image could be scanned/);
  assert.equal(code, 0, 'an image of one static program is no reason to stop');
});

test('stale database: no verdict', async () => {
  const tag = change('stale', `${good}LABEL round=3\n`, config(', databaseMaxAge: 1'));
  const { code, out } = slipway({}, 'run');
  assert.equal(code, 1, out);
  assert.equal(result().outcome, 'stale-database');
  assert.match(out, /advisories are \d+ days old \(allowed: 1\)/);
  assert.equal(await isPublished(tag), false);
});

test('failed: a scanner without a database is a failure of the surroundings, not a finding', async () => {
  const tag = change('no database', `${good}LABEL round=4\n`);
  const { code, out } = slipway({ TRIVY_CACHE_DIR: join(work, 'empty-cache') }, 'run');
  assert.equal(code, 3, out);
  assert.equal(result().outcome, 'failed');
  assert.match(out, /Trivy has no usable vulnerability database/);
  assert.equal(await isPublished(tag), false);
});

test('a Trivy that was replaced by malware is not run on anything', async () => {
  const fake = join(work, 'bin');
  mkdirSync(fake, { recursive: true });
  const trace = join(work, 'trace');
  writeFileSync(join(fake, 'trivy'), `#!/bin/sh\necho "$@" >> ${trace}\necho '{"Version":"0.69.4"}'\n`);
  chmodSync(join(fake, 'trivy'), 0o755);
  change('malware', `${good}LABEL round=5\n`);
  const { code, out } = slipway({ PATH: `${fake}${delimiter}${env.PATH}` }, 'run');
  assert.notEqual(code, 0);
  assert.match(out, /Trivy 0\.69\.4 is a version that was replaced by malware \(CVE-2026-33634\)/);
  assert.ok(
    readFileSync(trace, 'utf8')
      .trim()
      .split('\n')
      .every((line) => line.startsWith('version')),
  );
});

test('configuration: reported on request, a gate when asked for', async () => {
  const root_ = `${good}USER root\n`;
  change('report', root_, config(', config: report'));
  const reported = slipway({}, 'run');
  assert.equal(reported.code, 0, reported.out);
  const found = events().flatMap((event) => (event.type === 'diagnostic' ? [event.diagnostic] : []));
  const rootUser = found.find(({ code }) => code === 'trivy.DS-0002');
  assert.equal(rootUser?.place.range?.start.line, 2);
  assert.equal(rootUser?.place.file, join(root, 'Dockerfile'));
  const tag = change('gate', `${root_}LABEL round=6\n`, config(', config: gate'));
  const { code, out } = slipway({}, 'run');
  assert.equal(code, 1, out);
  assert.match(out, /HIGH DS-0002 Dockerfile: Last USER command in Dockerfile should not be 'root'/);
  assert.equal(await isPublished(tag), false);
});

test('SBOM and provenance are attached when asked for, and every real platform is still scanned once', async () => {
  change(
    'sbom',
    `${good}LABEL round=7\n`,
    config().replace('platforms: [linux/amd64]', 'platforms: [linux/amd64, linux/arm64], provenance: max'),
  );
  const { code, out } = slipway({}, 'run');
  assert.equal(code, 0, out);
  const scanned = events().flatMap((event) => (event.type === 'scan.result' ? [event.platform] : []));
  assert.deepEqual(scanned.sort(), ['linux/amd64', 'linux/arm64']);
  const published = events().find((event) => event.type === 'image.published');
  assert.ok(published?.type === 'image.published');
  const manifest = await registry.manifest(`${lab.registry}/${mark}/app@${published.digest}`);
  assert.equal(manifest?.children.filter(({ attests }) => attests !== undefined).length, 2);
});

test('an SBOM by Trivy for each platform is attached to the published digest, once; tags and check see it', async () => {
  const without = `main-${git(root, ['rev-parse', '--short=7', 'HEAD'])}`;
  const environments = `environments:\n  dev: { namespace: ${mark}, deploy: { manifests: { paths: k8s } } }\n`;
  const tag = change(
    'sbom by trivy',
    `${good}LABEL round=7b\n`,
    config().replace('platforms: [linux/amd64]', 'platforms: [linux/amd64, linux/arm64], sbom: true') + environments,
  );
  const { code, out } = slipway({}, 'run');
  assert.equal(code, 0, out);
  const digest = (await registry.digestOf(`${lab.registry}/${mark}/app:${tag}`)) ?? '';
  const repository = parseReference(`${lab.registry}/${mark}/app`);
  const image = await registry.manifest({ ...repository, digest });
  const referrers = () => registry.referrers(lab.registry, `${mark}/app`, digest);
  assert.ok(image);
  const { signal } = new AbortController();
  const found = await sbomsOf(registry, image, await referrers(), repository, signal);
  assert.deepEqual(found.map(({ format, how, platform }) => `${format} ${how} ${platform}`).sort(), [
    'cyclonedx referrer linux/amd64',
    'cyclonedx referrer linux/arm64',
  ]);
  for (const sbom of found) {
    const manifest = await registry.manifest({ ...repository, digest: sbom.digest });
    const document = (await registry.blob(lab.registry, `${mark}/app`, manifest?.layers[0]?.digest ?? '')) as {
      readonly bomFormat: string;
      readonly components: readonly { readonly name: string }[];
      readonly metadata: { readonly component: { readonly purl: string } };
    };
    assert.equal(document.bomFormat, 'CycloneDX');
    assert.ok(
      document.components.some(({ name }) => name === 'base-files'),
      'what Debian installed is in it',
    );
    assert.ok(document.metadata.component.purl.includes(`arch=${sbom.platform?.replace('linux/', '')}`));
  }
  assert.ok(existsSync(join(newest(), 'reports/sbom-app-linux-arm64.cdx.json')));
  const listed = slipway({}, 'tags', 'app');
  assert.match(listed.out, new RegExp(`${tag} .*sbom \\(cyclonedx\\)`));
  assert.doesNotMatch(listed.out, new RegExp(`${without} .*sbom`));
  const again = slipway({}, 'run', '--force');
  assert.equal(again.code, 0, again.out);
  assert.equal((await referrers()).length, 2, 'attached once');
  const fine = slipway({}, 'check', '--env', 'dev', '--tag', tag);
  assert.doesNotMatch(fine.out, /no-sbom/);
  const missing = slipway({}, 'check', '--env', 'dev', '--tag', without);
  assert.match(missing.out, /image\.no-sbom: .*carries no SBOM/);
});

const hasCosign = spawnSync('cosign', ['version'], { env }).status === 0;
if (hasCosign) {
  test('signed by cosign and verified; check names a tag that is not signed, and one of another key', async () => {
    for (const name of ['ours', 'theirs']) {
      mkdirSync(join(root, 'keys', name), { recursive: true });
      const made = spawnSync('cosign', ['generate-key-pair'], {
        cwd: join(root, 'keys', name),
        env: { ...env, COSIGN_PASSWORD: 'lab' },
      });
      assert.equal(made.status, 0);
    }
    const unsigned = `main-${git(root, ['rev-parse', '--short=7', 'HEAD'])}`;
    const signing = (key: string) =>
      `${config().replace('platforms: [linux/amd64]', `platforms: [linux/amd64], sbom: spdx, sign: { key: keys/${key}/cosign.key }`)}environments:\n  dev: { namespace: ${mark}, deploy: { manifests: { paths: k8s } } }\n`;
    const tag = change('signed', `${good}LABEL round=8\n`, signing('ours'));
    const password = { COSIGN_PASSWORD: 'lab' };
    const made = slipway(password, 'run');
    assert.equal(made.code, 0, made.out);
    assert.doesNotMatch(made.out, /\blab\b/, 'the password is nowhere');
    const digest = await registry.digestOf(`${lab.registry}/${mark}/app:${tag}`);
    const referrers = await registry.referrers(lab.registry, `${mark}/app`, digest ?? '');
    assert.equal(referrers.length, 2, 'the signature and the SBOM');
    assert.match(slipway({}, 'tags', 'app').out, new RegExp(`${tag} .*signed +sbom \\(spdx\\)`));
    const forced = slipway(password, 'run', '--force');
    assert.equal(forced.code, 0, forced.out);
    assert.equal(
      (await registry.referrers(lab.registry, `${mark}/app`, digest ?? '')).length,
      2,
      'signed and described once',
    );
    const fine = slipway(password, 'check', '--env', 'dev', '--tag', tag);
    assert.equal(fine.code, 0, fine.out);
    const missing = slipway(password, 'check', '--env', 'dev', '--tag', unsigned);
    assert.equal(missing.code, 1, missing.out);
    assert.match(missing.out, /image\.no-sbom: .*carries no spdx SBOM as an attestation/);
    assert.match(missing.out, /image\.unsigned: .*carries no signature, and image "app" is to be signed/);
    edit(root, 'slipway.yaml', (text) => text.replace('keys/ours', 'keys/theirs'));
    const other = slipway(password, 'check', '--env', 'dev', '--tag', tag);
    assert.equal(other.code, 1, other.out);
    assert.match(other.out, /carries no signature of the configured key/);
    assert.match(other.out, /image\.no-sbom: .*signed by the configured key, only of others/);
  });
}

const withGrype = (more = '') => config(`, engine: grype${more}`);

test('Grype, clean: published; a severity that counts and has no fix stops it, unless ignoreUnfixed is set', async () => {
  const tag = change('grype clean', `${good}LABEL round=10\n`, withGrype().replace('[HIGH, CRITICAL]', '[LOW]'));
  const { code, out } = slipway({}, 'run');
  assert.equal(code, 0, out);
  const found = result();
  assert.deepEqual([found.outcome, found.database?.engine, found.database?.version], ['clean', 'grype', '0.110.0']);
  assert.ok(found.counts.LOW > 0 && found.suppressed === found.counts.LOW, 'the base has some, and they have no fix');
  assert.ok(await isPublished(tag));
  const strict = withGrype()
    .replace('[HIGH, CRITICAL]', '[LOW]')
    .replace('ignoreUnfixed: true', 'ignoreUnfixed: false');
  change('grype unfixed', `${good}LABEL round=11\n`, strict);
  assert.equal(slipway({}, 'run').code, 1);
  const { gating } = result();
  assert.ok(gating.length > 0 && gating.every(({ severity, origin }) => severity === 'LOW' && origin === 'base'));
});

test('Grype, findings: no tag, our layer with its line, SARIF beside the report', async () => {
  const tag = change('grype findings', bad, withGrype());
  const { code, out } = slipway({}, 'run');
  assert.equal(code, 1, out);
  const found = result();
  assert.equal(found.outcome, 'findings');
  // Grype writes names of Python as the index does.
  assert.deepEqual([...new Set(found.gating.map(({ package: name }) => name))], ['pyyaml']);
  assert.ok(
    found.gating.every(({ origin, dockerfileLine, isNew }) => origin === 'own' && dockerfileLine === 2 && isNew),
  );
  assert.match(out, /fixed in 5\.4/);
  const sarif = found.reports.find((path) => path.endsWith('.sarif')) ?? '';
  assert.equal(JSON.parse(readFileSync(join(newest(), sarif), 'utf8')).version, '2.1.0');
  assert.equal(await isPublished(tag), false);
});

test('Grype, accepted: with a reason and a date as for Trivy, or by a rule of .grype.yaml', async () => {
  const ids = ['CVE-2020-14343', 'CVE-2020-1747'];
  const ignore = (date: string) =>
    `vulnerabilities:\n${ids.map((id) => `  - { id: ${id}, statement: not reachable, expired_at: ${date} }`).join('\n')}\n`;
  writeFileSync(join(root, '.trivyignore.yaml'), ignore('2999-01-01'));
  const tag = change('grype accepted', bad, withGrype());
  const accepted = slipway({}, 'run');
  assert.equal(accepted.code, 0, accepted.out);
  assert.equal(result().suppressed, 2);
  assert.ok(await isPublished(tag));
  writeFileSync(join(root, '.trivyignore.yaml'), ignore('2020-01-01'));
  change('grype expired', bad, withGrype());
  assert.equal(slipway({}, 'run').code, 1);
  assert.ok(events().some((event) => event.type === 'diagnostic' && event.diagnostic.code === 'ignore.expired'));
  rmSync(join(root, '.trivyignore.yaml'));
  const rules = ids.map((id) => `  - { vulnerability: ${id}, reason: not reachable, package: { name: pyyaml } }\n`);
  writeFileSync(join(root, '.grype.yaml'), `only-fixed: true\nfail-on-severity: low\nignore:\n${rules.join('')}`);
  change('grype rule', bad, withGrype());
  const ruled = slipway({}, 'run');
  assert.equal(ruled.code, 0, ruled.out);
  assert.equal(result().suppressed, 2);
  rmSync(join(root, '.grype.yaml'));
});

test('Grype, not scanned, stale and failed are told apart', async () => {
  change('grype empty', 'FROM scratch\nCOPY slipway.yaml /slipway.yaml\n', withGrype());
  const empty = slipway({}, 'run');
  assert.equal(result().outcome, 'not-scanned', empty.out);
  assert.equal(empty.code, 0);
  const tag = change('grype stale', `${good}LABEL round=12\n`, withGrype(', databaseMaxAge: 1'));
  const stale = slipway({}, 'run');
  assert.equal(stale.code, 1, stale.out);
  assert.equal(result().outcome, 'stale-database');
  assert.match(stale.out, /advisories are \d+ days old \(allowed: 1\)/);
  writeFileSync(join(root, 'slipway.yaml'), withGrype());
  const own = slipway({ GRYPE_DB_VALIDATE_AGE: 'true', GRYPE_DB_MAX_ALLOWED_BUILT_AGE: '1h' }, 'run');
  assert.equal(own.code, 1, own.out);
  assert.equal(result().outcome, 'stale-database');
  assert.match(own.out, /database was built .+ ago \(it allows 1 hour\): no verdict/);
  const none = slipway({ GRYPE_DB_CACHE_DIR: join(work, 'no-database') }, 'run');
  assert.equal(none.code, 3, none.out);
  assert.equal(result().outcome, 'failed');
  assert.match(none.out, /Grype has no usable vulnerability database: .*does not exist/);
  assert.equal(await isPublished(tag), false);
});

test('tests in a container: matrix, env file, service; a report outside of the workspace is read and kept; nothing stays', async () => {
  writeFileSync(join(root, 'test.env'), '# for the tests\nexport COLOUR="blue"\n');
  writeFileSync(
    join(root, 'unit.sh'),
    `set -e
sleep "\${WAIT:-0}"
test "$COLOUR" = blue
getent hosts redis
echo "service at $REDIS_HOST:$REDIS_PORT"
cat > /tmp/report.xml <<END
<testsuite><testcase classname="t" name="$MATRIX_WORD"/>$BAD<testcase name="later"><skipped/></testcase></testsuite>
END
`,
  );
  const tests = (more: string) => `${config()}test:
  - name: unit
    run: [sh, unit.sh]
    container: ${lab.registry}/base/debian:12
    matrix: { word: [one, two] }
    envFile: test.env
    services: { redis: { image: "${lab.registry}/base/redis:7", health: [redis-cli, ping] } }
    junit: [/tmp/report.xml]
${more}`;
  const left = () =>
    ['ps -aq', 'network ls -q'].flatMap((what) =>
      spawnSync('docker', [...what.split(' '), '--filter', `label=dev.slipway.run=${newest().split('/').at(-1)}`], {
        encoding: 'utf8',
        env,
      })
        .stdout.split('\n')
        .filter((line) => line !== ''),
    );
  change('tests', good, tests(''));
  const fine = slipway({}, 'test');
  assert.equal(fine.code, 0, fine.out);
  assert.match(slipway({}, 'logs', 'test:unit-one').out, /service at redis:6379/);
  const finished = events().flatMap((event) => (event.type === 'step.finished' ? [event] : []));
  assert.deepEqual(finished.map(({ step, outputs }) => [step, outputs?.passed, outputs?.skipped]).sort(), [
    ['test:unit-one', 1, 1],
    ['test:unit-two', 1, 1],
  ]);
  const kept = events().flatMap((event) => (event.type === 'report' ? [event.path] : []));
  assert.deepEqual(kept.sort(), ['reports/test-unit-one-report.xml', 'reports/test-unit-two-report.xml']);
  assert.match(readFileSync(join(newest(), kept[1] ?? ''), 'utf8'), /name="two"/);
  assert.deepEqual(left(), []);
  // The exit code is 0, and yet a test has failed.
  change(
    'tests fail',
    good,
    tests(`    env: { BAD: '<testcase classname="t" name="sum"><failure message="2 != 3"/></testcase>' }\n`),
  );
  const bad = slipway({}, 'test');
  assert.equal(bad.code, 1, bad.out);
  assert.match(bad.out, /Test unit-(one|two): 1 of 2 failed, first t\.sum: 2 != 3/);
  assert.deepEqual(left(), []);
  change('tests late', good, tests('    timeout: 1s\n    env: { WAIT: "60" }\n'));
  const late = slipway({}, 'test');
  assert.notEqual(late.code, 0);
  assert.match(late.out, /Test unit-(one|two) was stopped after 1 s without finishing/);
  assert.deepEqual(left(), []);
});

await run('gate', async () => {
  rmSync(work, { recursive: true, force: true });
});
process.exit();
