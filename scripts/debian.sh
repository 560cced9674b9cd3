#!/usr/bin/env bash
# Runs a shell command from this folder in a Debian 11 root that has a C compiler. Programs that need a C library are built
# there: they run on every host with glibc 2.31 or newer.
#
#   scripts/debian.sh COMMAND          in a root of this machine's processor
#   scripts/debian.sh --cross COMMAND  in one of amd64 that compiles for arm64 too, has git, and is of a repository that
#                                      changes no more: the same compilers on every day
set -euo pipefail
repo=$PWD
name=gpu-build packages=gcc,libc6-dev,libseccomp-dev,make,pkg-config options=()
if [ "$1" = --cross ]; then
  shift
  name=release-build packages+=,git,gcc-aarch64-linux-gnu,libc6-dev:arm64,libseccomp-dev:arm64
  # Of mmdebstrap's repositories the archive alone: updates and security change still, and are not all there for arm64.
  options=(--architectures=amd64,arm64 --setup-hook='sed -i -E "/bullseye[-\/]/d" "$1/etc/apt/sources.list"')
fi
root=${CUDABUILD_STATE_DIR:-/var/lib/cudabuild}/$name
if [ ! -x "$root/usr/bin/make" ]; then
  rm -rf "$root.new" "$root"
  mkdir -p "${root%/*}"
  mmdebstrap --quiet --variant=apt "${options[@]}" --include="$packages" bullseye "$root.new"
  mv "$root.new" "$root"
fi

command=$1
go mod download # there is no network in the root
go mod download -C tools
goroot=$(go env GOROOT) modules=$(go env GOMODCACHE) cache=$(go env GOCACHE)
mkdir -p bin "$cache"
bin=$(readlink -f bin)
epoch=${SOURCE_DATE_EPOCH-}
export root repo command goroot modules cache bin epoch
# Everything that is mounted goes with the mount namespace.
unshare --mount bash -euc '
  for dir in "$repo" "$bin" "$goroot" "$modules" "$cache"; do
    mkdir -p "$root$dir"
    mount --bind "$dir" "$root$dir"
  done
  mount --bind /dev "$root/dev"
  mount -t proc proc "$root/proc"
  exec chroot "$root" env -i HOME=/root PATH="$goroot/bin:/usr/sbin:/usr/bin:/sbin:/bin" GOTOOLCHAIN=local GOPROXY=off GOMODCACHE="$modules" GOCACHE="$cache" \
    SOURCE_DATE_EPOCH="$epoch" bash -euc "cd \"$repo\"; $command"
'
