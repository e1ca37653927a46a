// What is published beside an image: provenance, SBOMs, signatures by the real cosign; told by tags, verified before a deploy.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseReference, sbomsOf } from '../../src/engine/images/index.ts';
import { edit } from '../lab/examples.ts';
import { openImageProject } from './support/imageProject.ts';
import { run, test } from './support/suite.ts';

const project = openImageProject('signing');
const { lab, env, mark, root, repository, registry, good, config, newest, events, slipway, change } = project;

const password = { COSIGN_PASSWORD: 'lab' };
/** The key of the project, and one of somebody else. */
function makeKeys(): void {
  for (const name of ['ours', 'theirs']) {
    const folder = join(root, 'keys', name);
    if (existsSync(folder)) continue;
    mkdirSync(folder, { recursive: true });
    cosign(folder, 'generate-key-pair');
  }
}
function cosign(folder: string, ...args: readonly string[]): void {
  const { status, stderr } = spawnSync('cosign', args, { cwd: folder, encoding: 'utf8', env: { ...env, ...password } });
  assert.equal(status, 0, stderr);
}

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
  const manifest = await registry.manifest(`${repository}@${published.digest}`);
  assert.equal(manifest?.children.filter(({ attests }) => attests !== undefined).length, 2);
});

test('an SBOM by Trivy for each platform is attached to the published digest, once; tags and check see it', async () => {
  const without = project.head();
  const environments = `environments:\n  dev: { namespace: ${mark}, deploy: { manifests: { paths: k8s } } }\n`;
  const tag = change(
    'sbom by trivy',
    `${good}LABEL round=7b\n`,
    config().replace('platforms: [linux/amd64]', 'platforms: [linux/amd64, linux/arm64], sbom: true') + environments,
  );
  const { code, out } = slipway({}, 'run');
  assert.equal(code, 0, out);
  const digest = (await registry.digestOf(`${repository}:${tag}`)) ?? '';
  const reference = parseReference(repository);
  const image = await registry.manifest({ ...reference, digest });
  const referrers = () => registry.referrers(lab.registry, `${mark}/app`, digest);
  assert.ok(image);
  const { signal } = new AbortController();
  const found = await sbomsOf(registry, image, await referrers(), reference, signal);
  assert.deepEqual(found.map(({ format, how, platform }) => `${format} ${how} ${platform}`).sort(), [
    'cyclonedx referrer linux/amd64',
    'cyclonedx referrer linux/arm64',
  ]);
  for (const sbom of found) {
    const manifest = await registry.manifest({ ...reference, digest: sbom.digest });
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

test('signed by cosign and verified; check names a tag that is not signed, and one of another key', async () => {
  makeKeys();
  const unsigned = project.head();
  const signing = (key: string) =>
    `${config().replace('platforms: [linux/amd64]', `platforms: [linux/amd64], sbom: spdx, sign: { key: keys/${key}/cosign.key }`)}environments:\n  dev: { namespace: ${mark}, deploy: { manifests: { paths: k8s } } }\n`;
  const tag = change('signed', `${good}LABEL round=8\n`, signing('ours'));
  const made = slipway(password, 'run');
  assert.equal(made.code, 0, made.out);
  assert.doesNotMatch(made.out, /\blab\b/, 'the password is nowhere');
  const digest = await registry.digestOf(`${repository}:${tag}`);
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

test('what cosign 2 keeps under the tags .sig and .att is told and verified, and not written again', async () => {
  makeKeys();
  const dockerfile = `FROM ${lab.registry}/base/debian:12\nLABEL round=9\n`;
  const environments = `environments:\n  dev: { namespace: ${mark}, deploy: { manifests: { paths: k8s } } }\n`;
  const described = (more: string) =>
    config().replace('platforms: [linux/amd64]', `platforms: [linux/amd64]${more}`) + environments;
  const tag = change('for cosign 2', dockerfile, described(''));
  const made = slipway({}, 'run');
  assert.equal(made.code, 0, made.out);
  const digest = (await registry.digestOf(`${repository}:${tag}`)) ?? '';
  const row = () => new RegExp(`^.*${tag} .*$`, 'm').exec(slipway({}, 'tags', 'app').out)?.[0] ?? '';
  assert.doesNotMatch(row(), /signed|sbom/);
  /** As cosign 2 does: cosign 3 still can. */
  const write = (key: string): void => {
    const predicate = join(newest(), 'reports/by-hand.cdx.json');
    writeFileSync(predicate, '{"bomFormat":"CycloneDX","specVersion":"1.6","components":[]}');
    const old = ['--new-bundle-format=false', '--use-signing-config=false', '--tlog-upload=false'];
    const common = ['--yes', '--key', 'cosign.key', '--allow-http-registry', ...old, `${repository}@${digest}`];
    cosign(join(root, 'keys', key), 'sign', ...common);
    cosign(join(root, 'keys', key), 'attest', '--type', 'cyclonedx', '--predicate', predicate, ...common);
  };
  const check = () => slipway(password, 'check', '--env', 'dev', '--tag', tag);
  const signing = described(', sbom: cyclonedx, sign: { key: keys/ours/cosign.key }');

  write('theirs');
  assert.deepEqual((await registry.referrers(lab.registry, `${mark}/app`, digest)).length, 0, 'only tags');
  assert.match(row(), /signed +sbom \(cyclonedx\)/);
  edit(root, 'slipway.yaml', () => signing);
  const foreign = check();
  assert.equal(foreign.code, 1, foreign.out);
  assert.match(foreign.out, /image\.unsigned: .*carries no signature of the configured key, only of others/);
  assert.match(foreign.out, /image\.no-sbom: .*carries no cyclonedx SBOM signed by the configured key, only of others/);
  edit(root, 'slipway.yaml', () => described(', sbom: cyclonedx'));
  assert.doesNotMatch(check().out, /no-sbom/, 'where no key is asked for, anybody may have described it');

  write('ours');
  edit(root, 'slipway.yaml', () => signing);
  const fine = check();
  assert.equal(fine.code, 0, fine.out);
  assert.doesNotMatch(fine.out, /unsigned|no-sbom/);
  const layers = async (ending: string) =>
    (await registry.manifest(`${repository}:${digest.replace(':', '-')}.${ending}`))?.layers.length;
  assert.deepEqual([await layers('sig'), await layers('att')], [2, 2], 'theirs and ours');
  // Not committed, so that the image is the same: its commit is in a label.
  const again = slipway(password, 'run');
  assert.equal(again.code, 0, again.out);
  const published = events().find((event) => event.type === 'image.published');
  assert.equal(published?.type === 'image.published' && published.digest, digest, again.out);
  assert.deepEqual([await layers('sig'), await layers('att')], [2, 2], 'what is there stays, nothing is added');
  assert.deepEqual((await registry.referrers(lab.registry, `${mark}/app`, digest)).length, 0);
});

await run('signing', async () => {
  project.remove();
});
process.exit();
