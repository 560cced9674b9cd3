#!/usr/bin/env bash
# Installs the system packages that cudabuild needs, only those that are missing, and says which and why.
#
#   scripts/deps.sh run        what `cudabuild matrix` needs
#   scripts/deps.sh build      what `make tools` needs besides
#   scripts/deps.sh test       what the tests need besides
#   scripts/deps.sh e2e        what the end-to-end tests need besides: other people's tools that read our images
#   scripts/deps.sh browser    what `make browser` needs besides, and `make screenshots`
#   scripts/deps.sh cluster    what `make cluster` needs: a node of a Kubernetes for tests
#   scripts/deps.sh emulator   what `make emulator` needs
set -euo pipefail

want() {
  case $1 in
    run) cat <<'LIST'
mmdebstrap              bootstraps the base root filesystems
debian-archive-keyring  checks the signatures of Debian's package indices
LIST
      ;;
    build) want run; cat <<'LIST'
gcc                     compiles runc and the NVIDIA hook (cgo)
libc6-dev               C headers and the static C library for runc
libseccomp-dev          without it runc refuses every build step
pkg-config              tells cgo where libseccomp is
LIST
      ;;
    test) cat <<'LIST'
apt-utils               writes the index of a stand-in apt repository (apt-ftparchive)
createrepo-c            writes that of a stand-in rpm repository
curl                    downloads what the action in action.yml installs
gnupg                   signs both
jq                      reads plans in the workflows that tests run
rpm                     makes and signs packages of the stand-in rpm repository
strace                  tells the test that kills runs where they are
LIST
      ;;
    e2e) want test; cat <<'LIST'
skopeo                  reads out/images as other people do
docker.io               loads and runs an exported image
podman                  pulls and runs what was pushed
iproute2                gives cosign a network of its own
openssl                 makes keys that sign
LIST
      ;;
    browser) cat <<'LIST'
chromium                opens the page of cudabuild report
nodejs                  drives it
npm                     installs what tools/browser/package-lock.json names
pngquant                makes pictures of the documentation small
LIST
      ;;
    cluster) cat <<'LIST'
containerd              runs the pods
containernetworking-plugins  connects them
curl                    asks the API server whether it is ready
iproute2                makes the network that the cluster is alone in
iptables                lists the rules that a cluster must not change
jq                      reads what the API server answers
openssl                 makes the key that signs tokens of service accounts
procps                  lists the settings that a cluster must not change (sysctl)
LIST
      ;;
    emulator) cat <<'LIST'
arch-test               tells mmdebstrap which programs run here
binfmt-support          registers emulators with the kernel
qemu-user-static        runs programs of other processors
LIST
      ;;
    *) echo "usage: scripts/deps.sh run|build|test|e2e|browser|cluster|emulator" >&2; exit 2 ;;
  esac
}

group=${1:-build}
list=$(want "$group")
say() { echo "cudabuild: $*" >&2; }

if ! command -v dpkg-query >/dev/null; then
  say "not a Debian system: make sure these are installed:"
  echo "$list" >&2
  exit 0
fi

missing=()
while read -r name why; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null || true)
  [ "$status" = installed ] && continue
  # Who packages Node.js elsewhere has npm in it; Debian's would not go with that.
  [ "$name" = npm ] && command -v npm >/dev/null && continue
  say "install $name: $why"
  missing+=("$name")
done <<<"$list"
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
  say "error: not root; run: sudo apt-get install --no-install-recommends ${missing[*]}"
  exit 3
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get update -q && apt-get install -q -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  say "error: apt-get could not install ${missing[*]}"
  exit 3
fi
