#!/bin/sh
# Becomes a systemd that manages units of its own, as the first process of new namespaces: boot.sh FOLDER. Sees the machine's
# files, with the package's parts laid over them; nothing of it outlives the namespaces.
set -eu
work=$1
if [ "${2-}" = "" ]; then
    # A branch of its own, which only this systemd sees.
    mount --make-rprivate /
    umount -R /sys/fs/cgroup 2>/dev/null || true
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    mkdir "/sys/fs/cgroup/$(basename "$work")"
    echo 0 > "/sys/fs/cgroup/$(basename "$work")/cgroup.procs"
    umount /sys/fs/cgroup
    exec unshare --cgroup "$0" "$work" inside
fi
mount --make-rprivate /
mount -t proc proc /proc
# It would set the machine's own limits.
mount --bind -o ro /proc/sys /proc/sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
mkdir -p /run/lock /run/over /run/under
for folder in usr etc; do
    mkdir "/run/over/$folder" "/run/under/$folder"
    mount -t overlay overlay -o "lowerdir=/$folder,upperdir=/run/over/$folder,workdir=/run/under/$folder" "/$folder"
done
touch /dev/console
mount --bind "$work/console" /dev/console
cp -R "$work/usr" "$work/etc" /
mount --bind "$work/dist" /usr/lib/porchlight/dist
mount --bind "$work/node_modules" /usr/lib/porchlight/node_modules
systemd-sysusers "$work/sysusers.conf"
install -d -m 700 -o porchlight-subscriber -g porchlight-subscriber /var/lib/porchlight-subscriber
export container=porchlight SYSTEMD_UNIT_PATH=/etc/porchlight-units SYSTEMD_GENERATOR_PATH=/nowhere SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/nowhere
exec /lib/systemd/systemd --system --unit=basic.target --show-status=no --log-target=console --crash-reboot=no
