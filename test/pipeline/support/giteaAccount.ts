// An account of the lab's Gitea that a test has for itself: what is in it goes with it.
import assert from 'node:assert/strict';

interface Person {
  readonly user: string;
  readonly password: string;
}

export class GiteaAccount {
  readonly url: string;
  /** Host and port, as in image references. */
  readonly host: string;
  readonly user: string;
  readonly password: string;
  readonly #admin: Person;

  constructor(env: Readonly<Record<string, string | undefined>>, user: string) {
    this.url = env.SLIPWAY_LAB_GITEA_URL ?? '';
    this.host = new URL(this.url).host;
    this.user = user;
    this.password = `Pw-${user}-for-the-lab`;
    this.#admin = { user: env.SLIPWAY_LAB_GITEA_USER ?? '', password: env.SLIPWAY_LAB_GITEA_PASSWORD ?? '' };
  }

  async create(): Promise<void> {
    const { user, password } = this;
    const body = { username: user, password, email: `${user}@localhost.localdomain`, must_change_password: false };
    await this.#call('POST', 'admin/users', body, this.#admin);
  }

  async token(name: string, scopes: readonly string[]): Promise<string> {
    const made = await this.api('POST', `users/${this.user}/tokens`, { name, scopes });
    return (made as { readonly sha1: string }).sha1;
  }

  /** As the account itself. */
  api(method: string, path: string, body?: object): Promise<unknown> {
    return this.#call(method, path, body, this);
  }

  /** Address for a push to one of its repositories; not to be kept in a clone. */
  pushUrl(repository: string, token: string): string {
    const address = new URL(`${this.url}/${this.user}/${repository}.git`);
    address.username = this.user;
    address.password = token;
    return address.href;
  }

  /** For a runner of this repository. */
  async registration(repository: string): Promise<string> {
    const path = `repos/${this.user}/${repository}/actions/runners/registration-token`;
    return ((await this.api('POST', path)) as { readonly token: string }).token;
  }

  /** The account with all that is its own; quiet where it was never made. */
  async remove(): Promise<void> {
    await this.#send('DELETE', `admin/users/${this.user}?purge=true`, undefined, this.#admin);
  }

  async #call(method: string, path: string, body: object | undefined, person: Person): Promise<unknown> {
    const answer = await this.#send(method, path, body, person);
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  }

  #send(method: string, path: string, body: object | undefined, { user, password }: Person): Promise<Response> {
    return fetch(`${this.url}/api/v1/${path}`, {
      method,
      headers: { authorization: `Basic ${btoa(`${user}:${password}`)}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  }
}
