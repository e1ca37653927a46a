import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { SignConfig } from '../project/model.ts';
import type { System } from '../system/index.ts';

/** What cosign is called with. */
export interface CosignTarget {
  /** `repository@sha256:…`. */
  readonly reference: string;
  readonly sign: SignConfig;
  /** Absolute folder for the small files cosign is given; it is made when missing. */
  readonly folder: string;
}

/** `unknown` is no proof of anything: no cosign here, no network, an unreadable key. */
export type SignatureState =
  | { readonly state: 'signed' }
  | { readonly state: 'unsigned' | 'other-key' | 'unknown'; readonly why: string };

interface CosignOptions {
  readonly signal: AbortSignal;
  readonly onText: (text: string) => void;
}

/** A signing configuration without any service: what `cosign signing-config create` writes when it is given none. */
const NO_SERVICES = '{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json"}\n';
const TIMEOUT_MS = 120_000;

const isPlainHttp = (reference: string): boolean => /^(localhost|127\.|\[::1\])/.test(reference);

/**
 * Signs a digest with a key and keeps the image out of every public log. cosign 3 takes that from a signing
 * configuration and refuses `--tlog-upload=false` beside its default one; cosign 2 knows only the flag.
 */
export async function signDigest(system: System, target: CosignTarget, options: CosignOptions): Promise<void> {
  await write(system, target, ['sign'], options);
}

/** Attaches a statement on a digest, signed with the key; the same rules as for signatures. `predicate` is a file. */
export async function attestDigest(
  system: System,
  target: CosignTarget,
  statement: { readonly type: string; readonly predicate: string },
  options: CosignOptions,
): Promise<void> {
  await write(system, target, ['attest', '--type', statement.type, '--predicate', statement.predicate], options);
}

async function write(
  system: System,
  target: CosignTarget,
  command: readonly string[],
  options: CosignOptions,
): Promise<void> {
  const { reference, sign, folder } = target;
  const config = join(folder, 'cosign-signing-config.json');
  const isOld = (await majorVersion(system, options.signal)) < 3;
  if (!isOld) {
    await system.files.makeFolder(folder);
    await system.files.writeAtomic(config, NO_SERVICES);
  }
  await system.processes.check({
    file: 'cosign',
    args: [
      ...command,
      '--yes',
      '--key',
      sign.key,
      ...(isOld ? ['--tlog-upload=false'] : ['--signing-config', config]),
      ...(isPlainHttp(reference) ? ['--allow-http-registry'] : []),
      reference,
    ],
    env: passwordOf(system),
    signal: options.signal,
    timeoutMs: TIMEOUT_MS,
    onStderr: options.onText,
  });
}

/** Whether a digest carries a signature of the configured key. Never throws but when the signal aborts. */
export async function signatureOf(system: System, target: CosignTarget, signal: AbortSignal): Promise<SignatureState> {
  const { state, why } = await verify(system, target, ['verify', '--output', 'json'], signal);
  return state === 'signed' ? { state } : { state, why };
}

/** The same for statements of a type; `count` says how many of this key there are. */
export async function attestationsOf(
  system: System,
  target: CosignTarget,
  type: string,
  signal: AbortSignal,
): Promise<SignatureState & { readonly count: number }> {
  const { state, why, stdout } = await verify(system, target, ['verify-attestation', '--type', type], signal);
  // One JSON envelope a line.
  const count = stdout.split('\n').filter((line) => line.startsWith('{')).length;
  return state === 'signed' ? { state, count } : { state, why, count: 0 };
}

async function verify(
  system: System,
  target: CosignTarget,
  command: readonly string[],
  signal: AbortSignal,
): Promise<{ readonly state: SignatureState['state']; readonly why: string; readonly stdout: string }> {
  const none = (state: SignatureState['state'], why: string) => ({ state, why, stdout: '' });
  try {
    const key = await verifyingKey(system, target, signal);
    const { code, stdout, stderr } = await system.processes.run({
      file: 'cosign',
      args: [
        ...command,
        '--key',
        key,
        // Our signatures are in no public log; the key alone is what is trusted.
        '--insecure-ignore-tlog=true',
        ...(isPlainHttp(target.reference) ? ['--allow-http-registry'] : []),
        target.reference,
      ],
      env: passwordOf(system),
      signal,
      timeoutMs: TIMEOUT_MS,
    });
    if (code === 0) return { state: 'signed', why: '', stdout };
    const why = stderr.split('\n').find((line) => line.startsWith('Error: ')) ?? stderr.trim().split('\n').at(-1) ?? '';
    // cosign 2 and 3: 10 no signature, 12 none of this key; for the bundles of cosign 3 the latter ends with 1.
    if (code === 10) return none('unsigned', why);
    if (code === 12 || /no matching (signatures|attestations)/.test(stderr)) return none('other-key', why);
    return none('unknown', why);
  } catch (error) {
    if (signal.aborted) throw error;
    return none('unknown', error instanceof Error ? error.message : String(error));
  }
}

/** cosign verifies with the public half; a KMS or cluster key answers for itself. */
async function verifyingKey(system: System, { sign, folder }: CosignTarget, signal: AbortSignal): Promise<string> {
  if (sign.publicKey !== undefined) return sign.publicKey;
  if (/^[a-z0-9]+:\/\//.test(sign.key)) return sign.key;
  const beside = sign.key.replace(/\.key$/, '.pub');
  if (beside !== sign.key && (await system.files.stat(beside)) !== undefined) return beside;
  const { stdout } = await system.processes.check({
    file: 'cosign',
    args: ['public-key', '--key', sign.key],
    env: passwordOf(system),
    signal,
    timeoutMs: 30_000,
  });
  const file = join(folder, `cosign-${createHash('sha256').update(sign.key).digest('hex').slice(0, 12)}.pub`);
  await system.files.makeFolder(folder);
  await system.files.writeAtomic(file, stdout);
  return file;
}

async function majorVersion(system: System, signal: AbortSignal): Promise<number> {
  const { stdout } = await system.processes.check({
    file: 'cosign',
    args: ['version', '--json'],
    signal,
    timeoutMs: 30_000,
  });
  return Number(/"gitVersion":\s*"v?(\d+)\./.exec(stdout)?.[1] ?? 3);
}

/** A key that wants a password would ask a terminal that is not there. */
const passwordOf = (system: System) => ({ COSIGN_PASSWORD: system.env.COSIGN_PASSWORD ?? '' });
