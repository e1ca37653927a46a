import { SlipwayError } from '../problems/index.ts';
import type { System } from '../system/index.ts';

/** Versions that carried malware (CVE-2026-33634, 19 March 2026). */
const MALICIOUS_TRIVY = new Set(['0.69.4', '0.69.5', '0.69.6']);

export interface TrivyVersion {
  readonly Version?: string;
  readonly VulnerabilityDB?: { readonly UpdatedAt?: string; readonly NextUpdate?: string };
}

/** Asked once per process and binary: its answer does not change while we run. */
const versions = new WeakMap<System, Promise<TrivyVersion>>();

export async function trivyVersion(system: System, signal: AbortSignal): Promise<TrivyVersion> {
  let asked = versions.get(system);
  if (asked === undefined) {
    asked = (async () => {
      const { stdout } = await system.processes.check({
        file: 'trivy',
        args: ['version', '--format', 'json'],
        timeoutMs: 30_000,
        signal,
      });
      const version = JSON.parse(stdout) as TrivyVersion;
      if (MALICIOUS_TRIVY.has((version.Version ?? '').replace(/^v/, ''))) {
        throw new SlipwayError({
          reason: 'refused',
          code: 'trivy.malicious',
          message: `Trivy ${version.Version} is a version that was replaced by malware (CVE-2026-33634). It was not run on your images.`,
          fix: 'Remove it, change every secret this machine could read, and install a release from 0.70 on.',
        });
      }
      return version;
    })();
    versions.set(system, asked);
    asked.catch(() => versions.delete(system));
  }
  return asked;
}
