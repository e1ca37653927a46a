// A repository of the lab's Gitea, made anew, and what a test does with it.
import { environment as labEnvironment } from '../../lab/lab.ts';

const lab = labEnvironment().env;
const address = lab.SLIPWAY_LAB_GITEA_URL ?? 'http://localhost:3000';
const user = lab.SLIPWAY_LAB_GITEA_USER ?? '';
const password = lab.SLIPWAY_LAB_GITEA_PASSWORD ?? '';

export interface GiteaRepository {
  /** For clusters: without credentials. */
  readonly url: string;
  /** For a clone on this machine. */
  readonly pushUrl: string;
  readonly user: string;
  readonly password: string;
  remove(): Promise<void>;
}

function api(path: string, method: string, body?: unknown): Promise<Response> {
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  return fetch(`${address}/api/v1/${path}`, {
    method,
    headers: { authorization, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}

export async function giteaRepository(name: string): Promise<GiteaRepository> {
  await api(`repos/${user}/${name}`, 'DELETE');
  const created = await api('user/repos', 'POST', { name, default_branch: 'main' });
  if (created.status !== 201) throw new Error(`Gitea made no repository: ${created.status} ${await created.text()}`);
  const url = `${address}/${user}/${name}.git`;
  return {
    url,
    pushUrl: url.replace('://', `://${user}:${password}@`),
    user,
    password,
    remove: async () => void (await api(`repos/${user}/${name}`, 'DELETE')),
  };
}
