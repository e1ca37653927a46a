// A file system that is only in memory: what a repository opened from a host looks like to other extensions.
const vscode = require('vscode');

const files = new Map(
  Object.entries({
    '/shop/slipway.yaml': `version: 1
name: shop
images:
  api:
    dockerfile: docker/api.Dockerfile
    repository: registry.example/shop-api
  worker:
    dockerfile: docker/gone.Dockerfile
    repository: registry.example/shop-worker
environments:
  dev:
    namespace: shop
    deploy:
      manifests: { paths: [deploy], images: [api, worker] }
`,
    '/shop/docker/api.Dockerfile': 'FROM scratch\n',
    '/shop/deploy/api.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n',
  }),
);

const isFolder = (path) => [...files.keys()].some((file) => file.startsWith(path === '/' ? '/' : `${path}/`));

exports.activate = (context) => {
  const changed = new vscode.EventEmitter();
  const provider = {
    onDidChangeFile: changed.event,
    watch: () => new vscode.Disposable(() => {}),
    stat(uri) {
      const text = files.get(uri.path);
      if (text !== undefined) return { type: vscode.FileType.File, ctime: 0, mtime: 0, size: Buffer.byteLength(text) };
      if (isFolder(uri.path)) return { type: vscode.FileType.Directory, ctime: 0, mtime: 0, size: 0 };
      throw vscode.FileSystemError.FileNotFound(uri);
    },
    readDirectory(uri) {
      const found = new Map();
      for (const file of files.keys()) {
        if (!file.startsWith(`${uri.path}/`)) continue;
        const [name, ...rest] = file.slice(uri.path.length + 1).split('/');
        found.set(name, rest.length === 0 ? vscode.FileType.File : vscode.FileType.Directory);
      }
      return [...found];
    },
    readFile(uri) {
      const text = files.get(uri.path);
      if (text === undefined) throw vscode.FileSystemError.FileNotFound(uri);
      return Buffer.from(text);
    },
    writeFile(uri, content) {
      files.set(uri.path, Buffer.from(content).toString());
      changed.fire([{ type: vscode.FileChangeType.Changed, uri }]);
    },
    createDirectory() {},
    delete(uri) {
      files.delete(uri.path);
    },
    rename() {},
  };
  context.subscriptions.push(
    vscode.workspace.registerFileSystemProvider('slipway-memory', provider, { isCaseSensitive: true }),
  );
};
