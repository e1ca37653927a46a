// Plays what Argo CD's application controller writes, as the controller itself cannot be built here: it compares git with
// the cluster on a refresh and on its own, carries out operations, syncs by itself under automation, and keeps the
// history. Git, kustomize and the API server are real; the rules are those of Argo CD 3.5's documentation and source.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse, parseAllDocuments } from 'yaml';

interface Fields {
  readonly [key: string]: unknown;
}
interface LiveApplication {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: {
    readonly source: { readonly path: string; readonly targetRevision: string };
    readonly destination: { readonly namespace: string };
    readonly syncPolicy?: { readonly automated?: { readonly enabled?: boolean; readonly selfHeal?: boolean } };
  };
  readonly status?: Fields & {
    readonly history?: readonly Fields[];
    readonly operationState?: { readonly syncResult?: { readonly revision?: string }; readonly phase?: string };
  };
  readonly operation?: Fields & { readonly sync?: { readonly revision?: string } };
}

export interface ArgoCdPlayer {
  /** How often it has compared git with the cluster. */
  readonly comparisons: () => number;
  /** Why it cannot go on, when it has failed again and again. */
  readonly fault: () => string | undefined;
  /** It writes nothing until it is let go again. */
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

export function playArgoCd(options: {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly namespace: string;
  readonly name: string;
  readonly url: string;
}): ArgoCdPlayer {
  const { env, namespace, name } = options;
  const clone = mkdtempSync(join(tmpdir(), 'slipway-argocd-'));
  let isStopped = false;
  let isPaused = false;
  let count = 0;
  let lastLook = 0;
  let faults = 0;
  let fault = '';

  const tool = (file: string, args: readonly string[], input?: string): string => {
    const result = spawnSync(file, args, { env, encoding: 'utf8', ...(input !== undefined && { input }), cwd: clone });
    if (result.status !== 0) throw new Error(`${file} ${args.join(' ')}: ${result.stderr}`);
    return result.stdout;
  };
  const kubectl = (args: readonly string[], input?: string): string => tool('kubectl', args, input);
  const now = (): string => new Date().toISOString().replace(/\.\d+Z/, 'Z');
  const get = (): LiveApplication =>
    JSON.parse(kubectl(['-n', namespace, 'get', 'applications.argoproj.io', name, '-o', 'json']));
  const patch = (value: object): void => {
    kubectl([
      '-n',
      namespace,
      'patch',
      'applications.argoproj.io',
      name,
      '--type=merge',
      '--field-manager=argocd-application-controller',
      '-p',
      JSON.stringify(value),
    ]);
  };
  tool('git', ['clone', '-q', options.url, '.']);
  const head = (branch: string): string => {
    tool('git', ['fetch', '-q', 'origin']);
    return tool('git', ['rev-parse', `origin/${branch}`]).trim();
  };
  const render = (
    app: LiveApplication,
    revision: string,
  ): readonly (Fields & { metadata: { name: string; annotations?: object }; kind: string; apiVersion: string })[] => {
    tool('git', ['checkout', '-q', '--detach', revision]);
    return parseAllDocuments(textOf(app.spec.source.path)).map((document) => document.toJS());
  };
  /** A chart with the parameters of its override file, a kustomization, or the files of a folder. */
  const textOf = (folder: string): string => {
    const has = (file: string): boolean => existsSync(join(clone, folder, file));
    if (has('kustomization.yaml')) return kubectl(['kustomize', folder]);
    if (!has('Chart.yaml')) {
      const files = readdirSync(join(clone, folder)).filter((file) => file.endsWith('.yaml'));
      return files.map((file) => readFileSync(join(clone, folder, file), 'utf8')).join('\n---\n');
    }
    const override = `.argocd-source-${namespace}_${name}.yaml`;
    const parameters: { name: string; value: string }[] = has(override)
      ? parse(readFileSync(join(clone, folder, override), 'utf8')).helm.parameters
      : [];
    return tool('helm', [
      ...['template', name, folder],
      ...parameters.flatMap((one) => ['--set-string', `${one.name}=${one.value}`]),
    ]);
  };

  /** What differs from git, with the health that Argo CD would give a Deployment. */
  const compare = (app: LiveApplication, revision: string): Fields => {
    count += 1;
    const space = app.spec.destination.namespace;
    const objects = render(app, revision);
    let health = 'Healthy';
    const images: string[] = [];
    const resources = objects.map((object) => {
      const found = spawnSync('kubectl', ['-n', space, 'get', object.kind, object.metadata.name, '-o', 'json'], {
        env,
        encoding: 'utf8',
      });
      const live = found.status === 0 ? JSON.parse(found.stdout) : undefined;
      const [group = '', version = ''] = object.apiVersion.includes('/')
        ? object.apiVersion.split('/')
        : ['', object.apiVersion];
      const imageOf = (one: Fields | undefined): string | undefined =>
        (one as { spec?: { template?: { spec?: { containers?: { image: string }[] } } } } | undefined)?.spec?.template
          ?.spec?.containers?.[0]?.image;
      const isSynced = live !== undefined && imageOf(live) === imageOf(object);
      const image = imageOf(live);
      if (image !== undefined) images.push(image);
      if (object.kind === 'Deployment' && live !== undefined) {
        const { status = {}, metadata, spec } = live;
        const isDone =
          status.observedGeneration >= metadata.generation &&
          (status.updatedReplicas ?? 0) >= spec.replicas &&
          (status.availableReplicas ?? 0) >= spec.replicas &&
          (status.replicas ?? 0) === spec.replicas;
        if (!isDone) health = 'Progressing';
      }
      if (live === undefined) health = 'Missing';
      return {
        group,
        version,
        kind: object.kind,
        namespace: space,
        name: object.metadata.name,
        status: isSynced ? 'Synced' : 'OutOfSync',
      };
    });
    const status = resources.every((resource) => resource.status === 'Synced') ? 'Synced' : 'OutOfSync';
    return {
      sync: { status, revision, comparedTo: { source: app.spec.source, destination: app.spec.destination } },
      health: { status: health, lastTransitionTime: now() },
      resources,
      summary: { images },
      reconciledAt: now(),
      sourceType: 'Kustomize',
    };
  };

  const operate = (
    app: LiveApplication,
    operation: Fields & { readonly sync?: { readonly revision?: string } },
  ): void => {
    const revision = operation.sync?.revision ?? head(app.spec.source.targetRevision);
    const startedAt = now();
    patch({
      operation: null,
      status: { operationState: { operation, phase: 'Running', message: 'waiting for the apply', startedAt } },
    });
    const space = app.spec.destination.namespace;
    const objects = render(app, revision).map((object) => ({
      ...object,
      metadata: {
        ...object.metadata,
        namespace: space,
        annotations: {
          ...object.metadata.annotations,
          'argocd.argoproj.io/tracking-id': `${name}:${object.apiVersion.includes('/') ? object.apiVersion.split('/')[0] : ''}/${object.kind}:${space}/${object.metadata.name}`,
        },
      },
    }));
    kubectl(
      ['apply', '--server-side', '--force-conflicts', '--field-manager=argocd-controller', '-f', '-'],
      JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
    );
    const history = app.status?.history ?? [];
    const id = Number(history.at(-1)?.id ?? -1) + 1;
    const initiatedBy = operation.initiatedBy ?? {};
    const finishedAt = now();
    const syncResult = { revision, source: app.spec.source, resources: [] };
    patch({
      status: {
        operationState: {
          operation,
          phase: 'Succeeded',
          message: 'successfully synced (all tasks run)',
          startedAt,
          finishedAt,
          syncResult,
        },
        history: [
          ...history,
          { id, revision, source: app.spec.source, deployStartedAt: startedAt, deployedAt: finishedAt, initiatedBy },
        ].slice(-10),
      },
    });
    patch({ status: compare(get(), head(app.spec.source.targetRevision)) });
  };

  const tick = (): void => {
    const app = get();
    if (app.operation !== undefined) {
      operate(app, app.operation);
      return;
    }
    const refresh = app.metadata.annotations?.['argocd.argoproj.io/refresh'];
    const isDue = Date.now() - lastLook > 1_500;
    if (refresh === undefined && !isDue) return;
    lastLook = Date.now();
    const revision = head(app.spec.source.targetRevision);
    const status = compare(app, revision);
    patch({ metadata: { annotations: { 'argocd.argoproj.io/refresh': null } }, status });
    const automated = app.spec.syncPolicy?.automated;
    const isOn = automated !== undefined && automated !== null && automated.enabled !== false;
    const isOut = (status.sync as { status: string }).status === 'OutOfSync';
    const isTried = app.status?.operationState?.syncResult?.revision === revision;
    if (!isOn || !isOut || (isTried && automated.selfHeal !== true)) return;
    operate(get(), { initiatedBy: { automated: true }, sync: { revision } });
  };

  const loop = (async () => {
    while (!isStopped) {
      try {
        if (!isPaused) tick();
        faults = 0;
      } catch (error) {
        faults += 1;
        fault = error instanceof Error ? error.message : String(error);
        if (faults === 1 && !isStopped) console.log(`     the played controller: ${fault}`);
      }
      await sleep(150);
    }
  })();
  return {
    comparisons: () => count,
    fault: () => (faults > 20 ? fault : undefined),
    pause: () => {
      isPaused = true;
    },
    resume: () => {
      isPaused = false;
    },
    stop: async () => {
      isStopped = true;
      await loop;
      rmSync(clone, { recursive: true, force: true });
    },
  };
}
