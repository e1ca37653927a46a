#!/bin/bash
# The part of the official image's entrypoint that tests rely on: POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB,
# POSTGRES_HOST_AUTH_METHOD, POSTGRES_INITDB_ARGS and *.sql / *.sh in /docker-entrypoint-initdb.d.
set -euo pipefail

if [ "${1:-}" = "" ] || [ "${1#-}" != "$1" ]; then set -- postgres "$@"; fi
if [ "$1" != postgres ]; then exec "$@"; fi
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA"
  chown postgres:postgres "$PGDATA"
  chmod 700 "$PGDATA"
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  user=${POSTGRES_USER:-postgres}
  method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
  if [ -z "${POSTGRES_PASSWORD:-}" ] && [ "$method" != trust ]; then
    echo 'Error: set POSTGRES_PASSWORD (or POSTGRES_HOST_AUTH_METHOD=trust).' >&2
    exit 1
  fi
  # shellcheck disable=SC2086 -- several options are meant to be split
  initdb --username="$user" --pwfile=<(printf '%s\n' "${POSTGRES_PASSWORD:-}") --auth-local=trust --no-sync ${POSTGRES_INITDB_ARGS:-}
  printf 'host all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"
  pg_ctl --wait --silent --options="-c listen_addresses='' -c unix_socket_directories=/tmp" start
  client=(psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --host=/tmp --username="$user")
  database=${POSTGRES_DB:-$user}
  if [ "$database" != postgres ]; then
    "${client[@]}" --dbname=postgres --set name="$database" <<< 'CREATE DATABASE :"name";'
  fi
  for file in /docker-entrypoint-initdb.d/*; do
    case "$file" in
      *.sql) "${client[@]}" --dbname="$database" --file="$file" ;;
      *.sh) PGHOST=/tmp PGUSER="$user" PGDATABASE="$database" bash "$file" ;;
    esac
  done
  pg_ctl --wait --silent --mode=fast stop
fi
exec "$@" -c "listen_addresses=*" -c unix_socket_directories=/tmp,/var/run/postgresql
