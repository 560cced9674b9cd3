# 12.4-runtime-debian13: made by 'cudabuild plan' for 'docker buildx build' (Docker 23 or newer).
# It needs no files beside it. Packages, install scripts, guard, environment and sample sources are cudabuild's own.
# The images differ from those that 'cudabuild matrix' makes:
# - The root is a public image, by tag; cudabuild makes one from the distribution's packages with mmdebstrap.
# - Packages are those that stage lists found when it was last built; --no-cache-filter lists builds it again.
#   cudabuild keeps the package lists and builds every layer of an OS from them until --refresh.
# - Files carry the time of the build, so the same packages do not give the same digests.
# - Nothing has looked for the driver in their layers: 'cudabuild verify' does.

FROM docker.io/library/debian:trixie-slim AS root
# CUDA's packages are in contrib and non-free. docker-clean would empty the cache of packages below.
RUN <<'STEP'
set -eu
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
  [ ! -f "$file" ] || sed -i -e 's/^Components: main$/Components: main contrib non-free non-free-firmware/' -e 's/^\(deb .*\) main$/\1 main contrib non-free non-free-firmware/' "$file"
done
rm -f /etc/apt/apt.conf.d/docker-clean
STEP

# What installations know about the repositories; images do not keep it.
FROM root AS lists
RUN <<'STEP'
set -eu
mkdir -p /lists/lists/partial
apt-get update -o Dir::State::Lists=/lists/lists -o APT::Sandbox::User=root
apt-get indextargets -o Dir::State::Lists=/lists/lists --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' |
  sort --unique >/lists/sources.list
test -s /lists/sources.list
STEP

# How apt installs; the same for every layer.
FROM scratch AS manager
COPY <<'SCRIPT' /install
export DEBIAN_FRONTEND=noninteractive LC_ALL=C SOURCE_DATE_EPOCH="$EPOCH"
index=/run/cudabuild/index
sources=$index/sources.list lists=$index/lists
mirror=$(sed -n 's/^Cudabuild::Mirror "\(.*\)";$/\1/p' /run/cudabuild/apt.conf 2>/dev/null || true)
if [ -n "$mirror" ]; then
  sources=/tmp/sources.list lists=/tmp/lists
  case $mirror in *@*) ;; *) mirror=$mirror/@ ;; esac
  before=${mirror%%@*} after=${mirror#*@}
  sed "s,[a-z]*://[^/ ]*/\([^ ]*[^ /]\),$before\1$after," "$index/sources.list" >$sources
  mkdir -p $lists/partial
  as_list() { printf %s "$1" | sed 's,_,%5f,g; s,/,_,g'; }
  before=$(as_list "${before#*://}") after=$(as_list "$after")
  for list in "$index"/lists/*_dists_*; do
    name=${list##*/} && archive=${name#*_} && archive=${archive%%_dists_*}
    ln -s "$list" "$lists/$before$archive${after}_dists_${name#*_dists_}"
  done
fi
sed -n 's/^Cudabuild::Login "\(.*\)";$/\1/p' /run/cudabuild/apt.conf >/tmp/auth.conf 2>/dev/null || true
cat >/tmp/apt.conf <<CONF
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::ForceHash "SHA256";
Acquire::Retries "3";
Binary::apt-get::APT::Keep-Downloaded-Packages "true";
Dir::Etc::netrc "/tmp/auth.conf";
Dir::Etc::SourceList "$sources";
Dir::Etc::SourceParts "/dev/null";
Dpkg::Use-Pty "false";
Dir::State::Lists "$lists";
DPkg::Options { "--force-unsafe-io"; };
CONF
sed '/^Cudabuild::/d' /run/cudabuild/apt.conf >>/tmp/apt.conf 2>/dev/null || true
export APT_CONFIG=/tmp/apt.conf
if [ -n "${GUARD:-}" ]; then
  mkdir -p /tmp/guard/DEBIAN
  printf '%s\n' "$GUARD" >/tmp/guard/DEBIAN/control
  dpkg-deb --root-owner-group --build /tmp/guard /tmp/guard.deb
  dpkg --install /tmp/guard.deb
fi
# apt asks a mirror for one file after the other, and a mirror gives more to several
# connections: large files are fetched four at a time, checked like apt's own. What
# fails here is the install's to fetch again, and to explain.
archives=/var/cache/apt/archives
fetch="/usr/lib/apt/apt-helper -o Acquire::Retries=0 download-file \$1 $archives/partial/\$2 \$3 && mv $archives/partial/\$2 $archives/"
mkdir -p $archives/partial
apt-get install --yes --print-uris $PACKAGES 2>/dev/null |
  sed -n "s/^'\(.*\)' \(.*\) \([0-9]\{7,\}\) \(SHA256:.*\)/\3 \1 \2 \4/p" | sort -nr |
  xargs -r -n 4 -P 4 sh -c "$fetch" 2>/dev/null || :
apt-get install --yes $PACKAGES
rm -f /var/cache/ldconfig/aux-cache /var/cache/debconf/*-old /var/lib/dpkg/*-old
SCRIPT

FROM root AS base
ARG TARGETPLATFORM
RUN --mount=type=tmpfs,target=/run \
    --mount=type=bind,from=manager,source=/install,target=/run/cudabuild/install \
    --mount=type=tmpfs,target=/tmp \
    --mount=type=tmpfs,target=/var/log \
    --mount=type=tmpfs,target=/var/cache/apt \
    --mount=type=cache,sharing=locked,id=cudabuild/debian13/${TARGETPLATFORM}/12.4/var/cache/apt/archives,target=/var/cache/apt/archives \
    --mount=type=bind,from=lists,source=/lists,target=/run/cudabuild/index \
    <<'STEP'
set -eu
GUARD=$(cat <<'TEXT'
Package: cudabuild-guard-driver-comes-from-host
Version: 12.4
Architecture: all
Maintainer: cudabuild
Section: admin
Priority: required
Protected: yes
Multi-Arch: foreign
Provides: libcuda-12.4-1, libnvidia-ml.so.1 (= 550)
Conflicts: libcuda.so.1, libcuda1-any, libgl1-nvidia-glx-any, libnvidia-cfg.so.1, libnvidia-cfg1-any, libnvidia-ml.so.1, nvidia-alternative-any, nvidia-driver-any, nvidia-driver-libs-any, nvidia-glx-any, nvidia-kernel-dkms-any, nvidia-kernel-support-any, nvidia-open-kernel-dkms-any, nvidia-vulkan-icd-any, xserver-xorg-video-nvidia-any, firmware-nvidia-gsp, libcuda1, libcudadebugger1, libegl-nvidia0, libgl1-nvidia-glvnd-glx, libgles-nvidia1, libgles-nvidia2, libglx-nvidia0, libnvcuvid1, libnvidia-allocator1, libnvidia-api1, libnvidia-cfg1, libnvidia-eglcore, libnvidia-encode1, libnvidia-fbc1, libnvidia-glcore, libnvidia-glvkspirv, libnvidia-ml1, libnvidia-ngx1, libnvidia-nvvm4, libnvidia-opticalflow1, libnvidia-pkcs11-openssl3, libnvidia-ptxjitcompiler1, libnvidia-rtcore, libnvoptix1, nvidia-alternative, nvidia-cuda-mps, nvidia-detect, nvidia-driver, nvidia-driver-bin, nvidia-driver-full, nvidia-driver-libs, nvidia-egl-common, nvidia-egl-icd, nvidia-kernel-dkms, nvidia-kernel-source, nvidia-kernel-support, nvidia-legacy-check, nvidia-libopencl1, nvidia-modprobe, nvidia-opencl-common, nvidia-opencl-icd, nvidia-persistenced, nvidia-powerd, nvidia-settings, nvidia-smi, nvidia-suspend-common, nvidia-vdpau-driver, nvidia-vulkan-common, nvidia-vulkan-icd, nvidia-xconfig, xserver-xorg-video-nvidia, firmware-nvidia-graphics, firmware-nvidia-tesla-535-gsp, libegl-nvidia-tesla-535-0, libgl1-nvidia-tesla-535-glvnd-glx, libgles-nvidia-tesla-535-1, libgles-nvidia-tesla-535-2, libglx-nvidia-tesla-535-0, libnvidia-gpucomp, libnvidia-tesla-535-allocator1, libnvidia-tesla-535-api1, libnvidia-tesla-535-cfg1, libnvidia-tesla-535-cuda1, libnvidia-tesla-535-cudadebugger1, libnvidia-tesla-535-eglcore, libnvidia-tesla-535-encode1, libnvidia-tesla-535-fbc1, libnvidia-tesla-535-glcore, libnvidia-tesla-535-glvkspirv, libnvidia-tesla-535-ml1, libnvidia-tesla-535-ngx1, libnvidia-tesla-535-nvcuvid1, libnvidia-tesla-535-nvoptix1, libnvidia-tesla-535-nvvm4, libnvidia-tesla-535-opticalflow1, libnvidia-tesla-535-pkcs11-openssl3, libnvidia-tesla-535-ptxjitcompiler1, libnvidia-tesla-535-rtcore, nvidia-open-kernel-dkms, nvidia-open-kernel-source, nvidia-open-kernel-support, nvidia-settings-tesla-535, nvidia-tesla-535-alternative, nvidia-tesla-535-driver, nvidia-tesla-535-driver-bin, nvidia-tesla-535-driver-full, nvidia-tesla-535-driver-libs, nvidia-tesla-535-egl-icd, nvidia-tesla-535-kernel-dkms, nvidia-tesla-535-kernel-source, nvidia-tesla-535-kernel-support, nvidia-tesla-535-opencl-icd, nvidia-tesla-535-smi, nvidia-tesla-535-vdpau-driver, nvidia-tesla-535-vulkan-icd, xserver-xorg-video-nvidia-tesla-535
Description: keeps the NVIDIA driver out of this image
 The container runtime brings the host's driver in when a container starts. An
 image that holds a driver of its own breaks on the next driver, so this package
 provides what the CUDA toolkit asks for and conflicts with the driver.
TEXT
)
PACKAGES='libcudart12'
export GUARD PACKAGES
EPOCH=$(date +%s) sh -eu /run/cudabuild/install
STEP

FROM base AS runtime
ARG TARGETPLATFORM
RUN --mount=type=tmpfs,target=/run \
    --mount=type=bind,from=manager,source=/install,target=/run/cudabuild/install \
    --mount=type=tmpfs,target=/tmp \
    --mount=type=tmpfs,target=/var/log \
    --mount=type=tmpfs,target=/var/cache/apt \
    --mount=type=cache,sharing=locked,id=cudabuild/debian13/${TARGETPLATFORM}/12.4/var/cache/apt/archives,target=/var/cache/apt/archives \
    --mount=type=bind,from=lists,source=/lists,target=/run/cudabuild/index \
    <<'STEP'
set -eu
PACKAGES='libcublas12 libcublaslt12 libcufft11 libcufftw11 libcurand10 libcusolver11 libcusolvermg11 libcusparse12 libnppc12 libnppial12 libnppicc12 libnppidei12 libnppif12 libnppig12 libnppim12 libnppist12 libnppisu12 libnppitc12 libnpps12 libnvblas12 libnvfatbin12 libnvjitlink12 libnvjpeg12 libnvrtc-builtins12.4 libnvrtc12 libnvtoolsext1'
export PACKAGES
EPOCH=$(date +%s) sh -eu /run/cudabuild/install
STEP

FROM runtime AS image-runtime
ENV CUDA_VERSION="12.4.1" \
    NVIDIA_DRIVER_CAPABILITIES="compute,utility" \
    NVIDIA_REQUIRE_CUDA="driver>=525.60.13" \
    NVIDIA_VISIBLE_DEVICES="all" \
    PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LABEL io.github.cudabuild.ends="2030-06-30" \
      org.opencontainers.image.title="12.4-runtime-debian13" \
      org.opencontainers.image.version="12.4.1"
CMD ["bash"]
