import { createHash } from 'node:crypto';
import type { Secrets } from '../events/secrets.ts';
import { SlipwayError } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import { type Child, classify, MANIFEST_TYPES, type Manifest, readJson } from './manifest.ts';
import { parseReference, type Reference } from './reference.ts';
import { type Answer, expectStatus } from './registryErrors.ts';
import { Transport } from './registryTransport.ts';

const MOST_PAGES = 50;

/**
 * Client of the registry HTTP API (distribution-spec 1.1) for any registry. Reads docker's credentials on first need.
 * Throws SlipwayError `registry` with codes `registry.denied`, `registry.not-found`, `registry.rate-limited`,
 * `registry.unreachable`, `registry.immutable`, `registry.error`; and CancelledError.
 */
export class Registry {
  readonly #system: System;
  readonly #transport: Transport;
  /** Manifests by digest never change. */
  readonly #byDigest = new Map<string, Manifest>();

  /** `attemptMs`: how long one attempt may take; 30 s unless said otherwise. */
  constructor(system: System, secrets?: Secrets, attemptMs?: number) {
    this.#system = system;
    this.#transport = new Transport(system, secrets, attemptMs);
  }

  #expect(answer: Answer, ref: Reference, wanted: readonly number[]): void {
    expectStatus(answer, ref, wanted, this.#system.clock.now());
  }

  /** The digest a reference points at now; undefined when it does not exist. */
  async digestOf(reference: string | Reference, signal?: AbortSignal): Promise<string | undefined> {
    const ref = read(reference);
    const answer = await this.#transport.call(ref.registry, {
      method: 'HEAD',
      path: `manifests/${ref.digest ?? ref.tag ?? 'latest'}`,
      repository: ref.repository,
      actions: 'pull',
      headers: { accept: MANIFEST_TYPES.join(', ') },
      signal,
    });
    if (answer.status === 404) return undefined;
    this.#expect(answer, ref, [200]);
    // Old servers leave the header out: then only the bytes say it.
    return answer.headers.get('docker-content-digest') ?? (await this.manifest(ref, signal))?.digest;
  }

  /** The manifest or index of a reference, with its exact bytes; undefined when it does not exist. */
  async manifest(reference: string | Reference, signal?: AbortSignal): Promise<Manifest | undefined> {
    const ref = read(reference);
    const known = ref.digest === undefined ? undefined : this.#byDigest.get(ref.digest);
    if (known !== undefined) return known;
    const answer = await this.#transport.call(ref.registry, {
      method: 'GET',
      path: `manifests/${ref.digest ?? ref.tag ?? 'latest'}`,
      repository: ref.repository,
      actions: 'pull',
      headers: { accept: MANIFEST_TYPES.join(', ') },
      signal,
    });
    if (answer.status === 404) return undefined;
    this.#expect(answer, ref, [200]);
    const bytes = answer.body;
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    if (ref.digest?.startsWith('sha256:') && ref.digest !== digest) {
      throw new SlipwayError({
        reason: 'registry',
        code: 'registry.corrupt',
        message: `${ref.registry} answered for ${ref.digest} with other content (${digest}).`,
        fix: 'A proxy or the registry damages content; pull again past the proxy.',
      });
    }
    const manifest = classify(bytes, digest, answer.headers.get('content-type') ?? '');
    this.#byDigest.set(digest, manifest);
    return manifest;
  }

  /**
   * Stores the exact bytes under a tag (or digest) of a repository. The digest stays what it was. `subject` is what the
   * registry says it will list the manifest under, when it knows of referrers and the manifest has a subject.
   */
  async putManifest(
    registry: string,
    repository: string,
    tagOrDigest: string,
    manifest: Pick<Manifest, 'bytes' | 'mediaType'>,
    signal?: AbortSignal,
  ): Promise<{ readonly subject?: string }> {
    const answer = await this.#transport.call(registry, {
      method: 'PUT',
      path: `manifests/${tagOrDigest}`,
      repository,
      actions: 'pull,push',
      headers: { 'content-type': manifest.mediaType },
      body: manifest.bytes,
      signal,
    });
    this.#expect(answer, { registry, repository, tag: tagOrDigest }, [200, 201, 202]);
    const subject = answer.headers.get('oci-subject');
    return subject === null ? {} : { subject };
  }

  /** Stores a small blob, unless it is there; gives its digest. */
  async putBlob(registry: string, repository: string, bytes: Uint8Array, signal?: AbortSignal): Promise<string> {
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const common = { repository, actions: 'pull,push', signal };
    const isThere = async () =>
      (await this.#transport.call(registry, { ...common, method: 'HEAD', path: `blobs/${digest}` })).status === 200;
    if (await isThere()) return digest;
    const opened = await this.#transport.call(registry, { ...common, method: 'POST', path: 'blobs/uploads/' });
    this.#expect(opened, { registry, repository, digest }, [201, 202]);
    const base = new URL(`v2/${repository}/blobs/uploads/`, await this.#transport.base(registry));
    const target = new URL(opened.headers.get('location') ?? '', base);
    if (target.origin !== base.origin) throw elsewhere(registry, target, 'to upload');
    target.searchParams.set('digest', digest);
    const answer = await this.#transport.call(registry, {
      ...common,
      method: 'PUT',
      path: target,
      headers: { 'content-type': 'application/octet-stream' },
      body: bytes,
    });
    // A connection that broke after the last byte makes the second try find its upload finished.
    if (answer.status === 404 && (await isThere())) return digest;
    this.#expect(answer, { registry, repository, digest }, [200, 201, 202, 204]);
    return digest;
  }

  /** All tags in the registry's order (lexical); undefined when the repository does not exist. */
  async tags(registry: string, repository: string, signal?: AbortSignal): Promise<readonly string[] | undefined> {
    const tags: string[] = [];
    const seen = new Set<string>();
    let path: string | undefined = 'tags/list?n=1000';
    for (let page = 0; path !== undefined && page < MOST_PAGES; page += 1) {
      // A server that links to where we have been would keep us for ever.
      if (seen.has(path)) break;
      seen.add(path);
      const answer: Answer = await this.#transport.call(registry, {
        method: 'GET',
        path,
        repository,
        actions: 'pull',
        signal,
      });
      if (answer.status === 400 && path.includes('?n=')) {
        path = 'tags/list';
        continue;
      }
      if (answer.status === 404) return tags.length > 0 ? tags : undefined;
      this.#expect(answer, { registry, repository }, [200]);
      const body = readJson(answer.body, answer.headers.get('content-type') ?? '') as {
        readonly tags?: readonly string[] | null;
      };
      tags.push(...(body.tags ?? []));
      path = await this.#nextPage(registry, repository, answer);
    }
    return tags;
  }

  /** A small JSON blob, such as an image's configuration. */
  async blob(registry: string, repository: string, digest: string, signal?: AbortSignal): Promise<unknown> {
    const answer = await this.#transport.call(registry, {
      method: 'GET',
      path: `blobs/${digest}`,
      repository,
      actions: 'pull',
      signal,
    });
    this.#expect(answer, { registry, repository, digest }, [200]);
    return readJson(answer.body, answer.headers.get('content-type') ?? '');
  }

  /** Deletes a manifest by digest, and with it every tag on it. False when the server does not allow deletes. */
  async remove(registry: string, repository: string, digest: string, signal?: AbortSignal): Promise<boolean> {
    const answer = await this.#transport.call(registry, {
      method: 'DELETE',
      path: `manifests/${digest}`,
      repository,
      actions: 'pull,push,delete',
      signal,
    });
    if (answer.status === 405 || answer.status === 400) return false;
    if (answer.status === 404) return true;
    this.#expect(answer, { registry, repository, digest }, [200, 202]);
    return true;
  }

  /** Descriptors that refer to a digest (signatures, SBOMs); by the API, else by the fallback tag. */
  async referrers(
    registry: string,
    repository: string,
    digest: string,
    signal?: AbortSignal,
  ): Promise<readonly Child[]> {
    const answer = await this.#transport.call(registry, {
      method: 'GET',
      path: `referrers/${digest}`,
      repository,
      actions: 'pull',
      headers: { accept: 'application/vnd.oci.image.index.v1+json' },
      signal,
    });
    const isSupported =
      answer.status === 200 && (answer.headers.get('content-type') ?? '').startsWith('application/vnd.oci.image.index');
    const index = isSupported
      ? classify(answer.body, '', answer.headers.get('content-type') ?? '')
      : await this.manifest({ registry, repository, tag: digest.replace(':', '-') }, signal);
    return index?.children ?? [];
  }

  async #nextPage(registry: string, repository: string, answer: Answer): Promise<string | undefined> {
    const link = /<([^>]*)>\s*;[^,]*\brel="?next"?/i.exec(answer.headers.get('link') ?? '')?.[1];
    if (link === undefined) return undefined;
    const base = await this.#transport.base(registry);
    const here = new URL(`v2/${repository}/tags/list`, base);
    const next = new URL(link, here);
    if (next.origin !== here.origin) throw elsewhere(registry, next, 'for the next page of tags');
    return `tags/list${next.search}`;
  }
}

/** Our login is for the host we asked, so nobody sends us to another with it. */
const elsewhere = (registry: string, url: URL, why: string): SlipwayError =>
  new SlipwayError({
    reason: 'refused',
    code: 'registry.link',
    message: `${registry} sends us to another host (${url.origin}) ${why}.`,
    fix: 'Correct the external address of the registry.',
  });

const ofRun = new WeakMap<Secrets, Registry>();

/**
 * The one client of a run (told by its `secrets`): hosts are probed, credentials read and tokens fetched once, not once
 * for every step.
 */
export function registryOf({ system, secrets }: { readonly system: System; readonly secrets: Secrets }): Registry {
  let registry = ofRun.get(secrets);
  if (registry === undefined) {
    registry = new Registry(system, secrets);
    ofRun.set(secrets, registry);
  }
  return registry;
}

const read = (reference: string | Reference): Reference =>
  typeof reference === 'string' ? parseReference(reference) : reference;
