# Sourced by setup.sh: messages, and commands whose output matters only when they fail.

say() {
  echo "setup: $*" >&2
}

fail() {
  say "$*"
  exit 1
}

# quietly WHAT COMMAND...: false when it fails, its last lines shown then.
quietly() {
  what=$1
  shift
  log=$(mktemp)
  if "$@" >"$log" 2>&1 </dev/null; then
    rm -f "$log"
    return 0
  fi
  say "$what failed:"
  tail -n 20 "$log" >&2
  rm -f "$log"
  return 1
}

have() {
  command -v "$1" >/dev/null 2>&1
}
