import { describe, expect, it } from 'vitest';
import { Secrets } from '../../src/engine/events/secrets.ts';

describe('Secrets', () => {
  it('masks the value and the forms it appears in', () => {
    const secrets = new Secrets();
    secrets.add('p@ss word/1');
    const base64 = Buffer.from('user:p@ss word/1').toString('base64');
    expect(secrets.mask('login p@ss word/1 done')).toBe('login *** done');
    expect(secrets.mask(encodeURIComponent('p@ss word/1'))).toBe('***');
    expect(secrets.mask(Buffer.from('p@ss word/1').toString('base64'))).not.toContain('cEBzcyB3b3Jk');
    expect(base64).toBeTruthy();
  });

  it('leaves short values alone, which would mask ordinary text', () => {
    const secrets = new Secrets();
    secrets.add('dev');
    expect(secrets.mask('deploy to dev')).toBe('deploy to dev');
  });

  it('masks inside nested values and keys', () => {
    const secrets = new Secrets();
    secrets.add('topsecret');
    expect(secrets.maskAll({ a: ['x topsecret', { topsecret: 1 }] })).toEqual({ a: ['x ***', { '***': 1 }] });
  });

  it('masks each line of a multi-line value', () => {
    const secrets = new Secrets();
    secrets.add('-----BEGIN KEY-----\nabcdefgh\n-----END KEY-----');
    expect(secrets.mask('line: abcdefgh')).toBe('line: ***');
  });
});
