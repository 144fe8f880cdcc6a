#!/bin/sh
# Makes an ordinary Debian that knows nothing of Sojourn: build-debian-guest.sh OUTDIR [desktop]
# leaves OUTDIR/{image.json,disk.qcow2,id_ed25519,known_hosts,kernel-release}. The disk boots by itself under
# UEFI, through systemd-boot; root logs in by ssh with the throw-away key id_ed25519, and there is no other user.
# `desktop` puts a desktop with a VNC server in, of a user `anna` (desktop.sh), and its password in OUTDIR/vnc-password.
# Needs no root where mmdebstrap can do without (uidmap), and fakeroot then.
set -eu
export LC_ALL=C

out=$1
variant=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
PATH=$PATH:/usr/sbin:/sbin

# Another kernel and systemd than the demo guest's Debian 12 has.
suite=trixie
esp_mib=128
root_mib=1536
root_label=debian-root
packages=systemd-sysv,udev,dbus,libpam-systemd,openssh-server,iproute2,linux-image-cloud-amd64,systemd-boot-efi,zstd
name=debian
case $variant in
  '') ;;
  desktop)
    name=desktop
    packages=$packages,tigervnc-standalone-server,tigervnc-tools,xinit,icewm,xterm,x11-utils,fonts-dejavu-core,spice-vdagent,xclip
    ;;
  *)
    echo "usage: sh build-debian-guest.sh OUTDIR [desktop]" >&2
    exit 2
    ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
# Root in a namespace is somebody else here, and reads the configuration.
chmod 755 "$work"
mkdir -p "$out" "$work/tree" "$work/boot"
cp "$here/configure.sh" "$here/desktop.sh" "$work"

as_root=
[ "$(id -u)" = 0 ] || as_root=fakeroot

ssh-keygen -q -t ed25519 -N '' -C throw-away -f "$work/id_ed25519"

# The hook runs with the tree as its argument, in the namespace where its owner is root.
configure="sh '$work/configure.sh' \"\$1\" '$root_label' '$(cat "$work/id_ed25519.pub")'"
[ "$variant" != desktop ] || configure="$configure && sh '$work/desktop.sh' \"\$1\""
mmdebstrap --quiet --variant=minbase --include="$packages" \
  --aptopt='Acquire::Retries "3"' --dpkgopt=path-exclude=/usr/share/doc/* \
  --dpkgopt=path-exclude=/usr/share/man/* --dpkgopt=path-exclude=/usr/share/locale/* \
  --customize-hook="$configure" \
  "$suite" "$work/root.tar" </dev/null

# The boot loader, the kernel and its initial RAM disk are on the EFI system partition: systemd-boot reads no ext4.
tar -x -f "$work/root.tar" -C "$work/boot" --no-same-owner --strip-components=1 --wildcards \
  './boot/vmlinuz-*' './boot/initrd.img-*' './usr/lib/systemd/boot/efi/systemd-bootx64.efi' \
  './etc/ssh/ssh_host_ed25519_key.pub'
release=$(basename "$work"/boot/boot/vmlinuz-*)
release=${release#vmlinuz-}
cat >"$work/loader.conf" <<CONF
timeout 0
default debian.conf
CONF
cat >"$work/debian.conf" <<CONF
title   Debian
linux   /vmlinuz
initrd  /initrd.img
options root=LABEL=$root_label rw console=ttyS0
CONF
esp=$work/esp
truncate -s "${esp_mib}M" "$esp"
mformat -i "$esp" -F -v EFI ::
mmd -i "$esp" ::/EFI ::/EFI/BOOT ::/loader ::/loader/entries
mcopy -i "$esp" "$work/boot/usr/lib/systemd/boot/efi/systemd-bootx64.efi" ::/EFI/BOOT/BOOTX64.EFI
mcopy -i "$esp" "$work/boot/boot/vmlinuz-$release" ::/vmlinuz
mcopy -i "$esp" "$work/boot/boot/initrd.img-$release" ::/initrd.img
mcopy -i "$esp" "$work/loader.conf" ::/loader/loader.conf
mcopy -i "$esp" "$work/debian.conf" ::/loader/entries/debian.conf

# Device nodes are the kernel's (devtmpfs); making them takes more rights than a container has.
truncate -s "${root_mib}M" "$work/root"
# shellcheck disable=SC2016 # for the inner shell
$as_root sh -ec '
  tar -x -f "$1/root.tar" -C "$1/tree" --numeric-owner --exclude="./dev/*" --exclude="./boot/*"
  mke2fs -q -F -t ext4 -m 1 -L "$2" -E lazy_itable_init=0,nodiscard -d "$1/tree" "$1/root"
' sh "$work" "$root_label"

# GPT: 1 MiB of table, the two partitions, 1 MiB for the copy of the table (UEFI specification, 5.3).
disk=$work/disk.raw
truncate -s "$((esp_mib + root_mib + 2))M" "$disk"
sfdisk -q "$disk" <<TABLE
label: gpt
start=1MiB, size=${esp_mib}MiB, type=uefi
size=${root_mib}MiB, type=linux
TABLE
dd if="$esp" of="$disk" bs=1M seek=1 conv=notrunc,sparse status=none
dd if="$work/root" of="$disk" bs=1M seek=$((1 + esp_mib)) conv=notrunc,sparse status=none
qemu-img convert -q -f raw -O qcow2 "$disk" "$out/disk.qcow2"

cp "$work/id_ed25519" "$out/id_ed25519"
echo "debian $(cut -d ' ' -f 1,2 "$work/boot/etc/ssh/ssh_host_ed25519_key.pub")" >"$out/known_hosts"
[ "$variant" != desktop ] ||
  tar -x -O -f "$work/root.tar" ./etc/desktop/vnc-password >"$out/vnc-password"
echo "$release" >"$out/kernel-release"
cat >"$work/image.json" <<JSON
{
  "name": "$name",
  "architecture": "x86_64",
  "boot": { "kind": "uefi" },
  "disks": [
    {
      "name": "disk0",
      "base": {
        "file": "disk.qcow2",
        "digest": "$(sha256sum "$out/disk.qcow2" | cut -d ' ' -f 1)"
      },
      "baseFormat": "qcow2"
    }
  ],
  "defaults": { "memoryMiB": 512, "vcpus": 1 }
}
JSON
# Last, so that whoever finds it finds all.
cp "$work/image.json" "$out/image.json"
