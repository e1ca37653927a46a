// What the journal knows of an image or an environment, in the words of lenses and hovers. Without vscode, to be tested.
import type { RunView } from '../../engine/run/projection.ts';
import { age } from '../words.ts';

type Scan = RunView['scans'][number];

export interface ImageFacts {
  readonly run: string;
  readonly environment: string | null;
  /** ISO time of the run. */
  readonly at: string;
  readonly repository?: string;
  readonly digest?: string;
  readonly tags: readonly string[];
  /** Platform → compressed size in bytes, where it is known. */
  readonly sizes: ReadonlyMap<string, number>;
  readonly platforms: readonly string[];
  readonly scans: readonly Scan[];
}

/** The newest run that built the image or found it unchanged; `runs` newest first. */
export function imageFacts(runs: readonly RunView[], image: string): ImageFacts | undefined {
  for (const view of runs) {
    const build = view.steps.find((step) => step.kind === 'build' && step.image === image);
    const outputs = (build?.outputs ?? {}) as Readonly<Record<string, unknown>>;
    const scans = view.scans.filter((scan) => scan.image === image);
    if (typeof outputs.digest !== 'string' && scans.length === 0) continue;
    const published = view.published.find((other) => other.image === image);
    // A step that was skipped left its scans in the run that made them.
    const found = scans.length > 0 ? scans : (runs.find((run) => scannedHere(run, image))?.scans ?? []);
    return {
      run: view.id,
      environment: view.environment,
      at: view.finishedAt ?? view.startedAt,
      ...(typeof outputs.repository === 'string' && { repository: outputs.repository }),
      ...(typeof outputs.digest === 'string' && { digest: outputs.digest }),
      tags: published?.tags ?? [],
      sizes: new Map(
        Object.entries(mapOf(outputs.sizes)).flatMap(([platform, size]) =>
          typeof size === 'number' ? [[platform, size] as const] : [],
        ),
      ),
      platforms: Object.keys(mapOf(outputs.platforms)),
      scans: found.filter((scan) => scan.image === image),
    };
  }
  return undefined;
}

const scannedHere = (run: RunView, image: string): boolean => run.scans.some((scan) => scan.image === image);

const mapOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};

/** What runs in an environment by the journal: the newest deploy that was verified and not undone. */
export function liveRun(runs: readonly RunView[], environment: string): RunView | undefined {
  return runs.find(
    (view) => view.environment === environment && view.state === 'succeeded' && view.deployed !== undefined,
  );
}

/** `412 B`, `9.6 kB`, `63 MB`, as registries and docker count. */
export function sizeWords(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value >= 10 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** `2 CRITICAL, 1 HIGH`, `no findings`, or why there is no answer; the worst platform speaks. */
export function scanWords(scans: readonly Scan[]): string | undefined {
  if (scans.length === 0) return undefined;
  const odd = scans.find(({ outcome }) => outcome !== 'clean' && outcome !== 'findings');
  if (odd !== undefined)
    return (
      { 'not-scanned': 'not scanned', failed: 'scan failed', 'stale-database': 'stale database' }[
        odd.outcome as string
      ] ?? odd.outcome
    );
  const counts = new Map<string, number>();
  for (const scan of scans) {
    for (const [severity, count] of Object.entries(scan.counts)) {
      counts.set(severity, Math.max(counts.get(severity) ?? 0, count));
    }
  }
  const found = ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'UNKNOWN'].flatMap((severity) => {
    const count = counts.get(severity) ?? 0;
    return count === 0 ? [] : [`${count} ${severity}`];
  });
  const words = found.length === 0 ? 'no findings' : found.slice(0, 2).join(', ');
  const isStopped = scans.some(({ outcome }) => outcome === 'findings');
  return isStopped ? `gate stopped: ${words}` : words;
}

/** Everything about an image in one line, for a lens. */
export function imageLine(facts: ImageFacts, now: number): string {
  const largest = Math.max(0, ...facts.sizes.values());
  return [
    ...(largest > 0 ? [sizeWords(largest)] : []),
    ...[scanWords(facts.scans)].filter((words) => words !== undefined),
    age(facts.at, now),
  ].join(' · ');
}

/** Markdown on an image; every value from outside stands in a code span or is a number. */
export function imageMarkdown(facts: ImageFacts, now: number): string {
  const rows = [
    ...(facts.repository === undefined ? [] : [`Repository: ${code(facts.repository)}`]),
    ...(facts.tags.length === 0 ? [] : [`Tags: ${facts.tags.map(code).join(', ')}`]),
    ...(facts.digest === undefined ? [] : [`Digest: ${code(facts.digest)}`]),
    ...facts.platforms.map((platform) => {
      const size = facts.sizes.get(platform);
      const scan = facts.scans.find((other) => other.platform === platform);
      const words = scanWords(scan === undefined ? [] : [scan]);
      const parts = [size === undefined ? undefined : `${sizeWords(size)} compressed`, words];
      const known = parts.filter((part) => part !== undefined).join(', ');
      return `${code(platform)}${known === '' ? '' : `: ${known}`}`;
    }),
    `Last run: ${code(facts.run)}, ${age(facts.at, now)}`,
  ];
  return rows.map((row) => `- ${row}`).join('\n');
}

/** Where the image is live by the journal, as lines of the same list; empty when no verified deploy has it. */
export function liveMarkdown(
  runs: readonly RunView[],
  image: string,
  environments: readonly string[],
  now: number,
): string {
  return environments
    .flatMap((environment) => {
      const live = liveRun(runs, environment);
      const reference = live?.deployed?.images[image];
      if (live === undefined || reference === undefined) return [];
      const words = `${code(live.tag ?? reference)}, verified ${age(live.finishedAt ?? live.startedAt, now)}`;
      return [`- Live on ${code(environment)}: ${words}`];
    })
    .join('\n');
}

/** Markdown on an environment: what is live by the journal, and the newest run when it is another. */
export function environmentMarkdown(runs: readonly RunView[], environment: string, now: number): string {
  const newest = runs.find((view) => view.environment === environment);
  if (newest === undefined) return 'Not deployed from this folder yet.';
  const live = liveRun(runs, environment);
  const lines: string[] = [];
  if (live === undefined) lines.push('No verified deploy is in the journal.');
  else {
    const revision = live.deployed?.revision === undefined ? '' : `, revision ${code(live.deployed.revision)}`;
    lines.push(
      `Live: ${live.tag === undefined ? 'deployed' : code(live.tag)}${revision}, verified ${age(live.finishedAt ?? live.startedAt, now)}`,
      ...Object.entries(live.deployed?.images ?? {}).map(([name, reference]) => `${code(name)}: ${code(reference)}`),
      ...live.endpoints.map(({ title, url }) => `${code(title)}: ${url}`),
    );
  }
  if (newest.id !== live?.id) {
    const became = newest.state === 'failed' && newest.rolledBack ? 'failed and was rolled back' : newest.state;
    lines.push(`Newest run: ${became}, ${age(newest.finishedAt ?? newest.startedAt, now)}`);
  }
  return lines.map((line) => `- ${line}`).join('\n');
}

const code = (text: string): string => `\`${text.replaceAll('`', "'").replace(/\s+/g, ' ')}\``;
