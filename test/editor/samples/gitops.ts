// A repository as a team with Flux and Argo CD has it: policies, markers in several places, mistakes, and a history.
import { execFileSync } from 'node:child_process';
import { type SampleWorkspace, sampleWorkspace } from './workspace.ts';

const deployment = (name: string, value: string, setter: string): string => `apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${name}
  namespace: shop
spec:
  replicas: 2
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} } }
    spec:
      containers:
        - name: ${name}   # the app itself
          image: ${value} # {"$imagepolicy": "${setter}"}
          ports:
            - containerPort: 8080
`;

const flux = (image: string): string => `apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata:
  name: web
  namespace: flux-system
spec:
  image: ${image}
  interval: 5m
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata:
  name: web
  namespace: flux-system
spec:
  imageRepositoryRef:
    name: web
  policy:
    semver:
      range: ">=1.0.0 <2.0.0"
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageUpdateAutomation
metadata:
  name: apps
  namespace: flux-system
spec:
  interval: 30m
  sourceRef: { kind: GitRepository, name: shop }
  git:
    checkout: { ref: { branch: main } }
    commit: { author: { email: flux@example.com } }
  update:
    strategy: Setters
    path: ./apps
`;

/** The line breaks and the byte order mark of a file from Windows. */
const windows = (text: string): string => `\ufeff${text.replaceAll('\n', '\r\n')}`;

const mistakes = (image: string): string => `wrongNamespace: ${image}:1.1.0 # {"$imagepolicy": "apps:web"}
noPolicy: ${image}:1.1.0 # {"$imagepolicy": "flux-system:other"}
upperCase: "1.1.0" # {"$imagepolicy": "flux-system:web:TAG"}
# {"$imagepolicy": "flux-system:web"}
aboveKey: ${image}:1.1.0
collection: { image: "${image}:1.1.0" } # {"$imagepolicy": "flux-system:web"}
notAllowed: ${image}:2.0.0 # {"$imagepolicy": "flux-system:web"}
`;

const argo = (image: string): string => `apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: shop
  namespace: argocd
  annotations:
    argocd-image-updater.argoproj.io/image-list: web=${image}:~1.2
    argocd-image-updater.argoproj.io/web.update-strategy: semver
    argocd-image-updater.argoproj.io/write-back-method: git
    argocd-image-updater.argoproj.io/write-back-target: kustomization
spec:
  source:
    repoURL: https://git.example/shop
    path: argo/shop
`;

export interface GitOpsWorkspace extends SampleWorkspace {
  readonly files: Readonly<Record<string, string>>;
}

export function gitopsWorkspace(image: string): GitOpsWorkspace {
  const web = (tag: string) => windows(deployment('web', `"${image}:${tag}"`, 'flux-system:web'));
  const values = `image:\n  repository: ${image} # {"$imagepolicy": "flux-system:web:name"}\n  tag: 1.1.0 # {"$imagepolicy": "flux-system:web:tag"}\n`;
  const files = {
    'clusters/dev/images.yaml': flux(image),
    'apps/web.yaml': web('1.1.0'),
    'apps/values.yaml': values,
    'apps/mistakes.yaml': mistakes(image),
    'elsewhere/web.yaml': deployment('web', `${image}:1.3.0`, 'flux-system:web'),
    'argo/app.yaml': argo(image),
    'argo/shop/kustomization.yaml': `resources: [web.yaml]\nimages:\n  - name: ${image} # by hand\n    newTag: "1.2.0"\n`,
  };
  const workspace = sampleWorkspace({ ...files, 'apps/web.yaml': web('1.0.0') });
  const git = (...args: readonly string[]) =>
    execFileSync(
      'git',
      ['-c', 'user.name=Ann', '-c', 'user.email=ann@example.com', '-c', 'core.autocrlf=false', ...args],
      {
        cwd: workspace.path,
        stdio: 'pipe',
      },
    );
  git('init', '-q', '-b', 'main');
  git('add', '-A');
  git('commit', '-qm', 'Start with 1.0.0');
  workspace.write('apps/web.yaml', web('1.1.0'));
  git('commit', '-qam', 'Web 1.1.0');
  return { ...workspace, files };
}
