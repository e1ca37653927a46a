// The app's own tests and commands: services in containers, env files, JUnit reports.
export { openDocker } from './dockerEndpoint.ts';
export { readJunit, type TestReport } from './junit.ts';
