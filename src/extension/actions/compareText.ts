// Texts of environments for people and for a comparison side by side. Pure.
import type { LiveWorkloadView, ObjectDiff } from '../../engine/main.ts';
import type { EnvironmentConfig } from '../../engine/project/model.ts';

/** What runs in an environment, one fact a line, so that two environments can be laid side by side. */
export function environmentText(environment: EnvironmentConfig, workloads: readonly LiveWorkloadView[]): string {
  const sorted = workloads.toSorted((a, b) =>
    `${a.ref.kind} ${a.ref.name}`.localeCompare(`${b.ref.kind} ${b.ref.name}`),
  );
  const lines = sorted.flatMap((workload) => [
    '',
    `${workload.ref.kind} ${workload.ref.name}`,
    ...workload.images.map((image) => `  image      ${image.replace('@', '\n  digest     ')}`),
    `  available  ${workload.available} of ${workload.desired}`,
    `  state      ${workload.state}${workload.cause === undefined ? '' : `: ${workload.cause}`}`,
  ]);
  return [
    `deployed by  ${environment.deploy.kind}`,
    ...(sorted.length === 0 ? ['', 'nothing is deployed'] : lines),
    '',
  ].join('\n');
}

/** What a deploy would change, as `slipway diff` says it. Values of Secrets are not part of it. */
export function deployDiffText(environment: string, diffs: readonly ObjectDiff[]): string {
  const changed = diffs.filter(({ action }) => action !== 'none');
  const signs = { create: '+', change: '~', delete: '-', none: ' ' } as const;
  const lines = changed.flatMap(({ object, action, changes }) => [
    '',
    `${signs[action]} ${object.kind} ${object.namespace === undefined ? '' : `${object.namespace}/`}${object.name}`,
    ...changes.flatMap(({ path, before, after }) => [
      `    ${path}`,
      ...(before === undefined ? [] : [`      - ${valueText(before)}`]),
      ...(after === undefined ? [] : [`      + ${valueText(after)}`]),
    ]),
  ]);
  const head = `A deploy to ${environment} would change ${changed.length} of ${diffs.length} objects.`;
  return [head, ...lines, ''].join('\n');
}

const valueText = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
