// The gate on the real Trivy and Grype: its five outcomes, accepted findings and their end, what is new, whose layer it is,
// SARIF, configuration; and tests in containers.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { openImageProject } from './support/imageProject.ts';
import { eventually, run, test } from './support/suite.ts';

const project = openImageProject('gate');
const { lab, env, work, root, good, bad, config, newest, events, slipway, result, change, isPublished } = project;

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
  const [scanned] = sarif.runs;
  const rules = scanned.tool.driver.rules.map(({ id }: { readonly id: string }) => id);
  assert.ok(
    scanned.results.length > 0 && scanned.results.every((one: { ruleId: string }) => rules.includes(one.ruleId)),
  );
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

test('what a later step lacks for certain ends the run while the build works', async () => {
  const tools = join(work, 'few-tools');
  mkdirSync(tools);
  for (const name of ['docker', 'git', 'helm']) {
    symlinkSync(execFileSync('which', [name], { env, encoding: 'utf8' }).trim(), join(tools, name));
  }
  change(
    'slow',
    `${good}RUN sleep 311\n`,
    `${config()}environments: { dev: { deploy: { manifests: { paths: k8s, images: [app] } } } }\n`,
  );
  const ends = (more: NodeJS.ProcessEnv, failed: string) => {
    const { code, out } = slipway(more, 'run', '--env', 'dev');
    assert.equal(code, 3, out);
    const outcomes = new Map(
      events().flatMap((each) => (each.type === 'step.finished' ? [[each.step, each.outcome]] : [])),
    );
    assert.equal(outcomes.get('build:app'), 'cancelled', out);
    assert.equal(outcomes.get(failed), 'failed', out);
    return out;
  };
  assert.match(ends({ PATH: `${tools}:/usr/bin:/bin` }, 'scan:app:linux/amd64'), /trivy was not found on PATH/);
  assert.match(
    ends({ KUBECONFIG: join(work, 'nowhere') }, 'check:dev'),
    /KUBECONFIG names \S+nowhere, which does not exist/,
  );
  const isSleeping = () => spawnSync('pgrep', ['-x', '-f', 'sleep 311']).status === 0;
  await eventually('BuildKit has ended the command', () => !isSleeping(), 60_000);
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

test('configuration of a chart: rendered with the values of the environment, told at its line, accepted by path until a day', async () => {
  const chart = join(root, 'charts/web');
  mkdirSync(join(chart, 'templates'), { recursive: true });
  writeFileSync(join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: web\nversion: 0.1.0\n');
  writeFileSync(join(chart, 'values.yaml'), 'privileged: false\nimage: nothing\n');
  writeFileSync(join(chart, 'dev.yaml'), 'privileged: true\n');
  const template = readFileSync(join(root, 'k8s/app.yaml'), 'utf8')
    .replace(/image: "[^"]*"/, 'image: {{ .Values.image | quote }}')
    .replace('quote }} }]', 'quote }}, securityContext: { privileged: {{ .Values.privileged }} } }]');
  assert.match(template, /privileged: \{\{/);
  writeFileSync(join(chart, 'templates/app.yaml'), template);
  const deployed = (values: string) =>
    `${config(', config: gate')}environments:
  dev: { namespace: ${project.mark}, deploy: { helm: { chart: charts/web${values}, images: { app: image } } } }
`;
  change('chart', `${good}USER 1000\n`, deployed(', values: charts/web/dev.yaml'));
  // Up to the tags: the gate is before any cluster.
  const push = () => slipway({}, 'run', '--env', 'dev', '--until', 'publish');
  const refused = push();
  assert.equal(refused.code, 1, refused.out);
  assert.match(refused.out, /charts\/web: \d+ HIGH or CRITICAL misconfigurations?, so no tag was published/);
  assert.match(refused.out, /HIGH KSV-0017 templates\/app\.yaml: .*privileged/);
  const told = events().flatMap((event) => (event.type === 'diagnostic' ? [event.diagnostic] : []));
  assert.equal(told.find(({ code }) => code === 'trivy.KSV-0017')?.place.file, join(chart, 'templates/app.yaml'));
  const ids = [...new Set([...refused.out.matchAll(/^ {2}\| (?:HIGH|CRITICAL) (\S+)/gm)].map(([, id]) => id))];
  const accept = (...ends: readonly (readonly [path: string, until: string])[]) => {
    const entries = ends.flatMap(([path, until]) =>
      ids.map((id) => `  - { id: ${id}, paths: ["${path}"], statement: a tool of the node, expired_at: ${until} }`),
    );
    writeFileSync(join(root, '.trivyignore.yaml'), `misconfigurations:\n${entries.join('\n')}\n`);
  };
  accept(['charts/web/templates/*', '2999-01-01']);
  const accepted = push();
  assert.equal(accepted.code, 0, accepted.out);
  accept(['charts/other/**', '2999-01-01'], ['charts/web/templates/*', '2020-01-01']);
  const ended = push();
  assert.equal(ended.code, 1, 'one for another chart is none for this, and one that has ended is none');
  assert.match(ended.out, /ignore\.expired: The exception for KSV-0017 ended on 2020-01-01/);
  rmSync(join(root, '.trivyignore.yaml'));
});

test('a finding in a stage that the built one starts from is ours, at its line there', async () => {
  const [from = '', ...copies] = bad.trim().split('\n');
  change(
    'stages',
    `${from} AS deps\n${copies.join('\n')}\nFROM deps AS app\nCOPY slipway.yaml /again.yaml\nFROM app AS debug\nCOPY slipway.yaml /third.yaml\n`,
    config().replace('platforms: [linux/amd64]', 'platforms: [linux/amd64], target: app'),
  );
  assert.equal(slipway({}, 'run').code, 1);
  const own = result().gating.filter(({ package: name }) => name === 'PyYAML');
  assert.ok(own.length > 0 && own.every(({ origin, dockerfileLine }) => origin === 'own' && dockerfileLine === 2));
});

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
  assert.equal(existsSync(join(newest(), 'reports/scan-app-linux-amd64.sarif')), false, 'no empty report is left');
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

test('images for tests from a registry that wants a login: pulled as the person; without one that is said', async () => {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  const closed = `localhost:${port}`;
  const folder = join(work, 'closed');
  mkdirSync(folder);
  // user: reader, password: only-here
  writeFileSync(join(folder, 'users'), 'reader:$2b$05$abcdefghijklmnopqrstuu55Q8nkJxvrC5wZMf.UNQL95JroSBLwK\n');
  writeFileSync(
    join(folder, 'registry.json'),
    JSON.stringify({
      version: 0.1,
      log: { level: 'error', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(folder, 'data') } },
      auth: { htpasswd: { realm: 'closed', path: join(folder, 'users') } },
      http: { addr: `127.0.0.1:${port}`, secret: 'closed' },
    }),
  );
  const server = spawn('/usr/bin/docker-registry', ['serve', join(folder, 'registry.json')], { stdio: 'ignore' });
  const ended = once(server, 'exit');
  const known = { DOCKER_CONFIG: join(folder, 'docker') };
  const docker = (...args: readonly string[]) => {
    const { status, stderr } = spawnSync('docker', args, {
      env: { ...env, ...known },
      encoding: 'utf8',
      input: 'only-here',
    });
    return status === 0 ? '' : stderr;
  };
  const images = ['redis', 'debian'].map((name) => `${closed}/${name}:1`);
  try {
    const isIn = () => docker('login', closed, '-u', 'reader', '--password-stdin') === '';
    await eventually('the closed registry answers', isIn, 60_000);
    for (const [index, base] of ['redis:7', 'debian:12'].entries()) {
      const name = images[index] ?? '';
      assert.equal(docker('pull', '-q', `${lab.registry}/base/${base}`), '');
      assert.equal(docker('tag', `${lab.registry}/base/${base}`, name), '');
      assert.equal(docker('push', '-q', name), '');
      assert.equal(docker('rmi', name), '');
    }
    change(
      'closed images',
      good,
      `${config()}test:
  - name: unit
    run: [getent, hosts, redis]
    container: ${images[1]}
    services: { redis: { image: "${images[0]}", health: [redis-cli, ping] } }
`,
    );
    const stranger = slipway({ DOCKER_CONFIG: join(folder, 'nobody') }, 'test');
    assert.equal(stranger.code, 1, stranger.out);
    assert.match(stranger.out, /The service image \S+\/redis:1 cannot be pulled: /);
    assert.match(stranger.out, new RegExp(`There is no login for ${closed} here: docker login ${closed}`));
    const friend = slipway(known, 'test');
    assert.equal(friend.code, 0, friend.out);
  } finally {
    for (const name of images) docker('rmi', name);
    server.kill('SIGTERM');
    await ended;
  }
});

await run('gate', async () => {
  project.remove();
});
process.exit();
