// The test image, built here in several versions from one small Go program and pushed to the lab's registry.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const source = join(import.meta.dirname, '..', 'fixtures', 'actor');

/** Pushes `repository:version` unless it is there, and gives its digest. */
export async function pushActor(
  env: Readonly<Record<string, string | undefined>>,
  repository: string,
  version: string,
): Promise<string> {
  const there = await digestOf(repository, version);
  if (there !== undefined) return there;
  const folder = mkdtempSync(join(tmpdir(), 'slipway-actor-'));
  try {
    cpSync(source, folder, { recursive: true });
    const flags = `-s -w -X main.version=${version}`;
    execFileSync('go', ['build', '-trimpath', '-ldflags', flags, '-o', 'actor', 'main.go'], {
      cwd: folder,
      env: { ...env, CGO_ENABLED: '0' },
      stdio: 'pipe',
    });
    const target = `${repository}:${version}`;
    execFileSync('docker', ['buildx', 'build', '--provenance=false', '--push', '-q', '-t', target, '.'], {
      cwd: folder,
      env,
      stdio: 'pipe',
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const digest = await digestOf(repository, version);
  if (digest === undefined) throw new Error(`${repository}:${version} was pushed and is not there`);
  return digest;
}

/** By a HEAD at the registry; undefined when it says 404. */
export async function digestOf(repository: string, reference: string): Promise<string | undefined> {
  const answer = await manifest('HEAD', repository, reference);
  if (answer.status === 404) return undefined;
  return answer.headers.get('docker-content-digest') ?? undefined;
}

export async function deleteImage(repository: string, digest: string): Promise<void> {
  await manifest('DELETE', repository, digest);
}

function manifest(method: string, repository: string, reference: string): Promise<Response> {
  const [host, ...path] = repository.split('/');
  const accept = [
    'application/vnd.oci.image.index.v1+json',
    'application/vnd.oci.image.manifest.v1+json',
    'application/vnd.docker.distribution.manifest.v2+json',
  ].join(',');
  return fetch(`http://${host}/v2/${path.join('/')}/manifests/${reference}`, { method, headers: { Accept: accept } });
}
