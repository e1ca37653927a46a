import { join } from 'node:path';
import * as v from 'valibot';
import { type AgentContext, operation } from './operation.ts';
import { cut, placeText, problem } from './shapes.ts';

const policyName = v.pipe(v.string(), v.minLength(1), v.description('Policy as namespace:name.'));
const loadPolicies = () => import('../engine/policies.ts');

export const policies = operation({
  name: 'policies',
  title: 'Show image policies',
  description:
    'Every $imagepolicy marker of this repository: its value now, and the tag Flux would select from the tags the registry has.',
  effect: 'read',
  input: v.object({}),
  output: v.object({
    markers: v.array(
      v.object({
        place: v.string(),
        policy: v.string(),
        current: v.string(),
        latest: v.optional(v.string()),
        isUpToDate: v.boolean(),
        problem: v.optional(v.string()),
      }),
    ),
    problems: v.array(problem),
  }),
  run: async (_input, { system, engine, signal, secrets }) => {
    const { viewPolicies } = await loadPolicies();
    const { markers, diagnostics } = await viewPolicies(system, engine.root, { signal, secrets });
    return {
      markers: markers.slice(0, 100).map(({ file, line, policy, current, latest, problem: why }) => ({
        place: `${file}:${line + 1}`,
        policy,
        current,
        latest,
        isUpToDate: latest !== undefined && current.includes(latest),
        problem: why,
      })),
      problems: diagnostics.slice(0, 30).map(({ severity, message, place, fix }) => ({
        severity,
        message: cut(message),
        place: placeText(place, engine.root),
        fix,
      })),
    };
  },
});

export const why = operation({
  name: 'why',
  title: 'Explain a policy',
  description: 'Why each tag of a policy’s repository is selected, a candidate or out.',
  effect: 'read',
  input: v.object({ policy: policyName }),
  output: v.object({
    total: v.number(),
    tags: v.array(v.object({ tag: v.string(), status: v.string(), reason: v.string() })),
  }),
  run: async ({ policy }, { system, engine, signal, secrets }) => {
    const { explainPolicy } = await loadPolicies();
    const reasons = await explainPolicy(system, engine.root, policy, { signal, secrets });
    return {
      total: reasons.length,
      tags: reasons.slice(0, 40).map(({ tag, status, reason }) => ({ tag, status, reason: cut(reason) })),
    };
  },
});

export const tags = operation({
  name: 'tags',
  title: 'List tags',
  description:
    'The newest tags of an image with digest, platforms, commit and whether it is signed. Asks the registry.',
  effect: 'read',
  input: v.object({
    image: v.pipe(
      v.string(),
      v.minLength(1),
      v.description('Name of an image of the project, or a repository such as ghcr.io/acme/api.'),
    ),
    count: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(50)), 10),
  }),
  output: v.object({
    repository: v.string(),
    tags: v.array(
      v.object({
        tag: v.string(),
        digest: v.string(),
        created: v.optional(v.string()),
        platforms: v.array(v.string()),
        commit: v.optional(v.string()),
        isSigned: v.boolean(),
        sboms: v.array(v.string()),
      }),
    ),
  }),
  run: async ({ image, count }, { system, engine, signal }) => {
    const { listTags } = await import('../engine/images/tags.ts');
    const found = (await engine.project()).images.find(({ name }) => name === image);
    const repository = found?.repository ?? image;
    const list = await listTags(system, repository, { most: count, signal });
    return {
      repository,
      tags: list.map(({ tag, digest, created, platforms, revision, isSigned, sboms }) => ({
        tag,
        digest,
        created,
        platforms: [...platforms],
        commit: revision?.slice(0, 12),
        isSigned,
        sboms: [...sboms],
      })),
    };
  },
});

const bumpInput = v.object({
  policy: v.optional(v.pipe(policyName, v.description('Policy as namespace:name. Default: every policy.'))),
  to: v.optional(v.pipe(v.string(), v.description('This tag instead of the one the policy selects.'))),
});

async function previews(
  { policy, to }: v.InferOutput<typeof bumpInput>,
  { system, engine, signal, secrets }: AgentContext,
) {
  const { previewBump } = await loadPolicies();
  return previewBump(
    system,
    engine.root,
    { ...(policy !== undefined && { policy }), ...(to !== undefined && { to }) },
    { signal, secrets },
  );
}

export const bump = operation({
  name: 'bump',
  title: 'Bump tags',
  description:
    'Writes the tag that Flux would select (or the one given) behind the markers of a policy, in files of the working tree; one token a marker changes. Commits and pushes nothing.',
  effect: 'change',
  input: bumpInput,
  output: v.object({
    changes: v.array(v.object({ file: v.string(), policy: v.string(), old: v.string(), new: v.string() })),
  }),
  confirmation: async (input, context) => {
    const bumps = await previews(input, context);
    const lines = bumps.flatMap(({ file, changes }) =>
      changes.map((change) => `${file}: ${change.setter} ${change.old} → ${change.new}`),
    );
    return {
      title: 'Change image tags in files of the workspace',
      details: lines.length > 0 ? lines : ['No marker would change now.'],
    };
  },
  run: async (input, context) => {
    const bumps = await previews(input, context);
    for (const { file, after } of bumps) {
      await context.system.files.writeAtomic(join(context.engine.root, file), after);
    }
    return {
      changes: bumps.flatMap(({ file, changes }) =>
        changes.map((change) => ({ file, policy: change.setter, old: change.old, new: change.new })),
      ),
    };
  },
});
