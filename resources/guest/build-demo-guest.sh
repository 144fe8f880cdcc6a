#!/bin/sh
# Makes the demo guest from Debian's packages: build-demo-guest.sh OUTDIR
# leaves OUTDIR/{image.json,vmlinuz,initrd,data.raw}. Needs no root, and the same packages, compiler and
# e2fsprogs give the same bytes. What is in the guest: initramfs.ts, root/, services/.
set -eu
export LC_ALL=C

out=$1
here=$(cd "$(dirname "$0")" && pwd)
PATH=$here/../../node_modules/.bin:$PATH
disk_mib=256

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$out" "$work/packages" "$work/lists/partial" "$work/archives/partial" "$work/root"

fail() {
  echo "demo guest: $*" >&2
  exit 1
}

# Package lists are the system's where it is Debian with fresh ones, otherwise our own copy of Debian's
# (needs no root, but the archive's keys).
debian=bookworm
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
apt_options='-o APT::Sandbox::User=root'
own_lists="-o Dir::State::Lists=$work/lists -o Dir::State::status=$work/status -o Dir::Cache=$work
  -o Dir::Cache::Archives=archives -o Dir::Etc::SourceList=$work/sources.list
  -o Dir::Etc::SourceParts=/dev/null -o APT::Architecture=amd64"

download() {
  # shellcheck disable=SC2086 # the options are words
  kernel=$(apt-cache $apt_options depends linux-image-cloud-amd64 2>/dev/null |
    sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p' | head -n 1)
  [ -n "$kernel" ] || return 1
  # shellcheck disable=SC2086
  libraries=$(apt-cache $apt_options depends --recurse --important qemu-guest-agent |
    grep -E '^(lib|zlib)' | grep -v perl | sort -u)
  # shellcheck disable=SC2086
  (cd "$work/packages" && rm -f ./*.deb &&
    apt-get $apt_options -qq download "$kernel" busybox-static qemu-guest-agent $libraries)
}

if ! download 2>"$work/errors"; then
  [ -e "$keyring" ] || fail "$keyring is missing; install the package with the keys of Debian's archive"
  : >"$work/status"
  for suite in "debian $debian" "debian $debian-updates" "debian-security $debian-security"; do
    echo "deb [signed-by=$keyring] http://deb.debian.org/${suite% *} ${suite#* } main"
  done >"$work/sources.list"
  apt_options="$apt_options $own_lists"
  # shellcheck disable=SC2086
  { apt-get $apt_options -qq update && download; } 2>>"$work/errors" || {
    cat "$work/errors" >&2
    fail 'the packages of the demo guest could not be downloaded from Debian'
  }
fi

for package in "$work"/packages/*.deb; do
  dpkg-deb -x "$package" "$work/root"
done
release=$(basename "$work"/root/boot/vmlinuz-*)
release=${release#vmlinuz-}
cp "$work/root/boot/vmlinuz-$release" "$out/vmlinuz"
chmod 644 "$out/vmlinuz"

"${CC:-cc}" -std=gnu11 -static -Os -s -Wl,--build-id=none -o "$work/demo-services" "$here"/services/*.c
node --disable-warning=ExperimentalWarning "$here/initramfs.ts" \
  "$work/root" "$release" "$work/demo-services" "$out/initrd"

# Fixed identifiers and clock, so that the disk's digest is stable. Tables are written now: the guest's
# kernel would do it in the background and so fill the overlay.
rm -f "$out/data.raw"
truncate -s "${disk_mib}M" "$out/data.raw"
cat >"$work/mke2fs.conf" <<'CONF'
[fs_types]
  ext4 = {
    features = has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize
  }
  small = {
    blocksize = 4096
    inode_size = 256
  }
CONF
PATH=$PATH:/usr/sbin:/sbin SOURCE_DATE_EPOCH=1 E2FSPROGS_FAKE_TIME=1 MKE2FS_CONFIG=$work/mke2fs.conf \
  mke2fs -q -F -t ext4 -N 1024 -m 0 -J size=4 -L demo-data \
  -U 5f7c2c0e-8d0b-4b0e-9a55-3a1d6f0c7e01 \
  -E hash_seed=5f7c2c0e-8d0b-4b0e-9a55-3a1d6f0c7e02,lazy_itable_init=0,lazy_journal_init=1,nodiscard,root_owner=0:0 \
  "$out/data.raw"

digest() { sha256sum "$out/$1" | cut -d ' ' -f 1; }
cat >"$work/image.json" <<JSON
{
  "name": "demo",
  "architecture": "x86_64",
  "boot": {
    "kind": "kernel",
    "kernel": { "file": "vmlinuz", "digest": "$(digest vmlinuz)" },
    "initrd": { "file": "initrd", "digest": "$(digest initrd)" },
    "commandLine": "console=ttyS0 quiet panic=-1 mitigations=off no_timer_check random.trust_cpu=on"
  },
  "disks": [
    {
      "name": "disk0",
      "base": { "file": "data.raw", "digest": "$(digest data.raw)" },
      "baseFormat": "raw",
      "virtualBytes": $((disk_mib * 1024 * 1024))
    }
  ],
  "defaults": { "memoryMiB": 512, "vcpus": 1 }
}
JSON
echo "$release" >"$out/kernel-release"
# Last, so that whoever finds it finds all.
cp "$work/image.json" "$out/image.json"
