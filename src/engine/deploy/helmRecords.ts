// What Helm wrote down about a release, read from its Secrets without the helm binary.
import { gunzipSync } from 'node:zlib';
import { at, type Fields, fieldsOf, type KubeObject, listOf, textOf } from '../cluster/index.ts';
import { type PlacedObject, parseObjects } from './objects.ts';

/** Statuses of Helm 3 and 4 (`pkg/release/status`). */
export type ReleaseStatus =
  | 'unknown'
  | 'deployed'
  | 'uninstalled'
  | 'superseded'
  | 'failed'
  | 'uninstalling'
  | 'pending-install'
  | 'pending-upgrade'
  | 'pending-rollback';

/** One revision as the labels of its Secret tell it; the payload is not needed for this. */
export interface ReleaseRevision {
  readonly release: string;
  readonly revision: number;
  readonly status: ReleaseStatus;
  /** ISO time of the last change of the record. */
  readonly modifiedAt?: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Last writer of the record (field manager), for saying who left a lock. */
  readonly writer?: string;
}

/** A hook of the chart: an object that helm runs outside of the release's own set. */
export interface ReleaseHook {
  readonly name: string;
  readonly kind: string;
  readonly events: readonly string[];
  readonly object?: KubeObject;
}

export interface ReleaseRecord {
  readonly release: string;
  readonly namespace: string;
  readonly revision: number;
  readonly status: ReleaseStatus;
  readonly description: string;
  /** ISO time. */
  readonly lastDeployed?: string;
  readonly chart: string;
  readonly config: Fields;
  readonly objects: readonly PlacedObject[];
  readonly hooks: readonly ReleaseHook[];
}

/**
 * Our own word on a revision, kept as a label of its record. Helm copies custom labels from one revision to the next
 * (`mergeCustomLabels`, 3.13 and later), so the value is the revision it speaks of: an inherited label names another
 * revision and says nothing.
 */
export const VERIFIED_LABEL = 'slipway.dev/verified';

/** Revisions of one release from the metadata of its Secrets, oldest first; foreign Secrets are passed over. */
export function revisionsFrom(secrets: readonly KubeObject[], release: string): readonly ReleaseRevision[] {
  return secrets
    .flatMap((secret): readonly ReleaseRevision[] => {
      const labels = secret.metadata.labels ?? {};
      const revision = Number(labels.version);
      if (labels.owner !== 'helm' || labels.name !== release || !Number.isInteger(revision) || revision < 1) return [];
      const changed = Number(labels.modifiedAt ?? labels.createdAt);
      const created = textOf(secret.metadata.creationTimestamp);
      const modifiedAt = Number.isFinite(changed) && changed > 0 ? new Date(changed * 1000).toISOString() : created;
      const writer = lastWriter(secret);
      return [
        {
          release,
          revision,
          status: (labels.status ?? 'unknown') as ReleaseStatus,
          labels,
          ...(modifiedAt !== undefined && { modifiedAt }),
          ...(writer !== undefined && { writer }),
        },
      ];
    })
    .sort((a, b) => a.revision - b.revision);
}

function lastWriter(object: KubeObject): string | undefined {
  const entries = listOf(object.metadata.managedFields);
  const newest = [...entries].sort((a, b) => (textOf(a.time) ?? '').localeCompare(textOf(b.time) ?? '')).at(-1);
  return textOf(newest?.manager);
}

export const isPending = (revision: ReleaseRevision): boolean => revision.status.startsWith('pending-');

export const isVerified = (revision: ReleaseRevision): boolean =>
  revision.labels[VERIFIED_LABEL] === String(revision.revision);

/** The revision whose objects are live in Helm's eyes. */
export function deployedOf(revisions: readonly ReleaseRevision[]): ReleaseRevision | undefined {
  return revisions.findLast((revision) => revision.status === 'deployed');
}

/** A release as Helm stores it: base64 (the Secret's own has been taken off by the caller or not), base64, gzip, JSON. */
export function decodeRelease(data: string): ReleaseRecord {
  let bytes = Buffer.from(data, 'base64');
  // The value of a Secret is base64 of Helm's own base64; a value whose outer layer is off begins with gzip's magic.
  if (!isGzip(bytes) && !isJson(bytes)) bytes = Buffer.from(bytes.toString('utf8'), 'base64');
  // Releases older than Helm 3.0 were stored without compression.
  const text = (isGzip(bytes) ? gunzipSync(bytes, { maxOutputLength: 64 * 1024 * 1024 }) : bytes).toString('utf8');
  return releaseFrom(JSON.parse(text));
}

const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b;
const isJson = (bytes: Uint8Array): boolean => bytes[0] === 0x7b;

/** A release from Helm's JSON: the record in the cluster, and what `--output json` prints. */
export function releaseFrom(value: unknown): ReleaseRecord {
  const info = fieldsOf(at(value, 'info'));
  const chart = fieldsOf(at(value, 'chart', 'metadata'));
  const manifest = textOf(at(value, 'manifest')) ?? '';
  const lastDeployed = textOf(info.last_deployed);
  const revision = at(value, 'version');
  return {
    release: textOf(at(value, 'name')) ?? '',
    namespace: textOf(at(value, 'namespace')) ?? '',
    revision: typeof revision === 'number' ? revision : 0,
    status: (textOf(info.status) ?? 'unknown') as ReleaseStatus,
    description: textOf(info.description) ?? '',
    ...(lastDeployed !== undefined && { lastDeployed }),
    chart: `${textOf(chart.name) ?? '?'}-${textOf(chart.version) ?? '?'}`,
    config: fieldsOf(at(value, 'config')),
    objects: parseObjects(manifest),
    hooks: listOf(at(value, 'hooks')).map((hook) => {
      const object = parseObjects(textOf(hook.manifest) ?? '')[0]?.object;
      return {
        name: textOf(hook.name) ?? '',
        kind: textOf(hook.kind) ?? '',
        events: Array.isArray(hook.events) ? hook.events.filter((event) => typeof event === 'string') : [],
        ...(object !== undefined && { object }),
      };
    }),
  };
}

/** A lock that a killed client left: what it is, who left it, and the way out. */
export interface StuckRelease {
  readonly revision: ReleaseRevision;
  readonly ageMs: number;
  /** The revision a rollback would go back to; absent when none was ever deployed, then uninstalling is the way. */
  readonly lastDeployed?: ReleaseRevision;
}

/** The lock on a release: its newest revision is pending. Helm then refuses every upgrade (issues #4558, #8987). */
export function lockOf(revisions: readonly ReleaseRevision[], now: number): StuckRelease | undefined {
  const newest = revisions.at(-1);
  if (newest === undefined || !isPending(newest)) return undefined;
  const since = newest.modifiedAt === undefined ? now : Date.parse(newest.modifiedAt);
  const lastDeployed = deployedOf(revisions) ?? revisions.findLast((revision) => revision.status === 'superseded');
  return {
    revision: newest,
    ageMs: Math.max(0, now - since),
    ...(lastDeployed !== undefined && { lastDeployed }),
  };
}
