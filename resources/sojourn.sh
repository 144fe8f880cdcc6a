#!/bin/sh
# The sojourn command for a shell: runs it with the Node that the package brings where the system's is older.
set -eu
self=$(readlink -f -- "$0")
root=$(dirname -- "$(dirname -- "$self")")
node="$root/node_modules/.bin/node"
[ -x "$node" ] || node=node
exec "$node" "$root/src/cli/main.ts" "$@"
