#!/bin/sh
# Installs what Sojourn needs and says what it does; silent when nothing is missing.
#   sh resources/setup.sh         to run agents and guests: npm packages, Node 24, QEMU
#   sh resources/setup.sh demo    also what `npm run demo` needs: network tools, the demo guest
#   sh resources/setup.sh test    also what `npm test` needs
#   sh resources/setup.sh bench   also what `npm run bench` needs
#   sh resources/setup.sh slow    also what `npm run test:slow` needs: UEFI firmware, Debian guests
# Exit 1: something is missing that it may not or cannot install; it has printed what to do.
set -eu
export LC_ALL=C

purpose=${1:-none}
case $purpose in
  none | demo | test | bench | slow) ;;
  *)
    echo "usage: sh resources/setup.sh [none|demo|test|bench|slow]" >&2
    exit 2
    ;;
esac

cd "$(dirname "$0")/.."
. resources/setup/say.sh
. resources/setup/node.sh
. resources/setup/system.sh
. resources/setup/guests.sh
. resources/setup/electron.sh

need_node
need_system "$purpose"
[ "$purpose" = none ] || need_demo_guest
case $purpose in test | slow) need_electron ;; esac
if [ "$purpose" = slow ]; then
  need_debian_guest
  need_desktop_guest
fi
