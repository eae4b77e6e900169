#!/bin/sh
# Installs the package in a bare Debian, uses it, removes and purges it, and looks for what is left. As root, with
# debootstrap: test.sh [FOLDER], where FOLDER is a bare Debian that is copied in place of a new one. A minute or two.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
[ "$(id -u)" = 0 ] || { echo "test.sh: only root may make a Debian" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

say() { echo "deb: $*"; }
fail() { echo "deb: FAILED: $*" >&2; exit 1; }
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/ "$@"; }
as_gateway() { inside setpriv --reuid porchlight-gateway --regid porchlight-gateway --clear-groups "$@"; }
# What the package manager keeps for itself is not looked at.
paths() { (cd "$root" && find . -path ./var/lib/dpkg -prune -o -path ./var/log -prune -o -print | sort); }

if [ $# -gt 0 ]; then
    cp -a "$1" "$root"
else
    command -v debootstrap >/dev/null || { echo "missing: debootstrap (Debian package debootstrap)" >&2; exit 1; }
    timeout 300 debootstrap --variant=minbase --include=systemd-standalone-sysusers \
        bookworm "$root" >"$work/log" 2>&1 || { tail -5 "$work/log" >&2; fail "debootstrap"; }
fi

# Debian 12 has an older nodejs: this machine's stands in, under the name that the package asks for.
node=$work/nodejs
mkdir -p "$node/DEBIAN" "$node/usr/bin"
cp "$(command -v node)" "$node/usr/bin/node"
cat > "$node/DEBIAN/control" <<END
Package: nodejs
Version: $(node -p 'process.versions.node')
Architecture: $(dpkg --print-architecture)
Maintainer: nobody <nobody@porchlight.invalid>
Description: stands in for a newer Node in a test
END
dpkg-deb --root-owner-group -Znone --build "$node" "$root/nodejs.deb" >/dev/null
inside dpkg -i /nodejs.deb >/dev/null
rm "$root/nodejs.deb"

package=$("$here/build.sh" "$work")
say "built $(basename "$package"), $(du -h "$package" | cut -f1)"
paths > "$work/before"
# Twice: the second is an upgrade, and systemd is not there to be asked for anything.
cp "$package" "$root/porchlight.deb"
for time in first second; do
    inside dpkg -i /porchlight.deb >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "dpkg -i, the $time time"; }
done
rm "$root/porchlight.deb"

inside porchlight --version >/dev/null || fail "porchlight --version"
for service in gateway subscriber; do
    inside id "porchlight-$service" >/dev/null || fail "no user porchlight-$service"
    uid=$(inside id -u "porchlight-$service")
    [ "$(stat -c '%a %u' "$root/var/lib/porchlight-$service")" = "700 $uid" ] || fail "folder of $service"
    [ -f "$root/lib/systemd/system/porchlight-$service.service" ] || fail "no unit of $service"
done
for file in lib/systemd/system/porchlight-subscriber.socket lib/systemd/system/porchlight-subscriber@.service; do
    [ -f "$root/$file" ] || fail "no $file"
done
[ -x "$root/usr/lib/porchlight/subscriber-instances" ] || fail "nothing to upgrade by"
[ -z "$(find "$root/usr/lib/porchlight" -perm /022 ! -type l)" ] || fail "somebody may change the code"
say "installed: users, folders, units"

folder=/var/lib/porchlight-gateway
openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt > "$root$folder/AuthKey_ABCDE12345.p8"
chown "$(inside id -u porchlight-gateway)" "$root$folder/AuthKey_ABCDE12345.p8"
as_gateway porchlight init gateway --dir "$folder" --host push.example.org --team TEAM000001 >"$work/log" ||
    { cat "$work/log" >&2; fail "porchlight init"; }
as_gateway porchlight gateway --config "$folder/gateway.toml" --check-config >/dev/null || fail "--check-config"
[ "$(stat -c %a "$root$folder/identity.key")" = 600 ] || fail "mode of a key"
say "a gateway's configuration, made as its user, is good"

echo 'PORCHLIGHT_GATEWAY_LOG_LEVEL=warn' >> "$root/etc/porchlight/gateway.env"
inside dpkg --remove porchlight >/dev/null
grep -q LOG_LEVEL=warn "$root/etc/porchlight/gateway.env" || fail "a changed conffile is gone after remove"
[ -f "$root$folder/identity.key" ] || fail "keys are gone after remove"
[ ! -e "$root/usr/bin/porchlight" ] || fail "the executable is left"
inside dpkg --purge porchlight >/dev/null
paths > "$work/after"
# Accounts leave the backups that every change of them leaves.
diff "$work/before" "$work/after" | grep '^[<>]' | grep -vE '/etc/((sub)?[ug]id|passwd|group|g?shadow)-$' >"$work/left" || true
[ ! -s "$work/left" ] || { cat "$work/left" >&2; fail "left behind"; }
inside id porchlight-gateway >/dev/null 2>&1 && fail "the user is left"
say "removed with its settings kept, purged with nothing left"
