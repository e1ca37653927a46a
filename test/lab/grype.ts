// Grype, the other scanner, with the same advisories that Trivy gets.
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './command.ts';
import { build, type GoProgram, isBuilt } from './gobuild.ts';
import type { Part } from './part.ts';
import { paths } from './paths.ts';
import { advisories, advisoriesKey } from './tools.ts';

const grype: GoProgram = {
  name: 'grype',
  module: 'grype',
  target: 'github.com/anchore/grype/cmd/grype',
  variables: { 'main.version': '0.110.0' },
};
const advisoriesWriter: GoProgram = { name: 'grype-advisories', module: 'grype', target: './advisories' };

/** Grype's database folder; its name tells the advisories in it, so that a change makes a new one. */
const database = () => join(paths.cache, `grype-${advisoriesKey()}`);

export const grypePart: Part = {
  name: 'grype',
  what: 'Grype with the same advisories as Trivy',
  version: '0.110.0',
  group: 'grype',
  needs: [],
  isPrepared: () => isBuilt(grype) && isBuilt(advisoriesWriter) && existsSync(join(database(), '6', 'import.json')),
  prepare: async (report) => {
    await build(grype, report);
    await build(advisoriesWriter, report);
    const fresh = `${database()}.new`;
    rmSync(fresh, { recursive: true, force: true });
    mkdirSync(fresh, { recursive: true });
    await run(join(paths.bin, 'grype-advisories'), [advisories, fresh]);
    rmSync(database(), { recursive: true, force: true });
    renameSync(fresh, database());
  },
};

/** Nothing is fetched. The age is not checked here: that is up to who asks for a scan, and the advisories stay as they are. */
export const grypeEnvironment = (): Readonly<Record<string, string>> => ({
  GRYPE_DB_CACHE_DIR: database(),
  GRYPE_DB_AUTO_UPDATE: 'false',
  GRYPE_DB_VALIDATE_AGE: 'false',
  GRYPE_CHECK_FOR_APP_UPDATE: 'false',
});
