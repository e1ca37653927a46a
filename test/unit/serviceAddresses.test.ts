import { describe, expect, it } from 'vitest';
import { withServiceAddresses } from '../../src/engine/project/discovery/serviceAddresses.ts';
import { withServices } from '../../src/engine/tests/testStep.ts';

const service = (name: string, image: string, ports: readonly number[] = []) => ({ name, image, ports });
const POSTGRES = service('postgres', 'postgres:16', [5432]);
const REDIS = service('redis', 'redis:7');
const DB = service('db', 'postgis/postgis:16');
const AT = (name: string) => `{service.${name}.host}:{service.${name}.port}`;

describe('addresses of services in the variables of a CI job', () => {
  it.each<[key: string, value: string, services: readonly ReturnType<typeof service>[], expected: string | undefined]>([
    // What Slipway sets itself.
    ['POSTGRES_HOST', 'postgres', [POSTGRES], undefined],
    ['POSTGRES_HOST', 'localhost', [POSTGRES, REDIS], undefined],
    ['POSTGRES_PORT', '5432', [POSTGRES], undefined],
    // Names of their own.
    ['DB_HOST', 'localhost', [POSTGRES], '{service.postgres.host}'],
    ['DB_PORT', '5432', [POSTGRES], '{service.postgres.port}'],
    ['DATABASE_HOST', 'db', [DB, REDIS], '{service.db.host}'],
    ['REDIS_SERVER', 'redis:6379', [DB, REDIS], AT('redis')],
    ['CACHE', '127.0.0.1:6379', [DB, REDIS], AT('redis')],
    // In addresses.
    [
      'DATABASE_URL',
      'postgres://app:pw@localhost:5432/app',
      [POSTGRES, REDIS],
      `postgres://app:pw@${AT('postgres')}/app`,
    ],
    [
      'DATABASE_URL',
      'postgres://app:pw@db/app?sslmode=disable',
      [DB],
      `postgres://app:pw@${AT('db')}/app?sslmode=disable`,
    ],
    [
      'URLS',
      'redis://redis:6379/0,postgresql+psycopg://u@db:5432',
      [DB, REDIS],
      `redis://${AT('redis')}/0,postgresql+psycopg://u@${AT('db')}`,
    ],
    ['CACHE_URL', 'redis://localhost', [DB, REDIS], `redis://${AT('redis')}`],
    // No addresses, or of others.
    ['POSTGRES_USER', 'postgres', [POSTGRES], 'postgres'],
    ['POSTGRES_DB', 'db', [DB], 'db'],
    ['API_URL', 'https://api.example.com:5432/v1', [POSTGRES], 'https://api.example.com:5432/v1'],
    ['APP_URL', 'http://localhost:8000', [POSTGRES], 'http://localhost:8000'],
    ['WORKERS', '5432', [POSTGRES], '5432'],
    ['HTTP_PORT', '8000', [POSTGRES], '8000'],
    ['HOST', 'localhost', [], 'localhost'],
  ])('%s=%s', (key, value, services, expected) => {
    expect(withServiceAddresses({ [key]: value }, services)[key]).toBe(expected);
  });

  it('are filled in when the services run; a service that is not there stays as written', () => {
    const found = { SLIPWAY_SERVICE_MY_DB_HOST: '127.0.0.1', SLIPWAY_SERVICE_MY_DB_PORT: '49153' };
    expect(withServices({ A: `x://${AT('my-db')}/y`, B: AT('other') }, found)).toEqual({
      A: 'x://127.0.0.1:49153/y',
      B: AT('other'),
    });
  });
});
