#!/bin/sh
# What an installer or an administrator would have set up: configure.sh TREE ROOT_LABEL PUBLIC_KEY
set -eu

tree=$1
root_label=$2
public_key=$3

echo debian >"$tree/etc/hostname"
printf '127.0.0.1 localhost debian\n::1 localhost debian\n' >"$tree/etc/hosts"
echo "LABEL=$root_label / ext4 defaults 0 1" >"$tree/etc/fstab"

cat >"$tree/etc/systemd/network/80-ethernet.network" <<'CONF'
[Match]
Type=ether

[Network]
DHCP=yes
IPv6AcceptRA=yes
CONF
chroot "$tree" systemctl enable --quiet systemd-networkd.service ssh.service
# Nothing waits for the network here, and a timer has nothing to fetch.
chroot "$tree" systemctl mask --quiet systemd-networkd-wait-online.service apt-daily.timer \
  apt-daily-upgrade.timer

mkdir -p "$tree/var/log/journal" "$tree/root/.ssh"
chmod 700 "$tree/root/.ssh"
echo "$public_key" >"$tree/root/.ssh/authorized_keys"
chmod 600 "$tree/root/.ssh/authorized_keys"
