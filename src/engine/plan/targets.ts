import type { ObjectRef } from '../events/index.ts';

const apiVersions: Readonly<Record<string, string>> = {
  Deployment: 'apps/v1',
  StatefulSet: 'apps/v1',
  DaemonSet: 'apps/v1',
  Job: 'batch/v1',
  CronJob: 'batch/v1',
  Pod: 'v1',
  Rollout: 'argoproj.io/v1alpha1',
};

/** A target of the deploy outputs: `kind/namespace/name`. */
export const formatTarget = ({ kind, namespace, name }: ObjectRef): string => `${kind}/${namespace ?? ''}/${name}`;

/** The object that {@link formatTarget} wrote. */
export function parseTarget(target: string): ObjectRef {
  const [kind = '', namespace = '', name = ''] = target.split('/');
  return { apiVersion: apiVersions[kind] ?? 'v1', kind, name, ...(namespace !== '' && { namespace }) };
}
