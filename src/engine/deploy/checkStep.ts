import { join } from 'node:path';
import type { ObjectRef } from '../events/index.ts';
import { registryOf } from '../images/index.ts';
import type { PublishOutputs, StepKind } from '../plan/step.ts';
import { requireTool } from '../system/index.ts';
import type { Answer } from './answers.ts';
import { checkSboms } from './checkSboms.ts';
import { checkSignatures } from './checkSignatures.ts';
import { createDeployer } from './createDeployer.ts';
import { buildCommand } from './kustomize.ts';
import { failureOf, preflight } from './preflight.ts';
import { type OpenCluster, type OpenRegistry, requestOf } from './stepRequest.ts';

export interface CheckStepOptions {
  readonly open: OpenCluster;
  readonly registry: OpenRegistry;
}

/** Finds before the first write what would make the deploy fail. Suspicions are warnings, proof ends the run. */
export function checkStep({ open, registry }: CheckStepOptions): StepKind<'check'> {
  return {
    kind: 'check',

    /** What no cluster has to be asked for: while the images are built it is known that nothing could be deployed. */
    async prepare({ environment }, context) {
      await open(environment, context);
      if (environment.deploy.kind === 'helm') requireTool('helm', context.system.env, context.system.platform);
      if (environment.deploy.kind === 'kustomize') buildCommand(context.system, '.');
      return undefined;
    },

    async run(spec, context) {
      const { system, secrets, signal, emit } = context;
      const access = await open(spec.environment, context);
      const request = requestOf(spec, context);
      const deployer = createDeployer({ system, secrets, access, request });
      const registries = registry(context);
      const looking = {
        system,
        folder: join(context.folder, 'reports'),
        object: namespaceRef(spec.environment.namespace),
        signal,
      };
      const images = spec.images.map((image) => ({
        ...image,
        ...(image.publish !== undefined && { digest: context.outputs<PublishOutputs>(image.publish).digest }),
      }));
      const [found, signatures, sboms] = await Promise.all([
        preflight({ deployer, request, access, registry: registries, signal }),
        checkSignatures(images, { ...looking, registry: registries }),
        checkSboms(images, { ...looking, client: registryOf(context) }),
      ]);
      const answers = [...found.answers, ...signatures.answers, ...sboms.answers];
      const unchecked = [...found.unchecked, ...signatures.unchecked, ...sboms.unchecked];
      for (const answer of answers) if (answer.certainty === 'suspicious') emit(warningOf(answer));
      for (const text of unchecked) emit({ type: 'log', stream: 'err', text: `not checked: ${text}` });
      const failure = failureOf(answers, spec.environment.name);
      if (failure !== undefined) throw failure;
      return { warnings: answers.length, unchecked: unchecked.length };
    },
  };
}

/** A signature belongs to no object of the deploy, so it is told of the place that all of them go to. */
export const namespaceRef = (name: string): ObjectRef => ({ apiVersion: 'v1', kind: 'Namespace', name });

function warningOf({ code, object, container, message, fix, evidence }: Answer) {
  return {
    type: 'rollout.warning' as const,
    warning: {
      code,
      object,
      ...(container !== undefined && { container }),
      message,
      fix,
      evidence: evidence ?? [],
    },
  };
}
