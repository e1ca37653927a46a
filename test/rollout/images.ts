// Images of the corpus, made here from one small Go program: nothing is pulled.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LabEnvironment } from '../lab/lab.ts';

const source = join(import.meta.dirname, 'actor');
/** Raised with the program: images are built once for each. */
const EDITION = '1';

async function isThere(registry: string, name: string, tag: string): Promise<boolean> {
  const accept =
    'application/vnd.oci.image.index.v1+json,application/vnd.oci.image.manifest.v1+json,application/vnd.docker.distribution.manifest.v2+json';
  const answer = await fetch(`http://${registry}/v2/${name}/manifests/${tag}`, { method: 'HEAD', headers: { accept } });
  return answer.ok;
}

/** `corpus/actor:1` and `:2` for this machine, and `corpus/arm:1`, an index without it. */
export async function buildImages(lab: LabEnvironment): Promise<void> {
  const marker = `edition-${EDITION}`;
  if (await isThere(lab.registry, 'corpus/actor', marker)) return;
  const env = { ...process.env, ...lab.env };
  const folder = mkdtempSync(join(tmpdir(), 'slipway-corpus-'));
  try {
    cpSync(source, folder, { recursive: true });
    const build = (version: string, tags: readonly string[], platforms: string, name: string): void => {
      const flags = `-s -w -X main.version=${version}`;
      execFileSync('go', ['build', '-trimpath', '-ldflags', flags, '-o', 'actor', 'main.go'], {
        cwd: folder,
        env: { ...env, CGO_ENABLED: '0', GOARCH: platforms === '' ? process.arch.replace('x64', 'amd64') : 'arm64' },
        stdio: 'pipe',
      });
      const platform = platforms === '' ? [] : ['--platform', platforms];
      const names = tags.flatMap((tag) => ['-t', `${lab.registry}/${name}:${tag}`]);
      execFileSync('docker', ['buildx', 'build', '--provenance=false', '--push', '-q', ...platform, ...names, '.'], {
        cwd: folder,
        env,
        stdio: 'pipe',
      });
    };
    build('1', ['1'], '', 'corpus/actor');
    build('1', ['1'], 'linux/arm64,linux/arm/v7', 'corpus/arm');
    build('2', ['2', marker], '', 'corpus/actor');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
