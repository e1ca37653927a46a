// Findings of the newest scans as problems of the Dockerfiles. Pure.
import type { FindingView } from '../../engine/events/index.ts';
import type { RunView } from '../../engine/main.ts';
import type { Severity } from '../../engine/problems/index.ts';
import type { ImageConfig } from '../../engine/project/model.ts';

/** One entry of the Problems panel. */
export interface RunProblem {
  /** Absolute path. */
  readonly file: string;
  /** 0-based. */
  readonly line: number;
  readonly message: string;
  readonly severity: Severity;
  readonly id: string;
  readonly url?: string;
}

/**
 * What stops a run now: for each image and platform its newest scan counts. The same finding on several platforms is one
 * problem; one of the base image stands at the first line that names where it came from, or at the top.
 */
export function scanProblems(
  runsNewestFirst: readonly RunView[],
  images: readonly ImageConfig[],
): readonly RunProblem[] {
  const seen = new Set<string>();
  const found = new Map<
    string,
    { readonly finding: FindingView; readonly image: ImageConfig; readonly platforms: string[] }
  >();
  for (const run of runsNewestFirst) {
    for (const scan of run.scans) {
      const image = images.find(({ name }) => name === scan.image);
      const key = `${scan.image} ${scan.platform}`;
      // A scan that could not look says nothing about what an earlier one found.
      if (image === undefined || seen.has(key) || (scan.outcome !== 'clean' && scan.outcome !== 'findings')) continue;
      seen.add(key);
      for (const finding of scan.gating) {
        const id = `${scan.image} ${finding.id} ${finding.package}`;
        const known = found.get(id);
        if (known === undefined) found.set(id, { finding, image, platforms: [scan.platform] });
        else known.platforms.push(scan.platform);
      }
    }
  }
  return [...found.values()].map(({ finding, image, platforms }) => ({
    file: image.dockerfile,
    line: finding.dockerfileLine ?? 0,
    message: [
      `${finding.package} ${finding.installed}: ${finding.severity} ${finding.id}`,
      ...(finding.title === undefined ? [] : [finding.title]),
      finding.fixed === undefined ? 'there is no fix yet' : `fixed in ${finding.fixed}`,
      `image ${image.name}, ${platforms.join(', ')}${finding.origin === 'base' ? ', from the base image' : ''}`,
    ].join('; '),
    severity: finding.severity === 'CRITICAL' || finding.severity === 'HIGH' ? 'error' : 'warning',
    id: finding.id,
    ...(finding.url !== undefined && { url: finding.url }),
  }));
}
