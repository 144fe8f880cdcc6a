#!/bin/sh
# A desktop that is streamed from inside the guest: desktop.sh TREE
# TigerVNC on port 5901 of every address that the guest has, which its password opens (a throw-away one of eight
# characters, which is all that RFB's own authentication looks at: RFC 6143, 7.2.2); a window manager; a terminal in which
# something moves; and one that keeps what is typed, in /home/anna/notes. Its clipboard is that of the guest's screen as well.
set -eu

tree=$1
user=anna

chroot "$tree" useradd --create-home --shell /bin/bash "$user"
mkdir "$tree/etc/desktop"
od -An -N4 -tx1 /dev/urandom | tr -d ' \n' | chroot "$tree" tigervncpasswd -f >"$tree/etc/desktop/vnc-password"
chroot "$tree" chown "root:$user" /etc/desktop/vnc-password
chmod 640 "$tree/etc/desktop/vnc-password"

cat >"$tree/etc/desktop/count" <<'SCRIPT'
#!/bin/bash
# Ten times a second, without programs that would have to be loaded each time.
for ((n = 1; ; n++)); do
  printf '\r%08d %08d %08d' "$n" "$n" "$n"
  read -r -t 0.1
done
SCRIPT

# Nobody logs in: no session of logind is asked for. The pointer is QEMU's tablet, so that no other is made.
echo 'SPICE_VDAGENTD_EXTRA_ARGS="-X -f -u /dev/null"' >"$tree/etc/default/spice-vdagentd"

cat >"$tree/etc/desktop/session" <<'SCRIPT'
#!/bin/sh
spice-vdagent -x &
xterm -title counter -geometry 40x6+20+40 -e /etc/desktop/count &
xterm -title notes -geometry 60x12+20+240 -e sh -c 'cat >>"$HOME/notes"' &
exec icewm
SCRIPT
chmod 755 "$tree/etc/desktop/count" "$tree/etc/desktop/session"

cat >"$tree/etc/systemd/system/desktop.service" <<UNIT
[Unit]
Description=Desktop of $user, streamed by VNC
After=network.target

[Service]
User=$user
WorkingDirectory=~
ExecStart=/usr/bin/xinit /etc/desktop/session -- /usr/bin/Xtigervnc :1 -geometry 800x600 -depth 24 \\
  -rfbport 5901 -SecurityTypes VncAuth -PasswordFile /etc/desktop/vnc-password -AlwaysShared
Restart=on-failure

[Install]
WantedBy=multi-user.target
UNIT
chroot "$tree" systemctl enable --quiet desktop.service
