import { deploy, helm, kubectl, kustomize } from './deployCommands.ts';
import { type Common, inFolder, pairs, readFlags } from './flags.ts';
import type { Fact } from './model.ts';
import { grype, image, trivy } from './scanCommands.ts';
import type { ShellCommand } from './shell.ts';
import { literal, literalOf, split, splitReference, textOf, type Value } from './values.ts';

/** What a command of a script says about images and deploys; most commands say nothing. */
export function factsOfCommand(
  command: ShellCommand,
  common: Common,
  env: Readonly<Record<string, string>>,
): readonly Fact[] {
  const words = inContainer(unwrapped(command.words));
  const name = program(words[0]);
  switch (name) {
    case 'docker':
    case 'podman':
    case 'nerdctl':
      return docker(words, command, common);
    case 'buildah':
      return buildah(words, command, common);
    case 'executor':
      return /kaniko/.test(literalOf(words[0]) ?? '') ? kaniko(words, common) : [];
    case 'docker-compose':
      return compose(words.slice(1), command, common);
    case 'trivy':
      return trivy(words.slice(1), common);
    case 'grype':
      return grype(words.slice(1), common);
    case 'snyk':
      return literalOf(words[1]) === 'container'
        ? [
            {
              kind: 'scan',
              ...common,
              tool: 'snyk',
              target: 'image',
              severity: [],
              ignoreUnfixed: 'unknown',
              gate: 'fails',
              ...image(words[3]),
            },
          ]
        : [];
    case 'helm':
      return helm(words.slice(1), command, common);
    case 'kubectl':
    case 'oc':
      return kubectl(words.slice(1), command, common);
    case 'kustomize':
      return kustomize(words.slice(1), command, common);
    case 'argocd':
      return literalOf(words[1]) === 'app' && ['set', 'sync', 'wait'].includes(literalOf(words[2]) ?? '')
        ? [{ ...deploy(common), tool: 'argocd', ...(words[3] !== undefined && { path: words[3] }) }]
        : [];
    case 'flux':
      return literalOf(words[1]) === 'reconcile'
        ? [{ ...deploy(common), tool: 'flux', ...(words.at(-1) !== undefined && { path: words.at(-1) as Value }) }]
        : [];
    case 'cosign':
      return literalOf(words[1]) === 'sign' || literalOf(words[1]) === 'attest'
        ? [
            {
              kind: 'sign',
              ...common,
              tool: 'cosign',
              isKeyless: !words.some((word) => /^--(key|sk|identity-token)\b/.test(textOf(word))),
            },
          ]
        : [];
    case 'git':
      return gitPush(words.slice(1), common);
    default:
      return tests(words, command, common, env);
  }
}

function gitPush(args: readonly Value[], common: Common): readonly Fact[] {
  const at = args.findIndex((word) => literalOf(word) === 'push');
  if (at === -1) return [];
  const remote = readFlags(args.slice(at + 1), ['-o', '--push-option', '--repo']).rest[0];
  const isOwn = remote === undefined || literalOf(remote) === 'origin';
  return [{ kind: 'commit', ...common, credentials: isOwn ? 'job' : 'other' }];
}

/** `sudo`, `env A=b`, `timeout 5m` and the like come before the program that counts. */
function unwrapped(words: readonly Value[]): readonly Value[] {
  let rest = words;
  for (;;) {
    const first = literalOf(rest[0]);
    if (first === 'sudo' || first === 'exec' || first === 'command' || first === 'nice') rest = rest.slice(1);
    else if (first === 'timeout') rest = rest.slice(2);
    else if (first === 'env') {
      rest = rest.slice(1);
      while (/^\w+=/.test(textOf(rest[0] ?? []))) rest = rest.slice(1);
    } else return rest;
  }
}

/** `docker run … IMAGE kustomize edit …`: the deploy tool in a container works on the folder that is mounted. */
function inContainer(words: readonly Value[]): readonly Value[] {
  if (!CONTAINER_TOOLS.has(program(words[0])) || literalOf(words[1]) !== 'run') return words;
  const at = words.findIndex((word, index) => index > 2 && DEPLOY_TOOLS.has(literalOf(word) ?? ''));
  // Behind an option it is the option's value: `--name helm`.
  return at === -1 || /^--?[a-z-]+$/.test(literalOf(words[at - 1]) ?? '') ? words : words.slice(at);
}

const CONTAINER_TOOLS = new Set(['docker', 'podman', 'nerdctl']);
const DEPLOY_TOOLS = new Set(['kustomize', 'helm', 'kubectl', 'argocd', 'flux']);

const program = (word: Value | undefined): string => (literalOf(word) ?? '').split('/').at(-1) ?? '';

const BUILD_FLAGS = [
  ...['-t', '--tag', '-f', '--file', '--target', '--platform', '--build-arg', '--cache-from', '--cache-to', '--label'],
  ...['--builder', '-o', '--output', '--secret', '--ssh', '--network', '--progress', '--iidfile', '--metadata-file'],
  ...[
    '--annotation',
    '--build-context',
    '--add-host',
    '--shm-size',
    '--ulimit',
    '--attest',
    '--allow',
    '--format',
    '-m',
    '--memory',
  ],
];

function docker(words: readonly Value[], command: ShellCommand, common: Common): readonly Fact[] {
  let rest = words.slice(1);
  while (/^-/.test(literalOf(rest[0]) ?? ''))
    rest = rest.slice(['-H', '--host', '--context', '-c'].includes(literalOf(rest[0]) ?? '') ? 2 : 1);
  const [first, second] = [literalOf(rest[0]), literalOf(rest[1])];
  if (first === 'compose') return compose(rest.slice(1), command, common);
  const isBuildx = first === 'buildx' || first === 'image' || first === 'builder';
  const verb = isBuildx ? second : first;
  const args = rest.slice(isBuildx ? 2 : 1);
  if (verb === 'build' || (first === 'buildx' && verb === 'b')) return [dockerBuild(args, command, common, 'docker')];
  if (verb === 'bake') {
    const flags = readFlags(args, ['-f', '--file', '--set', '--progress', '--builder', '--metadata-file', '--var']);
    return [
      {
        ...build(common),
        tool: 'bake',
        files: flags.all('-f', '--file'),
        references: [],
        isPushed: flags.has('--push') ? 'yes' : 'no',
        push: literal(String(flags.has('--push'))),
      },
    ];
  }
  if (verb === 'push') {
    const reference = readFlags(args, ['--platform']).rest[0];
    return reference === undefined ? [] : [{ kind: 'push', ...common, reference }];
  }
  if (verb === 'tag' && args[0] !== undefined && args[1] !== undefined)
    return [{ kind: 'alias', ...common, from: args[0], to: args[1] }];
  if (verb === 'login') {
    const flags = readFlags(args, ['-u', '--username', '-p', '--password']);
    const username = flags.get('-u', '--username');
    const password = flags.get('-p', '--password');
    return [
      {
        kind: 'login',
        ...common,
        registry: flags.rest[0] ?? [],
        ...(username !== undefined && { username }),
        ...(password !== undefined && { password, isOnCommandLine: true }),
      },
    ];
  }
  if (verb === 'run') {
    const at = args.findIndex((word) => /(^|\/)(trivy|grype)(:|$|@)/.test(splitName(word)));
    if (at === -1) return [];
    const tool = /trivy/.test(splitName(args[at] ?? [])) ? trivy : grype;
    return tool(args.slice(at + 1), common).map((fact) => ({ ...fact, runsIn: textOf(args[at] ?? []) }));
  }
  return [];
}

const splitName = (word: Value): string => textOf(splitReference(word).repository);

const build = (common: Common) =>
  ({
    kind: 'build',
    ...common,
    metadata: [],
    context: literal('.'),
    platforms: [],
    args: [],
    cacheFrom: [],
    cacheTo: [],
    isGitContext: false,
    isByDigest: false,
    secrets: [],
  }) as const;

function dockerBuild(args: readonly Value[], command: ShellCommand, common: Common, tool: 'docker' | 'buildah'): Fact {
  const flags = readFlags(args, BUILD_FLAGS);
  const dockerfile = flags.get('-f', '--file');
  const target = flags.get('--target');
  const outputs = flags.all('-o', '--output').map(textOf);
  const isPushed = flags.has('--push') || outputs.some((output) => /push=true|type=registry/.test(output));
  return {
    ...build(common),
    tool,
    references: flags.all('-t', '--tag'),
    context: inFolder(command, flags.rest.at(-1) ?? literal('.')),
    ...(dockerfile !== undefined && { dockerfile: inFolder(command, dockerfile) }),
    ...(target !== undefined && { target }),
    platforms: flags.all('--platform').flatMap((value) => split(value, /,/)),
    args: pairs(flags.all('--build-arg')),
    cacheFrom: flags.all('--cache-from'),
    cacheTo: flags.all('--cache-to'),
    isPushed: isPushed ? 'yes' : 'no',
    push: literal(String(isPushed)),
    secrets: flags.all('--secret').flatMap((value) => /id=([^,]+)/.exec(textOf(value))?.[1] ?? []),
  };
}

function buildah(words: readonly Value[], command: ShellCommand, common: Common): readonly Fact[] {
  const verb = literalOf(words[1]);
  if (verb === 'bud' || verb === 'build' || verb === 'build-using-dockerfile')
    return [dockerBuild(words.slice(2), command, common, 'buildah')];
  if (verb !== 'push') return [];
  const { rest } = readFlags(words.slice(2), ['--creds', '--authfile', '--format', '--digestfile']);
  const reference = rest[1] ?? rest[0];
  return reference === undefined
    ? []
    : [
        {
          kind: 'push',
          ...common,
          reference: reference.map((part) => (typeof part === 'string' ? part.replace(/^docker:\/\//, '') : part)),
        },
      ];
}

function kaniko(words: readonly Value[], common: Common): readonly Fact[] {
  const flags = readFlags(words.slice(1), [
    '--context',
    '-c',
    '--dockerfile',
    '-f',
    '--destination',
    '-d',
    '--target',
    '--build-arg',
    '--customPlatform',
    '--cache-repo',
    '--context-sub-path',
  ]);
  const dockerfile = flags.get('--dockerfile', '-f');
  const target = flags.get('--target');
  const relative = (value: Value) =>
    value.map((part) =>
      typeof part === 'string'
        ? part.replace(/^(dir:\/\/)?\/?(builds\/[^/]+\/[^/]+|workspace)?\/?$/, '.').replace(/^dir:\/\//, '')
        : part,
    );
  const isKept = flags.has('--no-push', '--tar-path');
  return [
    {
      ...build(common),
      tool: 'kaniko',
      references: flags.all('--destination', '-d'),
      context: relative(flags.get('--context', '-c') ?? literal('.')),
      ...(dockerfile !== undefined && { dockerfile }),
      ...(target !== undefined && { target }),
      args: pairs(flags.all('--build-arg')),
      isPushed: isKept ? 'no' : 'yes',
      push: literal(String(!isKept)),
    },
  ];
}

function compose(words: readonly Value[], command: ShellCommand, common: Common): readonly Fact[] {
  const flags = readFlags(words, ['-f', '--file', '-p', '--project-name', '--env-file', '--profile']);
  const verb = literalOf(flags.rest[0]);
  if (verb !== 'build' && verb !== 'push') return [];
  const files = flags.all('-f', '--file').map((file) => inFolder(command, file));
  const isPushed = verb === 'push' || flags.has('--push');
  return [
    {
      ...build(common),
      tool: 'compose',
      files,
      references: [],
      isPushed: isPushed ? 'yes' : 'no',
      push: literal(String(isPushed)),
    },
  ];
}

/** Commands that run an app's tests; a whole command line, as slipway.yaml would have it. */
const TESTS =
  /^(((poetry|uv|pipenv|hatch) run )?((python3?|coverage run) -m )?(pytest|unittest)\b|((poetry|uv|pipenv) run )?(python3? )?(\.\/)?manage\.py test\b|(python3? -m )?(tox|nox)\b|npm (test|t|run test|run unit)\b|(pnpm|yarn|bun)( run)? test\b|npx (jest|vitest|mocha)\b|go test\b|cargo (test|nextest)\b|(mvn|\.\/mvnw)\b.*\b(test|verify)\b|(\.\/)?gradlew?\b.*\b(test|check)\b|make ([a-z]+-)?tests?(-[a-z]+)?\b|(bundle exec )?rspec\b|dotnet test\b|(\.\/)?vendor\/bin\/phpunit\b|php artisan test\b|mix test\b|sbt test\b)/;

function tests(
  args: readonly Value[],
  command: ShellCommand,
  common: Common,
  env: Readonly<Record<string, string>>,
): readonly Fact[] {
  const run = args.map(textOf);
  if (
    !TESTS.test(run.join(' ')) ||
    /\be2e\b|--collect-only|--version|--help|(^| )-fuzz|(^| )-bench|-run[= ]\^?\$/.test(run.join(' '))
  )
    return [];
  return [{ kind: 'test', ...common, run, ...(command.folder !== undefined && { folder: command.folder }), env }];
}
