// A small app on disk for the tests that need a project but no lab.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const files: Readonly<Record<string, string>> = {
  'slipway.yaml': `version: 1
name: shop
images:
  api:
    context: .
    dockerfile: docker/api.Dockerfile
    repository: registry.example/shop-api
    platforms: [linux/amd64, linux/arm64]
  worker:
    context: .
    dockerfile: docker/worker.Dockerfile
    repository: registry.example/shop-worker
    platforms: [linux/amd64, linux/arm64]
tags: ["{branch}-{sha}"]
test:
  - name: unit
    run: [python3, manage.py, test]
environments:
  dev:
    context: example
    namespace: shop
    deploy:
      manifests: { paths: [deploy], images: [api, worker] }
    smoke:
      - get: service/shop-api:http/healthz
        status: 200
  prod:
    context: example
    namespace: shop-prod
    protected: true
    deploy:
      manifests: { paths: [deploy], images: [api, worker] }
`,
  'docker/api.Dockerfile': 'FROM scratch\nCOPY . /app\nCMD ["/app/api"]\n',
  'docker/worker.Dockerfile': 'FROM scratch\nCOPY . /app\nCMD ["/app/worker"]\n',
  'deploy/api.yaml': `apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop-api
spec:
  selector: { matchLabels: { app: shop-api } }
  template:
    metadata: { labels: { app: shop-api } }
    spec:
      containers:
        - name: api
          image: registry.example/shop-api:main-0000000
`,
};

export interface SampleWorkspace {
  readonly path: string;
  readonly write: (file: string, text: string) => void;
  readonly remove: () => void;
}

/** `undefined` leaves one of the usual files out. */
export function sampleWorkspace(more: Readonly<Record<string, string | undefined>> = {}): SampleWorkspace {
  const path = mkdtempSync(join(tmpdir(), 'slipway-shop-'));
  const write = (file: string, text: string) => {
    mkdirSync(dirname(join(path, file)), { recursive: true });
    writeFileSync(join(path, file), text);
  };
  for (const [file, text] of Object.entries({ ...files, ...more })) if (text !== undefined) write(file, text);
  return { path, write, remove: () => rmSync(path, { recursive: true, force: true }) };
}
