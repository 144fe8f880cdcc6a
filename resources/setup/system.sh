# Sourced by setup.sh: QEMU and the system's tools. Debian and its relatives by apt-get; for other
# distributions the missing packages are named.

qemu_needed=9.2
os_release=${SOJOURN_OS_RELEASE:-/etc/os-release}
apt_sources=${SOJOURN_APT_SOURCES:-/etc/apt}
# Locks are waited for, as another installation may be under way (seconds).
apt_lock_wait=300

# tool | needed from this purpose on | Debian | Fedora | Arch
# Electron's libraries come with `chromium` and `xfce4-panel`. `libc.a` stands for the C library to link statically, `ovmf` for the UEFI firmware (src/guest/firmware.ts),
# `libvirt-qemu` for libvirt's driver (without services: the bench starts what it needs),
# `debian-keys` for the keys that Debian 13 is signed with.
tools='
qemu-system-x86_64 | none | qemu-system-x86        | qemu-system-x86-core | qemu-system-x86
qemu-img           | none | qemu-utils             | qemu-img             | qemu-img
ip                 | demo | iproute2               | iproute              | iproute2
nft                | demo | nftables               | nftables             | nftables
tcpdump            | demo | tcpdump                | tcpdump              | tcpdump
ping               | demo | iputils-ping           | iputils              | iputils
unshare            | demo | util-linux             | util-linux           | util-linux
cc                 | demo | gcc                    | gcc                  | gcc
libc.a             | demo | libc6-dev              | glibc-static         | glibc
readelf            | demo | binutils               | binutils             | binutils
mke2fs             | demo | e2fsprogs              | e2fsprogs            | e2fsprogs
apt-get            | demo | apt                    | apt                  | apt
dpkg-deb           | demo | dpkg                   | dpkg                 | dpkg
xz                 | demo | xz-utils               | xz                   | xz
busybox            | test | busybox-static         | busybox              | busybox
pgrep              | test | procps                 | procps-ng            | procps-ng
script             | test | bsdutils               | util-linux-script    | util-linux
chromium           | test | chromium               | chromium             | chromium
Xvfb               | test | xvfb                   | xorg-x11-server-Xvfb | xorg-server-xvfb
dbus-daemon        | test | dbus-daemon            | dbus-daemon          | dbus
xfce4-panel        | test | xfce4-panel            | xfce4-panel          | xfce4-panel
ovs-vswitchd       | test | openvswitch-switch     | openvswitch          | openvswitch
os-ken             | bench | python3-os-ken        | python3-os-ken       | python-os-ken
virsh              | bench | libvirt-clients       | libvirt-client       | libvirt
libvirtd           | bench | libvirt-daemon        | libvirt-daemon       | libvirt
libvirt-qemu       | bench | libvirt-daemon-driver-qemu | libvirt-daemon-driver-qemu | libvirt
ovmf               | slow | ovmf                   | edk2-ovmf            | edk2-ovmf
ssh                | slow | openssh-client         | openssh-clients      | openssh
mmdebstrap         | slow | mmdebstrap             | mmdebstrap           | mmdebstrap
debian-keys        | slow | debian-archive-keyring | debian-keyring       | debian-archive-keyring
mformat            | slow | mtools                 | mtools               | mtools
sfdisk             | slow | fdisk                  | util-linux           | util-linux
newuidmap          | slow | uidmap                 | shadow-utils         | shadow
xtigervncviewer    | slow | tigervnc-viewer        | tigervnc             | tigervnc
xdotool            | slow | xdotool                | xdotool              | xdotool
fakeroot           | slow | fakeroot               | fakeroot             | fakeroot
'

os_value() {
  sed -n "s/^$1=\"\{0,1\}\([^\"]*\)\"\{0,1\}$/\1/p" "$os_release" 2>/dev/null
}

tool_there() {
  case $1 in
    qemu-system-x86_64) qemu_new_enough ;;
    libc.a) have cc && [ -e "$(cc -print-file-name=libc.a)" ] ;;
    ovmf) firmware_there ;;
    libvirt-qemu) libvirt_drives_qemu ;;
    ovs-vswitchd) have ovs-vswitchd || [ -x /usr/sbin/ovs-vswitchd ] ;;
    os-ken) have python3 && /usr/bin/python3 -c 'import os_ken' 2>/dev/null ;;
    # Its name is Debian's; elsewhere there is no other viewer beside it.
    xtigervncviewer) have xtigervncviewer || have vncviewer ;;
    debian-keys) [ -e /usr/share/keyrings/debian-archive-trixie-stable.gpg ] ;;
    # Root makes the guests without.
    newuidmap | fakeroot) [ "$(id -u)" = 0 ] || have "$1" ;;
    *) have "$1" ;;
  esac
}

libvirt_drives_qemu() {
  for file in /usr/lib/*/libvirt/connection-driver/libvirt_driver_qemu.so \
    /usr/lib*/libvirt/connection-driver/libvirt_driver_qemu.so; do
    [ ! -e "$file" ] || return 0
  done
  return 1
}

firmware_there() {
  for file in /usr/share/OVMF/OVMF_CODE* /usr/share/edk2/*/OVMF_CODE*; do
    [ ! -e "$file" ] || return 0
  done
  return 1
}

qemu_version() {
  have qemu-system-x86_64 || return 0
  qemu-system-x86_64 --version | sed -n 's/^QEMU emulator version \([0-9]*\.[0-9]*\).*/\1/p'
}

qemu_new_enough() {
  version=$(qemu_version)
  [ -n "$version" ] || return 1
  [ "${version%.*}" -gt "${qemu_needed%.*}" ] ||
    { [ "${version%.*}" -eq "${qemu_needed%.*}" ] && [ "${version#*.}" -ge "${qemu_needed#*.}" ]; }
}

# missing PURPOSE COLUMN: the packages that are not there; 3 Debian, 4 Fedora, 5 Arch.
missing() {
  case $1 in
    none) wanted_for='none' ;;
    demo) wanted_for='none demo' ;;
    test) wanted_for='none demo test' ;;
    bench) wanted_for='none demo test bench' ;;
    *) wanted_for='none demo test slow' ;;
  esac
  echo "$tools" | while IFS='|' read -r tool from debian fedora arch; do
    [ -n "$tool" ] || continue
    tool=$(echo $tool)
    case " $wanted_for " in *" $(echo $from) "*) ;; *) continue ;; esac
    tool_there "$tool" && continue
    case $2 in 3) echo $debian ;; 4) echo $fedora ;; *) echo $arch ;; esac
  done | sort -u
}

name_missing() {
  installer=$1
  shift
  say "missing on $(os_value PRETTY_NAME): $*"
  fail "Install with: $installer $*"
}

# Sets $root to what makes a command run as root; without such a thing prints the commands and ends.
need_root() {
  root=
  [ "$(id -u)" != 0 ] || return 0
  root=sudo
  if have sudo; then
    ! sudo -n true 2>/dev/null || return 0
    if [ -t 0 ]; then
      say 'sudo asks for your password to install packages'
      ! sudo -v || return 0
    fi
  fi
  say 'packages are missing and only root can install them. Run as root, then start again:'
  print_plan >&2
  exit 1
}

backports=bookworm-backports
backports_file=$apt_sources/sources.list.d/sojourn-backports.sources

backports_configured() {
  for file in "$apt_sources/sources.list" "$apt_sources"/sources.list.d/*.list \
    "$apt_sources"/sources.list.d/*.sources; do
    [ ! -e "$file" ] || ! grep -q "^[^#]*$backports" "$file" || return 0
  done
  return 1
}

# From the mirror that Debian itself comes from.
backports_source() {
  mirror=$(cat "$apt_sources/sources.list" "$apt_sources"/sources.list.d/*.sources 2>/dev/null |
    sed -n 's/^\(URIs:\|deb\) .*\(https\{0,1\}:[^ ]*\/debian\)\/\{0,1\}\( .*\)\{0,1\}$/\2/p' | head -n 1)
  cat <<SOURCE
Types: deb
URIs: ${mirror:-http://deb.debian.org/debian}
Suites: $backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCE
}

print_plan() {
  if [ -n "$qemu_packages" ] && [ -n "$suite" ] && ! backports_configured; then
    printf "cat >%s <<'END'\n%s\nEND\n" "$backports_file" "$(backports_source)"
  fi
  echo 'apt-get update'
  # shellcheck disable=SC2086 # on one line
  [ -z "$packages" ] || echo apt-get install --no-install-recommends $packages
  # shellcheck disable=SC2086
  [ -z "$qemu_packages" ] ||
    echo apt-get install --no-install-recommends ${suite:+-t "$suite"} $qemu_packages
}

# Lists may be locked by another apt, which, unlike the lock of dpkg, apt-get does not wait for.
update_lists() {
  tries=5
  say 'fetching the package lists (apt-get update)'
  until quietly 'apt-get update' $root apt-get -q -o Acquire::Retries=3 update; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || exit 1
    sleep 5
  done
}

# apt_install SUITE PACKAGE...: SUITE may be empty.
apt_install() {
  from=$1
  shift
  $root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
    -o Acquire::Retries=3 -o DPkg::Lock::Timeout=$apt_lock_wait -o Dpkg::Options::=--force-confold \
    ${from:+-t "$from"} install "$@"
}

# Package lists may be missing or stale: when the first try fails, they are fetched for a second one.
apt_install_updating() {
  say "installing $(echo "$@" | sed "s/^$backports \(.*\)/\1 from $backports/; s/^ //")"
  apt_install "$@" >/dev/null 2>&1 </dev/null || {
    update_lists
    quietly 'apt-get install' apt_install "$@" || exit 1
  }
}

install_by_apt() {
  qemu_packages=$(echo "$1" | grep '^qemu-' || true)
  packages=$(echo "$1" | grep -v '^qemu-' || true)
  suite=
  if [ "$(os_value ID) $(os_value VERSION_ID)" = 'debian 12' ]; then
    suite=$backports
  fi
  need_root
  # shellcheck disable=SC2086 # words
  [ -z "$packages" ] || apt_install_updating '' $packages
  [ -n "$qemu_packages" ] || return 0
  if [ -n "$suite" ] && ! backports_configured; then
    say "Debian 12 has QEMU 7.2, Sojourn needs $qemu_needed: adding $backports in $backports_file"
    backports_source | $root tee "$backports_file" >/dev/null
    update_lists
  fi
  # shellcheck disable=SC2086
  apt_install_updating "$suite" $qemu_packages
  qemu_new_enough || fail "QEMU $qemu_needed or newer is needed, $(os_value PRETTY_NAME) has $(qemu_version).
setup: Use a newer release of it, or put a newer qemu-system-x86_64 first on PATH"
}

need_system() {
  [ "$(uname -s)" = Linux ] || fail "this script knows Linux only; install QEMU $qemu_needed or newer by hand"
  # Tools of the administrator are not on everybody's PATH in Debian.
  PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
  export PATH
  case " $(os_value ID) $(os_value ID_LIKE) " in
    *' debian '*)
      lacking=$(missing "$1" 3)
      [ -z "$lacking" ] || install_by_apt "$lacking"
      ;;
    *' fedora '* | *' rhel '*)
      lacking=$(missing "$1" 4)
      [ -z "$lacking" ] || name_missing 'sudo dnf install' $lacking
      ;;
    *' arch '*)
      lacking=$(missing "$1" 5)
      [ -z "$lacking" ] || name_missing 'sudo pacman -S' $lacking
      ;;
    *)
      lacking=$(missing "$1" 3)
      [ -z "$lacking" ] || fail "missing, by their names in Debian: $(echo $lacking); QEMU must be $qemu_needed or newer"
      ;;
  esac
}
