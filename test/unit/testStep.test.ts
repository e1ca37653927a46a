import { expect, test } from 'vitest';
import { createSystem } from '../../src/engine/system/index.ts';
import { openDocker } from '../../src/engine/tests/dockerEndpoint.ts';
import { testStep } from '../../src/engine/tests/testStep.ts';

type Spec = Parameters<NonNullable<typeof testStep.prepare>>[0];
type Context = Parameters<NonNullable<typeof testStep.prepare>>[1];

// A rejection that nobody waits for ends the process (and fails this run).
test('services that cannot start early, as no Docker answers, are told by the step itself', async () => {
  const system = createSystem({ env: { DOCKER_HOST: 'tcp://127.0.0.1:1' } });
  const postgres = { name: 'postgres', image: 'postgres:16', env: {}, ports: [] };
  const spec = { test: { name: 'unit', services: [postgres] } } as unknown as Spec;
  const context = { system, signal: new AbortController().signal, folder: '/run' } as unknown as Context;
  const undo = await testStep.prepare?.(spec, context);
  for (let asked = 0; asked < 3; asked += 1) {
    await expect(openDocker(system)).rejects.toMatchObject({ code: 'docker.unreachable' });
  }
  await undo?.();
});
