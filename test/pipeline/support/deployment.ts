// The Deployment that most lab tests deploy, as the text of a manifest.

export interface DeploymentText {
  readonly name: string;
  readonly image: string;
  readonly replicas?: number;
  /** Further lines of the spec, such as its strategy. */
  readonly spec?: readonly string[];
  /** Further lines of its one container. */
  readonly container?: readonly string[];
}

/** Pods end at once, so that no test waits for the half minute Kubernetes grants by itself. Ends with a line break. */
export function deployment({ name, image, replicas = 1, spec = [], container = [] }: DeploymentText): string {
  const lines = [
    'apiVersion: apps/v1',
    'kind: Deployment',
    `metadata: { name: ${name} }`,
    'spec:',
    `  replicas: ${replicas}`,
    ...spec.map((line) => `  ${line}`),
    `  selector: { matchLabels: { app: ${name} } }`,
    '  template:',
    `    metadata: { labels: { app: ${name} } }`,
    '    spec:',
    '      terminationGracePeriodSeconds: 1',
    '      containers:',
    `        - name: ${name}`,
    `          image: ${image}`,
    ...container.map((line) => `          ${line}`),
  ];
  return `${lines.join('\n')}\n`;
}

/** The port and probe of the actor. */
export const actorPort: readonly string[] = [
  'ports: [{ name: http, containerPort: 8080 }]',
  'readinessProbe: { httpGet: { path: /ready, port: http }, periodSeconds: 1 }',
];
