// Pods that the API server refuses to create: policies, webhooks, quotas, missing references. Told by the events of the
// controller's object and by the condition ReplicaFailure of the new ReplicaSet (the Deployment's own may be an old one's).
import { nameOf, refOf } from '../cluster/object.ts';
import type { EventFact } from './attribution.ts';
import { afterWait, cleanText, type Finding, pendingAnswer, type Scene } from './causes.ts';
import { missingObject } from './causesConfig.ts';
import { conditionOf } from './readiness.ts';

const MINUTE = 60_000;

export function creationFindings(scene: Scene): readonly Finding[] {
  const refusal = refusalOf(scene);
  if (refusal === undefined) return [];
  const { text, attempts } = refusal;
  const { target, standing, now } = scene;
  // The controller gets its pods now: what it said before is history.
  if (target.newPods.length >= Math.max(1, standing.desired)) return [];
  const kind = classifyRefusal(text);
  const sighting = scene.draft.see(`create ${target.key} ${kind}`, text);
  const common = {
    scope: 'object' as const,
    ref: refOf(target.object),
    evidence: [cleanText(text)],
    warnAt: sighting.first,
  };
  const who = nameOf(refOf(target.object));
  const rule = ruleText(text);
  switch (kind) {
    case 'deleted':
      return [
        {
          ...common,
          code: 'deleted',
          strength: 'proven',
          firstSeen: sighting.first,
          message: `The namespace ${target.ref.namespace ?? ''} is being deleted.`,
          fix: 'Wait until it is gone, then deploy again.',
        },
      ];
    case 'denied':
      return [
        {
          ...common,
          code: 'admission.denied',
          ...afterWait(sighting, 15_000, now),
          message: `${who} gets no pods: the admission webhook ${webhookName(text)} denies them: ${rule}`,
          fix: 'Change the pod template to meet the rule, or the rule.',
        },
      ];
    case 'down':
      return [
        {
          ...common,
          code: 'admission.down',
          ...afterWait(sighting, 2 * MINUTE, now),
          message: `${who} gets no pods: the admission webhook ${webhookName(text)} does not answer.`,
          fix: 'Bring the service behind the webhook up again, or remove its configuration.',
        },
      ];
    case 'quota': {
      // Old pods that go, Jobs that end and other workloads free what is missing; nothing moving is a deadlock.
      const since = Math.max(sighting.first, scene.progressAt);
      const mayMove = scene.isJobRunning || scene.isOthersProgressing;
      return [
        {
          ...common,
          code: 'quota',
          ...(mayMove
            ? { strength: 'warning' as const, firstSeen: sighting.first }
            : afterWait({ ...sighting, first: since }, 2 * MINUTE, now)),
          firstSeen: sighting.first,
          message: `${who} gets no more pods: ${quotaWords(text)}.`,
          fix: 'Lower requests or replicas, let the rollout replace pods instead of adding (maxUnavailable 1, maxSurge 0), or raise the quota.',
        },
      ];
    }
    case 'reference': {
      const missing = missingObject(text);
      const answer =
        missing === undefined
          ? undefined
          : scene.ask(
              {
                kind: 'object-exists',
                object: {
                  apiVersion: 'v1',
                  kind: missing.kind,
                  name: missing.name,
                  ...(target.ref.namespace !== undefined && { namespace: target.ref.namespace }),
                },
              },
              5000,
            );
      if (answer?.state === 'present')
        return [
          {
            ...common,
            code: 'ref.missing',
            strength: 'warning',
            firstSeen: sighting.first,
            message: `${who} gets its pods at the next try: ${rule}`,
            fix: 'Wait.',
          },
        ];
      const isAsked = missing === undefined || answer !== undefined;
      return [
        {
          ...common,
          code: 'ref.missing',
          ...(isAsked ? afterWait(sighting, MINUTE, now) : { ...pendingAnswer(now), firstSeen: sighting.first }),
          message: `${who} gets no pods: ${rule}`,
          fix: 'Create the object that is named, before this workload.',
        },
      ];
    }
    default: {
      // A second try of the controller, with the same answer: policies do not change by themselves.
      const due = afterWait(sighting, 5000, now);
      const isRepeated = attempts >= 2 || now - sighting.first >= 15_000;
      return [
        {
          ...common,
          code: 'admission.policy',
          ...(due.strength === 'proven' && !isRepeated
            ? { strength: 'pending' as const, firstSeen: sighting.first, dueAt: sighting.first + 15_000 }
            : due),
          message: `${who} gets no pods: ${rule}`,
          fix: policyFix(text),
        },
      ];
    }
  }
}

interface Refusal {
  readonly text: string;
  readonly attempts: number;
}

function refusalOf(scene: Scene): Refusal | undefined {
  const { target } = scene;
  const events = scene.events.filter(isRefusal);
  const last = [...events].sort((a, b) => (a.lastAt < b.lastAt ? 1 : -1))[0];
  const attempts = events.reduce((sum, event) => sum + event.count, 0);
  if (target.object.kind === 'Deployment' || target.object.kind === 'Rollout') {
    const condition =
      target.revisionObject === undefined ? undefined : conditionOf(target.revisionObject, 'ReplicaFailure');
    if (condition?.status === 'True') return { text: condition.message, attempts: Math.max(attempts, 1) };
    // Without the condition the events are of the past: the ReplicaSet controller takes it away on success.
    return undefined;
  }
  return last === undefined ? undefined : { text: last.message, attempts };
}

const isRefusal = (event: EventFact): boolean =>
  event.type === 'Warning' && event.reason === 'FailedCreate' && event.objectKind !== 'Pod';

type RefusalClass = 'deleted' | 'denied' | 'down' | 'quota' | 'reference' | 'policy';

export function classifyRefusal(text: string): RefusalClass {
  if (/because it is being terminated|namespace .* is being (deleted|terminated)/i.test(text)) return 'deleted';
  if (/admission webhook .* denied the request/i.test(text)) return 'denied';
  if (/failed calling webhook|no endpoints available for service/i.test(text)) return 'down';
  if (/exceeded quota|must specify (limits|requests|cpu|memory)/i.test(text))
    return /exceeded quota/i.test(text) ? 'quota' : 'policy';
  if (
    /serviceaccount "?[^"]*"? not found|no PriorityClass with name|service account .* was not found|error looking up service account/i.test(
      text,
    )
  )
    return 'reference';
  if (/connection refused|context deadline exceeded|i\/o timeout|etcdserver/i.test(text)) return 'down';
  return 'policy';
}

const webhookName = (text: string): string => /webhook "([^"]+)"/.exec(text)?.[1] ?? 'of the cluster';

/** What comes after `is forbidden:`: the rule itself. */
function ruleText(text: string): string {
  const clean = cleanText(text);
  const denied = /denied the request: (.*)$/.exec(clean)?.[1];
  if (denied !== undefined) return denied;
  const forbidden = /is forbidden: (.*)$/.exec(clean)?.[1];
  return forbidden ?? clean.replace(/^Error creating: /, '');
}

function quotaWords(text: string): string {
  const match = /exceeded quota: ([^,]+), requested: (.+), used: (.+), limited: (.+)$/.exec(cleanText(text));
  return match === null
    ? cleanText(text)
    : `quota ${match[1]} is used up (asked for ${match[2]}; used ${match[3]} of ${match[4]})`;
}

function policyFix(text: string): string {
  if (/violates PodSecurity/i.test(text))
    return 'Set the securityContext fields that the message names, or label the namespace with a lower pod-security level.';
  if (/(maximum|minimum) .* per (Container|Pod)|limit(s)? to requests? ratio/i.test(text))
    return 'Bring the requests and limits within the LimitRange of the namespace.';
  if (/must specify/i.test(text)) return 'Set the requests and limits that the quota of the namespace asks for.';
  if (/RuntimeClass/i.test(text)) return 'Install the RuntimeClass, or remove runtimeClassName.';
  return 'Change the field of the pod template that the message names.';
}
