#!/bin/sh
# Makes the Debian package from what "npm run build" compiled: build.sh [FOLDER]; prints the path of the package.
# Needs dpkg-deb and npm. The package needs nodejs 20.19 or later: Debian 13 has it, Debian 12 gets it from NodeSource.
set -eu
umask 022

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${1:-$PWD}
[ -f "$root/dist/services/cli/main.js" ] || { echo "nothing is compiled: run npm run build" >&2; exit 1; }

version=$(node -p "require('$root/package.json').version")
arch=$(dpkg --print-architecture)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
chmod 755 "$stage"

lib=$stage/usr/lib/porchlight
mkdir -p "$lib/dist" "$stage/DEBIAN" "$stage/usr/bin" "$stage/etc/porchlight" "$stage/usr/share/doc/porchlight"
cp "$root/package.json" "$root/package-lock.json" "$lib"
# No package of ours has work to do at installation; native code comes built.
(cd "$lib" && npm ci --omit=dev --ignore-scripts --no-audit --no-fund --silent)
rm "$lib/package-lock.json"
case $arch in amd64) built=linux-x64 ;; arm64) built=linux-arm64 ;; *) built=none ;; esac
for folder in "$lib"/node_modules/*/prebuilds/*; do
    # Where there is none, WebAssembly does the work.
    [ "$(basename "$folder")" = "$built" ] || rm -rf "$folder"
done
cp -R "$root/dist/services" "$root/dist/shared" "$lib/dist"
find "$lib/dist" -name '*.map' -delete
chmod 755 "$lib/dist/services/cli/main.js"
ln -s ../lib/porchlight/dist/services/cli/main.js "$stage/usr/bin/porchlight"

install -Dm 644 "$here/files/sysusers.conf" "$stage/usr/lib/sysusers.d/porchlight.conf"
install -Dm 644 -t "$stage/lib/systemd/system" "$root"/deploy/systemd/*.service "$root"/deploy/systemd/*.socket
install -m 755 "$root/deploy/systemd/subscriber-instances" "$lib"
install -m 644 "$here/files/gateway.env" "$here/files/subscriber.env" "$stage/etc/porchlight"
install -m 644 "$root/LICENSE" "$stage/usr/share/doc/porchlight/copyright"
install -m 755 "$here/files/postinst" "$here/files/prerm" "$here/files/postrm" "$stage/DEBIAN"

printf '/etc/porchlight/%s\n' gateway.env subscriber.env > "$stage/DEBIAN/conffiles"
cat > "$stage/DEBIAN/control" <<END
Package: porchlight
Version: $version
Architecture: $arch
Maintainer: Porchlight maintainers <maintainers@porchlight.invalid>
Installed-Size: $(du -sk "$stage" | cut -f1)
Depends: nodejs (>= 20.19), systemd | systemd-standalone-sysusers
Section: net
Priority: optional
Description: wakes iPhones for privacy-minded messengers
 A subscriber listens to messaging servers, a gateway holds an app's key for
 Apple's push service; neither learns who talks when. Make a configuration with
 "porchlight init", then enable porchlight-subscriber or porchlight-gateway.
END
file=$out/porchlight_${version}_$arch.deb
dpkg-deb --root-owner-group -Zxz --build "$stage" "$file" >/dev/null
echo "$file"
