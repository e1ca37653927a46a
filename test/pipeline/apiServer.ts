// The API server itself goes away under a rollout, twice: never a false failure, and what is broken is still named. Whoever
// else works with the cluster would lose it as well.
import { realClock } from '../../src/engine/system/clock.ts';
import { disruptive, restartPart } from '../lab/lab.ts';
import { deploy, direct, expectVerdict, removeDeployed, watch } from './support/corpusCase.ts';
import { run, test } from './support/suite.ts';

test('the API server itself is restarted twice: a slow version is ready, a broken one is named', async () => {
  const [slow, broken] = [
    await deploy('slow-start', 'restart', 'objects', { READY_AFTER: '25s' }),
    await deploy('crash-loop', 'restart-crash'),
  ];
  const watching = [watch(direct, slow, { stabilityMs: 2000 }), watch(direct, broken)] as const;
  await realClock.sleep(2000);
  await disruptive('rollout faults', async () => {
    await restartPart('kube-apiserver');
    await realClock.sleep(3000);
    await restartPart('kube-apiserver');
  });
  const [ready, failed] = await Promise.all(watching);
  expectVerdict(ready.result, 'ready');
  expectVerdict(failed.result, 'failed', 'crash');
});

await run('API server', removeDeployed);
process.exit();
