import { SlipwayError } from '../problems/index.ts';
import type { ImageConfig } from '../project/model.ts';

interface Rule {
  readonly pattern: RegExp;
  readonly code: string;
  readonly say: (
    match: RegExpExecArray,
    image: ImageConfig,
    step: FailedStep,
  ) => { readonly message: string; readonly fix: string };
}

/** What is known of the step that failed. */
export interface FailedStep {
  /** The last that it wrote. */
  readonly output: string;
  readonly platform?: string;
}

/** buildx's words for failures (0.12 to 0.36) → what it means and what helps. The first match counts. */
const RULES: readonly Rule[] = [
  {
    pattern: /exec format error/i,
    code: 'build.emulation',
    say: (_match, _image, { platform }) => ({
      message: `A program that RUN starts is for another processor${platform === undefined ? '' : ` (${platform})`}, and there is no emulator for it.`,
      fix: 'Install emulators (docker run --privileged --rm tonistiigi/binfmt --install all), use a builder with that platform, or pin the stage with FROM --platform=$BUILDPLATFORM.',
    }),
  },
  {
    pattern: /process "([^"]*(?:\\"[^"]*)*)" did not complete successfully: exit code: (\d+)/,
    code: 'build.command',
    say: ([, command = '', code = '']) => ({
      message: `A RUN command ended with exit code ${code}: ${command.replace(/^\/bin\/sh -c /, '').slice(0, 200)}`,
      fix:
        code === '127'
          ? 'The program is not in the image at that point: install it in an earlier instruction.'
          : 'Mend what its output says; the step has more of it in its log.',
    }),
  },
  {
    pattern: /failed to (?:compute cache key|calculate checksum of ref)[^\n]*?"([^"]+)": not found/,
    code: 'build.source',
    say: ([, path = '']) => ({
      message: `The build context has no ${path}.`,
      fix: 'Check the path in COPY or ADD, and that .dockerignore does not exclude it.',
    }),
  },
  {
    pattern:
      /failed to read dockerfile|the Dockerfile cannot be empty|failed to solve: dockerfile parse error on line (\d+): ([^\n]+)/,
    code: 'build.dockerfile',
    say: ([whole, line, text], image) => ({
      message:
        line === undefined
          ? `The Dockerfile ${image.dockerfile} ${/empty/.test(whole) ? 'is empty' : 'cannot be read'}.`
          : `The Dockerfile is wrong on line ${line}: ${text ?? ''}`,
      fix: 'Correct the Dockerfile.',
    }),
  },
  {
    pattern: /no match for platform in manifest/,
    code: 'image.platform',
    say: () => ({
      message: 'A base image does not exist for one of the platforms.',
      fix: 'Use a base image for all platforms, or take the platform out of the configuration.',
    }),
  },
  {
    pattern: /failed to resolve source metadata for ([^\s:]+(?::\d+)?[^\s]*): ([^\n]*)/,
    code: 'build.base-image',
    say: ([, image = '', why = '']) => ({
      message: `The base image ${image.replace(/:$/, '')} cannot be had: ${why}`,
      fix: 'Check its name and tag, and that you are logged in to its registry.',
    }),
  },
  {
    pattern: /failed to push [^\n]*?unexpected status from [A-Z]+ request to \S+: (401|403)[^\n]*/,
    code: 'registry.denied',
    say: ([, status = ''], image) => ({
      message: `The registry of ${image.repository} refused the push (status ${status}).`,
      fix: `Log in with an account that may push: docker login ${image.repository.split('/')[0]}. Some registries want the repository created first.`,
    }),
  },
  {
    pattern: /failed to push [^\n]*?(?:429 Too Many Requests|toomanyrequests[^\n]*)/i,
    code: 'registry.rate-limited',
    say: (_match, image) => ({
      message: `The registry of ${image.repository} limits requests.`,
      fix: `Wait, or log in (docker login ${image.repository.split('/')[0]}); then slipway resume.`,
    }),
  },
  {
    // A builder that pushes by the image store of its daemon leaves out the "failed to push"; a base image is told above.
    pattern: /unexpected status from [A-Z]+ request to \S+: (5\d\d [^\n]*)/,
    code: 'registry.error',
    say: ([, status = ''], image) => ({
      message: `The registry of ${image.repository} failed during the push: ${status.trim()}.`,
      fix: 'Go on with slipway resume: what was built and what was pushed is kept.',
    }),
  },
  {
    pattern:
      /failed to (?:push|do request)[^\n]*?((?:unexpected )?EOF|connection reset by peer|broken pipe|i\/o timeout|TLS handshake timeout|connection refused|no such host)[^\n]*/,
    code: 'registry.unreachable',
    say: ([, words = ''], image) => ({
      message: `The connection to the registry of ${image.repository} broke during the push (${words}).`,
      fix: 'Go on with slipway resume: what was built and what was pushed is kept.',
    }),
  },
  {
    pattern: /(insufficient_scope|push access denied|denied: [^\n]*|unauthorized: [^\n]*|authorization failed)/i,
    code: 'registry.denied',
    say: ([, words = ''], image) => ({
      message: `The registry of ${image.repository} refused the push: ${words}`,
      fix: `Log in with an account that may push: docker login ${image.repository.split('/')[0]}.`,
    }),
  },
  {
    pattern: /Multi-platform build is not supported for the docker driver/i,
    code: 'build.driver',
    say: () => ({
      message: 'This Docker engine cannot build for several platforms: it keeps images in its classic store.',
      fix: 'Turn on the containerd image store, or create a builder: docker buildx create --use.',
    }),
  },
  {
    pattern: /(push-by-digest|exporter "image" could not be found|Attestation is not supported for the docker driver)/i,
    code: 'build.driver',
    say: ([, words = '']) => ({
      message: `This builder cannot do what is needed (${words}).`,
      fix: 'Turn on the containerd image store, or create a builder: docker buildx create --use.',
    }),
  },
  {
    pattern: /no space left on device/i,
    code: 'build.disk',
    say: () => ({ message: 'The disk of the builder is full.', fix: 'Free space: docker buildx prune.' }),
  },
  {
    pattern: /(no builder "([^"]+)" found|failed to find builder ?"?([^"\n]*)"?)/i,
    code: 'build.builder',
    say: ([, words = '']) => ({
      message: `The builder does not exist: ${words}.`,
      fix: 'docker buildx ls shows those there are.',
    }),
  },
  {
    pattern:
      /(Cannot connect to the Docker daemon[^\n]*|error during connect[^\n]*|connection refused[^\n]*docker[^\n]*)/i,
    code: 'docker.unreachable',
    say: ([, words = '']) => ({
      message: words.trim(),
      fix: 'Start Docker, or set DOCKER_HOST or the docker context.',
    }),
  },
];

/** A failed build in words: cause, Dockerfile line where buildx shows one, and the last of what it said. */
export function buildFailure(
  image: ImageConfig,
  text: string,
  exitCode: number | null,
  step: FailedStep = { output: '' },
): SlipwayError {
  const linesOf = (words: string) => words.split(/\r?\n/).filter((line) => line.trim() !== '');
  const lines = linesOf(text);
  const output = linesOf(step.output).slice(-8);
  const at = /^([^\s:]*[^\s:/]):(\d+)\s*$/m.exec(text)?.[2];
  const place =
    at === undefined
      ? undefined
      : {
          file: image.dockerfile,
          range: { start: { line: Number(at) - 1, character: 0 }, end: { line: Number(at), character: 0 } },
        };
  for (const { pattern, code, say } of RULES) {
    // Without an emulator the program's start fails, and only its own output says so.
    const match = pattern.exec(code === 'build.emulation' ? `${text}\n${output.join('\n')}` : text);
    if (match === null) continue;
    const { message, fix } = say(match, image, step);
    const isSurroundings =
      code.startsWith('registry') ||
      code.startsWith('docker') ||
      code === 'build.disk' ||
      code === 'build.builder' ||
      code === 'build.driver';
    return new SlipwayError({
      reason: isSurroundings ? (code.startsWith('registry') ? 'registry' : 'tool-failed') : 'build',
      code,
      message: `${image.name}: ${message}`,
      fix,
      ...(place !== undefined && { place }),
      evidence: [...output, ...lines.slice(-20)],
    });
  }
  const error = lines.findLast((line) => /^ERROR:/.test(line)) ?? lines.at(-1) ?? `exit code ${exitCode}`;
  return new SlipwayError({
    reason: 'build',
    code: 'build.failed',
    message: `${image.name}: the build failed: ${error.replace(/^ERROR:\s*/, '')}`,
    fix: 'See the log of the step.',
    ...(place !== undefined && { place }),
    evidence: [...output, ...lines.slice(-20)],
  });
}
