#!/usr/bin/env node
// What people install as `slipway`: the program, with its compiled code kept for the next start (a third of the time until
// `--version`). Node keeps it by the content of each file, and starts without it where the folder cannot be written;
// NODE_COMPILE_CACHE puts it elsewhere, NODE_DISABLE_COMPILE_CACHE=1 leaves it out.
import nodeModule from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** As in `engines` of package.json. */
const OLDEST = { major: 22, minor: 19 };
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

if (major < OLDEST.major || (major === OLDEST.major && minor < OLDEST.minor)) {
  // An older one would fail on a name it does not know, in words that help nobody.
  process.stderr.write(
    `slipway: Node ${process.versions.node} is too old; ${OLDEST.major}.${OLDEST.minor} or later is needed.\n` +
      `Fix: install a newer one (https://nodejs.org), or run it with one: npx -p node@24 slipway …\n`,
  );
  process.exitCode = 3;
} else {
  const { NODE_COMPILE_CACHE, XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  const caches = (process.platform === 'win32' ? LOCALAPPDATA : XDG_CACHE_HOME) || join(homedir(), '.cache');
  // Node's own default is a folder below /tmp, where somebody else may have put code of theirs.
  nodeModule.enableCompileCache(NODE_COMPILE_CACHE || join(caches, 'slipway', 'compiled'));
  const { main } = await import('./program.ts');
  // What a library does that Node wants to change is nothing a person who runs a pipeline can mend.
  process.noDeprecation = true;
  process.exitCode = await main(process.argv.slice(2));
}
