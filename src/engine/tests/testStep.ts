import { basename, extname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import type Docker from 'dockerode';
import type { BuildOutputs, StepContext, StepKind } from '../plan/step.ts';
import { CancelledError, SlipwayError } from '../problems/index.ts';
import type { TestConfig } from '../project/model.ts';
import { type ContainerFile, filesInside } from './containerFiles.ts';
import { openDocker } from './dockerEndpoint.ts';
import { readEnvFile } from './envFile.ts';
import type { TestReport } from './junit.ts';
import { namedReports } from './namedReports.ts';
import { pullIfMissing } from './pullImage.ts';
import { freshFiles, type ReportFile, sumReports } from './reportFiles.ts';
import { type RunningService, type Services, startServices } from './services.ts';

const early = new WeakMap<TestConfig, Promise<Services>>();

/** Runs the app's tests, with services beside them when they need some, on this machine or inside an image. */
export const testStep: StepKind<'test'> = {
  kind: 'test',

  /** Services come up while the image is built. */
  async prepare({ test }, { system, secrets, signal, folder }) {
    if (test.services.length === 0) return undefined;
    const starting = (async () => {
      const docker = await openDocker(system);
      return startServices(docker, system, test.services, { run: basename(folder), secrets, emit: () => {}, signal });
    })();
    early.set(test, starting);
    // Told by `run`, which comes when the image is built: until then nobody waits, and that must not end the process.
    starting.catch(() => {});
    return async () => {
      const services = await starting.catch(() => undefined);
      await services?.remove();
    };
  },

  async run({ test, image }, context) {
    const { system } = context;
    const env = { ...(await readEnvFile(`test "${test.name}"`, test, context)), ...test.env };
    const needsDocker = test.services.length > 0 || test.container !== undefined;
    const docker = needsDocker ? await openDocker(system) : undefined;
    let services: Services | undefined;
    /** The test's own container: the network can go only after it. */
    const going: Promise<void>[] = [];
    const started = system.clock.now();
    try {
      if (docker !== undefined && (test.services.length > 0 || test.container !== undefined)) {
        // What went wrong early is tried again here, where it can be told.
        services =
          (await early.get(test)?.catch(() => undefined)) ??
          (await startServices(docker, system, test.services, { ...context, run: basename(context.folder) }));
      }
      const isInside = test.container !== undefined;
      const found = serviceEnv(services?.running ?? [], isInside);
      const all = { ...found, ...withServices(env, found) };
      const reference = image === undefined ? test.container : referenceOf(context, image.step);
      const ended =
        docker !== undefined && reference !== undefined
          ? await runInside(docker, reference, test, all, services?.network, context, going)
          : { code: await runHere(test, all, context), inside: [] };
      const { code } = ended;
      const report = await keepReports(test, ended.inside, context, started);
      if (code !== 0) throw failed(test, code, report, context);
      // A report that was named may stop the run by itself; one that was only found is told.
      if (report !== undefined && report.failed > 0 && test.junit.length > 0) throw failed(test, code, report, context);
      if (report === undefined) return { code };
      const { passed, failed: bad, skipped } = report;
      return { code, passed, skipped, ...(bad > 0 && { failed: bad }) };
    } finally {
      // Cancelled or failed: containers and network go in any case, but nothing has to wait for it.
      const gone = Promise.all(going).then(() => services?.remove());
      if (context.later === undefined) await gone;
      else context.later(gone);
    }
  },
};

async function runHere(
  test: TestConfig,
  env: Readonly<Record<string, string>>,
  { system, emit, signal }: StepContext,
): Promise<number> {
  const [file, ...args] = test.run;
  const result = await system.processes.run({
    file,
    args,
    cwd: test.cwd,
    env,
    signal,
    onStdout: (text) => emit({ type: 'log', stream: 'out', text }),
    onStderr: (text) => emit({ type: 'log', stream: 'err', text }),
    ...(test.timeoutMs !== undefined && { timeoutMs: test.timeoutMs }),
  });
  return result.code ?? 1;
}

/** Where the workspace is seen inside a test container. */
const WORKSPACE = '/workspace';

async function runInside(
  docker: Docker,
  image: string,
  test: TestConfig,
  env: Readonly<Record<string, string>>,
  network: string | undefined,
  context: StepContext,
  going: Promise<void>[],
): Promise<{ readonly code: number; readonly inside: readonly ContainerFile[] }> {
  const { emit, signal, system } = context;
  const since = system.clock.now();
  await pullIfMissing(docker, image, 'test image', context);
  const inside = relative(context.root, test.cwd).split(sep).join('/');
  const uid = typeof process.getuid === 'function' ? `${process.getuid()}:${process.getgid?.() ?? 0}` : undefined;
  const container = await docker.createContainer({
    Image: image,
    Entrypoint: [],
    Cmd: [...test.run],
    WorkingDir: inside === '' ? WORKSPACE : `${WORKSPACE}/${inside}`,
    Env: Object.entries({ HOME: '/tmp', ...env }).map(([key, value]) => `${key}=${value}`),
    // The person's own user, so that reports in the workspace belong to them and not to root or the image's user.
    ...(uid !== undefined && { User: uid }),
    Labels: {
      'dev.slipway.run': basename(context.folder),
      'dev.slipway.pid': String(system.pid),
      'dev.slipway.host': system.host,
    },
    HostConfig: {
      Binds: [`${context.root}:${WORKSPACE}`],
      ...(network !== undefined && { NetworkMode: network }),
      Init: true,
    },
  });
  let isLate = false;
  let output: NodeJS.ReadableStream | undefined;
  const onAbort = (): void => void container.kill().catch(() => {});
  try {
    const stream = await container.attach({ stream: true, stdout: true, stderr: true });
    output = stream;
    const { PassThrough } = await import('node:stream');
    const out = new PassThrough();
    const err = new PassThrough();
    out.setEncoding('utf8').on('data', (text: string) => emit({ type: 'log', stream: 'out', text }));
    err.setEncoding('utf8').on('data', (text: string) => emit({ type: 'log', stream: 'err', text }));
    docker.modem.demuxStream(stream, out, err);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) throw new CancelledError();
    await container.start();
    // Cancelled while it started: what was not running yet could not be killed.
    if (signal.aborted) onAbort();
    const onTimeout = (): void => {
      isLate = true;
      onAbort();
    };
    const timer = test.timeoutMs === undefined ? undefined : setTimeout(onTimeout, test.timeoutMs);
    const { StatusCode: code } = (await container.wait()) as { readonly StatusCode: number };
    clearTimeout(timer);
    output = undefined;
    if (signal.aborted) throw new CancelledError();
    if (isLate) {
      throw new SlipwayError({
        reason: 'timeout',
        code: 'test.timeout',
        message: `Test ${test.name} was stopped after ${Math.round((test.timeoutMs ?? 0) / 1000)} s without finishing.`,
        fix: 'See its log; raise "timeout" if it needs longer.',
        place: test.place,
      });
    }
    const outside = reportPatterns(test, context.root).filter(({ at }) => at === 'container');
    return {
      code,
      inside: await filesInside(
        container,
        outside.map(({ pattern }) => pattern),
        since,
      ),
    };
  } finally {
    signal.removeEventListener('abort', onAbort);
    const gone = container.remove({ force: true, v: true }).catch(() => {});
    going.push(
      gone.then(() => {
        // Docker (26) ends the output of a container that ran, and keeps that of one that never did open for ever.
        if (output !== undefined && 'destroy' in output && typeof output.destroy === 'function') output.destroy();
      }),
    );
  }
}

/** Where reports may be: on this machine, or, for tests in a container, in what is not the mounted workspace. */
function reportPatterns(
  test: TestConfig,
  root: string,
): readonly { readonly pattern: string; readonly at: 'machine' | 'container' }[] {
  return [...test.junit, ...namedReports(test)].map((written) => {
    const posixPath = written
      .split(sep)
      .join('/')
      .replace(/^[A-Za-z]:(?=\/)/, '');
    const isInside = test.container !== undefined && posixPath.startsWith('/') && !isBelow(root, written);
    if (!isInside) return { pattern: resolve(test.cwd, written), at: 'machine' };
    return posixPath.startsWith(`${WORKSPACE}/`)
      ? { pattern: resolve(root, posixPath.slice(WORKSPACE.length + 1)), at: 'machine' }
      : { pattern: posixPath, at: 'container' };
  });
}

const isBelow = (folder: string, path: string): boolean => {
  const inside = relative(folder, resolve(folder, path));
  return !inside.startsWith('..') && !isAbsolute(inside);
};

/** Reads the JUnit reports and keeps a copy of each with the run, also when the test has failed. */
async function keepReports(
  test: TestConfig,
  inside: readonly ContainerFile[],
  { system, emit, folder, root }: StepContext,
  since: number,
): Promise<TestReport | undefined> {
  const patterns = reportPatterns(test, root).flatMap(({ pattern, at }) => (at === 'machine' ? [pattern] : []));
  const found: ReportFile[] = inside.map(({ path, bytes }) => ({ path, text: bytes.toString('utf8') }));
  for (const path of await freshFiles(patterns, system, since)) {
    found.push({ path, text: (await system.files.readText(path)) ?? '' });
  }
  const { report, files } = sumReports(found);
  if (report === undefined && test.junit.length > 0) {
    emit({
      type: 'diagnostic',
      diagnostic: {
        severity: 'warning',
        code: 'test.no-report',
        message: `Test ${test.name} wrote no JUnit report to ${test.junit.map((path) => relative(root, path) || path).join(', ')}; only its exit code counted.`,
        place: test.place,
        fix: 'Correct "junit", or have the tests write the report there.',
      },
    });
  }
  const names = new Set<string>();
  for (const { path, text } of files) {
    const extension = extname(path);
    const plain = `test-${test.name}-${basename(path, extension)}`.replace(/[^\w.-]+/g, '-');
    let name = `${plain}${extension}`;
    for (let count = 2; names.has(name); count += 1) name = `${plain}-${count}${extension}`;
    names.add(name);
    await system.files.makeFolder(join(folder, 'reports'));
    await system.files.writeAtomic(join(folder, 'reports', name), text);
    emit({ type: 'report', title: `Tests ${test.name}: ${basename(path)}`, path: `reports/${name}` });
  }
  return report;
}

/** The image built by this run, by digest: what is tested is what will be published. */
function referenceOf(context: StepContext, step: string): string {
  const built = context.outputs<BuildOutputs>(step);
  const architecture = { x64: 'amd64', arm64: 'arm64', arm: 'arm/v7' }[process.arch as 'x64'] ?? 'amd64';
  return `${built.repository}@${built.platforms[`linux/${architecture}`] ?? built.digest}`;
}

/**
 * How tests find the services: `POSTGRES_HOST` and `POSTGRES_PORT` for a service named postgres, and the same with the
 * prefix `SLIPWAY_SERVICE_` for names that clash with something else.
 */
export function serviceEnv(services: readonly RunningService[], isInside: boolean): Readonly<Record<string, string>> {
  const env: Record<string, string> = {};
  for (const service of services) {
    const name = service.name.toUpperCase().replace(/[^A-Z0-9]+/g, '_');
    const host = isInside ? service.name : service.host;
    const port = isInside ? service.innerPort : service.port;
    for (const prefix of [name, `SLIPWAY_SERVICE_${name}`]) {
      env[`${prefix}_HOST`] = host;
      if (port !== undefined) env[`${prefix}_PORT`] = String(port);
    }
  }
  return env;
}

/** `{service.postgres.host}` and `{service.postgres.port}` in the values of a test's own variables. */
export function withServices(
  env: Readonly<Record<string, string>>,
  found: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const replace = (text: string) =>
    text.replace(/\{service\.([a-z0-9_-]+)\.(host|port)\}/g, (all, name: string, part: string) => {
      const key = `SLIPWAY_SERVICE_${name.toUpperCase().replace(/[^A-Z0-9]+/g, '_')}_${part.toUpperCase()}`;
      return found[key] ?? all;
    });
  return Object.fromEntries(Object.entries(env).map(([key, value]) => [key, replace(value)]));
}

function failed(test: TestConfig, code: number, report: TestReport | undefined, context: StepContext): SlipwayError {
  const first = report?.failures[0];
  const file = first?.file === undefined ? undefined : resolve(test.cwd, first.file);
  const line = (first?.line ?? 1) - 1;
  return new SlipwayError({
    reason: 'test',
    code: 'test.failed',
    message:
      report === undefined || report.failed === 0
        ? `Test ${test.name} ended with exit code ${code}.`
        : `Test ${test.name}: ${report.failed} of ${report.failed + report.passed} failed, first ${first?.name ?? ''}: ${first?.message ?? ''}`,
    fix: `See the log: slipway logs ${context.step.id}.`,
    place:
      file === undefined
        ? test.place
        : { file, range: { start: { line, character: 0 }, end: { line: line + 1, character: 0 } } },
    evidence: (report?.failures ?? []).slice(0, 20).map((failure) => `${failure.name}: ${failure.message}`),
  });
}
