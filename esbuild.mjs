// Builds what ships: the extension entry (CommonJS, `vscode` external) with its heavy parts as lazy chunks, the CLI, and
// the webview program. `--production` minifies, `--watch` rebuilds.
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import * as esbuild from 'esbuild';

const isProduction = process.argv.includes('--production');
const isWatch = process.argv.includes('--watch');

const shared = {
  bundle: true,
  minify: isProduction,
  sourcemap: !isProduction,
  legalComments: 'none',
  logLevel: 'warning',
  metafile: true,
};

// Native add-ons that ssh2 (below dockerode) only tries; without them it uses plain JavaScript.
const optionalNative = ['cpu-features', './crypto/build/Release/sshcrypto.node'];

const node = {
  ...shared,
  platform: 'node',
  target: 'node22.19',
  external: ['vscode', ...optionalNative],
};

const version = JSON.parse(readFileSync('package.json', 'utf8')).version;

/** @type {esbuild.BuildOptions[]} */
export const builds = [
  {
    ...node,
    entryPoints: { extension: 'src/extension/main.ts' },
    outdir: 'dist',
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
    // The entry only registers; it imports the engine, an ES module beside it, when somebody first uses it.
    external: [...node.external, './engine.mjs'],
  },
  {
    ...node,
    // The CLI and the extension share the engine's chunks; each heavy library is a chunk loaded on first use.
    entryPoints: { cli: 'src/cli/main.ts', engine: 'src/engine/main.ts', agents: 'src/agents/index.ts' },
    outdir: 'dist',
    format: 'esm',
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    outExtension: { '.js': '.mjs' },
    define: { SLIPWAY_VERSION: JSON.stringify(version) },
    // `vscode` is not external here: an import that strays into the engine fails this build.
    external: optionalNative,
    // Some dependencies are CommonJS: they call require for Node's own modules, and ssh2 (below dockerode) asks for __dirname.
    banner: {
      js: [
        "import { createRequire as __createRequire } from 'node:module';",
        "import { dirname as __dirnameOf } from 'node:path';",
        "import { fileURLToPath as __fileURLToPath } from 'node:url';",
        'const require = __createRequire(import.meta.url);',
        'const __filename = __fileURLToPath(import.meta.url);',
        'const __dirname = __dirnameOf(__filename);',
      ].join('\n'),
    },
  },
  {
    ...shared,
    platform: 'browser',
    target: 'chrome128',
    entryPoints: { rollout: 'webview/rollout/main.ts', 'rollout-page': 'webview/rollout/page.css' },
    outdir: 'dist/webview',
    format: 'esm',
  },
].filter(({ entryPoints }) => Object.values(entryPoints).every((file) => existsSync(file)));

/** The icon font as it is: the components look for its stylesheet by the id of a link. */
export function copyCodicons() {
  mkdirSync('dist/webview', { recursive: true });
  for (const file of ['codicon.css', 'codicon.ttf']) {
    copyFileSync(`node_modules/@vscode/codicons/dist/${file}`, `dist/webview/${file}`);
  }
}

if (import.meta.url === `file://${process.argv[1]}` || process.argv[1]?.endsWith('esbuild.mjs')) {
  rmSync('dist', { recursive: true, force: true });
  copyCodicons();
  if (isWatch) {
    for (const options of builds) await (await esbuild.context(options)).watch();
  } else {
    await Promise.all(builds.map((options) => esbuild.build(options)));
    chmodSync('dist/cli.mjs', 0o755);
  }
}
