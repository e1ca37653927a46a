import { posix } from 'node:path';
import type { Findings } from '../discovery/findings.ts';

/** Something the workspace has that a value of slipway.yaml can name. */
export interface Candidate {
  readonly text: string;
  /** What it is, in a few words. */
  readonly detail: string;
}

/** What the workspace and this machine's files offer for values; read once and kept while no file changes. */
export interface Candidates {
  readonly dockerfiles: readonly (Candidate & { readonly stages: readonly string[] })[];
  readonly charts: readonly (Candidate & { readonly keys: readonly Candidate[] })[];
  readonly values: readonly Candidate[];
  readonly manifests: readonly Candidate[];
  readonly kustomizations: readonly Candidate[];
  readonly policies: readonly Candidate[];
  readonly automations: readonly Candidate[];
  readonly applications: readonly Candidate[];
  readonly repositories: readonly Candidate[];
  readonly namespaces: readonly Candidate[];
  readonly targets: readonly Candidate[];
  /** Contexts of the kubeconfig. */
  readonly contexts: readonly Candidate[];
}

export function candidatesOf(findings: Findings, contexts: readonly Candidate[]): Candidates {
  const { dockerfiles, charts, objects, kustomizations, builds } = findings;
  const ofKind = (kind: string, group: RegExp) =>
    unique(
      objects
        .filter((object) => object.kind === kind && group.test(object.apiVersion))
        .map(({ name, namespace, path }) => ({
          text: namespace === undefined ? name : `${namespace}/${name}`,
          detail: `${kind} in ${path}`,
        })),
    );
  return {
    dockerfiles: dockerfiles.map(({ path, stages }) => ({
      text: path,
      detail: `from ${stages.at(-1)?.base ?? 'scratch'}`,
      stages: stages.flatMap(({ name }) => (name === undefined ? [] : [name])),
    })),
    charts: charts
      .filter(({ isLibrary }) => !isLibrary)
      .map(({ folder, name, images }) => ({
        text: folder,
        detail: `chart ${name}`,
        keys: images.map(({ key, repository }) => ({ text: key, detail: repository })),
      })),
    values: unique(
      charts.flatMap(({ name, values }) =>
        values.map(({ path, environment }) => ({ text: path, detail: `values of ${name} for ${environment}` })),
      ),
    ),
    manifests: unique(
      objects
        .filter(({ kind }) => !['Kustomization', 'HelmRelease', 'Application'].includes(kind))
        .map(({ path }) => ({ text: posix.dirname(path), detail: 'folder with manifests' })),
    ),
    kustomizations: kustomizations.map(({ folder, namespace }) => ({
      text: folder,
      detail: namespace === undefined ? 'kustomization' : `kustomization, namespace ${namespace}`,
    })),
    policies: ofKind('ImagePolicy', /^image\.toolkit\.fluxcd\.io\//),
    automations: ofKind('ImageUpdateAutomation', /^image\.toolkit\.fluxcd\.io\//),
    applications: ofKind('Application', /^argoproj\.io\//),
    repositories: unique(
      [...builds, ...charts.flatMap(({ images }) => images)].flatMap(({ repository }) =>
        repository === undefined || repository === '' ? [] : [{ text: repository, detail: 'named in this repository' }],
      ),
    ),
    namespaces: unique(
      [...objects, ...kustomizations].flatMap(({ namespace }) =>
        namespace === undefined ? [] : [{ text: namespace, detail: 'namespace in manifests' }],
      ),
    ),
    targets: unique(
      objects
        .filter(({ kind }) => kind === 'Service')
        .flatMap(({ name, path, ports }) =>
          ports.map((port) => ({ text: `service/${name}:${port.name ?? port.port}/`, detail: `Service in ${path}` })),
        ),
    ),
    contexts,
  };
}

function unique(candidates: readonly Candidate[]): readonly Candidate[] {
  const seen = new Map<string, Candidate>();
  for (const candidate of candidates) if (!seen.has(candidate.text)) seen.set(candidate.text, candidate);
  return [...seen.values()];
}
