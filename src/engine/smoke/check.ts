import { fieldsOf, textOf } from '../cluster/index.ts';
import type { ObjectRef } from '../events/index.ts';
import type { SmokeConfig } from '../project/model.ts';
import type { System } from '../system/index.ts';
import type { ClusterObject } from './access.ts';
import { AppFault, ask, touch } from './ask.ts';
import { judge } from './expectations.ts';
import { newPods } from './newPods.ts';
import { type Surroundings, wayTo } from './reach.ts';
import { type Attempt, type CheckResult, retry } from './retry.ts';

/** One attempt never takes all of the deadline: an answer that hangs is asked again. */
const ATTEMPT_MS = 10_000;

/** One check to its end. Throws SlipwayError when it could not be made (configuration, lost cluster), never for a wrong answer. */
export function runCheck(
  check: SmokeConfig,
  around: Surroundings,
  system: System,
  signal: AbortSignal,
): Promise<CheckResult> {
  return retry((remainingMs) => attempt(check, around, system, Math.min(remainingMs, ATTEMPT_MS), signal), {
    deadlineMs: check.deadlineMs,
    clock: system.clock,
    signal,
  });
}

async function attempt(
  check: SmokeConfig,
  around: Surroundings,
  system: System,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Attempt> {
  switch (check.kind) {
    case 'http': {
      const way = await wayTo(check.target, check.tls, around, signal);
      const url = way.url === undefined ? undefined : `${way.url}${check.path}`;
      const answer = await ask(
        way,
        {
          method: check.method,
          path: check.path,
          isTls: check.tls,
          headers: check.headers,
          timeoutMs,
          ...(check.body !== undefined && { body: check.body }),
        },
        signal,
      );
      const { unmet, isSettled } = judge(answer, check.expect);
      const where = `${check.method} ${check.path} at ${way.title}`;
      return unmet.length === 0
        ? {
            outcome: 'ok',
            message: `${where}: ${answer.status} in ${Math.round(answer.latencyMs)} ms`,
            ...(url !== undefined && { url }),
          }
        : {
            outcome: 'wrong',
            message: `${check.method} ${check.path}: ${unmet.join('; ')}`,
            isSettled,
            ...(url !== undefined && { url }),
          };
    }
    case 'tcp': {
      const way = await wayTo(check.target, false, around, signal);
      await touch(way, timeoutMs, signal);
      return { outcome: 'ok', message: `${way.title} accepts connections` };
    }
    case 'exec': {
      const pod = await podFor(check.workload, around, signal);
      const { code, stdout, stderr } = await around.access.exec(
        { namespace: around.namespace, name: pod.metadata.name },
        check.container,
        check.command,
        signal,
      );
      return outcomeOf(`${check.command.join(' ')} in ${pod.metadata.name}`, code, stdout, stderr, check.contains);
    }
    case 'command': {
      const result = await system.processes.run({
        file: check.run[0],
        args: check.run.slice(1),
        cwd: check.cwd,
        env: check.env,
        timeoutMs: Math.max(timeoutMs, check.deadlineMs),
        signal,
      });
      return outcomeOf(check.run.join(' '), result.code ?? -1, result.stdout, result.stderr, undefined);
    }
  }
}

function outcomeOf(what: string, code: number, stdout: string, stderr: string, contains: string | undefined): Attempt {
  const last = (stderr.trim() || stdout.trim()).split('\n').at(-1)?.slice(0, 300) ?? '';
  if (code !== 0) {
    return {
      outcome: 'wrong',
      message: `${what} ended with code ${code}${last === '' ? '' : `: ${last}`}`,
      isSettled: false,
    };
  }
  if (contains !== undefined && !stdout.includes(contains)) {
    return { outcome: 'wrong', message: `${what} did not print ${JSON.stringify(contains)}: ${last}`, isSettled: true };
  }
  return { outcome: 'ok', message: `${what} succeeded` };
}

const workloadKinds: Readonly<Record<string, ObjectRef>> = {
  deploy: { apiVersion: 'apps/v1', kind: 'Deployment', name: '' },
  deployment: { apiVersion: 'apps/v1', kind: 'Deployment', name: '' },
  statefulset: { apiVersion: 'apps/v1', kind: 'StatefulSet', name: '' },
  sts: { apiVersion: 'apps/v1', kind: 'StatefulSet', name: '' },
  daemonset: { apiVersion: 'apps/v1', kind: 'DaemonSet', name: '' },
  pod: { apiVersion: 'v1', kind: 'Pod', name: '' },
};

/** A ready pod of the new version of `deploy/<name>`, `statefulset/<name>`, `daemonset/<name>`, or the pod itself. */
async function podFor(workload: string, around: Surroundings, signal: AbortSignal): Promise<ClusterObject> {
  const [kind = '', name = ''] = workload.split('/');
  const base = workloadKinds[kind.toLowerCase()];
  const object =
    base === undefined ? undefined : await around.access.get({ ...base, name, namespace: around.namespace }, signal);
  if (object === undefined) throw new AppFault(`${workload} does not exist in ${around.namespace}`);
  if (base?.kind === 'Pod') return object;
  const labels = Object.entries(fieldsOf(fieldsOf(fieldsOf(object.spec).selector).matchLabels));
  const selector = labels.map(([key, value]) => `${key}=${textOf(value) ?? ''}`).join(',');
  const [pod] = await newPods(around.access, around.namespace, selector, around.revision, signal);
  if (pod === undefined) throw new AppFault(`no ready pod of the new version of ${workload}`);
  return pod;
}
