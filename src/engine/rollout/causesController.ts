// What the workload's own controller says: deadlines, failed Jobs, a stuck StatefulSet, images that are not ours.
import { at, listOf, nameOf, numberOf, refOf, textOf } from '../cluster/object.ts';
import { asWarning, cleanText, type Finding, type Scene } from './causes.ts';
import { claimFinding, podRef } from './causesScheduling.ts';
import { conditionOf, isPodReady } from './readiness.ts';

export function controllerFindings(scene: Scene): readonly Finding[] {
  const { target, standing } = scene;
  const found: Finding[] = [];
  const ref = refOf(target.object);
  const common = { scope: 'object' as const, ref, evidence: [] as readonly string[] };
  if (standing.failure !== undefined) {
    const { code, reason, message } = standing.failure;
    const sighting = scene.draft.see(`failure ${target.key}`, message);
    found.push({
      ...common,
      code: code === 'job' ? 'job' : target.object.kind === 'Pod' ? 'crash' : 'failed',
      strength: 'proven',
      firstSeen: sighting.first,
      message: `${nameOf(ref)} failed: ${reason}${message === '' ? '' : `: ${cleanText(message)}`}.`,
      fix: code === 'job' ? jobFix(reason) : 'Look at the conditions of the object and the log of its controller.',
      evidence: [cleanText(`${reason}: ${message}`)],
    });
  }
  found.push(...deadline(scene), ...jobAttempts(scene), ...stuck(scene), ...otherImages(scene), ...evictions(scene));
  if (target.object.kind === 'PersistentVolumeClaim') {
    const finding = claimFinding(scene, target.object);
    if (finding !== undefined) found.push({ ...finding, scope: 'object' });
  }
  return found;
}

/** A re-apply of the same template keeps an old condition: it counts only when it says so anew. */
function deadline(scene: Scene): readonly Finding[] {
  const { target } = scene;
  const condition = conditionOf(target.object, 'Progressing');
  if (condition?.reason !== 'ProgressDeadlineExceeded' || condition.status !== 'False') return [];
  if (!target.isObserved || target.before?.conditions.Progressing === condition.time) return [];
  const sighting = scene.draft.see(`deadline ${target.key}`, condition.message);
  return [
    {
      code: 'deadline',
      scope: 'object',
      ref: refOf(target.object),
      strength: 'proven',
      firstSeen: sighting.first,
      message: `${nameOf(refOf(target.object))} made no progress for ${numberOf(at(target.object, 'spec', 'progressDeadlineSeconds')) ?? 600} s.`,
      fix: 'Look at the warnings and the log of the new pods.',
      evidence: [cleanText(condition.message)],
      warnAt: 'never',
    },
  ];
}

function jobAttempts(scene: Scene): readonly Finding[] {
  const { object } = scene.target;
  const failed = numberOf(at(object, 'status', 'failed')) ?? 0;
  if (object.kind !== 'Job' || failed === 0 || scene.standing.state !== 'progressing') return [];
  const sighting = scene.draft.see(`attempts ${scene.target.key} ${failed}`, '');
  const limit = (numberOf(at(object, 'spec', 'backoffLimit')) ?? 6) + 1;
  return [
    {
      code: 'job.attempt',
      scope: 'pod',
      ref: refOf(object),
      ...asWarning(sighting),
      message: `${failed} of ${limit} attempts of the Job have failed; it tries again.`,
      fix: 'Read the log of the failed pod.',
      evidence: [],
    },
  ];
}

/**
 * An ordered StatefulSet waits for a broken pod of an older revision before it touches any other, so a corrected template
 * never reaches it (Kubernetes issues 67250, 60164).
 */
function stuck(scene: Scene): readonly Finding[] {
  const { object, oldPods, newPods, isObserved } = scene.target;
  if (object.kind !== 'StatefulSet' || !isObserved) return [];
  if (at(object, 'spec', 'podManagementPolicy') === 'Parallel') return [];
  const broken = oldPods.filter((pod) => pod.metadata.deletionTimestamp === undefined && !isPodReady(pod));
  const [first] = broken;
  if (first === undefined || newPods.some((pod) => !isPodReady(pod))) return [];
  const sighting = scene.draft.see(`stuck ${first.metadata.uid ?? ''}`, '');
  return [
    {
      code: 'sts.stuck',
      scope: 'object',
      ref: podRef(first),
      ...(scene.now - sighting.first >= 30_000
        ? { strength: 'proven' as const }
        : { strength: 'pending' as const, dueAt: sighting.first + 30_000 }),
      firstSeen: sighting.first,
      warnAt: sighting.first + 10_000,
      message: `Pod ${first.metadata.name} of an older version is broken, and the StatefulSet replaces no other before it is ready.`,
      fix: `Delete the pod, then the new version takes its place: kubectl -n ${first.metadata.namespace ?? ''} delete pod ${first.metadata.name}`,
      evidence: [],
    },
  ];
}

/** Runtimes report the index, the platform manifest or the config digest: any that is ours is right. */
function otherImages(scene: Scene): readonly Finding[] {
  const ours = scene.options.digests ?? [];
  if (ours.length === 0) return [];
  const wanted = listOf(at(scene.target.object, 'spec', 'template', 'spec', 'containers')).filter((container) =>
    ours.some((digest) => textOf(container.image)?.endsWith(`@${digest}`)),
  );
  for (const pod of scene.target.newPods) {
    for (const status of listOf(at(pod, 'status', 'containerStatuses'))) {
      const container = wanted.find((one) => one.name === status.name);
      const running = /sha256:[0-9a-f]{64}/.exec(textOf(status.imageID) ?? '')?.[0];
      if (container === undefined || running === undefined || ours.includes(running)) continue;
      const sighting = scene.draft.see(`other ${scene.target.key} ${String(status.name)}`, running);
      return [
        {
          code: 'image.other',
          scope: 'pod',
          ref: podRef(pod),
          container: String(status.name),
          ...asWarning(sighting),
          message: `Container ${String(status.name)} runs ${running.slice(0, 19)}…, which is none of the digests that were built.`,
          fix: 'A webhook may rewrite image names; check what it made of it.',
          evidence: [textOf(status.imageID) ?? ''],
        },
      ];
    }
  }
  return [];
}

/** Evicted again and again: replacements come, and go the same way. */
function evictions(scene: Scene): readonly Finding[] {
  const reasons = new Map<string, { readonly nodes: Set<string>; amount: number }>();
  for (const pod of scene.target.lostPods) {
    const reason = textOf(at(pod, 'status', 'reason')) ?? 'Disrupted';
    const known = reasons.get(reason) ?? { nodes: new Set<string>(), amount: 0 };
    known.amount += 1;
    known.nodes.add(textOf(at(pod, 'spec', 'nodeName')) ?? '');
    reasons.set(reason, known);
  }
  for (const [reason, { amount, nodes }] of reasons) {
    if (amount < 3) continue;
    const sighting = scene.draft.see(`lost ${scene.target.key} ${reason}`, '');
    return [
      {
        code: 'node.evicts',
        scope: 'pod',
        ref: refOf(scene.target.object),
        ...asWarning(sighting),
        message: `${amount} new pods were put away (${reason}) on ${nodes.size} ${nodes.size === 1 ? 'node' : 'nodes'}.`,
        fix: 'Look at memory and disk of the nodes, and at the requests of the pods.',
        evidence: [cleanText(textOf(at(scene.target.lostPods[0], 'status', 'message')) ?? reason)],
      },
    ];
  }
  return [];
}

function jobFix(reason: string): string {
  switch (reason) {
    case 'DeadlineExceeded':
      return 'Raise activeDeadlineSeconds, or find out what takes so long.';
    case 'PodFailurePolicy':
      return "The Job's podFailurePolicy ended it: see the exit code of its pod.";
    default:
      return 'Read the log of the failed pod; a changed Job needs a new name or must be deleted first.';
  }
}
