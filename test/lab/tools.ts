// Programs without a service: Helm, Trivy with its advisories, cosign.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './command.ts';
import { build, fetchModules, type GoProgram, isBuilt } from './gobuild.ts';
import type { Part } from './part.ts';
import { paths } from './paths.ts';

const helm: GoProgram = {
  name: 'helm',
  module: 'helm',
  target: 'helm.sh/helm/v3/cmd/helm',
  variables: { 'helm.sh/helm/v3/internal/version.version': 'v3.21.4' },
};

export const helmPart: Part = {
  name: 'helm',
  what: 'Helm, the program',
  version: '3.21.4',
  group: 'core',
  needs: [],
  isPrepared: () => isBuilt(helm),
  fetch: () => fetchModules(helm),
  prepare: (report) => build(helm, report),
};

const trivy: GoProgram = {
  name: 'trivy',
  module: 'trivy',
  target: 'github.com/aquasecurity/trivy/cmd/trivy',
  variables: { 'github.com/aquasecurity/trivy/pkg/version/app.ver': '0.70.0' },
  env: { GOEXPERIMENT: 'jsonv2' },
};
const advisoriesWriter: GoProgram = { name: 'trivy-advisories', module: 'trivy', target: './advisories' };

/** What both scanners know. */
export const advisories = join(paths.parts, 'trivy', 'advisories.json');
export const advisoriesKey = () => createHash('sha256').update(readFileSync(advisories)).digest('hex').slice(0, 16);

/** Trivy's cache folder; its name tells the advisories in it, so that a change makes a new one. */
export const trivyCache = () => join(paths.cache, `trivy-${advisoriesKey()}`);

export const trivyPart: Part = {
  name: 'trivy',
  what: 'Trivy with a small database of real advisories',
  version: '0.70.0',
  group: 'core',
  needs: [],
  isPrepared: () => isBuilt(trivy) && existsSync(join(trivyCache(), 'db', 'metadata.json')),
  fetch: () => fetchModules(trivy),
  prepare: async (report) => {
    await build(trivy, report);
    await build(advisoriesWriter, report);
    const fresh = `${trivyCache()}.new`;
    rmSync(fresh, { recursive: true, force: true });
    mkdirSync(join(fresh, 'db'), { recursive: true });
    await run(join(paths.bin, 'trivy-advisories'), [advisories, join(fresh, 'db')]);
    rmSync(trivyCache(), { recursive: true, force: true });
    renameSync(fresh, trivyCache());
  },
};

const cosign: GoProgram = {
  name: 'cosign',
  module: 'cosign',
  target: 'github.com/sigstore/cosign/v3/cmd/cosign',
  variables: { 'sigs.k8s.io/release-utils/version.gitVersion': 'v3.1.3' },
};

export const cosignPart: Part = {
  name: 'cosign',
  what: 'cosign, the program',
  version: '3.1.3',
  group: 'cosign',
  needs: [],
  isPrepared: () => isBuilt(cosign),
  fetch: () => fetchModules(cosign),
  prepare: (report) => build(cosign, report),
};
