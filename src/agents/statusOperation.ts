import * as v from 'valibot';
import type { EnvironmentStatus, LiveImage } from '../engine/main.ts';
import { statusOf } from '../engine/status.ts';
import { operation } from './operation.ts';
import { cutCause, shortRun } from './readOperations.ts';
import { cut, environmentName, failure, failureOf } from './shapes.ts';

const MOST_WORKLOADS = 40;
const MOST_IMAGES = 20;

const image = v.object({
  name: v.optional(v.string()),
  reference: v.string(),
  digest: v.optional(v.string()),
  pods: v.number(),
  commit: v.optional(v.string()),
  subject: v.optional(v.string()),
  commitsBehind: v.optional(v.number()),
});

const now = v.object({
  state: v.picklist(['ready', 'not-ready', 'nothing-deployed', 'unknown']),
  revision: v.optional(v.string()),
  workloads: v.array(
    v.object({
      workload: v.string(),
      state: v.string(),
      available: v.number(),
      desired: v.number(),
      message: v.optional(v.string()),
    }),
  ),
  moreWorkloads: v.number(),
  images: v.array(image),
  unreadable: v.array(v.string()),
  failure: v.optional(failure),
});

export const status = operation({
  name: 'status',
  title: 'Show status',
  description:
    'What runs in each environment now, from its cluster: state of every workload, image, commit and how many commits it is behind; beside it the last verified version and the newest run by the journal. Changes nothing.',
  effect: 'read',
  input: v.object({
    environment: v.optional(environmentName),
    journalOnly: v.optional(v.pipe(v.boolean(), v.description('Contact no cluster: only what the journal has.'))),
  }),
  output: v.object({
    environments: v.array(
      v.object({
        name: v.string(),
        namespace: v.string(),
        deploysBy: v.string(),
        now: v.optional(now),
        live: v.optional(v.object({ tag: v.optional(v.string()), run: v.string(), verifiedAt: v.string() })),
        newest: v.optional(shortRun),
      }),
    ),
    running: v.array(shortRun),
  }),
  run: async ({ environment, journalOnly }, { system, engine, isLive, signal }) => {
    const wanted = environment === undefined ? undefined : [environment];
    const asksClusters = journalOnly !== true;
    const [journal, project, clusters] = await Promise.all([
      statusOf(system, engine, isLive),
      engine.project(),
      asksClusters ? engine.operations().then((operations) => operations.status(wanted, signal)) : [],
    ]);
    const found = new Map(clusters.map((each) => [each.environment, each]));
    return {
      environments: project.environments
        .filter(({ name }) => environment === undefined || name === environment)
        .map(({ name, namespace, deploy }) => {
          const known = journal.environments.find((each) => each.name === name);
          const live = found.get(name);
          return {
            name,
            namespace,
            deploysBy: deploy.kind,
            now: live === undefined ? undefined : nowOf(live, engine.root),
            live: known?.live,
            newest: known?.newest === undefined ? undefined : cutCause(known.newest),
          };
        }),
      running: journal.running.map(cutCause),
    };
  },
});

function nowOf(found: EnvironmentStatus, root: string): v.InferInput<typeof now> {
  const { workloads, images, missing, revision } = found;
  // Those in trouble first: what is cut off is in order.
  const sorted = [...workloads].sort((a, b) => Number(a.state === 'ready') - Number(b.state === 'ready'));
  return {
    state: stateOf(found),
    revision: revision?.revision,
    workloads: sorted.slice(0, MOST_WORKLOADS).map(({ ref, state, available, desired, message }) => ({
      workload: `${ref.kind} ${ref.name}`,
      state,
      available,
      desired,
      message: state === 'ready' ? undefined : cut(message),
    })),
    moreWorkloads: Math.max(0, workloads.length - MOST_WORKLOADS),
    images: images.slice(0, MOST_IMAGES).map(imageOf),
    unreadable: missing.map(cut),
    failure: found.failure === undefined ? undefined : failureOf(found.failure, root),
  };
}

function stateOf({ failure: failed, workloads }: EnvironmentStatus): v.InferInput<typeof now>['state'] {
  if (failed !== undefined) return 'unknown';
  if (workloads.every(({ state }) => state === 'unknown')) return 'nothing-deployed';
  return workloads.every(({ state }) => state === 'ready') ? 'ready' : 'not-ready';
}

const imageOf = ({ name, reference, digest, pods, version }: LiveImage): v.InferInput<typeof image> => ({
  name,
  reference,
  digest,
  pods,
  commit: version?.commit.slice(0, 12),
  subject: version?.subject === undefined ? undefined : cut(version.subject),
  commitsBehind: version?.behind,
});
