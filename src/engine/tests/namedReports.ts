import type { TestConfig } from '../project/model.ts';

/** Options of pytest, gotestsum, PHPUnit, Vitest and others that name the JUnit report, in arguments or in a script. */
const OPTION = /--(?:junit-?xml|junitfile|junit-path|log-junit|outputFile(?:\.junit)?)[= ]\s*["']?([^\s"';&|]+)/g;

/** Where a tool writes reports without being told. */
const USUAL: readonly (readonly [RegExp, readonly string[]])[] = [
  [/(^|[ /])mvnw? /, ['**/target/surefire-reports/*.xml', '**/target/failsafe-reports/*.xml']],
  [/(^|[ /])gradlew? /, ['**/build/test-results/**/*.xml']],
  [/(^|[ /])(npm|pnpm|yarn|bun|npx|jest|mocha) /, ['junit.xml', 'test-results.xml']],
];

/** Globs, from the test's folder or absolute, of JUnit reports that its command says or is known to write. */
export function namedReports(test: Pick<TestConfig, 'run' | 'env'>): readonly string[] {
  const text = `${test.run.join(' ')} `;
  const said = [...text.matchAll(OPTION)].flatMap(([, path = '']) => (/[${]/.test(path) ? [] : [path]));
  // jest-junit, mocha-junit-reporter, and a name that many test runners of one's own take.
  for (const name of ['JEST_JUNIT_OUTPUT_FILE', 'MOCHA_FILE', 'JUNIT_FILE'])
    if (test.env[name] !== undefined) said.push(test.env[name]);
  const usual = USUAL.flatMap(([pattern, globs]) => (pattern.test(text) ? globs : []));
  return [...new Set([...said, ...usual])];
}
