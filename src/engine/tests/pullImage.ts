import type Docker from 'dockerode';
import type { Emit } from '../events/index.ts';
import type { Secrets } from '../events/secrets.ts';
import { type Credential, credentialKey, findCredential, parseReference } from '../images/index.ts';
import { isCancelled, SlipwayError } from '../problems/index.ts';
import type { System } from '../system/index.ts';

/**
 * Has the daemon pull an image that it does not have, as the person: the daemon knows no logins, each pull brings its own.
 * Throws SlipwayError `test` (`test.image`) naming what the image is for.
 */
export async function pullIfMissing(
  docker: Docker,
  image: string,
  purpose: string,
  options: {
    readonly system: System;
    readonly secrets: Secrets | undefined;
    readonly emit: Emit;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const isPresent = await docker
    .getImage(image)
    .inspect()
    .then(
      () => true,
      () => false,
    );
  if (isPresent) return;
  const { system, secrets, emit, signal } = options;
  emit({ type: 'step.progress', message: `pulling ${image}` });
  const { registry } = parseReference(image);
  // The containerd image store leaves credentials for another host out, and knows Docker Hub by the name of its index.
  const authconfig = authOf(await findCredential(system, registry, secrets), credentialKey(registry));
  try {
    const stream = await docker.pull(image, { abortSignal: signal, ...(authconfig !== undefined && { authconfig }) });
    await new Promise<void>((resolve, reject) =>
      docker.modem.followProgress(stream, (error) => (error === null ? resolve() : reject(error))),
    );
  } catch (error) {
    if (signal.aborted || isCancelled(error)) throw error;
    throw new SlipwayError(
      {
        reason: 'test',
        code: 'test.image',
        message: `The ${purpose} ${image} cannot be pulled: ${error instanceof Error ? error.message : String(error)}`,
        fix:
          authconfig === undefined
            ? `Check its name. There is no login for ${registry} here: docker login ${registry}, if it is private.`
            : `Check its name, and that the login for ${registry} may read it.`,
      },
      { cause: error },
    );
  }
}

/** As `docker pull` sends it along (Engine API, AuthConfig). */
function authOf(credential: Credential, serveraddress: string): Docker.AuthConfig | undefined {
  switch (credential.kind) {
    case 'anonymous':
      return undefined;
    case 'basic':
      return { username: credential.username, password: credential.password, serveraddress };
    case 'identity':
      return { username: credential.username, identitytoken: credential.token, serveraddress } as Docker.AuthConfig;
    case 'bearer':
      return { registrytoken: credential.token, serveraddress } as Docker.AuthConfig;
  }
}
