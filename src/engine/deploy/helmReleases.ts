import { gunzipSync, gzipSync } from 'node:zlib';
import { at, fieldsOf, type KubeObject, textOf } from '../cluster/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { ClusterAccess } from './access.ts';
import {
  decodeRelease,
  type ReleaseRecord,
  type ReleaseRevision,
  revisionsFrom,
  type StuckRelease,
  VERIFIED_LABEL,
} from './helmRecords.ts';

/** The records of one release in the cluster, without the helm binary. */
export class HelmReleases {
  readonly #access: ClusterAccess;
  readonly #namespace: string;
  readonly #release: string;

  constructor(access: ClusterAccess, namespace: string, release: string) {
    this.#access = access;
    this.#namespace = namespace;
    this.#release = release;
  }

  /** All revisions, oldest first, by one list of metadata. */
  async revisions(signal: AbortSignal): Promise<readonly ReleaseRevision[]> {
    const query = {
      apiVersion: 'v1',
      kind: 'Secret',
      namespace: this.#namespace,
      labels: `owner=helm,name=${this.#release}`,
      isMetadataOnly: true,
    };
    return revisionsFrom(await this.#access.list(query, signal), this.#release);
  }

  /** A whole revision; undefined when Helm has pruned it. */
  async read(revision: number, signal: AbortSignal): Promise<ReleaseRecord | undefined> {
    const data = at(await this.#secret(revision, signal), 'data', 'release');
    return typeof data === 'string' ? decodeRelease(data) : undefined;
  }

  /** Our word on a revision, on its record, so that every machine and CI runner sees it. */
  async markVerified(revision: number, signal: AbortSignal): Promise<void> {
    const patch = { metadata: { labels: { [VERIFIED_LABEL]: String(revision) } } };
    await this.#access.merge(this.#ref(revision), patch, { signal });
  }

  /**
   * Ends a lock that a killed helm left: the record becomes `failed`, as that helm would have written had it lived,
   * and nothing live is touched; the next upgrade starts from the last deployed revision. Only when the record has not
   * changed since it was read.
   */
  async unlock(revision: number, now: number, signal: AbortSignal): Promise<void> {
    const secret = await this.#secret(revision, signal);
    const data = textOf(at(secret, 'data', 'release'));
    if (secret === undefined || data === undefined) return;
    const stored: unknown = JSON.parse(
      gunzipSync(Buffer.from(Buffer.from(data, 'base64').toString(), 'base64')).toString(),
    );
    const status = textOf(at(stored, 'info', 'status')) ?? '';
    if (!status.startsWith('pending-')) return;
    const failed = {
      ...fieldsOf(stored),
      info: {
        ...fieldsOf(at(stored, 'info')),
        status: 'failed',
        description: `Unlocked by Slipway: ${status} was left behind by a helm that ended early`,
      },
    };
    const release = Buffer.from(gzipSync(JSON.stringify(failed)).toString('base64')).toString('base64');
    const patch = {
      metadata: {
        resourceVersion: secret.metadata.resourceVersion,
        labels: { status: 'failed', modifiedAt: String(Math.floor(now / 1000)) },
      },
      data: { release },
    };
    await this.#access.merge(this.#ref(revision), patch, { signal });
  }

  #ref(revision: number) {
    const name = `sh.helm.release.v1.${this.#release}.v${revision}`;
    return { apiVersion: 'v1', kind: 'Secret', namespace: this.#namespace, name };
  }

  #secret(revision: number, signal: AbortSignal): Promise<KubeObject | undefined> {
    return this.#access.get(this.#ref(revision), signal);
  }
}

/** A release that Helm would refuse to upgrade, in words: what it is, who left it, since when, and the way out. */
export function lockFailure(stuck: StuckRelease, where: string, canRepairAfterMs: number): SlipwayError {
  const { revision, ageMs } = stuck;
  const by = revision.writer === undefined ? '' : ` by ${revision.writer}`;
  const since = revision.modifiedAt === undefined ? '' : `, last changed ${revision.modifiedAt}${by}`;
  return new SlipwayError({
    reason: 'locked',
    code: 'helm.pending',
    message:
      `The Helm release ${where} is ${revision.status} (revision ${revision.revision}${since}): ` +
      `either a helm is at work on it now, or one was killed ${spoken(ageMs)} ago.`,
    fix:
      ageMs < canRepairAfterMs
        ? `Wait for it. If no helm runs any more, unlock it with \`slipway unlock\`; by itself Slipway does so after ${spoken(canRepairAfterMs)}.`
        : 'A helm runs on this machine for this release: end it, or let it finish.',
    evidence: [
      `sh.helm.release.v1 revision ${revision.revision}: status=${revision.status}`,
      ...(stuck.lastDeployed === undefined
        ? ['no revision of it was ever deployed']
        : [`last deployed: revision ${stuck.lastDeployed.revision}`]),
    ],
  });
}

function spoken(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}
