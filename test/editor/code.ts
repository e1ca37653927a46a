#!/usr/bin/env node
// Stands in for the desktop's `code` where there is only the VS Code server: takes the arguments that
// @vscode/test-electron gives to an executable, opens the window in Chromium, and ends with the exit code of the tests.
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { keepEvidence } from './evidence.ts';
import { startServer } from './server.ts';
import { EditorWindow, launchBrowser } from './window.ts';

const argv = process.argv.slice(2);
const option = (name: string): string | undefined =>
  argv.find((argument) => argument.startsWith(`--${name}=`))?.slice(name.length + 3);
const developed = option('extensionDevelopmentPath');
const tests = option('extensionTestsPath');
const folder = argv.find((argument) => !argument.startsWith('--'));
if (developed === undefined || tests === undefined || folder === undefined) {
  console.error('usage: code FOLDER --extensionDevelopmentPath=… --extensionTestsPath=…');
  process.exit(2);
}

/** What a person (or a test) prepared for the desktop's profile counts here as well. */
function profileSettings(): Record<string, unknown> {
  const profile = option('user-data-dir');
  const file = profile === undefined ? '' : join(profile, 'User', 'settings.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>) : {};
}

async function main(at: { readonly developed: string; readonly tests: string; readonly folder: string }) {
  const server = await startServer({
    driver: 'inside',
    settings: {
      ...(argv.includes('--disable-workspace-trust') && { 'security.workspace.trust.enabled': false }),
      ...profileSettings(),
    },
  });
  const browser = await launchBrowser();
  try {
    const exit = Promise.withResolvers<number>();
    process.once('SIGTERM', () => exit.resolve(143));
    process.once('SIGINT', () => exit.resolve(130));
    // The end of our input is the end of who started us, however that came about.
    process.stdin.once('end', () => exit.resolve(143)).resume();
    browser.once('disconnected', () => exit.reject(new Error('Chromium ended before the tests.')));
    await EditorWindow.open(browser, server, {
      open: resolve(at.folder),
      extensionDevelopmentPath: resolve(at.developed),
      extensionTestsPath: resolve(at.tests),
      onTestsEnd: (code) => exit.resolve(code),
    });
    const code = await exit.promise;
    if (code !== 0) console.log(await keepEvidence('host'));
    return code;
  } finally {
    await browser.close();
    await server.stop();
  }
}

// Not by exitCode: the open standard input would keep the process.
process.exit(await main({ developed, tests, folder }));
