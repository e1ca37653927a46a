import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/engine/cluster/object.ts';
import { type FluxAccess, readFlux, reconcile, reconcileAll, resume, suspend } from '../../src/engine/flux/index.ts';
import { SlipwayError } from '../../src/engine/problems/index.ts';
import type { Clock } from '../../src/engine/system/index.ts';
import { type Condition, installation, notReady, object, type Parts, ready } from './fluxObjects.ts';

const { signal } = new AbortController();
const REQUESTED = 'reconcile.fluxcd.io/requestedAt';

/** Time passes by sleeping only. */
class SteppedClock implements Clock {
  #now = Date.parse('2026-11-21T09:30:00Z');
  now(): number {
    return this.#now;
  }
  async sleep(ms: number): Promise<void> {
    this.#now += ms;
  }
}

interface Controller {
  /** Reads after a request before it is answered; never when absent. */
  readonly answersAfter?: number;
  readonly conditions?: readonly Condition[];
  /** Between request and answer. */
  readonly meanwhile?: readonly Condition[];
}

/** An API server with one controller behind it, which answers requests as the real ones do: by their own token. */
function cluster(start: KubeObject, controller: Controller = {}) {
  let current = start;
  let reads = 0;
  const patches: object[] = [];
  const access: FluxAccess = {
    get: async () => {
      const token = current.metadata.annotations?.[REQUESTED];
      if (token === undefined) return current;
      reads += 1;
      const isAnswered = controller.answersAfter !== undefined && reads > controller.answersAfter;
      const conditions = isAnswered ? controller.conditions : controller.meanwhile;
      return {
        ...current,
        status: {
          ...(current.status as object),
          ...(isAnswered && { lastHandledReconcileAt: token }),
          ...(conditions !== undefined && { conditions }),
        },
      } as KubeObject;
    },
    list: async () => [],
    isNamespaced: async () => true,
    merge: async (_ref, patch) => {
      patches.push(patch);
      const { metadata, spec } = patch as { metadata?: { annotations?: object }; spec?: object };
      current = {
        ...current,
        metadata: {
          ...current.metadata,
          annotations: { ...current.metadata.annotations, ...metadata?.annotations },
        },
        spec: { ...(current.spec as object), ...spec },
      } as KubeObject;
      return current;
    },
  };
  return { access, patches };
}

const refOf = ({ apiVersion, kind, metadata }: KubeObject) => ({
  apiVersion,
  kind,
  name: metadata.name,
  namespace: metadata.namespace ?? '',
});
const reconcileOne = (start: KubeObject, controller: Controller, more: object = {}) => {
  const { access, patches } = cluster(start, controller);
  return reconcile(refOf(start), { access, clock: new SteppedClock(), signal, ...more }).then((result) => ({
    ...result,
    patches,
  }));
};

describe('asking a controller to look again', () => {
  it('waits for the answer to this very request, and says how it went', async () => {
    const old: Parts = { metadata: { annotations: { [REQUESTED]: 'old' } }, status: { lastHandledReconcileAt: 'old' } };
    const result = await reconcileOne(object('GitRepository', 'fleet', old), {
      answersAfter: 5,
      conditions: [ready('Succeeded', "stored artifact for revision 'main@sha1:abc'")],
    });
    expect(result).toMatchObject({ outcome: 'done', message: "stored artifact for revision 'main@sha1:abc'" });
    expect(result.elapsedMs).toBeGreaterThan(500);
  });

  it('names the cause of a failure', async () => {
    const result = await reconcileOne(object('Kustomization', 'apps'), {
      answersAfter: 1,
      conditions: [notReady('BuildFailed', 'kustomize build failed: no such file')],
    });
    expect(result).toMatchObject({ outcome: 'failed', cause: { code: 'flux.build' } });
  });

  it('tells progress on the way, each word once', async () => {
    const said: string[] = [];
    await reconcileOne(
      object('Kustomization', 'apps'),
      {
        answersAfter: 4,
        conditions: [ready()],
        meanwhile: [
          { type: 'Reconciling', status: 'True', reason: 'Progressing', message: 'Building manifests' },
          { type: 'Ready', status: 'Unknown', reason: 'Progressing' },
        ],
      },
      { onProgress: (_: unknown, message: string) => said.push(message) },
    );
    expect(said).toEqual(['asked to look again', 'Building manifests', '']);
  });

  it('does not ask what is suspended, nor an OCI registry', async () => {
    const suspended = await reconcileOne(object('ImageRepository', 'api', { spec: { suspend: true } }), {});
    expect([suspended.outcome, suspended.patches]).toEqual(['suspended', []]);
    const oci = await reconcileOne(object('HelmRepository', 'charts', { spec: { type: 'oci' } }), {});
    expect([oci.outcome, oci.patches]).toEqual(['done', []]);
  });

  it('an image policy before Flux 2.7 does not answer, and is not waited for', async () => {
    const result = await reconcileOne(object('ImagePolicy', 'api'), {});
    expect(result.outcome).toBe('unsupported');
  });

  it('gives up on a controller that does not run, and says which one', async () => {
    const result = await reconcileOne(object('Kustomization', 'apps'), {}, { timeoutMs: 10_000 });
    expect(result).toMatchObject({ outcome: 'timeout', cause: { code: 'flux.no-answer' } });
    expect(result.cause?.message).toMatch(/^kustomize-controller has not answered/);
  });

  it('ends early when what was wanted is there', async () => {
    const result = await reconcileOne(object('Kustomization', 'apps'), {}, { isEnough: () => true });
    expect(result.outcome).toBe('done');
  });

  it('resets a HelmRelease with the same token', async () => {
    const { patches } = await reconcileOne(
      object('HelmRelease', 'side'),
      { answersAfter: 0, conditions: [ready()] },
      { helm: 'reset' },
    );
    const annotations = (patches[0] as { metadata: { annotations: Record<string, string> } }).metadata.annotations;
    expect(annotations['reconcile.fluxcd.io/resetAt']).toBe(annotations[REQUESTED]);
  });

  it('goes on after a failure: later ones may be of another branch', async () => {
    const { access } = cluster(object('Kustomization', 'apps'), {
      answersAfter: 0,
      conditions: [notReady('BuildFailed', 'x')],
    });
    const objects = [object('Kustomization', 'a'), object('Kustomization', 'b')];
    const results = await reconcileAll(objects, { access, clock: new SteppedClock(), signal });
    expect(results.map(({ outcome }) => outcome)).toEqual(['failed', 'failed']);
  });
});

describe('suspending with a note', () => {
  const options = (access: FluxAccess) => ({ access, clock: new SteppedClock(), signal });
  const note = { why: '1.0.13 does not start', by: 'kim' };

  it('writes the note beside the suspension, and gives it back when it is resumed', async () => {
    const automation = object('ImageUpdateAutomation', 'fleet');
    const { access, patches } = cluster(automation);
    expect(await suspend(refOf(automation), note, options(access))).toBe('suspended');
    expect(patches[0]).toMatchObject({
      spec: { suspend: true },
      metadata: { annotations: { 'slipway.dev/suspended-why': note.why, 'slipway.dev/suspended-by': 'kim' } },
    });
    expect(await resume(refOf(automation), options(access))).toMatchObject({ why: note.why, by: 'kim' });
    expect(patches[1]).toMatchObject({
      spec: { suspend: false },
      metadata: { annotations: { 'slipway.dev/suspended-why': null } },
    });
  });

  it("leaves another's note, and adds one where there is none without taking the field over", async () => {
    const annotations = { 'slipway.dev/suspended-why': 'holidays' };
    const noted = cluster(object('Kustomization', 'apps', { spec: { suspend: true }, metadata: { annotations } }));
    const ref = refOf(object('Kustomization', 'apps'));
    expect(await suspend(ref, note, options(noted.access))).toBe('already');
    expect(noted.patches).toEqual([]);
    const bare = cluster(object('Kustomization', 'apps', { spec: { suspend: true } }));
    expect(await suspend(ref, note, options(bare.access))).toBe('already');
    expect(bare.patches[0]).not.toHaveProperty('spec');
  });

  it('refuses where Git declares the field: Flux would put it back', async () => {
    const managedFields = [
      { manager: 'kustomize-controller', operation: 'Apply', fieldsV1: { 'f:spec': { 'f:suspend': {} } } },
    ];
    const declared = object('ImageUpdateAutomation', 'fleet', { spec: { suspend: true }, metadata: { managedFields } });
    const { access } = cluster(declared);
    await expect(resume(refOf(declared), options(access))).rejects.toMatchObject({
      code: 'flux.suspend-declared',
      fix: expect.stringContaining('suspend: false in git'),
    });
  });
});

describe('reading a cluster', () => {
  const forbidden = new SlipwayError({ reason: 'cluster', code: 'api.Forbidden', message: 'no' });
  const all = installation();
  const access = (isForbidden: boolean, hasFlux = true): FluxAccess => ({
    get: async ({ kind, name }) =>
      [...all.objects, ...all.workloads].find((one) => one.kind === kind && one.metadata.name === name),
    list: async ({ apiVersion, kind, namespace }) => {
      if (isForbidden && namespace === undefined) throw forbidden;
      return all.objects.filter((one) => one.apiVersion === apiVersion && one.kind === kind);
    },
    isNamespaced: async (apiVersion) => (hasFlux && apiVersion.endsWith('/v1') ? true : undefined),
    merge: async () => Promise.reject(new Error('not asked for')),
  });

  it('takes the newest version that is served, and the workloads of the inventory', async () => {
    const snapshot = await readFlux(access(false), { signal });
    expect(snapshot.objects.map(({ kind }) => kind)).toEqual([
      'ImageRepository',
      'ImagePolicy',
      'ImageUpdateAutomation',
      'GitRepository',
      'Kustomization',
    ]);
    expect(snapshot.workloads.map(({ metadata }) => metadata.name)).toEqual(['api']);
  });

  it('reads the named namespaces where listing everywhere is forbidden', async () => {
    const snapshot = await readFlux(access(true), { signal, fallback: ['flux-system'] });
    expect(snapshot.objects).toHaveLength(5);
    await expect(readFlux(access(true), { signal })).rejects.toBe(forbidden);
  });

  it('says that there is no Flux', async () => {
    await expect(readFlux(access(false, false), { signal })).rejects.toMatchObject({ code: 'flux.absent' });
  });
});
