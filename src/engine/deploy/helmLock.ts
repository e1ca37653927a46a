// The lock of a release: whether a helm is at work on it or was killed, and taking it away.
import { CancelledError } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import type { Answer } from './answers.ts';
import { lockOf, type ReleaseRevision } from './helmRecords.ts';
import { type HelmReleases, lockFailure } from './helmReleases.ts';

/** A lock younger than twice this may be a helm at work: helm's own default timeout. */
const HELM_TIMEOUT_MS = 5 * 60_000;

export interface HelmLockOptions {
  readonly system: System;
  readonly releases: HelmReleases;
  readonly namespace: string;
  readonly release: string;
  /** Of the environment's rollout. */
  readonly timeoutMs: number | undefined;
  /** `asked`: taken away whatever its age. */
  readonly unlock: 'asked' | 'stale' | undefined;
}

export class HelmLock {
  readonly #o: HelmLockOptions;

  constructor(options: HelmLockOptions) {
    this.#o = options;
  }

  get #where(): string {
    return `${this.#o.namespace}/${this.#o.release}`;
  }

  /** A release that helm would refuse to upgrade, said before. */
  async concerns(signal: AbortSignal): Promise<readonly Answer[]> {
    const stuck = lockOf(await this.#o.releases.revisions(signal), this.#o.system.clock.now());
    if (stuck === undefined) return [];
    const isHeld = stuck.ageMs < this.#limit || (await this.#isHelmHere(signal));
    const { message, fix = '', evidence = [] } = lockFailure(stuck, this.#where, this.#limit);
    const { revision, status } = stuck.revision;
    const name = `sh.helm.release.v1.${this.#o.release}.v${revision}`;
    return [
      {
        certainty: 'suspicious',
        code: 'helm.pending',
        object: { apiVersion: 'v1', kind: 'Secret', namespace: this.#o.namespace, name },
        message: isHeld
          ? message
          : `Revision ${revision} of ${this.#where} was left ${status} by a helm that ended early.`,
        fix: isHeld ? fix : 'Nothing is to be done: the deploy marks it failed and goes on from the last deployed one.',
        evidence,
      },
    ];
  }

  /** A lock that is younger may be a helm at work. */
  get #limit(): number {
    return 2 * Math.max(this.#o.timeoutMs ?? 0, HELM_TIMEOUT_MS);
  }

  /** The revisions, after a lock that a killed helm left has been taken away. Throws when it may be in use. */
  async unlocked(signal: AbortSignal, warnings: string[]): Promise<readonly ReleaseRevision[]> {
    const { system, unlock } = this.#o;
    const revisions = await this.#o.releases.revisions(signal);
    const stuck = lockOf(revisions, system.clock.now());
    if (stuck === undefined) return revisions;
    const limit = this.#limit;
    if (unlock !== 'asked' && (stuck.ageMs < limit || (await this.#isHelmHere(signal)))) {
      throw lockFailure(stuck, this.#where, limit);
    }
    await this.#o.releases.unlock(stuck.revision.revision, system.clock.now(), signal);
    warnings.push(
      `Revision ${stuck.revision.revision} of ${this.#where} was left ${stuck.revision.status} by a helm that ended early; it is marked failed now.`,
    );
    return this.#o.releases.revisions(signal);
  }

  /** Whether a helm of this machine, ours or another's, speaks of this release in its arguments. */
  async #isHelmHere(signal: AbortSignal): Promise<boolean> {
    const { system, release, namespace } = this.#o;
    if (system.platform !== 'linux') return system.processes.running.length > 0;
    const entries = (await system.files.list('/proc')) ?? [];
    for (const { name } of entries) {
      if (signal.aborted) throw new CancelledError();
      if (!/^\d+$/.test(name)) continue;
      const argv = (await system.files.readText(`/proc/${name}/cmdline`).catch(() => undefined))?.split('\0');
      if (argv?.[0]?.split('/').at(-1) !== 'helm' || !argv.includes(release)) continue;
      // A release of the same name in another namespace is another one.
      const other = namespaceIn(argv);
      if (other === undefined || other === namespace) return true;
    }
    return false;
  }

  /** By command: whatever its age, unless a helm of this machine is at work. Says what was done; undefined = there was no lock. */
  async unlock(signal: AbortSignal): Promise<string | undefined> {
    const stuck = lockOf(await this.#o.releases.revisions(signal), this.#o.system.clock.now());
    if (stuck === undefined) return undefined;
    if (await this.#isHelmHere(signal)) throw lockFailure(stuck, this.#where, 0);
    const { revision, status } = stuck.revision;
    await this.#o.releases.unlock(revision, this.#o.system.clock.now(), signal);
    return `Revision ${revision} of ${this.#where} was ${status} and is marked failed now; nothing live was changed.`;
  }
}

/** The namespace in helm's arguments; undefined when it names none. */
function namespaceIn(argv: readonly string[]): string | undefined {
  const index = argv.findIndex((argument) => argument === '-n' || argument === '--namespace');
  if (index !== -1) return argv[index + 1];
  return argv.find((argument) => argument.startsWith('--namespace='))?.slice('--namespace='.length);
}
