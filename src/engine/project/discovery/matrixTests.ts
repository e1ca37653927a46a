import type { TestFact, Workflow } from '../../workflows/index.ts';
import type { PipelineFinding, TestFinding } from './findings.ts';
import { asName } from './paths.ts';

type Combination = ReadonlyMap<string, unknown>;

const MOST_TESTS_OF_A_JOB = 16;

/** A name for each combination of a matrix that gives another test, and what is said of those that give the same one. */
export function combinationOf(
  fact: TestFact,
  { jobs, facts }: Workflow,
): Pick<TestFinding, 'name' | 'why' | 'certainty'> {
  const base = asName(fact.job.split(' / ').at(-1) ?? fact.job);
  const why = `the CI job "${fact.job}" runs it`;
  const all = jobs.find(({ id }) => id === fact.job)?.matrix ?? [];
  const own = fact.matrix;
  if (all.length < 2 || own === undefined) return { name: base, why, certainty: 'read' };
  const tests = facts.flatMap((other) =>
    other.kind === 'test' && other.job === fact.job && other.matrix !== undefined ? [other.matrix] : [],
  );
  const axes = [...new Set(all.flatMap((combination) => [...combination.keys()]))];
  const varying = axes.filter((axis) => valuesOf(tests, axis).length > 1);
  const idle = axes.filter((axis) => !varying.includes(axis) && valuesOf(all, axis).length > 1);
  const telling = shortest(varying, tests);
  const words = telling.flatMap((axis) => textIn(own, axis) || []);
  const here = telling.length === 0 ? '' : ` with ${telling.map((axis) => `${axis} ${textIn(own, axis)}`).join(', ')}`;
  const name = asName([base, ...words].join('-'));
  if (idle.length === 0) return { name, why: `${why}${here}`, certainty: 'read' };
  const set = idle.map((axis) => `${axis} ${valuesOf(all, axis).join(', ')}`).join(' and ');
  return {
    name,
    why: `${why}${here}; its matrix (${set}) changes what the job installs and not the command, so it runs once here, with what this machine has`,
    certainty: 'guess',
  };
}

/** The first axes that tell the tests apart. */
function shortest(axes: readonly string[], tests: readonly Combination[]): readonly string[] {
  const nameBy = (chosen: readonly string[]) =>
    tests.map((test) => chosen.map((axis) => textIn(test, axis)).join('\0'));
  const wanted = new Set(nameBy(axes)).size;
  const length = axes.findIndex((_axis, index) => new Set(nameBy(axes.slice(0, index + 1))).size === wanted);
  return axes.slice(0, length + 1);
}

function textIn(combination: Combination, axis: string): string {
  const value = combination.get(axis) ?? '';
  return typeof value === 'object' ? '' : String(value);
}

const valuesOf = (list: readonly Combination[], axis: string): readonly string[] => [
  ...new Set(list.map((combination) => textIn(combination, axis)).filter((text) => text !== '')),
];

/** At most so many tests of one job: those beyond are named in `left`. */
export function cappedTests(
  tests: readonly (readonly [TestFact, TestFinding])[],
  left: PipelineFinding['left'][number][],
): readonly TestFinding[] {
  const byJob = Map.groupBy(tests, ([fact]) => fact.job);
  for (const [job, list] of byJob) {
    const [first, ...others] = list.slice(MOST_TESTS_OF_A_JOB);
    if (first === undefined) continue;
    const names = [first, ...others].map(([, { name }]) => name);
    left.push({
      what: `${names.length} of the ${list.length} tests that the matrix of job "${job}" makes (${names.slice(0, 3).join(', ')}${names.length > 3 ? ', …' : ''})`,
      why: `the first ${MOST_TESTS_OF_A_JOB} tests of a job are taken; one test with a "matrix" says all of them`,
      place: first[0].place,
    });
  }
  return tests.flatMap((entry) => {
    const [fact, test] = entry;
    return (byJob.get(fact.job)?.indexOf(entry) ?? 0) < MOST_TESTS_OF_A_JOB ? [test] : [];
  });
}
