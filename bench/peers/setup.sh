#!/bin/sh
# Installs the engines that `make bench PEERS=...` compares with, in the versions that the comparison is about, under
# bench/.venvs (ignored by git): `bench/peers/setup.sh restate dbos`. A second call with nothing missing ends at once.
set -eu
cd "$(dirname "$0")/../.."

VENVS=bench/.venvs
RESTATE_SERVER=1.7.12
RESTATE_SDK=1.3.0
DBOS=3.4.0
POSTGRES=15

# A virtual environment that is marked as finished under what it was asked to hold.
environment() { # environment NAME PACKAGE...
    name=$1
    shift
    [ "$(cat "$VENVS/$name/.holds" 2>/dev/null)" = "$*" ] && return 0
    echo "Installing $* into $VENVS/$name ..."
    .venv/bin/python -m venv --clear "$VENVS/$name"
    "$VENVS/$name/bin/python" -m pip --disable-pip-version-check --quiet install --root-user-action=ignore "$@"
    echo "$*" >"$VENVS/$name/.holds"
}

restate() {
    environment restate "restate-sdk[serde]==$RESTATE_SDK" hypercorn
    mkdir -p "$VENVS/restate-server"
    [ "$(cat "$VENVS/restate-server/.holds" 2>/dev/null)" = "$RESTATE_SERVER" ] && return 0
    echo "Installing the Restate server $RESTATE_SERVER ..."
    npm install --silent --no-fund --no-audit --prefix "$VENVS/restate-server" "@restatedev/restate-server@$RESTATE_SERVER"
    echo "$RESTATE_SERVER" >"$VENVS/restate-server/.holds"
}

# Without Postgres the SQLite row is measured alone, and the table says so.
postgres() {
    [ -x "/usr/lib/postgresql/$POSTGRES/bin/initdb" ] && return 0
    if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
        echo "Postgres $POSTGRES is not installed: DBOS is measured on SQLite only" >&2
        return 0
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "postgresql-$POSTGRES" >/dev/null ||
        echo "Postgres $POSTGRES cannot be installed: DBOS is measured on SQLite only" >&2
}

dbos() {
    environment dbos "dbos==$DBOS" "psycopg[binary]"
    postgres
}

for peer in "$@"; do
    case "$peer" in
    restate | dbos) "$peer" ;;
    *)
        echo "no peer is called $peer; known are: restate dbos" >&2
        exit 2
        ;;
    esac
done
