#!/usr/bin/env bash
# Builds the programs of a bundle into bin/gpu, against the C library of Debian 11: they run on every host with
# glibc 2.31 or newer. The GPU stage needs cgo, so these are the only programs of ours that need a C library.
#
#   scripts/gpu-build.sh          build
#   scripts/gpu-build.sh COMMAND  run a shell command in the same root, from the repository's folder
set -euo pipefail
root=${CUDABUILD_STATE_DIR:-/var/lib/cudabuild}/gpu-build
repo=$PWD

if [ ! -x "$root/usr/bin/gcc" ]; then
  rm -rf "$root.new"
  mkdir -p "${root%/*}"
  mmdebstrap --quiet --variant=apt --include=gcc,libc6-dev,libseccomp-dev,pkg-config bullseye "$root.new"
  mv "$root.new" "$root"
fi

build='
go build -ldflags "-s -w" -o bin/gpu/ ./cmd/cudabuild
version=$(go list -C tools -m -f "{{.Version}}" github.com/NVIDIA/nvidia-container-toolkit)
go build -C tools -ldflags "-s -w -X github.com/NVIDIA/nvidia-container-toolkit/internal/info.version=${version#v}" -tags "netgo osusergo" -o ../bin/gpu/ \
  github.com/NVIDIA/nvidia-container-toolkit/cmd/nvidia-cdi-hook github.com/NVIDIA/nvidia-container-toolkit/cmd/nvidia-container-runtime
'
command=${1:-$build}
go mod download # there is no network in the root
go mod download -C tools
goroot=$(go env GOROOT) modules=$(go env GOMODCACHE) cache=$(go env GOCACHE)
mkdir -p bin/gpu
bin=$(readlink -f bin)
export root repo command goroot modules cache bin
# Everything that is mounted goes with the mount namespace.
unshare --mount bash -euc '
  for dir in "$repo" "$bin" "$goroot" "$modules" "$cache"; do
    mkdir -p "$root$dir"
    mount --bind "$dir" "$root$dir"
  done
  mount --bind /dev "$root/dev"
  mount -t proc proc "$root/proc"
  exec chroot "$root" env -i HOME=/root PATH="$goroot/bin:/usr/sbin:/usr/bin:/sbin:/bin" GOTOOLCHAIN=local GOPROXY=off GOMODCACHE="$modules" GOCACHE="$cache" \
    GOFLAGS="-trimpath -gcflags=all=-dwarf=false -buildvcs=false" CGO_ENABLED=1 CGO_CFLAGS="-O2 -Wno-deprecated-declarations" bash -euc "cd \"$repo\"; $command"
'
[ $# -gt 0 ] || cp "$bin/runc" "$bin/gpu/runc" # static already
