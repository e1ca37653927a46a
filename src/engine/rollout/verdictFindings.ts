// From findings to a decision: which of them doom a workload, which are shown, and in what order.
import { at, type KubeObject, listOf, numberOf } from '../cluster/object.ts';
import type { CauseView } from '../events/index.ts';
import type { Finding } from './causes.ts';
import { isPodReady } from './readiness.ts';
import type { Looked } from './verdictLook.ts';

/** A workload with some pods of the new version up is given up only after this and 5 exits of the others. */
const PARTIAL_MS = 120_000;
const PARTIAL_EXITS = 5;

/** The next moment at which something would be decided without any change. */
export class Wakes {
  readonly #now: number;
  #at: number | undefined;

  constructor(now: number) {
    this.#now = now;
  }

  /** Moments that are over need no wake-up: what they decide has been decided. */
  add(at: number | undefined): void {
    if (at !== undefined && at > this.#now && Number.isFinite(at)) this.#at = Math.min(this.#at ?? at, at);
  }

  get at(): number | undefined {
    return this.#at;
  }
}

/** Findings that doom the workload: true of its template, or of all its new pods that are not ready. */
export function fatalFindings(
  findings: readonly Finding[],
  one: Looked,
  now: number,
  clock: Wakes,
): readonly Finding[] {
  const proven = findings.filter(({ strength }) => strength === 'proven');
  const ofObject = proven.filter(({ scope }) => scope === 'object');
  if (ofObject.length > 0) return [...ofObject, ...proven.filter(({ scope }) => scope === 'pod')];
  if (proven.length === 0) return [];
  const pods = one.target.newPods;
  const unready = pods.filter((pod) => !isPodReady(pod) && at(pod, 'status', 'phase') !== 'Succeeded');
  const doomed = unready.filter((pod) => proven.some((finding) => finding.pod === pod.metadata.uid));
  if (unready.length === 0 || doomed.length < unready.length) return [];
  if (unready.length === pods.length) return proven;
  // Some pods of this version live: then it is not the version alone.
  const limit = one.mark.progressAt + PARTIAL_MS;
  const exits = Math.min(...unready.map((pod) => maxRestarts(pod)));
  if (exits < PARTIAL_EXITS) return [];
  clock.add(limit);
  if (now < limit) return [];
  return proven.map((finding) => ({
    ...finding,
    message: `${unready.length} of ${pods.length} new pods: ${finding.message}`,
  }));
}

const maxRestarts = (pod: KubeObject): number =>
  Math.max(0, ...listOf(at(pod, 'status', 'containerStatuses')).map((status) => numberOf(status.restartCount) ?? 0));

/** Deadlines say least: what is known besides goes first. */
export function rank(fatal: readonly Finding[], all: readonly Finding[]): readonly Finding[] {
  const isVague = ({ code }: Finding): boolean => code === 'deadline' || code === 'job' || code === 'failed';
  const telling = fatal.filter((finding) => !isVague(finding));
  const vague = fatal.filter(isVague);
  if (telling.length > 0 || vague.length === 0) return distinct([...telling, ...vague]);
  const hints = all.filter((finding) => !isVague(finding)).sort((a, b) => a.firstSeen - b.firstSeen);
  return [...distinct([...hints.slice(0, 3), ...vague])].sort((a, b) => Number(isVague(a)) - Number(isVague(b)));
}

/** The same cause on many pods is told once, with how many it hits. */
function distinct(findings: readonly Finding[]): readonly Finding[] {
  const seen = new Map<string, { readonly finding: Finding; readonly pods: Set<string> }>();
  for (const finding of findings) {
    const key = `${finding.code} ${finding.container ?? ''}`;
    const known = seen.get(key);
    if (known === undefined) seen.set(key, { finding, pods: new Set(finding.pod === undefined ? [] : [finding.pod]) });
    else if (finding.pod !== undefined) known.pods.add(finding.pod);
  }
  return [...seen.values()].map(({ finding, pods }) =>
    pods.size > 1 ? { ...finding, evidence: [...finding.evidence, `seen on ${pods.size} pods`] } : finding,
  );
}

/** New pods that have not shown yet what becomes of them. */
export function undecided(one: Looked, findings: readonly Finding[]): boolean {
  return one.target.newPods.some(
    (pod) =>
      !isPodReady(pod) &&
      !findings.some((finding) => finding.pod === pod.metadata.uid && finding.strength === 'proven'),
  );
}

export function visible(findings: readonly Finding[], now: number, clock: Wakes): readonly Finding[] {
  const shown = findings.filter(({ warnAt, firstSeen }) => {
    if (warnAt === 'never') return false;
    const due = warnAt ?? firstSeen;
    clock.add(due);
    return due <= now;
  });
  return distinct(shown);
}

export function causeView(finding: Finding, now: number): CauseView {
  return {
    code: finding.code,
    object: finding.ref,
    ...(finding.container !== undefined && { container: finding.container }),
    message: finding.message,
    fix: finding.fix,
    evidence: finding.evidence,
    firstSeen: new Date(finding.firstSeen).toISOString(),
    namedAt: new Date(now).toISOString(),
  };
}
