import {
  type CiEnvironment,
  type CiPlan,
  clusterNote,
  localNote,
  REPORTS,
  shellQuote,
  variableName,
  writesGit,
} from './initCiPlan.ts';

/** Actions by commit, each with the release that the commit is. */
const PINS = {
  checkout: 'actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0',
  node: 'actions/setup-node@2028fbc5c25fe9cf00d9f06a71cc4710d4507903 # v6.0.0',
  qemu: 'docker/setup-qemu-action@ce360397dd3f832beb865e1373c09c0e9f86d70a # v4.0.0',
  buildx: 'docker/setup-buildx-action@4d04d5d9486b7bd6fa91e7baf45bbb4f8b9deedd # v4.0.0',
  login: 'docker/login-action@b45d80f862d83dbcd57f89517bcf500b2ab88fb2 # v4.0.0',
  trivy: 'aquasecurity/setup-trivy@3fb12ec12f41e471780db15c232d5dd185dcb514 # v0.2.6',
  helm: 'azure/setup-helm@1a275c3b69536ee54be43f2070a358922e12c8d4 # v4.3.1',
  upload: 'actions/upload-artifact@b7c566a772e6b6bfb58ed0dc250532a479d7789f # v6.0.0',
} as const;

/** GitHub's own action refuses every other host by its name. This one of Forgejo is the same without that, and Gitea takes it too. */
const GITEA_UPLOAD =
  'https://code.forgejo.org/forgejo/upload-artifact@16871d9e8cfcf27ff31822cac382bbb5450f1e1e # v4.3.1';

/** Versions of the tools; releases of Trivy from 0.70 on are good (0.69.4 to 0.69.6 were malware). */
const VERSIONS = { node: '24', trivy: 'v0.74.0', helm: 'v3.19.4' } as const;

type Host = 'github' | 'gitea';

/** A GitHub or Gitea Actions workflow that runs `slipway run`. */
export function githubWorkflow(plan: CiPlan, host: Host): string {
  const title = host === 'github' ? 'GitHub Actions' : 'Gitea Actions';
  const lines = [
    `# ${title}: the same pipeline as "slipway run" on your machine. Written by "slipway init --ci ${host}".`,
    '# What is built, tested, gated and deployed is in slipway.yaml; this file only brings the tools and the secrets.',
    '#',
    ...(plan.package === undefined
      ? [
          '# Needed once: the variable SLIPWAY_PACKAGE (Settings > Actions > Variables): what "npm install" takes Slipway',
          '# from, for example the URL of its tarball.',
        ]
      : []),
    ...secretNotes(plan, host),
    ...(plan.services.length > 0
      ? [
          `# The services of the tests (${plan.services.join(', ')}) are started and removed by Slipway, as on your machine.`,
        ]
      : []),
    ...localNote(plan),
    '# Builds are faster with a cache in the registry: see images.<name>.cache in slipway.yaml.',
    'name: slipway',
    'on:',
    '  push:',
    `    branches: [${quote(plan.branch)}]`,
    ...(plan.hasVersionTags ? ["    tags: ['v*', '[0-9]*']"] : []),
    '  pull_request:',
    ...dispatch(plan),
    ...(host === 'github' ? ['permissions:', '  contents: read'] : []),
    'concurrency:',
    '  # One run per branch; a newer push replaces only checks of pull requests, never a run that may be deploying.',
    '  group: slipway-${{ github.ref }}',
    "  cancel-in-progress: ${{ github.event_name == 'pull_request' }}",
    ...(plan.package === undefined ? ['env:', '  SLIPWAY_PACKAGE: ${{ vars.SLIPWAY_PACKAGE }}'] : []),
    'jobs:',
    ...pipelineJob(plan, host),
    ...plan.environments.flatMap((environment) => deployJob(plan, environment, host)),
  ];
  return `${lines.join('\n')}\n`;
}

/** Quoted when YAML or the host would read it as something else. */
const quote = (text: string): string => (/^[A-Za-z][\w./-]*$/.test(text) ? text : `'${text.replaceAll("'", "''")}'`);

const uses = (pin: string, host: Host): string => (host === 'gitea' ? `https://github.com/${pin}` : pin);

const isOwnRegistry = (registry: string, host: Host): boolean => host === 'github' && registry === 'ghcr.io';

function secretNotes(plan: CiPlan, host: Host): readonly string[] {
  const registries = plan.registries.filter((registry) => !isOwnRegistry(registry, host));
  const clusters = plan.environments.filter((environment) => environment.kindCluster === undefined);
  return [
    ...registries.map(
      (registry) =>
        `# Secrets ${variableName(registry)}_USERNAME and ${variableName(registry)}_PASSWORD: login to ${registry}.`,
    ),
    ...(host === 'gitea' && registries.length > 0
      ? ['# The token of a Gitea job cannot push packages; use a personal access token with package write.']
      : []),
    ...clusters.map(
      (environment) =>
        `# Secret KUBECONFIG_${variableName(environment.name)}: kubeconfig for the environment ${environment.name}.`,
    ),
  ];
}

function dispatch(plan: CiPlan): readonly string[] {
  if (plan.environments.length === 0) return ['  workflow_dispatch:'];
  return [
    '  workflow_dispatch:',
    '    inputs:',
    '      environment:',
    '        description: Environment to deploy to',
    '        type: choice',
    '        required: true',
    `        options: [${plan.environments.map(({ name }) => quote(name)).join(', ')}]`,
  ];
}

function step(...lines: readonly string[]): readonly string[] {
  return lines.map((line, index) => `${index === 0 ? '      - ' : '        '}${line}`);
}

/** `keep`: the job pushes a commit with the token that the checkout leaves. */
const checkout = (host: Host, token: 'keep' | 'drop' = 'drop'): readonly string[] =>
  step(
    `uses: ${uses(PINS.checkout, host)}`,
    'with:',
    '  fetch-depth: 0 # tags and the number of commits are part of image tags',
    token === 'keep'
      ? '  persist-credentials: true # the deploy is a commit; pushes with the token of a job start no workflow'
      : '  persist-credentials: false',
  );

function install(plan: CiPlan, host: Host): readonly string[] {
  const check =
    plan.package === undefined
      ? [
          '  : "${SLIPWAY_PACKAGE:?Set the variable SLIPWAY_PACKAGE to what npm installs Slipway from}"',
          '  npm install --global --no-audit --no-fund "$SLIPWAY_PACKAGE"',
        ]
      : [`  npm install --global --no-audit --no-fund ${shellQuote(plan.package)}`];
  return [
    ...step(`uses: ${uses(PINS.node, host)}`, 'with:', `  node-version: '${VERSIONS.node}'`),
    ...step('name: Install Slipway', 'run: |', ...check),
  ];
}

function login(registry: string, host: Host, condition: readonly string[]): readonly string[] {
  const isOwn = isOwnRegistry(registry, host);
  const name = variableName(registry);
  return step(
    `uses: ${uses(PINS.login, host)}`,
    ...condition,
    'with:',
    ...(registry === 'docker.io' ? [] : [`  registry: ${quote(registry)}`]),
    `  username: \${{ ${isOwn ? 'github.actor' : `secrets.${name}_USERNAME`} }}`,
    `  password: \${{ ${isOwn ? 'secrets.GITHUB_TOKEN' : `secrets.${name}_PASSWORD`} }}`,
  );
}

/** Kept also when the job failed, which is when they are read. */
const keepReports = (name: string, host: Host): readonly string[] =>
  step(
    'name: Keep the reports',
    'if: always()',
    `uses: ${host === 'gitea' ? GITEA_UPLOAD : PINS.upload}`,
    'with:',
    `  name: ${name}`,
    `  path: ${REPORTS}/`,
    ...(host === 'github' ? ['  include-hidden-files: true # the folder begins with a dot'] : []),
    '  overwrite: true # by a second attempt',
    '  if-no-files-found: ignore',
  );

const NOT_PULL = "github.event_name != 'pull_request'";

/** Test, build, gate and publish; pull requests stop at the gate. */
function pipelineJob(plan: CiPlan, host: Host): readonly string[] {
  const isOwn = host === 'github' && plan.registries.includes('ghcr.io');
  return [
    '  pipeline:',
    '    runs-on: ubuntu-latest',
    ...(isOwn ? ['    permissions:', '      contents: read', '      packages: write'] : []),
    '    steps:',
    ...checkout(host),
    ...(plan.needsEmulation ? step(`uses: ${uses(PINS.qemu, host)}`) : []),
    ...step(`uses: ${uses(PINS.buildx, host)}`),
    ...(plan.engine === 'trivy'
      ? step(`uses: ${uses(PINS.trivy, host)}`, 'with:', `  version: ${VERSIONS.trivy}`)
      : plan.engine === 'grype'
        ? ['      # The gate uses Grype: install it here, pinned by version and checksum.']
        : []),
    ...install(plan, host),
    ...(plan.hasBareTests
      ? [
          '      # What your tests need on this runner, for example:',
          '      # - run: pip install --requirement requirements.txt',
        ]
      : []),
    // A pull request of a fork has no secrets, and publishes nothing.
    ...plan.registries.flatMap((registry) => login(registry, host, [`if: ${NOT_PULL}`])),
    ...step('name: Check a pull request', "if: github.event_name == 'pull_request'", 'run: slipway run --until scan'),
    ...step('name: Test, build, gate, publish', `if: ${NOT_PULL}`, 'run: slipway run'),
    ...keepReports('slipway-reports', host),
  ];
}

/** Unprotected environments follow every push of the branch; protected ones are asked for. */
function deployJob(plan: CiPlan, environment: CiEnvironment, host: Host): readonly string[] {
  const { name, isProtected, kindCluster } = environment;
  const id = `deploy-${name.replace(/[^a-z0-9_-]/g, '-')}`;
  const asked = `github.event_name == 'workflow_dispatch' && inputs.environment == '${name}'`;
  const condition = isProtected ? asked : `github.event_name == 'push' || (${asked})`;
  const secret = `KUBECONFIG_${variableName(name)}`;
  const isOwn = host === 'github' && plan.registries.includes('ghcr.io');
  return [
    `  ${id}:`,
    `    # ${clusterNote(environment)}`,
    ...(isProtected
      ? ['    # Protected: only when asked for by hand; let the host require a reviewer for this environment.']
      : []),
    '    needs: pipeline',
    `    if: ${condition}`,
    '    runs-on: ubuntu-latest',
    ...(host === 'github' ? ['    environment:', `      name: ${quote(name)}`] : []),
    ...deployPermissions(environment, host, isOwn),
    '    concurrency:',
    '      # One deploy at a time; a running one is never cancelled half way.',
    `      group: slipway-deploy-${name}`,
    '      cancel-in-progress: false',
    '    steps:',
    ...checkout(host, writesGit(environment) ? 'keep' : 'drop'),
    ...(environment.kind === 'helm'
      ? step(`uses: ${uses(PINS.helm, host)}`, 'with:', `  version: ${VERSIONS.helm}`)
      : []),
    ...install(plan, host),
    ...plan.registries.flatMap((registry) => login(registry, host, [])),
    ...(kindCluster === undefined
      ? step(
          'name: Kubeconfig',
          'env:',
          `  KUBECONFIG_TEXT: \${{ secrets.${secret} }}`,
          'run: |',
          `  : "\${KUBECONFIG_TEXT:?Set the secret ${secret}}"`,
          '  umask 077',
          '  printf \'%s\' "$KUBECONFIG_TEXT" > "$RUNNER_TEMP/kubeconfig"',
          '  echo "KUBECONFIG=$RUNNER_TEMP/kubeconfig" >> "$GITHUB_ENV"',
        )
      : [
          '      # A cluster of its own, gone with the job.',
          ...step('name: Cluster', `run: kind create cluster --name ${shellQuote(kindCluster)} --wait 2m`),
        ]),
    ...step(
      'name: Deploy and verify',
      '# What the job above published for this commit; nothing is built again.',
      `run: slipway run --env ${name} --only deploy,smoke${isProtected ? ' --yes' : ''}`,
    ),
    ...keepReports(`slipway-reports-${name.replace(/[^\w.-]/g, '-')}`, host),
  ];
}

function deployPermissions(environment: CiEnvironment, host: Host, isOwn: boolean): readonly string[] {
  if (host !== 'github' || (!isOwn && !writesGit(environment))) return [];
  return [
    '    permissions:',
    `      contents: ${writesGit(environment) ? 'write' : 'read'}`,
    ...(isOwn ? ['      packages: read'] : []),
  ];
}
