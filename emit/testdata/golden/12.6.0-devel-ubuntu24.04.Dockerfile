# 12.6.0-devel-ubuntu24.04: made by 'cudabuild plan' for 'docker buildx build' (Docker 23 or newer).
# It needs no files beside it. Packages, install scripts, guard, environment and sample sources are cudabuild's own.
# The images differ from those that 'cudabuild matrix' makes:
# - The root is a public image, by tag; cudabuild keeps it by digest until --refresh.
# - Files carry the time of the build, so the same packages do not give the same digests.
# - Nothing has looked for the driver in their layers: 'cudabuild verify' does.

FROM docker.io/library/ubuntu:24.04 AS root

# What installations know about the repositories; images do not keep it.
FROM root AS lists-amd64
ADD --chmod=644 https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2404/x86_64/3bf863cc.pub /lists/nvidia.asc
COPY <<'LIST' /lists/nvidia.list
deb https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2404/x86_64 /
LIST
RUN <<'STEP'
set -eu
cd /lists
sed -i /^Version/d nvidia.asc # what the sum leaves out is not used either
sum=$(sha256sum nvidia.asc)
[ "${sum%% *}" = a21c1a0b18a4196fa901b833e13c4fa64f094d7d9e8a6495318e7255f0ef23d1 ] || { echo "nvidia.asc is not the key 3bf863cc: its sha256 is $sum" >&2; exit 1; }
sed -e '1,/^[[:space:]]*$/d' -e '/^[=-]/,$d' nvidia.asc | base64 -di >nvidia.gpg
STEP

FROM root AS lists-arm64
ADD --chmod=644 https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2404/sbsa/3bf863cc.pub /lists/nvidia.asc
COPY <<'LIST' /lists/nvidia.list
deb https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2404/sbsa /
LIST
RUN <<'STEP'
set -eu
cd /lists
sed -i /^Version/d nvidia.asc # what the sum leaves out is not used either
sum=$(sha256sum nvidia.asc)
[ "${sum%% *}" = a21c1a0b18a4196fa901b833e13c4fa64f094d7d9e8a6495318e7255f0ef23d1 ] || { echo "nvidia.asc is not the key 3bf863cc: its sha256 is $sum" >&2; exit 1; }
sed -e '1,/^[[:space:]]*$/d' -e '/^[=-]/,$d' nvidia.asc | base64 -di >nvidia.gpg
STEP

FROM lists-${TARGETARCH} AS lists

# How apt-nvidia installs; the same for every layer.
FROM scratch AS manager
COPY <<'SCRIPT' /install
export DEBIAN_FRONTEND=noninteractive LC_ALL=C SOURCE_DATE_EPOCH="$EPOCH" APT_CONFIG=/tmp/apt.conf
index=/run/cudabuild/index
cat >/tmp/apt.conf <<CONF
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
Binary::apt-get::APT::Keep-Downloaded-Packages "true";
Dpkg::Use-Pty "false";
DPkg::Options { "--force-unsafe-io"; };
CONF
cat /run/cudabuild/apt.conf >>/tmp/apt.conf 2>/dev/null || true
# run shows what a command prints and keeps it; what is said last, to stderr, is the
# reason that a failed build gives.
run() { rm -f /tmp/failed; { "$@" 2>&1 || : >/tmp/failed; } | tee /tmp/said; [ ! -e /tmp/failed ]; }
fail() { echo "$*" >&2; exit 1; }
said() { grep -E -m 1 "$1" /tmp/said || true; }
# apt 1.0 calls it a warning if an index is missing or badly signed.
update() {
  ok=yes; run apt-get update || ok=no
  bad=$(said '^(E: |W: GPG error|W: Failed to fetch|W: Some index files)')
  [ $ok = yes ] && [ -z "$bad" ] || fail "apt-get update: ${bad:-failed}"
}
# A pin that is not there is named with its version and with those that are there.
missing() {
  for p in $PACKAGES; do
    name=${p%%=*} version=${p#*=}
    there=$(apt-cache madison "$name" 2>/dev/null | cut -d '|' -f 2 | tr -d ' ' | sort -u | tr '\n' ' ')
    [ -n "$there" ] || [ -n "$(apt-cache search --names-only "^$name\$")" ] || fail "package $name${p#"$name"}: there is no $name in the repositories"
    [ "$name" = "$p" ] || case " $there" in *" $version "*) ;; *) fail "package $name: version $version is not in the repositories, they have $there" ;; esac
  done
}
if [ -n "${VAULT:-}" ]; then
  sed -i "s,http://\(archive\|security\)\.ubuntu\.com/ubuntu,$VAULT," /etc/apt/sources.list
fi
if [ -n "${GUARD:-}" ]; then
  if [ -n "${PREREQUISITES:-}" ]; then
    update
    run apt-get install --yes $PREREQUISITES || fail "apt-get install $PREREQUISITES: $(said '^E: ')"
  fi
  for list in "$index"/*.list; do
    name=$(basename "$list" .list)
    cp "$index/$name.gpg" "/etc/apt/trusted.gpg.d/$name.gpg"
    cp "$list" "/etc/apt/sources.list.d/$name.list"
  done
  mkdir -p /tmp/guard/DEBIAN
  printf '%s\n' "$GUARD" >/tmp/guard/DEBIAN/control
  dpkg-deb --build /tmp/guard /tmp/guard.deb
  dpkg --install /tmp/guard.deb
fi
update
run apt-get install --yes $PACKAGES || {
  missing
  fail "apt-get install: $(said '(cudabuild-guard|^E: )')"
}
[ -z "${HOLD:-}" ] || apt-mark hold $HOLD
rm -f /var/cache/ldconfig/aux-cache /var/cache/debconf/*-old /var/lib/dpkg/*-old
SCRIPT

FROM root AS base
ARG TARGETPLATFORM
RUN --mount=type=tmpfs,target=/run \
    --mount=type=bind,from=manager,source=/install,target=/run/cudabuild/install \
    --mount=type=tmpfs,target=/tmp \
    --mount=type=tmpfs,target=/var/log \
    --mount=type=tmpfs,target=/var/lib/apt/lists \
    --mount=type=tmpfs,target=/var/cache/apt \
    --mount=type=cache,sharing=locked,id=cudabuild/ubuntu24.04/${TARGETPLATFORM}/12.6.0/var/cache/apt/archives,target=/var/cache/apt/archives \
    --mount=type=bind,from=lists,source=/lists,target=/run/cudabuild/index \
    <<'STEP'
set -eu
GUARD=$(cat <<'TEXT'
Package: cudabuild-guard-driver-comes-from-host
Version: 12.6.0
Architecture: all
Maintainer: cudabuild
Section: admin
Priority: required
Protected: yes
Multi-Arch: foreign
Conflicts: libnvidia-ml.so.1, libnvidia-ml1, cuda, cuda-drivers, cuda-drivers-fabricmanager, cuda-drivers-fabricmanager-340, cuda-drivers-fabricmanager-346, cuda-drivers-fabricmanager-352, cuda-drivers-fabricmanager-361, cuda-drivers-fabricmanager-384, cuda-drivers-fabricmanager-387, cuda-drivers-fabricmanager-390, cuda-drivers-fabricmanager-396, cuda-drivers-fabricmanager-410, cuda-drivers-fabricmanager-418, cuda-drivers-fabricmanager-440, cuda-drivers-fabricmanager-450, cuda-drivers-fabricmanager-455, cuda-drivers-fabricmanager-460, cuda-drivers-fabricmanager-465, cuda-drivers-fabricmanager-470, cuda-drivers-fabricmanager-495, cuda-drivers-fabricmanager-510, cuda-drivers-fabricmanager-515, cuda-drivers-fabricmanager-520, cuda-drivers-fabricmanager-525, cuda-drivers-fabricmanager-530, cuda-drivers-fabricmanager-535, cuda-drivers-fabricmanager-545, cuda-drivers-fabricmanager-550, cuda-drivers-fabricmanager-555, cuda-drivers-fabricmanager-560, cuda-drivers-fabricmanager-565, cuda-drivers-fabricmanager-570, cuda-drivers-fabricmanager-575, cuda-drivers-fabricmanager-580, cuda-drivers-fabricmanager-590, cuda-drivers-fabricmanager-595, cuda-drivers-fabricmanager-610, cuda-drivers-fabricmanager-615, cuda-drivers-fabricmanager-620, cuda-drivers-340, cuda-drivers-346, cuda-drivers-352, cuda-drivers-361, cuda-drivers-384, cuda-drivers-387, cuda-drivers-390, cuda-drivers-396, cuda-drivers-410, cuda-drivers-418, cuda-drivers-440, cuda-drivers-450, cuda-drivers-455, cuda-drivers-460, cuda-drivers-465, cuda-drivers-470, cuda-drivers-495, cuda-drivers-510, cuda-drivers-515, cuda-drivers-520, cuda-drivers-525, cuda-drivers-530, cuda-drivers-535, cuda-drivers-545, cuda-drivers-550, cuda-drivers-555, cuda-drivers-560, cuda-drivers-565, cuda-drivers-570, cuda-drivers-575, cuda-drivers-580, cuda-drivers-590, cuda-drivers-595, cuda-drivers-610, cuda-drivers-615, cuda-drivers-620, libcuda1-340, libcuda1-346, libcuda1-352, libcuda1-361, libcuda1-384, libcuda1-387, libcuda1-390, libcuda1-396, libcuda1-410, libcuda1-418, libcuda1-440, libcuda1-450, libcuda1-455, libcuda1-460, libcuda1-465, libcuda1-470, libcuda1-495, libcuda1-510, libcuda1-515, libcuda1-520, libcuda1-525, libcuda1-530, libcuda1-535, libcuda1-545, libcuda1-550, libcuda1-555, libcuda1-560, libcuda1-565, libcuda1-570, libcuda1-575, libcuda1-580, libcuda1-590, libcuda1-595, libcuda1-610, libcuda1-615, libcuda1-620, libnvidia-cfg1-340, libnvidia-cfg1-346, libnvidia-cfg1-352, libnvidia-cfg1-361, libnvidia-cfg1-384, libnvidia-cfg1-387, libnvidia-cfg1-390, libnvidia-cfg1-396, libnvidia-cfg1-410, libnvidia-cfg1-418, libnvidia-cfg1-440, libnvidia-cfg1-450, libnvidia-cfg1-455, libnvidia-cfg1-460, libnvidia-cfg1-465, libnvidia-cfg1-470, libnvidia-cfg1-495, libnvidia-cfg1-510, libnvidia-cfg1-515, libnvidia-cfg1-520, libnvidia-cfg1-525, libnvidia-cfg1-530, libnvidia-cfg1-535, libnvidia-cfg1-545, libnvidia-cfg1-550, libnvidia-cfg1-555, libnvidia-cfg1-560, libnvidia-cfg1-565, libnvidia-cfg1-570, libnvidia-cfg1-575, libnvidia-cfg1-580, libnvidia-cfg1-590, libnvidia-cfg1-595, libnvidia-cfg1-610, libnvidia-cfg1-615, libnvidia-cfg1-620, libnvidia-cfg1-340-server, libnvidia-cfg1-346-server, libnvidia-cfg1-352-server, libnvidia-cfg1-361-server, libnvidia-cfg1-384-server, libnvidia-cfg1-387-server, libnvidia-cfg1-390-server, libnvidia-cfg1-396-server, libnvidia-cfg1-410-server, libnvidia-cfg1-418-server, libnvidia-cfg1-440-server, libnvidia-cfg1-450-server, libnvidia-cfg1-455-server, libnvidia-cfg1-460-server, libnvidia-cfg1-465-server, libnvidia-cfg1-470-server, libnvidia-cfg1-495-server, libnvidia-cfg1-510-server, libnvidia-cfg1-515-server, libnvidia-cfg1-520-server, libnvidia-cfg1-525-server, libnvidia-cfg1-530-server, libnvidia-cfg1-535-server, libnvidia-cfg1-545-server, libnvidia-cfg1-550-server, libnvidia-cfg1-555-server, libnvidia-cfg1-560-server, libnvidia-cfg1-565-server, libnvidia-cfg1-570-server, libnvidia-cfg1-575-server, libnvidia-cfg1-580-server, libnvidia-cfg1-590-server, libnvidia-cfg1-595-server, libnvidia-cfg1-610-server, libnvidia-cfg1-615-server, libnvidia-cfg1-620-server, libnvidia-common-340, libnvidia-common-346, libnvidia-common-352, libnvidia-common-361, libnvidia-common-384, libnvidia-common-387, libnvidia-common-390, libnvidia-common-396, libnvidia-common-410, libnvidia-common-418, libnvidia-common-440, libnvidia-common-450, libnvidia-common-455, libnvidia-common-460, libnvidia-common-465, libnvidia-common-470, libnvidia-common-495, libnvidia-common-510, libnvidia-common-515, libnvidia-common-520, libnvidia-common-525, libnvidia-common-530, libnvidia-common-535, libnvidia-common-545, libnvidia-common-550, libnvidia-common-555, libnvidia-common-560, libnvidia-common-565, libnvidia-common-570, libnvidia-common-575, libnvidia-common-580, libnvidia-common-590, libnvidia-common-595, libnvidia-common-610, libnvidia-common-615, libnvidia-common-620, libnvidia-common-340-server, libnvidia-common-346-server, libnvidia-common-352-server, libnvidia-common-361-server, libnvidia-common-384-server, libnvidia-common-387-server, libnvidia-common-390-server, libnvidia-common-396-server, libnvidia-common-410-server, libnvidia-common-418-server, libnvidia-common-440-server, libnvidia-common-450-server, libnvidia-common-455-server, libnvidia-common-460-server, libnvidia-common-465-server, libnvidia-common-470-server, libnvidia-common-495-server, libnvidia-common-510-server, libnvidia-common-515-server, libnvidia-common-520-server, libnvidia-common-525-server, libnvidia-common-530-server, libnvidia-common-535-server, libnvidia-common-545-server, libnvidia-common-550-server, libnvidia-common-555-server, libnvidia-common-560-server, libnvidia-common-565-server, libnvidia-common-570-server, libnvidia-common-575-server, libnvidia-common-580-server, libnvidia-common-590-server, libnvidia-common-595-server, libnvidia-common-610-server, libnvidia-common-615-server, libnvidia-common-620-server, libnvidia-compute-340, libnvidia-compute-346, libnvidia-compute-352, libnvidia-compute-361, libnvidia-compute-384, libnvidia-compute-387, libnvidia-compute-390, libnvidia-compute-396, libnvidia-compute-410, libnvidia-compute-418, libnvidia-compute-440, libnvidia-compute-450, libnvidia-compute-455, libnvidia-compute-460, libnvidia-compute-465, libnvidia-compute-470, libnvidia-compute-495, libnvidia-compute-510, libnvidia-compute-515, libnvidia-compute-520, libnvidia-compute-525, libnvidia-compute-530, libnvidia-compute-535, libnvidia-compute-545, libnvidia-compute-550, libnvidia-compute-555, libnvidia-compute-560, libnvidia-compute-565, libnvidia-compute-570, libnvidia-compute-575, libnvidia-compute-580, libnvidia-compute-590, libnvidia-compute-595, libnvidia-compute-610, libnvidia-compute-615, libnvidia-compute-620, libnvidia-compute-340-server, libnvidia-compute-346-server, libnvidia-compute-352-server, libnvidia-compute-361-server, libnvidia-compute-384-server, libnvidia-compute-387-server, libnvidia-compute-390-server, libnvidia-compute-396-server, libnvidia-compute-410-server, libnvidia-compute-418-server, libnvidia-compute-440-server, libnvidia-compute-450-server, libnvidia-compute-455-server, libnvidia-compute-460-server, libnvidia-compute-465-server, libnvidia-compute-470-server, libnvidia-compute-495-server, libnvidia-compute-510-server, libnvidia-compute-515-server, libnvidia-compute-520-server, libnvidia-compute-525-server, libnvidia-compute-530-server, libnvidia-compute-535-server, libnvidia-compute-545-server, libnvidia-compute-550-server, libnvidia-compute-555-server, libnvidia-compute-560-server, libnvidia-compute-565-server, libnvidia-compute-570-server, libnvidia-compute-575-server, libnvidia-compute-580-server, libnvidia-compute-590-server, libnvidia-compute-595-server, libnvidia-compute-610-server, libnvidia-compute-615-server, libnvidia-compute-620-server, libnvidia-extra-340, libnvidia-extra-346, libnvidia-extra-352, libnvidia-extra-361, libnvidia-extra-384, libnvidia-extra-387, libnvidia-extra-390, libnvidia-extra-396, libnvidia-extra-410, libnvidia-extra-418, libnvidia-extra-440, libnvidia-extra-450, libnvidia-extra-455, libnvidia-extra-460, libnvidia-extra-465, libnvidia-extra-470, libnvidia-extra-495, libnvidia-extra-510, libnvidia-extra-515, libnvidia-extra-520, libnvidia-extra-525, libnvidia-extra-530, libnvidia-extra-535, libnvidia-extra-545, libnvidia-extra-550, libnvidia-extra-555, libnvidia-extra-560, libnvidia-extra-565, libnvidia-extra-570, libnvidia-extra-575, libnvidia-extra-580, libnvidia-extra-590, libnvidia-extra-595, libnvidia-extra-610, libnvidia-extra-615, libnvidia-extra-620, libnvidia-extra-340-server, libnvidia-extra-346-server, libnvidia-extra-352-server, libnvidia-extra-361-server, libnvidia-extra-384-server, libnvidia-extra-387-server, libnvidia-extra-390-server, libnvidia-extra-396-server, libnvidia-extra-410-server, libnvidia-extra-418-server, libnvidia-extra-440-server, libnvidia-extra-450-server, libnvidia-extra-455-server, libnvidia-extra-460-server, libnvidia-extra-465-server, libnvidia-extra-470-server, libnvidia-extra-495-server, libnvidia-extra-510-server, libnvidia-extra-515-server, libnvidia-extra-520-server, libnvidia-extra-525-server, libnvidia-extra-530-server, libnvidia-extra-535-server, libnvidia-extra-545-server, libnvidia-extra-550-server, libnvidia-extra-555-server, libnvidia-extra-560-server, libnvidia-extra-565-server, libnvidia-extra-570-server, libnvidia-extra-575-server, libnvidia-extra-580-server, libnvidia-extra-590-server, libnvidia-extra-595-server, libnvidia-extra-610-server, libnvidia-extra-615-server, libnvidia-extra-620-server, libnvidia-fbc1-340, libnvidia-fbc1-346, libnvidia-fbc1-352, libnvidia-fbc1-361, libnvidia-fbc1-384, libnvidia-fbc1-387, libnvidia-fbc1-390, libnvidia-fbc1-396, libnvidia-fbc1-410, libnvidia-fbc1-418, libnvidia-fbc1-440, libnvidia-fbc1-450, libnvidia-fbc1-455, libnvidia-fbc1-460, libnvidia-fbc1-465, libnvidia-fbc1-470, libnvidia-fbc1-495, libnvidia-fbc1-510, libnvidia-fbc1-515, libnvidia-fbc1-520, libnvidia-fbc1-525, libnvidia-fbc1-530, libnvidia-fbc1-535, libnvidia-fbc1-545, libnvidia-fbc1-550, libnvidia-fbc1-555, libnvidia-fbc1-560, libnvidia-fbc1-565, libnvidia-fbc1-570, libnvidia-fbc1-575, libnvidia-fbc1-580, libnvidia-fbc1-590, libnvidia-fbc1-595, libnvidia-fbc1-610, libnvidia-fbc1-615, libnvidia-fbc1-620, libnvidia-fbc1-340-server, libnvidia-fbc1-346-server, libnvidia-fbc1-352-server, libnvidia-fbc1-361-server, libnvidia-fbc1-384-server, libnvidia-fbc1-387-server, libnvidia-fbc1-390-server, libnvidia-fbc1-396-server, libnvidia-fbc1-410-server, libnvidia-fbc1-418-server, libnvidia-fbc1-440-server, libnvidia-fbc1-450-server, libnvidia-fbc1-455-server, libnvidia-fbc1-460-server, libnvidia-fbc1-465-server, libnvidia-fbc1-470-server, libnvidia-fbc1-495-server, libnvidia-fbc1-510-server, libnvidia-fbc1-515-server, libnvidia-fbc1-520-server, libnvidia-fbc1-525-server, libnvidia-fbc1-530-server, libnvidia-fbc1-535-server, libnvidia-fbc1-545-server, libnvidia-fbc1-550-server, libnvidia-fbc1-555-server, libnvidia-fbc1-560-server, libnvidia-fbc1-565-server, libnvidia-fbc1-570-server, libnvidia-fbc1-575-server, libnvidia-fbc1-580-server, libnvidia-fbc1-590-server, libnvidia-fbc1-595-server, libnvidia-fbc1-610-server, libnvidia-fbc1-615-server, libnvidia-fbc1-620-server, libnvidia-gl-340, libnvidia-gl-346, libnvidia-gl-352, libnvidia-gl-361, libnvidia-gl-384, libnvidia-gl-387, libnvidia-gl-390, libnvidia-gl-396, libnvidia-gl-410, libnvidia-gl-418, libnvidia-gl-440, libnvidia-gl-450, libnvidia-gl-455, libnvidia-gl-460, libnvidia-gl-465, libnvidia-gl-470, libnvidia-gl-495, libnvidia-gl-510, libnvidia-gl-515, libnvidia-gl-520, libnvidia-gl-525, libnvidia-gl-530, libnvidia-gl-535, libnvidia-gl-545, libnvidia-gl-550, libnvidia-gl-555, libnvidia-gl-560, libnvidia-gl-565, libnvidia-gl-570, libnvidia-gl-575, libnvidia-gl-580, libnvidia-gl-590, libnvidia-gl-595, libnvidia-gl-610, libnvidia-gl-615, libnvidia-gl-620, libnvidia-gl-340-server, libnvidia-gl-346-server, libnvidia-gl-352-server, libnvidia-gl-361-server, libnvidia-gl-384-server, libnvidia-gl-387-server, libnvidia-gl-390-server, libnvidia-gl-396-server, libnvidia-gl-410-server, libnvidia-gl-418-server, libnvidia-gl-440-server, libnvidia-gl-450-server, libnvidia-gl-455-server, libnvidia-gl-460-server, libnvidia-gl-465-server, libnvidia-gl-470-server, libnvidia-gl-495-server, libnvidia-gl-510-server, libnvidia-gl-515-server, libnvidia-gl-520-server, libnvidia-gl-525-server, libnvidia-gl-530-server, libnvidia-gl-535-server, libnvidia-gl-545-server, libnvidia-gl-550-server, libnvidia-gl-555-server, libnvidia-gl-560-server, libnvidia-gl-565-server, libnvidia-gl-570-server, libnvidia-gl-575-server, libnvidia-gl-580-server, libnvidia-gl-590-server, libnvidia-gl-595-server, libnvidia-gl-610-server, libnvidia-gl-615-server, libnvidia-gl-620-server, libnvidia-nscq-340, libnvidia-nscq-346, libnvidia-nscq-352, libnvidia-nscq-361, libnvidia-nscq-384, libnvidia-nscq-387, libnvidia-nscq-390, libnvidia-nscq-396, libnvidia-nscq-410, libnvidia-nscq-418, libnvidia-nscq-440, libnvidia-nscq-450, libnvidia-nscq-455, libnvidia-nscq-460, libnvidia-nscq-465, libnvidia-nscq-470, libnvidia-nscq-495, libnvidia-nscq-510, libnvidia-nscq-515, libnvidia-nscq-520, libnvidia-nscq-525, libnvidia-nscq-530, libnvidia-nscq-535, libnvidia-nscq-545, libnvidia-nscq-550, libnvidia-nscq-555, libnvidia-nscq-560, libnvidia-nscq-565, libnvidia-nscq-570, libnvidia-nscq-575, libnvidia-nscq-580, libnvidia-nscq-590, libnvidia-nscq-595, libnvidia-nscq-610, libnvidia-nscq-615, libnvidia-nscq-620, nvidia-dkms-340, nvidia-dkms-346, nvidia-dkms-352, nvidia-dkms-361, nvidia-dkms-384, nvidia-dkms-387, nvidia-dkms-390, nvidia-dkms-396, nvidia-dkms-410, nvidia-dkms-418, nvidia-dkms-440, nvidia-dkms-450, nvidia-dkms-455, nvidia-dkms-460, nvidia-dkms-465, nvidia-dkms-470, nvidia-dkms-495, nvidia-dkms-510, nvidia-dkms-515, nvidia-dkms-520, nvidia-dkms-525, nvidia-dkms-530, nvidia-dkms-535, nvidia-dkms-545, nvidia-dkms-550, nvidia-dkms-555, nvidia-dkms-560, nvidia-dkms-565, nvidia-dkms-570, nvidia-dkms-575, nvidia-dkms-580, nvidia-dkms-590, nvidia-dkms-595, nvidia-dkms-610, nvidia-dkms-615, nvidia-dkms-620, nvidia-dkms-340-open, nvidia-dkms-346-open, nvidia-dkms-352-open, nvidia-dkms-361-open, nvidia-dkms-384-open, nvidia-dkms-387-open, nvidia-dkms-390-open, nvidia-dkms-396-open, nvidia-dkms-410-open, nvidia-dkms-418-open, nvidia-dkms-440-open, nvidia-dkms-450-open, nvidia-dkms-455-open, nvidia-dkms-460-open, nvidia-dkms-465-open, nvidia-dkms-470-open, nvidia-dkms-495-open, nvidia-dkms-510-open, nvidia-dkms-515-open, nvidia-dkms-520-open, nvidia-dkms-525-open, nvidia-dkms-530-open, nvidia-dkms-535-open, nvidia-dkms-545-open, nvidia-dkms-550-open, nvidia-dkms-555-open, nvidia-dkms-560-open, nvidia-dkms-565-open, nvidia-dkms-570-open, nvidia-dkms-575-open, nvidia-dkms-580-open, nvidia-dkms-590-open, nvidia-dkms-595-open, nvidia-dkms-610-open, nvidia-dkms-615-open, nvidia-dkms-620-open, nvidia-dkms-340-server, nvidia-dkms-346-server, nvidia-dkms-352-server, nvidia-dkms-361-server, nvidia-dkms-384-server, nvidia-dkms-387-server, nvidia-dkms-390-server, nvidia-dkms-396-server, nvidia-dkms-410-server, nvidia-dkms-418-server, nvidia-dkms-440-server, nvidia-dkms-450-server, nvidia-dkms-455-server, nvidia-dkms-460-server, nvidia-dkms-465-server, nvidia-dkms-470-server, nvidia-dkms-495-server, nvidia-dkms-510-server, nvidia-dkms-515-server, nvidia-dkms-520-server, nvidia-dkms-525-server, nvidia-dkms-530-server, nvidia-dkms-535-server, nvidia-dkms-545-server, nvidia-dkms-550-server, nvidia-dkms-555-server, nvidia-dkms-560-server, nvidia-dkms-565-server, nvidia-dkms-570-server, nvidia-dkms-575-server, nvidia-dkms-580-server, nvidia-dkms-590-server, nvidia-dkms-595-server, nvidia-dkms-610-server, nvidia-dkms-615-server, nvidia-dkms-620-server, nvidia-dkms-340-server-open, nvidia-dkms-346-server-open, nvidia-dkms-352-server-open, nvidia-dkms-361-server-open, nvidia-dkms-384-server-open, nvidia-dkms-387-server-open, nvidia-dkms-390-server-open, nvidia-dkms-396-server-open, nvidia-dkms-410-server-open, nvidia-dkms-418-server-open, nvidia-dkms-440-server-open, nvidia-dkms-450-server-open, nvidia-dkms-455-server-open, nvidia-dkms-460-server-open, nvidia-dkms-465-server-open, nvidia-dkms-470-server-open, nvidia-dkms-495-server-open, nvidia-dkms-510-server-open, nvidia-dkms-515-server-open, nvidia-dkms-520-server-open, nvidia-dkms-525-server-open, nvidia-dkms-530-server-open, nvidia-dkms-535-server-open, nvidia-dkms-545-server-open, nvidia-dkms-550-server-open, nvidia-dkms-555-server-open, nvidia-dkms-560-server-open, nvidia-dkms-565-server-open, nvidia-dkms-570-server-open, nvidia-dkms-575-server-open, nvidia-dkms-580-server-open, nvidia-dkms-590-server-open, nvidia-dkms-595-server-open, nvidia-dkms-610-server-open, nvidia-dkms-615-server-open, nvidia-dkms-620-server-open, nvidia-driver, nvidia-driver-340, nvidia-driver-346, nvidia-driver-352, nvidia-driver-361, nvidia-driver-384, nvidia-driver-387, nvidia-driver-390, nvidia-driver-396, nvidia-driver-410, nvidia-driver-418, nvidia-driver-440, nvidia-driver-450, nvidia-driver-455, nvidia-driver-460, nvidia-driver-465, nvidia-driver-470, nvidia-driver-495, nvidia-driver-510, nvidia-driver-515, nvidia-driver-520, nvidia-driver-525, nvidia-driver-530, nvidia-driver-535, nvidia-driver-545, nvidia-driver-550, nvidia-driver-555, nvidia-driver-560, nvidia-driver-565, nvidia-driver-570, nvidia-driver-575, nvidia-driver-580, nvidia-driver-590, nvidia-driver-595, nvidia-driver-610, nvidia-driver-615, nvidia-driver-620, nvidia-driver-340-open, nvidia-driver-346-open, nvidia-driver-352-open, nvidia-driver-361-open, nvidia-driver-384-open, nvidia-driver-387-open, nvidia-driver-390-open, nvidia-driver-396-open, nvidia-driver-410-open, nvidia-driver-418-open, nvidia-driver-440-open, nvidia-driver-450-open, nvidia-driver-455-open, nvidia-driver-460-open, nvidia-driver-465-open, nvidia-driver-470-open, nvidia-driver-495-open, nvidia-driver-510-open, nvidia-driver-515-open, nvidia-driver-520-open, nvidia-driver-525-open, nvidia-driver-530-open, nvidia-driver-535-open, nvidia-driver-545-open, nvidia-driver-550-open, nvidia-driver-555-open, nvidia-driver-560-open, nvidia-driver-565-open, nvidia-driver-570-open, nvidia-driver-575-open, nvidia-driver-580-open, nvidia-driver-590-open, nvidia-driver-595-open, nvidia-driver-610-open, nvidia-driver-615-open, nvidia-driver-620-open, nvidia-driver-340-server, nvidia-driver-346-server, nvidia-driver-352-server, nvidia-driver-361-server, nvidia-driver-384-server, nvidia-driver-387-server, nvidia-driver-390-server, nvidia-driver-396-server, nvidia-driver-410-server, nvidia-driver-418-server, nvidia-driver-440-server, nvidia-driver-450-server, nvidia-driver-455-server, nvidia-driver-460-server, nvidia-driver-465-server, nvidia-driver-470-server, nvidia-driver-495-server, nvidia-driver-510-server, nvidia-driver-515-server, nvidia-driver-520-server, nvidia-driver-525-server, nvidia-driver-530-server, nvidia-driver-535-server, nvidia-driver-545-server, nvidia-driver-550-server, nvidia-driver-555-server, nvidia-driver-560-server, nvidia-driver-565-server, nvidia-driver-570-server, nvidia-driver-575-server, nvidia-driver-580-server, nvidia-driver-590-server, nvidia-driver-595-server, nvidia-driver-610-server, nvidia-driver-615-server, nvidia-driver-620-server, nvidia-driver-340-server-open, nvidia-driver-346-server-open, nvidia-driver-352-server-open, nvidia-driver-361-server-open, nvidia-driver-384-server-open, nvidia-driver-387-server-open, nvidia-driver-390-server-open, nvidia-driver-396-server-open, nvidia-driver-410-server-open, nvidia-driver-418-server-open, nvidia-driver-440-server-open, nvidia-driver-450-server-open, nvidia-driver-455-server-open, nvidia-driver-460-server-open, nvidia-driver-465-server-open, nvidia-driver-470-server-open, nvidia-driver-495-server-open, nvidia-driver-510-server-open, nvidia-driver-515-server-open, nvidia-driver-520-server-open, nvidia-driver-525-server-open, nvidia-driver-530-server-open, nvidia-driver-535-server-open, nvidia-driver-545-server-open, nvidia-driver-550-server-open, nvidia-driver-555-server-open, nvidia-driver-560-server-open, nvidia-driver-565-server-open, nvidia-driver-570-server-open, nvidia-driver-575-server-open, nvidia-driver-580-server-open, nvidia-driver-590-server-open, nvidia-driver-595-server-open, nvidia-driver-610-server-open, nvidia-driver-615-server-open, nvidia-driver-620-server-open, nvidia-fabricmanager, nvidia-fabricmanager-340, nvidia-fabricmanager-346, nvidia-fabricmanager-352, nvidia-fabricmanager-361, nvidia-fabricmanager-384, nvidia-fabricmanager-387, nvidia-fabricmanager-390, nvidia-fabricmanager-396, nvidia-fabricmanager-410, nvidia-fabricmanager-418, nvidia-fabricmanager-440, nvidia-fabricmanager-450, nvidia-fabricmanager-455, nvidia-fabricmanager-460, nvidia-fabricmanager-465, nvidia-fabricmanager-470, nvidia-fabricmanager-495, nvidia-fabricmanager-510, nvidia-fabricmanager-515, nvidia-fabricmanager-520, nvidia-fabricmanager-525, nvidia-fabricmanager-530, nvidia-fabricmanager-535, nvidia-fabricmanager-545, nvidia-fabricmanager-550, nvidia-fabricmanager-555, nvidia-fabricmanager-560, nvidia-fabricmanager-565, nvidia-fabricmanager-570, nvidia-fabricmanager-575, nvidia-fabricmanager-580, nvidia-fabricmanager-590, nvidia-fabricmanager-595, nvidia-fabricmanager-610, nvidia-fabricmanager-615, nvidia-fabricmanager-620, nvidia-imex-340, nvidia-imex-346, nvidia-imex-352, nvidia-imex-361, nvidia-imex-384, nvidia-imex-387, nvidia-imex-390, nvidia-imex-396, nvidia-imex-410, nvidia-imex-418, nvidia-imex-440, nvidia-imex-450, nvidia-imex-455, nvidia-imex-460, nvidia-imex-465, nvidia-imex-470, nvidia-imex-495, nvidia-imex-510, nvidia-imex-515, nvidia-imex-520, nvidia-imex-525, nvidia-imex-530, nvidia-imex-535, nvidia-imex-545, nvidia-imex-550, nvidia-imex-555, nvidia-imex-560, nvidia-imex-565, nvidia-imex-570, nvidia-imex-575, nvidia-imex-580, nvidia-imex-590, nvidia-imex-595, nvidia-imex-610, nvidia-imex-615, nvidia-imex-620, nvidia-kernel-common-340, nvidia-kernel-common-346, nvidia-kernel-common-352, nvidia-kernel-common-361, nvidia-kernel-common-384, nvidia-kernel-common-387, nvidia-kernel-common-390, nvidia-kernel-common-396, nvidia-kernel-common-410, nvidia-kernel-common-418, nvidia-kernel-common-440, nvidia-kernel-common-450, nvidia-kernel-common-455, nvidia-kernel-common-460, nvidia-kernel-common-465, nvidia-kernel-common-470, nvidia-kernel-common-495, nvidia-kernel-common-510, nvidia-kernel-common-515, nvidia-kernel-common-520, nvidia-kernel-common-525, nvidia-kernel-common-530, nvidia-kernel-common-535, nvidia-kernel-common-545, nvidia-kernel-common-550, nvidia-kernel-common-555, nvidia-kernel-common-560, nvidia-kernel-common-565, nvidia-kernel-common-570, nvidia-kernel-common-575, nvidia-kernel-common-580, nvidia-kernel-common-590, nvidia-kernel-common-595, nvidia-kernel-common-610, nvidia-kernel-common-615, nvidia-kernel-common-620, nvidia-kernel-common-340-server, nvidia-kernel-common-346-server, nvidia-kernel-common-352-server, nvidia-kernel-common-361-server, nvidia-kernel-common-384-server, nvidia-kernel-common-387-server, nvidia-kernel-common-390-server, nvidia-kernel-common-396-server, nvidia-kernel-common-410-server, nvidia-kernel-common-418-server, nvidia-kernel-common-440-server, nvidia-kernel-common-450-server, nvidia-kernel-common-455-server, nvidia-kernel-common-460-server, nvidia-kernel-common-465-server, nvidia-kernel-common-470-server, nvidia-kernel-common-495-server, nvidia-kernel-common-510-server, nvidia-kernel-common-515-server, nvidia-kernel-common-520-server, nvidia-kernel-common-525-server, nvidia-kernel-common-530-server, nvidia-kernel-common-535-server, nvidia-kernel-common-545-server, nvidia-kernel-common-550-server, nvidia-kernel-common-555-server, nvidia-kernel-common-560-server, nvidia-kernel-common-565-server, nvidia-kernel-common-570-server, nvidia-kernel-common-575-server, nvidia-kernel-common-580-server, nvidia-kernel-common-590-server, nvidia-kernel-common-595-server, nvidia-kernel-common-610-server, nvidia-kernel-common-615-server, nvidia-kernel-common-620-server, nvidia-kernel-source-340, nvidia-kernel-source-346, nvidia-kernel-source-352, nvidia-kernel-source-361, nvidia-kernel-source-384, nvidia-kernel-source-387, nvidia-kernel-source-390, nvidia-kernel-source-396, nvidia-kernel-source-410, nvidia-kernel-source-418, nvidia-kernel-source-440, nvidia-kernel-source-450, nvidia-kernel-source-455, nvidia-kernel-source-460, nvidia-kernel-source-465, nvidia-kernel-source-470, nvidia-kernel-source-495, nvidia-kernel-source-510, nvidia-kernel-source-515, nvidia-kernel-source-520, nvidia-kernel-source-525, nvidia-kernel-source-530, nvidia-kernel-source-535, nvidia-kernel-source-545, nvidia-kernel-source-550, nvidia-kernel-source-555, nvidia-kernel-source-560, nvidia-kernel-source-565, nvidia-kernel-source-570, nvidia-kernel-source-575, nvidia-kernel-source-580, nvidia-kernel-source-590, nvidia-kernel-source-595, nvidia-kernel-source-610, nvidia-kernel-source-615, nvidia-kernel-source-620, nvidia-kernel-source-340-open, nvidia-kernel-source-346-open, nvidia-kernel-source-352-open, nvidia-kernel-source-361-open, nvidia-kernel-source-384-open, nvidia-kernel-source-387-open, nvidia-kernel-source-390-open, nvidia-kernel-source-396-open, nvidia-kernel-source-410-open, nvidia-kernel-source-418-open, nvidia-kernel-source-440-open, nvidia-kernel-source-450-open, nvidia-kernel-source-455-open, nvidia-kernel-source-460-open, nvidia-kernel-source-465-open, nvidia-kernel-source-470-open, nvidia-kernel-source-495-open, nvidia-kernel-source-510-open, nvidia-kernel-source-515-open, nvidia-kernel-source-520-open, nvidia-kernel-source-525-open, nvidia-kernel-source-530-open, nvidia-kernel-source-535-open, nvidia-kernel-source-545-open, nvidia-kernel-source-550-open, nvidia-kernel-source-555-open, nvidia-kernel-source-560-open, nvidia-kernel-source-565-open, nvidia-kernel-source-570-open, nvidia-kernel-source-575-open, nvidia-kernel-source-580-open, nvidia-kernel-source-590-open, nvidia-kernel-source-595-open, nvidia-kernel-source-610-open, nvidia-kernel-source-615-open, nvidia-kernel-source-620-open, nvidia-kernel-source-340-server, nvidia-kernel-source-346-server, nvidia-kernel-source-352-server, nvidia-kernel-source-361-server, nvidia-kernel-source-384-server, nvidia-kernel-source-387-server, nvidia-kernel-source-390-server, nvidia-kernel-source-396-server, nvidia-kernel-source-410-server, nvidia-kernel-source-418-server, nvidia-kernel-source-440-server, nvidia-kernel-source-450-server, nvidia-kernel-source-455-server, nvidia-kernel-source-460-server, nvidia-kernel-source-465-server, nvidia-kernel-source-470-server, nvidia-kernel-source-495-server, nvidia-kernel-source-510-server, nvidia-kernel-source-515-server, nvidia-kernel-source-520-server, nvidia-kernel-source-525-server, nvidia-kernel-source-530-server, nvidia-kernel-source-535-server, nvidia-kernel-source-545-server, nvidia-kernel-source-550-server, nvidia-kernel-source-555-server, nvidia-kernel-source-560-server, nvidia-kernel-source-565-server, nvidia-kernel-source-570-server, nvidia-kernel-source-575-server, nvidia-kernel-source-580-server, nvidia-kernel-source-590-server, nvidia-kernel-source-595-server, nvidia-kernel-source-610-server, nvidia-kernel-source-615-server, nvidia-kernel-source-620-server, nvidia-kernel-source-340-server-open, nvidia-kernel-source-346-server-open, nvidia-kernel-source-352-server-open, nvidia-kernel-source-361-server-open, nvidia-kernel-source-384-server-open, nvidia-kernel-source-387-server-open, nvidia-kernel-source-390-server-open, nvidia-kernel-source-396-server-open, nvidia-kernel-source-410-server-open, nvidia-kernel-source-418-server-open, nvidia-kernel-source-440-server-open, nvidia-kernel-source-450-server-open, nvidia-kernel-source-455-server-open, nvidia-kernel-source-460-server-open, nvidia-kernel-source-465-server-open, nvidia-kernel-source-470-server-open, nvidia-kernel-source-495-server-open, nvidia-kernel-source-510-server-open, nvidia-kernel-source-515-server-open, nvidia-kernel-source-520-server-open, nvidia-kernel-source-525-server-open, nvidia-kernel-source-530-server-open, nvidia-kernel-source-535-server-open, nvidia-kernel-source-545-server-open, nvidia-kernel-source-550-server-open, nvidia-kernel-source-555-server-open, nvidia-kernel-source-560-server-open, nvidia-kernel-source-565-server-open, nvidia-kernel-source-570-server-open, nvidia-kernel-source-575-server-open, nvidia-kernel-source-580-server-open, nvidia-kernel-source-590-server-open, nvidia-kernel-source-595-server-open, nvidia-kernel-source-610-server-open, nvidia-kernel-source-615-server-open, nvidia-kernel-source-620-server-open, nvidia-modprobe, nvidia-open, nvidia-open-340, nvidia-open-346, nvidia-open-352, nvidia-open-361, nvidia-open-384, nvidia-open-387, nvidia-open-390, nvidia-open-396, nvidia-open-410, nvidia-open-418, nvidia-open-440, nvidia-open-450, nvidia-open-455, nvidia-open-460, nvidia-open-465, nvidia-open-470, nvidia-open-495, nvidia-open-510, nvidia-open-515, nvidia-open-520, nvidia-open-525, nvidia-open-530, nvidia-open-535, nvidia-open-545, nvidia-open-550, nvidia-open-555, nvidia-open-560, nvidia-open-565, nvidia-open-570, nvidia-open-575, nvidia-open-580, nvidia-open-590, nvidia-open-595, nvidia-open-610, nvidia-open-615, nvidia-open-620, nvidia-persistenced, nvidia-settings, nvidia-smi, nvidia-utils-340, nvidia-utils-346, nvidia-utils-352, nvidia-utils-361, nvidia-utils-384, nvidia-utils-387, nvidia-utils-390, nvidia-utils-396, nvidia-utils-410, nvidia-utils-418, nvidia-utils-440, nvidia-utils-450, nvidia-utils-455, nvidia-utils-460, nvidia-utils-465, nvidia-utils-470, nvidia-utils-495, nvidia-utils-510, nvidia-utils-515, nvidia-utils-520, nvidia-utils-525, nvidia-utils-530, nvidia-utils-535, nvidia-utils-545, nvidia-utils-550, nvidia-utils-555, nvidia-utils-560, nvidia-utils-565, nvidia-utils-570, nvidia-utils-575, nvidia-utils-580, nvidia-utils-590, nvidia-utils-595, nvidia-utils-610, nvidia-utils-615, nvidia-utils-620, nvidia-utils-340-server, nvidia-utils-346-server, nvidia-utils-352-server, nvidia-utils-361-server, nvidia-utils-384-server, nvidia-utils-387-server, nvidia-utils-390-server, nvidia-utils-396-server, nvidia-utils-410-server, nvidia-utils-418-server, nvidia-utils-440-server, nvidia-utils-450-server, nvidia-utils-455-server, nvidia-utils-460-server, nvidia-utils-465-server, nvidia-utils-470-server, nvidia-utils-495-server, nvidia-utils-510-server, nvidia-utils-515-server, nvidia-utils-520-server, nvidia-utils-525-server, nvidia-utils-530-server, nvidia-utils-535-server, nvidia-utils-545-server, nvidia-utils-550-server, nvidia-utils-555-server, nvidia-utils-560-server, nvidia-utils-565-server, nvidia-utils-570-server, nvidia-utils-575-server, nvidia-utils-580-server, nvidia-utils-590-server, nvidia-utils-595-server, nvidia-utils-610-server, nvidia-utils-615-server, nvidia-utils-620-server, nvidia-340, nvidia-346, nvidia-352, nvidia-361, nvidia-384, nvidia-387, nvidia-390, nvidia-396, nvidia-410, nvidia-418, nvidia-440, nvidia-450, nvidia-455, nvidia-460, nvidia-465, nvidia-470, nvidia-495, nvidia-510, nvidia-515, nvidia-520, nvidia-525, nvidia-530, nvidia-535, nvidia-545, nvidia-550, nvidia-555, nvidia-560, nvidia-565, nvidia-570, nvidia-575, nvidia-580, nvidia-590, nvidia-595, nvidia-610, nvidia-615, nvidia-620, xserver-xorg-video-nvidia-340, xserver-xorg-video-nvidia-346, xserver-xorg-video-nvidia-352, xserver-xorg-video-nvidia-361, xserver-xorg-video-nvidia-384, xserver-xorg-video-nvidia-387, xserver-xorg-video-nvidia-390, xserver-xorg-video-nvidia-396, xserver-xorg-video-nvidia-410, xserver-xorg-video-nvidia-418, xserver-xorg-video-nvidia-440, xserver-xorg-video-nvidia-450, xserver-xorg-video-nvidia-455, xserver-xorg-video-nvidia-460, xserver-xorg-video-nvidia-465, xserver-xorg-video-nvidia-470, xserver-xorg-video-nvidia-495, xserver-xorg-video-nvidia-510, xserver-xorg-video-nvidia-515, xserver-xorg-video-nvidia-520, xserver-xorg-video-nvidia-525, xserver-xorg-video-nvidia-530, xserver-xorg-video-nvidia-535, xserver-xorg-video-nvidia-545, xserver-xorg-video-nvidia-550, xserver-xorg-video-nvidia-555, xserver-xorg-video-nvidia-560, xserver-xorg-video-nvidia-565, xserver-xorg-video-nvidia-570, xserver-xorg-video-nvidia-575, xserver-xorg-video-nvidia-580, xserver-xorg-video-nvidia-590, xserver-xorg-video-nvidia-595, xserver-xorg-video-nvidia-610, xserver-xorg-video-nvidia-615, xserver-xorg-video-nvidia-620
Description: keeps the NVIDIA driver out of this image
 The container runtime brings the host's driver in when a container starts. An
 image that holds a driver of its own breaks on the next driver, so this package
 conflicts with the driver.
TEXT
)
PACKAGES='cuda-cudart-12-6=12.6.37-1'
PREREQUISITES='ca-certificates'
export GUARD PACKAGES PREREQUISITES
EPOCH=$(date +%s) sh -eu /run/cudabuild/install
mkdir -p '/etc/ld.so.conf.d'
printf '%s' '/usr/local/nvidia/lib
/usr/local/nvidia/lib64
' >'/etc/ld.so.conf.d/nvidia.conf'
ldconfig
rm -f /var/cache/ldconfig/aux-cache
STEP

FROM base AS runtime-amd64
ARG TARGETPLATFORM
RUN --mount=type=tmpfs,target=/run \
    --mount=type=bind,from=manager,source=/install,target=/run/cudabuild/install \
    --mount=type=tmpfs,target=/tmp \
    --mount=type=tmpfs,target=/var/log \
    --mount=type=tmpfs,target=/var/lib/apt/lists \
    --mount=type=tmpfs,target=/var/cache/apt \
    --mount=type=cache,sharing=locked,id=cudabuild/ubuntu24.04/${TARGETPLATFORM}/12.6.0/var/cache/apt/archives,target=/var/cache/apt/archives \
    --mount=type=bind,from=lists,source=/lists,target=/run/cudabuild/index \
    <<'STEP'
set -eu
HOLD='libcublas-12-6 libnccl2'
PACKAGES='cuda-libraries-12-6=12.6.0-1 libnpp-12-6=12.3.1.23-1 cuda-nvtx-12-6=12.6.37-1 libcusparse-12-6=12.5.2.23-1 libcublas-12-6=12.6.0.22-1 libnccl2=2.22.3-1+cuda12.6'
export HOLD PACKAGES
EPOCH=$(date +%s) sh -eu /run/cudabuild/install
STEP

FROM base AS runtime-arm64
ARG TARGETPLATFORM
RUN --mount=type=tmpfs,target=/run \
    --mount=type=bind,from=manager,source=/install,target=/run/cudabuild/install \
    --mount=type=tmpfs,target=/tmp \
    --mount=type=tmpfs,target=/var/log \
    --mount=type=tmpfs,target=/var/lib/apt/lists \
    --mount=type=tmpfs,target=/var/cache/apt \
    --mount=type=cache,sharing=locked,id=cudabuild/ubuntu24.04/${TARGETPLATFORM}/12.6.0/var/cache/apt/archives,target=/var/cache/apt/archives \
    --mount=type=bind,from=lists,source=/lists,target=/run/cudabuild/index \
    <<'STEP'
set -eu
HOLD='libcublas-12-6'
PACKAGES='cuda-libraries-12-6=12.6.0-1 libnpp-12-6=12.3.1.23-1 cuda-nvtx-12-6=12.6.37-1 libcusparse-12-6=12.5.2.23-1 libcublas-12-6=12.6.0.22-1'
export HOLD PACKAGES
EPOCH=$(date +%s) sh -eu /run/cudabuild/install
STEP

FROM runtime-${TARGETARCH} AS runtime

FROM runtime AS devel-amd64
ARG TARGETPLATFORM
RUN --mount=type=tmpfs,target=/run \
    --mount=type=bind,from=manager,source=/install,target=/run/cudabuild/install \
    --mount=type=tmpfs,target=/tmp \
    --mount=type=tmpfs,target=/var/log \
    --mount=type=tmpfs,target=/var/lib/apt/lists \
    --mount=type=tmpfs,target=/var/cache/apt \
    --mount=type=cache,sharing=locked,id=cudabuild/ubuntu24.04/${TARGETPLATFORM}/12.6.0/var/cache/apt/archives,target=/var/cache/apt/archives \
    --mount=type=bind,from=lists,source=/lists,target=/run/cudabuild/index \
    <<'STEP'
set -eu
HOLD='libcublas-dev-12-6 libnccl-dev'
PACKAGES='cuda-cudart-dev-12-6=12.6.37-1 cuda-command-line-tools-12-6=12.6.0-1 cuda-minimal-build-12-6=12.6.0-1 cuda-libraries-dev-12-6=12.6.0-1 cuda-nvml-dev-12-6=12.6.37-1 cuda-nvprof-12-6=12.6.37-1 libnpp-dev-12-6=12.3.1.23-1 libcusparse-dev-12-6=12.5.2.23-1 libcublas-dev-12-6=12.6.0.22-1 libnccl-dev=2.22.3-1+cuda12.6 cuda-nsight-compute-12-6=12.6.0-1'
export HOLD PACKAGES
EPOCH=$(date +%s) sh -eu /run/cudabuild/install
STEP

FROM runtime AS devel-arm64
ARG TARGETPLATFORM
RUN --mount=type=tmpfs,target=/run \
    --mount=type=bind,from=manager,source=/install,target=/run/cudabuild/install \
    --mount=type=tmpfs,target=/tmp \
    --mount=type=tmpfs,target=/var/log \
    --mount=type=tmpfs,target=/var/lib/apt/lists \
    --mount=type=tmpfs,target=/var/cache/apt \
    --mount=type=cache,sharing=locked,id=cudabuild/ubuntu24.04/${TARGETPLATFORM}/12.6.0/var/cache/apt/archives,target=/var/cache/apt/archives \
    --mount=type=bind,from=lists,source=/lists,target=/run/cudabuild/index \
    <<'STEP'
set -eu
HOLD='libcublas-dev-12-6'
PACKAGES='cuda-cudart-dev-12-6=12.6.37-1 cuda-command-line-tools-12-6=12.6.0-1 cuda-minimal-build-12-6=12.6.0-1 cuda-libraries-dev-12-6=12.6.0-1 cuda-nvml-dev-12-6=12.6.37-1 libnpp-dev-12-6=12.3.1.23-1 libcusparse-dev-12-6=12.5.2.23-1 libcublas-dev-12-6=12.6.0.22-1 cuda-nsight-compute-12-6=12.6.0-1'
export HOLD PACKAGES
EPOCH=$(date +%s) sh -eu /run/cudabuild/install
STEP

FROM devel-${TARGETARCH} AS devel

FROM devel AS image-devel-amd64
ENV CUDA_VERSION="12.6.0" \
    LD_LIBRARY_PATH="/usr/local/nvidia/lib:/usr/local/nvidia/lib64" \
    LIBRARY_PATH="/usr/local/cuda/lib64/stubs" \
    NCCL_VERSION="2.22.3-1" \
    NVIDIA_DRIVER_CAPABILITIES="compute,utility" \
    NVIDIA_REQUIRE_CUDA="driver>=525.60.13" \
    NVIDIA_VISIBLE_DEVICES="all" \
    PATH="/usr/local/nvidia/bin:/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LABEL io.github.cudabuild.ends="2024-09-05" \
      org.opencontainers.image.title="12.6.0-devel-ubuntu24.04" \
      org.opencontainers.image.version="12.6.0"
CMD ["bash"]

FROM devel AS image-devel-arm64
ENV CUDA_VERSION="12.6.0" \
    LD_LIBRARY_PATH="/usr/local/nvidia/lib:/usr/local/nvidia/lib64" \
    LIBRARY_PATH="/usr/local/cuda/lib64/stubs" \
    NVIDIA_DRIVER_CAPABILITIES="compute,utility" \
    NVIDIA_REQUIRE_CUDA="driver>=525.60.13" \
    NVIDIA_VISIBLE_DEVICES="all" \
    PATH="/usr/local/nvidia/bin:/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LABEL io.github.cudabuild.ends="2024-09-05" \
      org.opencontainers.image.title="12.6.0-devel-ubuntu24.04" \
      org.opencontainers.image.version="12.6.0"
CMD ["bash"]

FROM image-devel-${TARGETARCH} AS image-devel
