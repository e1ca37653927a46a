import { relative } from 'node:path';
import * as v from 'valibot';
import { operation } from './operation.ts';
import { cut, environmentName, failureOf, placeText } from './shapes.ts';

const atTag = v.optional(v.pipe(v.string(), v.description('As if this existing tag were deployed.')));
const MOST_OBJECTS = 40;
const MOST_CHANGES = 20;
const LONGEST_REPORT = 16_000;

export const check = operation({
  name: 'check',
  title: 'Check before a deploy',
  description:
    'What would make a deploy fail: missing images, references, admission, ports, quota. Asks cluster and registry; writes nothing.',
  effect: 'read',
  input: v.object({ environment: environmentName, tag: atTag }),
  output: v.object({
    isClear: v.boolean(),
    answers: v.array(
      v.object({
        certainty: v.string(),
        code: v.string(),
        message: v.string(),
        fix: v.string(),
        place: v.optional(v.string()),
      }),
    ),
    unchecked: v.array(v.string()),
  }),
  run: async ({ environment, tag }, { engine, signal }) => {
    const { answers, unchecked } = await engine.check({ environment, ...(tag !== undefined && { tag }) }, signal);
    return {
      isClear: !answers.some(({ certainty }) => certainty === 'wrong'),
      answers: answers.slice(0, MOST_OBJECTS).map(({ certainty, code, message, fix, place }) => ({
        certainty,
        code,
        message: cut(message),
        fix,
        place: place === undefined ? undefined : placeText(place, engine.root),
      })),
      unchecked: [...unchecked],
    };
  },
});

export const diff = operation({
  name: 'diff',
  title: 'Compare with the cluster',
  description:
    'What a deploy would change in the cluster, field by field; values of Secrets are not shown. Asks the cluster; writes nothing.',
  effect: 'read',
  input: v.object({ environment: environmentName, tag: atTag }),
  output: v.object({
    total: v.number(),
    changed: v.number(),
    objects: v.array(
      v.object({
        object: v.string(),
        action: v.string(),
        changes: v.array(v.object({ path: v.string(), before: v.optional(v.string()), after: v.optional(v.string()) })),
        moreChanges: v.number(),
      }),
    ),
  }),
  run: async ({ environment, tag }, { engine, signal }) => {
    const diffs = await engine.diff({ environment, ...(tag !== undefined && { tag }) }, signal);
    const changed = diffs.filter(({ action }) => action !== 'none');
    const shown = (value: unknown) =>
      value === undefined ? undefined : cut(typeof value === 'string' ? value : JSON.stringify(value));
    return {
      total: diffs.length,
      changed: changed.length,
      objects: changed.slice(0, MOST_OBJECTS).map(({ object, action, changes }) => ({
        object: `${object.kind} ${object.namespace === undefined ? '' : `${object.namespace}/`}${object.name}`,
        action,
        changes: changes
          .slice(0, MOST_CHANGES)
          .map(({ path, before, after }) => ({ path, before: shown(before), after: shown(after) })),
        moreChanges: Math.max(0, changes.length - MOST_CHANGES),
      })),
    };
  },
});

export const diagnose = operation({
  name: 'diagnose',
  title: 'Diagnose an environment',
  description:
    'Collects pods, events, logs of broken containers, rollout history and nodes of an environment into a report below .slipway, and gives its text.',
  effect: 'read',
  input: v.object({ environment: environmentName }),
  output: v.object({
    folder: v.string(),
    files: v.array(v.string()),
    missing: v.array(v.string()),
    report: v.string(),
  }),
  run: async ({ environment }, { engine, signal }) => {
    const { report, folder, files, missing } = await engine.diagnose(environment, signal);
    return {
      folder: relative(engine.root, folder).replaceAll('\\', '/'),
      files: [...files],
      missing: [...missing],
      report:
        report.length > LONGEST_REPORT
          ? `${report.slice(0, LONGEST_REPORT)}\n… (the rest is in ${files[0] ?? 'the folder'})`
          : report,
    };
  },
});

export const revisions = operation({
  name: 'revisions',
  title: 'List versions to go back to',
  description: 'The versions an environment can go back to, newest first, and which one is live. Asks the cluster.',
  effect: 'read',
  input: v.object({ environment: environmentName }),
  output: v.object({
    revisions: v.array(
      v.object({
        revision: v.string(),
        at: v.optional(v.string()),
        isLive: v.boolean(),
        isVerified: v.boolean(),
        description: v.string(),
      }),
    ),
  }),
  run: async ({ environment }, { engine, signal }) => ({
    revisions: (await engine.revisions(environment, signal))
      .slice(0, MOST_OBJECTS)
      .map(({ revision, at, isLive, isVerified, description }) => ({
        revision,
        at,
        isLive,
        isVerified,
        description: cut(description),
      })),
  }),
});

export const fluxStatus = operation({
  name: 'flux_status',
  title: 'Show Flux deliveries',
  description:
    'Where each version is on its way through Flux, from scanned tag to running pods; where it is stuck, why, and what mends it. Asks the cluster.',
  effect: 'read',
  input: v.object({
    environment: environmentName,
    tag: v.optional(v.pipe(v.string(), v.description('Where is this tag?'))),
  }),
  output: v.object({
    chains: v.array(
      v.object({
        name: v.string(),
        state: v.string(),
        image: v.optional(v.string()),
        tag: v.optional(v.string()),
        summary: v.string(),
      }),
    ),
    suspended: v.array(v.string()),
  }),
  run: async ({ environment, tag }, { engine, signal }) => {
    const flux = await engine.flux();
    const status = await flux.status({ environment, ...(tag !== undefined && { tag }) }, signal);
    return {
      chains: status.chains.map(({ name, state, image, tag: chosen, summary }) => ({
        name,
        state,
        image,
        tag: chosen,
        summary: cut(summary),
      })),
      suspended: status.suspended.map(({ object }) => `${object.kind} ${object.namespace ?? ''}/${object.name}`),
    };
  },
});

export const lint = operation({
  name: 'lint',
  title: 'Check CI workflows',
  description: 'Mistakes in the CI workflows of this repository and loops between image bots and CI. Reads files only.',
  effect: 'read',
  input: v.object({}),
  output: v.object({
    total: v.number(),
    findings: v.array(
      v.object({
        severity: v.string(),
        code: v.string(),
        message: v.string(),
        place: v.string(),
        fix: v.optional(v.string()),
      }),
    ),
  }),
  run: async (_input, { system, engine }) => {
    const { lintWorkspace } = await import('../engine/lint/index.ts');
    const found = await lintWorkspace(system, engine.root);
    return {
      total: found.length,
      findings: found.slice(0, MOST_OBJECTS).map(({ severity, code, message, place, fix }) => ({
        severity,
        code,
        message: cut(message),
        place: placeText(place, engine.root),
        fix,
      })),
    };
  },
});

export const propose = operation({
  name: 'propose_config',
  title: 'Propose slipway.yaml',
  description:
    'The text of a slipway.yaml made from what is in this repository, with the guesses a person should look at. Writes nothing.',
  effect: 'read',
  input: v.object({}),
  output: v.object({
    file: v.string(),
    exists: v.boolean(),
    text: v.string(),
    guesses: v.array(v.string()),
  }),
  run: async (_input, { engine }) => {
    const { file, text, existing, project } = await engine.propose();
    return {
      file: relative(engine.root, file).replaceAll('\\', '/'),
      exists: existing !== undefined,
      text,
      guesses: project.diagnostics
        .filter(({ severity }) => severity === 'info')
        .slice(0, MOST_OBJECTS)
        .map((diagnostic) => failureOf({ reason: 'config', ...diagnostic }, engine.root).message),
    };
  },
});
