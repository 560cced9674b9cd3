#!/usr/bin/env bash
# Makes a release of the commit that is checked out: an archive for each processor, what is in it (SPDX), and SHA256SUMS.
# The work is done in a clone: nothing else of this folder gets in. The same commit gives the same bits (docs/release.md).
#
#   scripts/release.sh OUT [VERSION]   VERSION such as v0.2.0; without one, the name that Go has for the commit
set -euo pipefail
out=$(realpath -m "$1") version=${2-}
if [ -n "$version" ]; then
  [[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || { echo "cudabuild: error: VERSION=$version: want one such as v0.2.0" >&2; exit 2; }
  tagged=$(git rev-parse --quiet --verify "refs/tags/$version^{commit}" || git rev-parse HEAD)
  [ "$tagged" = "$(git rev-parse HEAD)" ] || { echo "cudabuild: error: the tag $version is of commit $tagged: check that out first" >&2; exit 2; }
fi
work=$(mktemp -d)
trap 'rm -rf "$work" "$out.new"' EXIT
git clone --quiet . "$work/source"
cd "$work/source"
# Go writes the tag of a commit into its programs.
[ -z "$version" ] || git rev-parse --quiet --verify "refs/tags/$version" >/dev/null || git update-ref "refs/tags/$version" HEAD
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
GOTOOLCHAIN=$(sed -n 's/^go /go/p' go.mod) # a newer one gives other bits
export SOURCE_DATE_EPOCH GOTOOLCHAIN
scripts/debian.sh --cross "$(cat <<'EOF'
export GOFLAGS=-buildvcs=true LC_ALL=C
go build -C tools -o ../out/ ./sbom
mkdir out/release
make bin/observe-amd64 bin/observe-arm64
for processor in amd64:x86_64 arm64:aarch64; do
  export GOARCH=${processor%:*} CC=${processor#*:}-linux-gnu-gcc PKG_CONFIG_LIBDIR=/usr/lib/${processor#*:}-linux-gnu/pkgconfig
  make -o deps build bin/buildkitd bin/runc bin/nvidia-cdi-hook bin/nvidia-container-runtime bin/gpu/cudabuild
  name=cudabuild-$(go version -m bin/cudabuild | awk '$1 == "mod" {print $3}')-linux-$GOARCH
  mkdir "out/$name"
  mv bin/gpu/cudabuild "out/$name/cudabuild-gpu"
  mv bin/cudabuild bin/buildkitd bin/runc bin/nvidia-* "out/$name"
  cp bin/observe-* "out/$name" # both: the nodes of a cluster may be other machines
  cp LICENSE scripts/deps.sh scripts/emulator.sh "out/$name"
  # runc holds these two, as they are in this root.
  out/sbom -c "$(dpkg-query -W -f '${Package}=${Version} ' "libc6-dev:$GOARCH" "libseccomp-dev:$GOARCH")" "out/$name" >"out/release/$name.spdx.json"
  tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -C out -c "$name" |
    gzip -9n >"out/release/$name.tar.gz"
done
cd out/release
sha256sum cudabuild-* >SHA256SUMS
EOF
)"
if [ -n "$version" ] && [ ! -e "out/release/cudabuild-$version-linux-amd64.tar.gz" ]; then
  echo "cudabuild: error: $version is no version such as v0.2.0, or the tag of another commit: Go made $(cd out/release && ls -- *-amd64.tar.gz)" >&2
  exit 1
fi
mkdir -p "${out%/*}"
cp -r out/release "$out.new"
rm -rf "$out"
mv "$out.new" "$out"
cat "$out/SHA256SUMS"
