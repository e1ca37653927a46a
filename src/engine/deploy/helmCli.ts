import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { at, type Fields, fieldsOf, listOf, textOf } from '../cluster/index.ts';
import type { Secrets } from '../events/secrets.ts';
import { SlipwayError } from '../problems/index.ts';
import type { ProcessRequest, ProcessResult, System } from '../system/index.ts';
import type { ClusterAccess } from './access.ts';
import { type ReleaseRecord, releaseFrom } from './helmRecords.ts';
import { mergeValues } from './values.ts';

/** Where helm works: always said, never left to what the kubeconfig happens to point at. */
export interface HelmPlace {
  readonly context: string;
  /** A file; absent = KUBECONFIG and the default file, as the cluster client reads them. */
  readonly kubeconfig?: string;
  /** The kubeconfig itself where the file will not do; helm gets it as a file for the time it runs. */
  readonly kubeconfigForTool?: ClusterAccess['kubeconfigForTool'];
  readonly namespace: string;
  readonly release: string;
}

export interface HelmChart {
  /** Absolute folder or archive, or a reference (`oci://…`, `repo/name`). */
  readonly chart: string;
  /** Absolute, later ones win. */
  readonly values: readonly string[];
  /** Goes on top of the files. Given to helm on its standard input: neither in argv nor on disk. */
  readonly overrides: Fields;
}

export interface UpgradeOptions {
  readonly historyMax: number;
  readonly description: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Bound for hooks and for the wait; absent = helm's own 5 minutes. */
  readonly timeoutMs?: number;
  /** For charts with post hooks, which helm runs only after its own wait. */
  readonly isWaiting: boolean;
  readonly onLine: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Of helm's hooks and waits. */
const DEFAULT_TIMEOUT_MS = 5 * 60_000;
/** For a command that only reads, or writes and does not wait. */
const BRIEF_MS = 60_000;

/**
 * The helm binary (3.13 and later, 4): argv only, context and namespace explicit. Failures are SlipwayErrors with
 * helm's own words as evidence.
 */
export class HelmCli {
  readonly #system: System;
  readonly #secrets: Secrets;
  readonly #place: HelmPlace;

  constructor(system: System, secrets: Secrets, place: HelmPlace) {
    this.#system = system;
    this.#secrets = secrets;
    this.#place = place;
  }

  /** The chart's own values merged with the person's files, as helm will see them before our overrides. */
  async knownValues(chart: HelmChart, signal: AbortSignal): Promise<Fields> {
    let known = await this.#chartValues(chart.chart, signal);
    for (const file of chart.values) {
      const text = await this.#system.files.readText(file);
      if (text === undefined) {
        throw new SlipwayError({
          reason: 'config',
          code: 'helm.values-missing',
          message: `The values file ${file} does not exist.`,
          fix: 'Correct the path under `deploy.helm.values`.',
          place: { file },
        });
      }
      known = mergeValues(known, this.#parseValues(text, file));
    }
    return known;
  }

  async #chartValues(chart: string, signal: AbortSignal): Promise<Fields> {
    if ((await this.#system.files.stat(chart))?.isFolder === true) {
      const file = join(chart, 'values.yaml');
      const own = this.#parseValues((await this.#system.files.readText(file)) ?? '', file);
      return mergeValues(await this.#subchartValues(chart, signal), own);
    }
    const { stdout } = await this.#check({ args: ['show', 'values', chart], signal });
    return this.#parseValues(stdout, chart);
  }

  /** The values of the subcharts in `charts/`, each below the name (or alias) the chart gives it, as helm lays them. */
  async #subchartValues(chart: string, signal: AbortSignal): Promise<Fields> {
    const about = this.#parseValues(
      (await this.#system.files.readText(join(chart, 'Chart.yaml'))) ?? '',
      join(chart, 'Chart.yaml'),
    );
    const present = ((await this.#system.files.list(join(chart, 'charts'))) ?? []).map((entry) => entry.name);
    const values: Record<string, unknown> = {};
    for (const dependency of listOf(about.dependencies)) {
      const name = textOf(dependency.name) ?? '';
      const file = present.find((one) => isOfChart(one, name));
      if (file !== undefined) {
        values[textOf(dependency.alias) ?? name] = await this.#chartValues(join(chart, 'charts', file), signal);
      }
    }
    return values;
  }

  #parseValues(text: string, file: string): Fields {
    try {
      return fieldsOf(parse(text));
    } catch (error) {
      throw new SlipwayError(
        {
          reason: 'config',
          code: 'helm.values-invalid',
          message: `${file} is not valid YAML: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`,
          fix: 'Correct the file.',
          place: { file },
        },
        { cause: error },
      );
    }
  }

  /**
   * Fetches the subcharts that Chart.yaml names and `charts/` lacks, by the lock file where there is one.
   * Returns false when there was nothing to fetch.
   */
  async fetchDependencies(chart: string, onLine: (line: string) => void, signal: AbortSignal): Promise<boolean> {
    const text = await this.#system.files.readText(join(chart, 'Chart.yaml'));
    if (text === undefined) return false;
    const wanted = listOf(this.#parseValues(text, join(chart, 'Chart.yaml')).dependencies);
    if (wanted.length === 0) return false;
    const present = ((await this.#system.files.list(join(chart, 'charts'))) ?? []).map((entry) => entry.name);
    const isMissing = wanted.some((dependency) => {
      const name = textOf(dependency.name) ?? '';
      return !present.some((file) => isOfChart(file, name));
    });
    if (!isMissing) return false;
    const hasLock = (await this.#system.files.stat(join(chart, 'Chart.lock'))) !== undefined;
    await this.#check({ args: ['dependency', hasLock ? 'build' : 'update', chart], signal, onLine });
    return true;
  }

  /** Lint of a local chart. Returns its warnings and errors; throws only when helm could not be run. */
  async lint(
    chart: HelmChart,
    signal: AbortSignal,
  ): Promise<readonly { readonly level: 'error' | 'warning'; readonly text: string }[]> {
    if ((await this.#system.files.stat(chart.chart)) === undefined) return [];
    const result = await this.#run({
      args: ['lint', chart.chart, '--namespace', this.#place.namespace, ...valueArgs(chart)],
      stdin: stringify(chart.overrides),
      signal,
    });
    return `${result.stdout}\n${result.stderr}`.split('\n').flatMap((line) => {
      const match = /^\[(ERROR|WARNING)\]\s*(.*)$/.exec(line.trim());
      if (match === null) return [];
      return [{ level: match[1] === 'ERROR' ? ('error' as const) : ('warning' as const), text: match[2] ?? '' }];
    });
  }

  /**
   * The release as an upgrade would make it, with `lookup` and API versions of the cluster. Asks nothing of the
   * cluster when `isOffline`; then charts that look things up render as in an empty cluster.
   */
  async render(chart: HelmChart, signal: AbortSignal, isOffline = false): Promise<ReleaseRecord> {
    if (isOffline) return this.#template(chart, signal);
    const result = await this.#run({
      args: [
        ...['upgrade', this.#place.release, chart.chart, '--install', '--dry-run=server', '--output', 'json'],
        ...valueArgs(chart),
      ],
      clusterMs: BRIEF_MS,
      stdin: stringify(chart.overrides),
      signal,
    });
    if (result.code === 0) return releaseFrom(parseOutput(result.stdout));
    throw this.#failure('render', result);
  }

  async #template(chart: HelmChart, signal: AbortSignal): Promise<ReleaseRecord> {
    const { stdout } = await this.#check({
      args: [
        ...['template', this.#place.release, chart.chart, '--namespace', this.#place.namespace, '--is-upgrade'],
        ...valueArgs(chart),
      ],
      stdin: stringify(chart.overrides),
      signal,
    });
    return releaseFrom({ name: this.#place.release, namespace: this.#place.namespace, manifest: stdout });
  }

  async upgrade(chart: HelmChart, options: UpgradeOptions): Promise<ReleaseRecord> {
    const { stdout } = await this.#check({
      args: [
        ...['upgrade', this.#place.release, chart.chart, '--install', '--create-namespace', '--output', 'json'],
        ...['--history-max', String(options.historyMax), '--description', options.description],
        ...Object.entries(options.labels).flatMap(([key, value]) => ['--labels', `${key}=${value}`]),
        ...(options.isWaiting ? ['--wait'] : []),
        ...(options.timeoutMs === undefined
          ? []
          : ['--timeout', `${Math.max(1, Math.ceil(options.timeoutMs / 1000))}s`]),
        ...valueArgs(chart),
      ],
      clusterMs: BRIEF_MS + (options.timeoutMs ?? DEFAULT_TIMEOUT_MS),
      stdin: stringify(chart.overrides),
      signal: options.signal,
      onLine: options.onLine,
    });
    return releaseFrom(parseOutput(stdout));
  }

  /** Rolls back without waiting. The number is always passed: without one helm takes the one before, even a failed one. */
  async rollback(
    revision: number,
    options: { readonly historyMax: number; readonly onLine: (line: string) => void; readonly signal: AbortSignal },
  ): Promise<void> {
    await this.#check({
      args: [...['rollback', this.#place.release, String(revision)], ...['--history-max', String(options.historyMax)]],
      clusterMs: DEFAULT_TIMEOUT_MS,
      signal: options.signal,
      onLine: options.onLine,
    });
  }

  async uninstall(options: { readonly onLine: (line: string) => void; readonly signal: AbortSignal }): Promise<void> {
    await this.#check({
      args: ['uninstall', this.#place.release],
      clusterMs: DEFAULT_TIMEOUT_MS,
      signal: options.signal,
      onLine: options.onLine,
    });
  }

  async #check(request: HelmRequest): Promise<ProcessResult> {
    const result = await this.#run(request);
    if (result.code !== 0) throw this.#failure(request.args[0] ?? '', result);
    return result;
  }

  async #run({ clusterMs, ...request }: HelmRequest): Promise<ProcessResult> {
    if (clusterMs === undefined) return this.#start(request);
    const { context, kubeconfig, kubeconfigForTool, namespace } = this.#place;
    const where = ['--kube-context', context, '--namespace', namespace];
    const content = await kubeconfigForTool?.(clusterMs);
    if (content === undefined) {
      const file = kubeconfig === undefined ? [] : ['--kubeconfig', kubeconfig];
      return this.#start({ ...request, args: [...request.args, ...where, ...file] });
    }
    return this.#system.files.withPrivateFile('kubeconfig', content, (path) =>
      // Also in the environment: what helm itself starts (plugins, post-renderers) looks there.
      this.#start({ ...request, args: [...request.args, ...where, '--kubeconfig', path], env: { KUBECONFIG: path } }),
    );
  }

  #start({ onLine, ...request }: HelmRequest): Promise<ProcessResult> {
    return this.#system.processes.run({
      file: 'helm',
      // A release is printed with the files of its chart.
      keep: 128 * 1024 * 1024,
      ...request,
      ...(onLine !== undefined && { onStderr: lineReader((line) => onLine(this.#secrets.mask(line))) }),
    });
  }

  #failure(verb: string, result: ProcessResult): SlipwayError {
    const { release, namespace } = this.#place;
    const lines = (result.stderr.trim() === '' ? result.stdout : result.stderr)
      .split('\n')
      .map((line) => this.#secrets.mask(line.trimEnd()))
      .filter((line) => line !== '' && !line.startsWith('WARNING: Kubernetes configuration file'));
    const text =
      lines
        .findLast((line) => line.startsWith('Error:'))
        ?.slice(6)
        .trim() ??
      lines.at(-1) ??
      '';
    const known = knownFailures.find(({ pattern }) => pattern.test(text));
    return new SlipwayError({
      reason: known?.reason ?? 'tool-failed',
      code: known?.code ?? `helm.${verb}`,
      message: `helm ${verb} of ${namespace}/${release} failed: ${text}`,
      ...(known !== undefined && { fix: known.fix }),
      evidence: lines.slice(-20),
    });
  }
}

/** A folder or archive below `charts/`. */
const isOfChart = (file: string, name: string): boolean =>
  file === name || (file.startsWith(`${name}-`) && file.endsWith('.tgz'));

interface HelmRequest extends Pick<ProcessRequest, 'args' | 'stdin' | 'signal' | 'env'> {
  /** How long it may ask the cluster; absent = it asks nothing of it. */
  readonly clusterMs?: number;
  readonly onLine?: (line: string) => void;
}

const valueArgs = (chart: HelmChart): readonly string[] => [
  ...chart.values.flatMap((file) => ['--values', file]),
  // helm reads `-` as its standard input (values.Options.MergeValues, 3.0 and later).
  ...['--values', '-'],
];

/** Texts of helm and the API server that name a cause the person can mend. Seen with helm 3.21. */
const knownFailures: readonly {
  readonly pattern: RegExp;
  readonly reason: SlipwayError['reason'];
  readonly code: string;
  readonly fix: string;
}[] = [
  {
    pattern: /another operation \(install\/upgrade\/rollback\) is in progress/,
    reason: 'locked',
    code: 'helm.pending',
    fix: 'Wait for the other helm to finish, or repair the release when it was killed.',
  },
  {
    pattern: /invalid ownership metadata/,
    reason: 'refused',
    code: 'owned.helm',
    fix: 'The object exists and was not made by this release: rename it, delete it, or adopt it with `helm upgrade --take-ownership`.',
  },
  {
    pattern: /field is immutable|Forbidden: updates to .* are forbidden/,
    reason: 'rollout',
    code: 'spec.immutable',
    fix: 'Delete and re-create the object, or undo the change of that field.',
  },
  {
    pattern: /no matches for kind/,
    reason: 'cluster',
    code: 'api.no-kind',
    fix: 'Install the operator or CRD that defines this kind first.',
  },
  {
    pattern: /admission webhook .* denied the request/,
    reason: 'rollout',
    code: 'admission.denied',
    fix: 'Change what the named webhook objects to.',
  },
  {
    pattern: /(post|pre)-(install|upgrade|rollback) hooks? failed|failed (post|pre)-(install|upgrade|rollback)/,
    reason: 'rollout',
    code: 'helm.hook',
    fix: "Read the hook's log; the release is marked failed.",
  },
  {
    pattern: /exceeded quota|forbidden: violates PodSecurity/,
    reason: 'rollout',
    code: 'admission.policy',
    fix: 'Change the field the rule names, or raise the quota.',
  },
  {
    pattern: /Kubernetes cluster unreachable|connection refused|i\/o timeout|no such host|TLS handshake/,
    reason: 'cluster',
    code: 'cluster.unreachable',
    fix: 'Check the kubeconfig context and whether the cluster is up.',
  },
  {
    pattern: /chart .* not found|failed to download|repo .* not found|path ".*" not found/,
    reason: 'config',
    code: 'helm.chart-missing',
    fix: 'Correct `deploy.helm.chart`.',
  },
  {
    pattern:
      /values don't meet the specifications of the schema|parse error|execution error at|error calling|YAML parse error|unable to build kubernetes objects/i,
    reason: 'config',
    code: 'helm.render',
    fix: 'Correct the chart or the values at the place that helm names.',
  },
];

/** The release in helm's JSON output. Helm prints warnings of the API server before it in some versions. */
function parseOutput(stdout: string): unknown {
  const start = stdout.indexOf('{');
  const value: unknown = start === -1 ? undefined : JSON.parse(stdout.slice(start));
  if (textOf(at(value, 'manifest')) === undefined) {
    throw new SlipwayError({
      reason: 'tool-failed',
      code: 'helm.output',
      message: 'helm printed no release in its JSON output.',
      fix: 'Use Helm 3.13 or newer.',
      evidence: stdout.split('\n').slice(0, 5),
    });
  }
  return value;
}

/** Cuts decoded chunks into whole lines. */
export function lineReader(onLine: (line: string) => void): (text: string) => void {
  let rest = '';
  return (text) => {
    const lines = (rest + text).split(/\r?\n/);
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') onLine(line);
  };
}
