# 12.8.1-runtime-rockylinux9: made by 'cudabuild plan' for 'docker buildx build' (Docker 23 or newer).
# It needs no files beside it. Packages, install scripts, guard, environment and sample sources are cudabuild's own.
# The images differ from those that 'cudabuild matrix' makes:
# - The root is a public image, by tag; cudabuild keeps it by digest until --refresh.
# - Files carry the time of the build, so the same packages do not give the same digests.
# - Nothing has looked for the driver in their layers: 'cudabuild verify' does.

FROM docker.io/rockylinux/rockylinux:9 AS root

# What installations know about the repositories; images do not keep it.
FROM root AS lists-amd64
ADD --chmod=644 https://developer.download.nvidia.com/compute/cuda/repos/rhel9/x86_64/D42D0685.pub /lists/nvidia.asc
COPY <<'LIST' /lists/nvidia.repo
[nvidia]
name=nvidia, no driver (that comes from the host)
baseurl=https://developer.download.nvidia.com/compute/cuda/repos/rhel9/x86_64
enabled=1
gpgcheck=1
gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-nvidia
LIST
RUN <<'STEP'
set -eu
cd /lists
sed -i /^Version/d nvidia.asc # what the sum leaves out is not used either
sum=$(sha256sum nvidia.asc)
[ "${sum%% *}" = d0664fbbdb8c32356d45de36c5984617217b2d0bef41b93ccecd326ba3b80c87 ] || { echo "nvidia.asc is not the key D42D0685: its sha256 is $sum" >&2; exit 1; }
sed -e '1,/^[[:space:]]*$/d' -e '/^[=-]/,$d' nvidia.asc | base64 -di >nvidia.gpg
STEP

FROM root AS lists-arm64
ADD --chmod=644 https://developer.download.nvidia.com/compute/cuda/repos/rhel9/sbsa/D42D0685.pub /lists/nvidia.asc
COPY <<'LIST' /lists/nvidia.repo
[nvidia]
name=nvidia, no driver (that comes from the host)
baseurl=https://developer.download.nvidia.com/compute/cuda/repos/rhel9/sbsa
enabled=1
gpgcheck=1
gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-nvidia
LIST
RUN <<'STEP'
set -eu
cd /lists
sed -i /^Version/d nvidia.asc # what the sum leaves out is not used either
sum=$(sha256sum nvidia.asc)
[ "${sum%% *}" = d0664fbbdb8c32356d45de36c5984617217b2d0bef41b93ccecd326ba3b80c87 ] || { echo "nvidia.asc is not the key D42D0685: its sha256 is $sum" >&2; exit 1; }
sed -e '1,/^[[:space:]]*$/d' -e '/^[=-]/,$d' nvidia.asc | base64 -di >nvidia.gpg
STEP

FROM lists-${TARGETARCH} AS lists

# How dnf installs; the same for every layer.
FROM scratch AS manager
COPY <<'SCRIPT' /install
export LC_ALL=C SOURCE_DATE_EPOCH="$EPOCH"
index=/run/cudabuild/index
pm=$(command -v dnf || command -v tdnf || command -v yum)
options="--assumeyes --setopt=keepcache=1"
case $pm in
  */dnf) options="$options --setopt=install_weak_deps=False" ;;
  */tdnf) options="--assumeyes" ;;
esac
# run shows what a command prints and keeps it; what is said last, to stderr, is the
# reason that a failed build gives.
run() { rm -f /tmp/failed; { "$@" 2>&1 || : >/tmp/failed; } | tee /tmp/said; [ ! -e /tmp/failed ]; }
fail() { echo "$*" >&2; exit 1; }
said() { grep -E -m 1 "$1" /tmp/said || true; }
# A pin that is not there is named with its version and with those that are there. The
# yum of CentOS 6 and 7 only mentions it and ends well.
missing() {
  for p in "$@"; do
    $pm -q list "$p" >/dev/null 2>&1 && continue
    name=${p%-*-*}
    case ${p#"$name"} in *.*) ;; *) name=$p ;; esac
    there=$($pm -q --showduplicates list "$name" 2>/dev/null | grep "^$name\." | tr -s ' ' | cut -d ' ' -f 2 | sort -u | tr '\n' ' ')
    [ -n "$there" ] || fail "package $p: there is no $name in the repositories"
    fail "package $name: version ${p#"$name"-} is not in the repositories, they have $there"
  done
}
install() {
  run $pm $options install "$@" && return
  bad=$(said 'filtered out by exclude')
  [ -n "$bad" ] || missing "$@"
  fail "${pm##*/} install: ${bad:-$(said '(not correct for this package|GPG check|Public key for|Curl error|Cannot download|^(Error|error))')}"
}
$pm -q clean expire-cache || true
if [ -n "${GUARD:-}" ]; then
  if [ -n "${VAULT:-}" ]; then
    sed -i -e 's,^mirrorlist=,#&,' -e "s,^#*baseurl=http://mirror\.centos\.org/[^/]*/\$releasever,baseurl=$VAULT," /etc/yum.repos.d/*.repo
  fi
  command -v find >/dev/null || PREREQUISITES="${PREREQUISITES:-} findutils" # ends every step
  [ -z "${PREREQUISITES:-}" ] || install $PREREQUISITES
  mkdir -p /etc/pki/rpm-gpg /etc/yum.repos.d
  for file in "$index"/*.repo; do
    name=$(basename "$file" .repo)
    cp "$index/$name.asc" "/etc/pki/rpm-gpg/RPM-GPG-KEY-$name"
    { cat "$file"; printf '%s\n' "$GUARD"; } >"/etc/yum.repos.d/$name.repo"
  done
  # tdnf knows no exclude of a repository, only one for all.
  [ ! -e /etc/tdnf/tdnf.conf ] || printf 'excludepkgs=%s\n' "$(echo "${GUARD#exclude=}" | tr -d ,)" >>/etc/tdnf/tdnf.conf
fi
install $PACKAGES
run rpm -q $PACKAGES || { missing $PACKAGES; fail "$(said 'is not installed')"; }
SCRIPT

FROM root AS base
ARG TARGETPLATFORM
RUN --mount=type=tmpfs,target=/run \
    --mount=type=bind,from=manager,source=/install,target=/run/cudabuild/install \
    --mount=type=tmpfs,target=/tmp \
    --mount=type=tmpfs,target=/var/log \
    --mount=type=tmpfs,target=/var/cache \
    --mount=type=cache,sharing=locked,id=cudabuild/rockylinux9/${TARGETPLATFORM}/12.8.1/var/cache/dnf,target=/var/cache/dnf \
    --mount=type=cache,sharing=locked,id=cudabuild/rockylinux9/${TARGETPLATFORM}/12.8.1/var/cache/yum,target=/var/cache/yum \
    --mount=type=bind,from=lists,source=/lists,target=/run/cudabuild/index \
    <<'STEP'
set -eu
GUARD=$(cat <<'TEXT'
exclude=akmod-nvidia*, cuda, cuda-drivers*, dkms-nvidia*, kmod-nvidia*, libnvidia-cfg*, libnvidia-fbc*, libnvidia-gpucomp*, libnvidia-ml*, libnvidia-nscq*, libnvsdm*, nvidia-driver*, nvidia-fabric*, nvidia-firmware*, nvidia-gpu-firmware*, nvidia-imex*, nvidia-kmod*, nvidia-libXNVCtrl*, nvidia-modprobe*, nvidia-open*, nvidia-persistenced*, nvidia-settings*, nvidia-xconfig*, xorg-x11-drv-nvidia*, xorg-x11-nvidia*
TEXT
)
PACKAGES='cuda-cudart-12-8-12.8.90-1'
export GUARD PACKAGES
EPOCH=$(date +%s) sh -eu /run/cudabuild/install
mkdir -p '/etc/ld.so.conf.d'
printf '%s' '/usr/local/cuda/lib64
' >'/etc/ld.so.conf.d/nvidia.conf'
ldconfig
rm -f /var/cache/ldconfig/aux-cache
STEP

FROM base AS runtime
ARG TARGETPLATFORM
RUN --mount=type=tmpfs,target=/run \
    --mount=type=bind,from=manager,source=/install,target=/run/cudabuild/install \
    --mount=type=tmpfs,target=/tmp \
    --mount=type=tmpfs,target=/var/log \
    --mount=type=tmpfs,target=/var/cache \
    --mount=type=cache,sharing=locked,id=cudabuild/rockylinux9/${TARGETPLATFORM}/12.8.1/var/cache/dnf,target=/var/cache/dnf \
    --mount=type=cache,sharing=locked,id=cudabuild/rockylinux9/${TARGETPLATFORM}/12.8.1/var/cache/yum,target=/var/cache/yum \
    --mount=type=bind,from=lists,source=/lists,target=/run/cudabuild/index \
    <<'STEP'
set -eu
PACKAGES='cuda-libraries-12-8-12.8.1-1 cuda-nvtx-12-8-12.8.90-1 libnpp-12-8-12.3.3.100-1 libcublas-12-8-12.8.4.1-1 libnccl-2.25.1-1+cuda12.8'
export PACKAGES
EPOCH=$(date +%s) sh -eu /run/cudabuild/install
STEP

FROM runtime AS image-runtime
ENV CUDA_VERSION="12.8.1" \
    LD_LIBRARY_PATH="/usr/local/cuda/lib64" \
    NCCL_VERSION="2.25.1" \
    NVIDIA_DRIVER_CAPABILITIES="compute,utility" \
    NVIDIA_REQUIRE_CUDA="driver>=525.60.13" \
    NVIDIA_VISIBLE_DEVICES="all" \
    PATH="/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LABEL io.github.cudabuild.ends="2026-02-28" \
      org.opencontainers.image.title="12.8.1-runtime-rockylinux9" \
      org.opencontainers.image.version="12.8.1"
CMD ["bash"]
