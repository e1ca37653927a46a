import { relative } from 'node:path';
import * as v from 'valibot';
import type { RunView } from '../engine/main.ts';
import { SlipwayError } from '../engine/problems/index.ts';
import { readLog } from '../engine/run/index.ts';
import { type ShortRun, shortRun as shortRunOf } from '../engine/status.ts';
import { type AgentContext, operation } from './operation.ts';
import {
  cut,
  environmentName,
  placeText,
  planInput,
  problem,
  runId,
  runOf,
  runOutput,
  toRequest,
  waitSeconds,
} from './shapes.ts';

const count = (most: number, usual: number) =>
  v.pipe(
    v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(most)), usual),
    v.description(`How many, at most ${most}.`),
  );

export const project = operation({
  name: 'project',
  title: 'Show project',
  description:
    'What Slipway finds in this workspace: images, environments, tests, and mistakes in slipway.yaml with their fixes. Reads files only. Call it first.',
  effect: 'read',
  input: v.object({}),
  output: v.object({
    name: v.string(),
    source: v.string(),
    configFile: v.optional(v.string()),
    images: v.array(
      v.object({ name: v.string(), repository: v.string(), dockerfile: v.string(), platforms: v.array(v.string()) }),
    ),
    environments: v.array(
      v.object({
        name: v.string(),
        deploysBy: v.string(),
        namespace: v.string(),
        context: v.optional(v.string()),
        isProtected: v.boolean(),
      }),
    ),
    tests: v.array(v.string()),
    tags: v.array(v.string()),
    problems: v.array(problem),
  }),
  run: async (_input, { engine }) => {
    const found = await engine.project();
    const below = (path: string) => relative(engine.root, path).replaceAll('\\', '/') || '.';
    return {
      name: found.name,
      source: found.source,
      configFile: found.configFile === undefined ? undefined : below(found.configFile),
      images: found.images.map(({ name, repository, dockerfile, platforms }) => ({
        name,
        repository,
        dockerfile: below(dockerfile),
        platforms: [...platforms],
      })),
      environments: found.environments.map(({ name, deploy, namespace, context, isProtected }) => ({
        name,
        deploysBy: deploy.kind,
        namespace,
        context,
        isProtected,
      })),
      tests: found.tests.map(({ name }) => name),
      tags: [...found.tags],
      problems: found.diagnostics.slice(0, 30).map(({ severity, message, place, fix }) => ({
        severity,
        message,
        place: placeText(place, engine.root),
        fix,
      })),
    };
  },
});

export const plan = operation({
  name: 'plan',
  title: 'Plan a run',
  description: 'What a run would do: each step, whether it runs or is skipped, and why. Changes nothing.',
  effect: 'read',
  input: v.object(planInput),
  output: v.object({
    environment: v.nullable(v.string()),
    tags: v.array(v.string()),
    commit: v.optional(v.string()),
    branch: v.optional(v.string()),
    isDirty: v.boolean(),
    steps: v.array(v.object({ id: v.string(), action: v.string(), why: v.string() })),
  }),
  run: async (input, { engine }) => {
    const { plan: made } = await engine.plan(toRequest(input));
    return {
      environment: made.environment?.name ?? null,
      tags: [...made.tags],
      commit: made.commit?.slice(0, 12),
      branch: made.branch,
      isDirty: made.isDirty,
      steps: made.steps.map(({ id, decision }) => ({ id, action: decision.action, why: decision.why })),
    };
  },
});

export const shortRun = v.object({
  run: v.string(),
  state: v.string(),
  environment: v.nullable(v.string()),
  tag: v.optional(v.string()),
  startedAt: v.string(),
  durationMs: v.optional(v.number()),
  rolledBack: v.boolean(),
  startedBy: v.string(),
  cause: v.optional(v.string()),
});

async function shorten(view: RunView, { isLive }: AgentContext): Promise<v.InferInput<typeof shortRun>> {
  return cutCause(await shortRunOf(view, isLive));
}

export const cutCause = (run: ShortRun): v.InferInput<typeof shortRun> => ({
  ...run,
  cause: run.cause === undefined ? undefined : cut(run.cause),
});

async function viewsOf({ engine }: AgentContext, most: number): Promise<readonly RunView[]> {
  const views = await Promise.all((await engine.runs()).slice(0, most).map((run) => engine.view(run)));
  return views.filter((view) => view !== undefined);
}

export const showRun = operation({
  name: 'show_run',
  title: 'Show a run',
  description:
    'A run in full: steps, images with digests, scans, verdict with causes and fixes, smoke checks, rollback. Waits for a run that these tools started.',
  effect: 'read',
  input: v.object({ run: v.optional(runId), waitSeconds }),
  output: runOutput,
  run: async ({ run, waitSeconds: seconds }, context) => {
    const view = await viewOf(run, context);
    if (view.state === 'running') await context.runs.wait(view.id, { waitMs: seconds * 1000, signal: context.signal });
    const now = (await context.engine.view(view.id)) ?? view;
    return runOf(now, await context.isLive(now), context.engine.root);
  },
});

/** The run of that id, or the newest. Throws SlipwayError `usage` when there is none. */
export async function viewOf(run: string | undefined, { engine }: AgentContext): Promise<RunView> {
  const id = run ?? (await engine.runs())[0];
  const view = id === undefined ? undefined : await engine.view(id);
  if (view !== undefined) return view;
  throw new SlipwayError({
    reason: 'usage',
    code: 'runs.none',
    message: id === undefined ? 'Nothing was run in this workspace yet.' : `There is no run ${id}.`,
    fix: id === undefined ? 'Start one with run.' : 'history lists the runs.',
  });
}

export const history = operation({
  name: 'history',
  title: 'Show history',
  description: 'Earlier runs, newest first, with their outcome and cause of failure.',
  effect: 'read',
  input: v.object({
    environment: v.optional(environmentName),
    count: count(50, 10),
  }),
  output: v.object({ runs: v.array(shortRun) }),
  run: async ({ environment, count: most }, context) => {
    const views = await viewsOf(context, environment === undefined ? most : 200);
    const wanted = views.filter((view) => environment === undefined || view.environment === environment).slice(0, most);
    return { runs: await Promise.all(wanted.map((view) => shorten(view, context))) };
  },
});

const MOST_LOG_CHARACTERS = 16_000;

export const logs = operation({
  name: 'logs',
  title: 'Show the log of a step',
  description: 'The last lines of what a step of a run printed, or those that contain a text.',
  effect: 'read',
  input: v.object({
    step: v.pipe(v.string(), v.minLength(1), v.description('Step id, for example build:api or rollout:dev.')),
    run: v.optional(runId),
    lines: count(400, 80),
    contains: v.optional(v.pipe(v.string(), v.description('Only lines with this text, in any case.'))),
  }),
  output: v.object({ run: v.string(), step: v.string(), lines: v.array(v.string()), omitted: v.number() }),
  run: async ({ step, run, lines: most, contains }, context) => {
    const view = await viewOf(run, context);
    if (!view.steps.some(({ id }) => id === step)) {
      throw new SlipwayError({
        reason: 'usage',
        code: 'runs.no-step',
        message: `Run ${view.id} has no step ${step}.`,
        fix: `It has ${view.steps.map(({ id }) => id).join(', ')}.`,
      });
    }
    const events = await readLog(context.system.files, context.engine.root, view.id, step);
    const all = events
      .flatMap((event) => (event.type === 'log' ? event.text.replace(/\n$/, '').split('\n') : []))
      .filter((line) => contains === undefined || line.toLowerCase().includes(contains.toLowerCase()))
      .map(cut);
    const shown: string[] = [];
    let length = 0;
    for (const line of all.slice(-most).reverse()) {
      length += line.length + 1;
      if (length > MOST_LOG_CHARACTERS) break;
      shown.unshift(line);
    }
    return { run: view.id, step, lines: shown, omitted: all.length - shown.length };
  },
});

export const findings = operation({
  name: 'findings',
  title: 'Show scan findings',
  description:
    'Vulnerabilities of a run that count for the gate, worst first, with the version that fixes each and whether it came with the base image.',
  effect: 'read',
  input: v.object({
    image: v.optional(v.pipe(v.string(), v.description('Only of this image.'))),
    run: v.optional(runId),
    count: count(50, 15),
  }),
  output: v.object({
    run: v.string(),
    total: v.number(),
    findings: v.array(
      v.object({
        id: v.string(),
        severity: v.string(),
        image: v.string(),
        platforms: v.array(v.string()),
        package: v.string(),
        installed: v.string(),
        fixed: v.optional(v.string()),
        origin: v.optional(v.string()),
        dockerfileLine: v.optional(v.number()),
        title: v.optional(v.string()),
      }),
    ),
  }),
  run: async ({ image, run, count: most }, context) => {
    const view = await viewOf(run, context);
    const merged = new Map<
      string,
      { first: RunView['scans'][number]['gating'][number]; image: string; platforms: string[] }
    >();
    for (const scan of view.scans) {
      if (image !== undefined && scan.image !== image) continue;
      for (const finding of scan.gating) {
        const key = `${scan.image}\0${finding.id}\0${finding.package}\0${finding.installed}`;
        const known = merged.get(key);
        if (known === undefined) merged.set(key, { first: finding, image: scan.image, platforms: [scan.platform] });
        else known.platforms.push(scan.platform);
      }
    }
    const order = ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'UNKNOWN'];
    const sorted = [...merged.values()].sort(
      (a, b) => order.indexOf(a.first.severity) - order.indexOf(b.first.severity),
    );
    return {
      run: view.id,
      total: sorted.length,
      findings: sorted.slice(0, most).map(({ first, image: of, platforms }) => ({
        id: first.id,
        severity: first.severity,
        image: of,
        platforms,
        package: first.package,
        installed: first.installed,
        fixed: first.fixed,
        origin: first.origin,
        dockerfileLine: first.dockerfileLine === undefined ? undefined : first.dockerfileLine + 1,
        title: first.title === undefined ? undefined : cut(first.title),
      })),
    };
  },
});
