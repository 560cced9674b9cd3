# 12.4-deviceQuery-debian13: made by 'cudabuild plan' for 'docker buildx build' (Docker 23 or newer).
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

FROM runtime AS devel
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
PACKAGES='nvidia-cuda-toolkit-gcc'
export PACKAGES
EPOCH=$(date +%s) sh -eu /run/cudabuild/install
STEP

# deviceQuery is compiled in devel; nothing of devel comes along.
FROM devel AS build-devicequery
COPY <<'SOURCE' /run/cudabuild/src/deviceQuery.cu
// SPDX-License-Identifier: Apache-2.0
//
// deviceQuery reports the CUDA devices that this process can use, in the words of NVIDIA's sample of that name (scripts read
// its labels), runs one kernel on each of them and checks what it computed:  nvcc -O3 -cudart static -o deviceQuery deviceQuery.cu
// stdout ends in "Result = PASS" (exit 0) or "Result = FAIL" (exit 1). Without a driver or a device there is nothing to judge:
// exit 2 (waived) and one line on stderr. --json prints one JSON document instead. Host code is
// C++98 with the runtime API of CUDA 6.5; what came later stands behind CUDART_VERSION.

#include <cuda_runtime.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <fstream>
#include <string>
#include <vector>

enum { kExitPass = 0, kExitFail = 1, kExitWaived = 2, kBlocks = 64, kThreads = 256, kElements = kBlocks * kThreads };

struct CudaError {
    cudaError_t code;
    const char* call;
};

#define CUDA_CHECK(expression)                                \
    do {                                                      \
        const CudaError error_ = {(expression), #expression}; \
        if (error_.code != cudaSuccess) throw error_;         \
    } while (0)

static std::string text(const char* format, ...) {
    char out[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out, sizeof out, format, arguments);
    va_end(arguments);
    return out;
}

// A JSON string; null for "", which here always means "not known".
static std::string quoted(const std::string& plain) {
    std::string out = "\"";
    for (size_t i = 0; i < plain.size(); ++i) out += (plain[i] == '"' || plain[i] == '\\' ? "\\" : "") + plain.substr(i, 1);
    return plain.empty() ? "null" : out + "\"";
}

// What is known of one device: lines of the report, members of a JSON object. add makes one of each. It reads
// attributes, not fields of cudaDeviceProp: CUDA 13 dropped many of those. No attribute has number 0.
struct Sheet {
    int device;
    bool works;
    std::string report, peers, json;

    int value(int attribute) const {
        int out = 0;
        if (attribute) CUDA_CHECK(cudaDeviceGetAttribute(&out, (cudaDeviceAttr)attribute, device));
        return out;
    }
    // The format's conversion says how people read the value: %d as it is, %s as yes or no, %.0f kHz as MHz.
    void add(const char* key, const char* label, const char* format, int a, int b = 0, int c = 0, int d = 0, int e = 0, int f = 0) {
        const int v[] = {value(a), value(b), value(c), value(d), value(e), value(f)}, which[] = {a, b, c, d, e, f, 0};
        report += text("\n  %-46s", label) + (strstr(format, "%s")     ? text(format, v[0] ? "Yes" : "No", v[0])
                                              : strstr(format, "%.0f") ? text(format, v[0] * 1e-3, v[0] * 1e-6)
                                                                       : text(format, v[0], v[1], v[2], v[3], v[4], v[5]));
        json += text(b ? ",\"%s\":[%d" : ",\"%s\":%d", key, v[0]);
        for (int i = 1; which[i]; ++i) json += text(which[i + 1] ? ",%d" : ",%d]", v[i]);
    }
};

static void addAttributes(Sheet& s) {
    s.add("clock_khz", "GPU Max Clock rate:", " %.0f MHz (%.2f GHz)", cudaDevAttrClockRate);
    s.add("memory_clock_khz", "Memory Clock rate:", " %.0f Mhz", cudaDevAttrMemoryClockRate);
    s.add("memory_bus_bits", "Memory Bus Width:", " %d-bit", cudaDevAttrGlobalMemoryBusWidth);
    s.add("l2_cache_bytes", "L2 Cache Size:", " %d bytes", cudaDevAttrL2CacheSize);
    s.add("max_texture_texels", "Maximum Texture Dimension Size (x,y,z)", " 1D=(%d), 2D=(%d, %d), 3D=(%d, %d, %d)",
          cudaDevAttrMaxTexture1DWidth, cudaDevAttrMaxTexture2DWidth, cudaDevAttrMaxTexture2DHeight, cudaDevAttrMaxTexture3DWidth,
          cudaDevAttrMaxTexture3DHeight, cudaDevAttrMaxTexture3DDepth);
    s.add("max_layered_1d_texels", "Maximum Layered 1D Texture Size, (num) layers", " 1D=(%d), %d layers",
          cudaDevAttrMaxTexture1DLayeredWidth, cudaDevAttrMaxTexture1DLayeredLayers);
    s.add("max_layered_2d_texels", "Maximum Layered 2D Texture Size, (num) layers", " 2D=(%d, %d), %d layers",
          cudaDevAttrMaxTexture2DLayeredWidth, cudaDevAttrMaxTexture2DLayeredHeight, cudaDevAttrMaxTexture2DLayeredLayers);
    s.add("constant_bytes", "Total amount of constant memory:", " %d bytes", cudaDevAttrTotalConstantMemory);
    s.add("shared_bytes_per_block", "Total amount of shared memory per block:", " %d bytes", cudaDevAttrMaxSharedMemoryPerBlock);
    s.add("shared_bytes_per_sm", "Total shared memory per multiprocessor:", " %d bytes", cudaDevAttrMaxSharedMemoryPerMultiprocessor);
    s.add("registers_per_block", "Total number of registers available per block:", " %d", cudaDevAttrMaxRegistersPerBlock);
    s.add("warp_size_threads", "Warp size:", " %d", cudaDevAttrWarpSize);
    s.add("threads_per_sm", "Maximum number of threads per multiprocessor:", " %d", cudaDevAttrMaxThreadsPerMultiProcessor);
    s.add("threads_per_block", "Maximum number of threads per block:", " %d", cudaDevAttrMaxThreadsPerBlock);
    s.add("block_threads", "Max dimension size of a thread block (x,y,z):", "(%d, %d, %d)", cudaDevAttrMaxBlockDimX,
          cudaDevAttrMaxBlockDimY, cudaDevAttrMaxBlockDimZ);
    s.add("grid_blocks", "Max dimension size of a grid size    (x,y,z):", "(%d, %d, %d)", cudaDevAttrMaxGridDimX, cudaDevAttrMaxGridDimY,
          cudaDevAttrMaxGridDimZ);
    s.add("max_pitch_bytes", "Maximum memory pitch:", " %d bytes", cudaDevAttrMaxPitch);
    s.add("texture_alignment_bytes", "Texture alignment:", " %d bytes", cudaDevAttrTextureAlignment);
    s.add("copy_engines", "Concurrent copy and kernel execution:", " %s with %d copy engine(s)", cudaDevAttrAsyncEngineCount);
    s.add("run_time_limit", "Run time limit on kernels:", " %s", cudaDevAttrKernelExecTimeout);
    s.add("integrated", "Integrated GPU sharing Host Memory:", " %s", cudaDevAttrIntegrated);
    s.add("can_map_host_memory", "Support host page-locked memory mapping:", " %s", cudaDevAttrCanMapHostMemory);
    s.add("surface_alignment", "Alignment requirement for Surfaces:", " %s", cudaDevAttrSurfaceAlignment);
    s.add("ecc", "Device has ECC support:", s.value(cudaDevAttrEccEnabled) ? " Enabled" : " Disabled", cudaDevAttrEccEnabled);
    s.add("unified_addressing", "Device supports Unified Addressing (UVA):", " %s", cudaDevAttrUnifiedAddressing);
    s.add("managed_memory", "Device supports Managed Memory:", " %s", cudaDevAttrManagedMemory);
#if CUDART_VERSION >= 9000
    s.add("compute_preemption", "Device supports Compute Preemption:", " %s", cudaDevAttrComputePreemptionSupported);
    s.add("cooperative_launch", "Supports Cooperative Kernel Launch:", " %s", cudaDevAttrCooperativeLaunch);
#endif
#if CUDART_VERSION >= 9000 && CUDART_VERSION < 13000  // CUDA 13 removed the attribute and what it stood for
    s.add("multi_device_launch", "Supports MultiDevice Co-op Kernel Launch:", " %s", cudaDevAttrCooperativeMultiDeviceLaunch);
#endif
    s.add("pci_domain_bus_device", "Device PCI Domain ID / Bus ID / location ID:", " %d / %d / %d", cudaDevAttrPciDomainId,
          cudaDevAttrPciBusId, cudaDevAttrPciDeviceId);
}

// "GPU-..." or, for a slice of a divided GPU, "MIG-..." as nvidia-smi spells it; "" before CUDA 10.0.
static std::string uuid(const cudaDeviceProp& p) {
    std::string out;
#if CUDART_VERSION >= 10000
    out = strstr(p.name, " MIG ") ? "MIG" : "GPU";
    for (int i = 0; i < 16; ++i)
        out += text(i == 0 || (i >= 4 && i <= 10 && i % 2 == 0) ? "-%02x" : "%02x", (unsigned char)p.uuid.bytes[i]);
#endif
    return out;
}

// Lanes for 32-bit arithmetic in one multiprocessor. No API tells: newer than this table counts as 128.
static int coresPerMultiprocessor(int major, int minor) {
    if (major <= 3) return major == 3 ? 192 : major == 1 ? 8 : minor == 0 ? 32 : 48;
    return major == 7 || (minor == 0 && (major == 6 || major == 8)) ? 64 : 128;
}

__global__ void fillSquares(unsigned int* out, unsigned int device) {
    const unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = i * i + device;
}

// A query that never runs code proves little: a missing kernel image shows only here.
static bool kernelWorks(int device) {
    unsigned int* squares = 0;
    std::vector<unsigned int> seen(kElements);
    CUDA_CHECK(cudaSetDevice(device));
    CUDA_CHECK(cudaMalloc((void**)&squares, kElements * sizeof(unsigned int)));
    fillSquares<<<kBlocks, kThreads>>>(squares, device);
    CUDA_CHECK(cudaGetLastError());
    CUDA_CHECK(cudaMemcpy(&seen[0], squares, kElements * sizeof(unsigned int), cudaMemcpyDeviceToHost));
    CUDA_CHECK(cudaFree(squares));
    unsigned int i = 0;
    while (i < kElements && seen[i] == i * i + device) ++i;
    if (i < kElements) fprintf(stderr, "deviceQuery: GPU%d: kernel wrote %u, want %u\n", device, seen[i], i * i + device);
    return i == kElements;
}

static Sheet describe(int device, const std::vector<cudaDeviceProp>& all, const std::string& versions) {
    const char* const modes[] = {"Default (multiple host threads can use ::cudaSetDevice() with device simultaneously)",
                                 "Exclusive (only one host thread in one process is able to use ::cudaSetDevice() with this device)",
                                 "Prohibited (no host thread can use ::cudaSetDevice() with this device)",
                                 "Exclusive Process (many threads in one process is able to use ::cudaSetDevice() with this device)"};
    const cudaDeviceProp& p = all[device];
    char pci[32] = "";
    CUDA_CHECK(cudaDeviceGetPCIBusId(pci, sizeof pci, device));
    Sheet s;
    s.device = device;
    s.works = kernelWorks(device);
    const int mode = s.value(cudaDevAttrComputeMode), processors = s.value(cudaDevAttrMultiProcessorCount);
    const int cores = coresPerMultiprocessor(p.major, p.minor);
    s.json = text("{\"index\":%d,\"name\":%s,\"uuid\":%s", device, quoted(p.name).c_str(), quoted(uuid(p)).c_str()) +
             text(",\"compute_capability\":\"%d.%d\",\"global_memory_bytes\":%zu", p.major, p.minor, p.totalGlobalMem) +
             text(",\"cuda_cores\":%d,\"multiprocessors\":%d,\"compute_mode\":%d", cores * processors, processors, mode) +
             text(",\"pci_bus_id\":\"%s\",\"kernel_works\":%d", pci, s.works);
    s.report =
        text("\nDevice %d: \"%s\"", device, p.name) + text("\n  CUDA Driver Version / Runtime Version          %s", versions.c_str()) +
        text("\n  CUDA Capability Major/Minor version number:    %d.%d", p.major, p.minor) +
        text("\n  Total amount of global memory:                 %.0f MiB (%zu bytes)", p.totalGlobalMem / 1048576.0, p.totalGlobalMem) +
        text("\n  (%03d) Multiprocessors, (%03d) CUDA Cores/MP:    %d CUDA Cores", processors, cores, processors * cores);
    addAttributes(s);
    s.report += text("\n  Compute Mode:\n     < %s >\n", mode >= 0 && mode < 4 ? modes[mode] : "Unknown");
    for (int j = 0; j < (int)all.size(); ++j) {
        int can = 0;
        if (j != device) CUDA_CHECK(cudaDeviceCanAccessPeer(&can, device, j));
        s.json += text(j ? ",%d" : ",\"peer_access\":[%d", can);
        if (j != device)
            s.peers += text("> Peer access from %s (GPU%d) -> %s (GPU%d) : %s\n", p.name, device, all[j].name, j, can ? "Yes" : "No");
    }
    s.json += "]}";
    return s;
}

// The libcuda that is mapped into this process, all links followed; "" if none is.
static std::string loadedLibcuda() {
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);)
        if (line.find("/libcuda.so") != std::string::npos) return line.substr(line.find('/'));
    return "";
}

// What the error means for a container, where CUDA's own text leads astray.
static std::string explain(cudaError_t code, const char* call, int driver) {
    if (code == cudaErrorInsufficientDriver && driver == 0)
        return "no NVIDIA driver in this container: start it with the NVIDIA runtime hook (--gpus all)";
    if (code == cudaErrorInsufficientDriver) return "the host's driver is too old for the CUDA runtime of this image";
    if (code == cudaErrorNoDevice) return "the driver sees no GPU: check NVIDIA_VISIBLE_DEVICES and /dev/nvidia*";
#if CUDART_VERSION >= 11010
    if (code == cudaErrorStubLibrary) return "libcuda is the stub for linking: take it off the library path";
    if (code == cudaErrorSystemDriverMismatch) return "libcuda and the kernel's driver differ: an image must not bring its own";
#endif
    return std::string(cudaGetErrorString(code)) + " in " + call;
}

int main(int argc, char** argv) {
    const bool json = argc == 2 && (!strcmp(argv[1], "--json") || !strcmp(argv[1], "-json"));
    if (argc > 1 && !json) {
        fprintf(stderr, "deviceQuery: unknown argument \"%s\"; usage: deviceQuery [--json]\n", argv[argc - 1]);
        return kExitFail;
    }
    int driver = 0, runtime = 0, count = 0, code = 0, exitCode = kExitPass;
    std::string error, report, peers, objects;
    try {
        CUDA_CHECK(cudaDriverGetVersion(&driver));
        CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
        CUDA_CHECK(cudaGetDeviceCount(&count));
        CUDA_CHECK(count > 0 ? cudaSuccess : cudaErrorNoDevice);
        const std::string d = text("%d.%d", driver / 1000, driver % 100 / 10), r = text("%d.%d", runtime / 1000, runtime % 100 / 10);
        std::vector<cudaDeviceProp> p(count);
        for (int i = 0; i < count; ++i) CUDA_CHECK(cudaGetDeviceProperties(&p[i], i));
        report = text("%s Starting...\n\n CUDA Device Query (Runtime API) version (CUDART static linking)\n\n", argv[0]) +
                 text("Detected %d CUDA Capable device(s)\n", count);
        for (int i = 0; i < count; ++i) {
            const Sheet s = describe(i, p, d + " / " + r);
            report += s.report;
            peers += s.peers;
            objects += (i ? "," : "") + s.json;
            if (!s.works) exitCode = kExitFail;
        }
        report += peers + "\ndeviceQuery, CUDA Driver = CUDART, CUDA Driver Version = " + d + ", CUDA Runtime Version = " + r +
                  text(", NumDevs = %d\n", count);
    } catch (const CudaError& caught) {
        code = caught.code;
        error = explain(caught.code, caught.call, driver);
        exitCode = code == cudaErrorInsufficientDriver || code == cudaErrorNoDevice ? kExitWaived : kExitFail;
        fprintf(stderr, "deviceQuery: error %d (%s): %s\n", code, cudaGetErrorName(caught.code), error.c_str());
    }
    const char* const result = exitCode == kExitPass ? "PASS" : exitCode == kExitFail ? "FAIL" : "WAIVED";
    if (json) {
        printf("{\"version\":1,\"sample\":\"deviceQuery\",\"result\":\"%s\",\"error_code\":%d", result, code);
        printf(",\"error\":%s,\"driver_version\":%d,\"runtime_version\":%d", quoted(error).c_str(), driver, runtime);
        printf(",\"libcuda_path\":%s,\"devices\":[%s]}\n", quoted(loadedLibcuda()).c_str(), objects.c_str());
    }
    if (!json && exitCode != kExitWaived) printf("%sResult = %s\n", report.c_str(), result);
    return exitCode;
}
SOURCE
RUN --mount=type=tmpfs,target=/tmp \
    <<'STEP'
set -eu
NVCC_PREPEND_FLAGS='-ccbin cuda-g++'
export NVCC_PREPEND_FLAGS
mkdir -p /run/cudabuild/out
nvcc -O3 -cudart static -Wno-deprecated-gpu-targets -gencode arch=compute_50,code=sm_50 -gencode arch=compute_52,code=sm_52 -gencode arch=compute_53,code=sm_53 -gencode arch=compute_60,code=sm_60 -gencode arch=compute_61,code=sm_61 -gencode arch=compute_62,code=sm_62 -gencode arch=compute_70,code=sm_70 -gencode arch=compute_72,code=sm_72 -gencode arch=compute_75,code=sm_75 -gencode arch=compute_80,code=sm_80 -gencode arch=compute_86,code=sm_86 -gencode arch=compute_87,code=sm_87 -gencode arch=compute_89,code=sm_89 -gencode arch=compute_90,code=sm_90 -gencode arch=compute_90,code=compute_90 -Xlinker -s -o /run/cudabuild/out/deviceQuery /run/cudabuild/src/deviceQuery.cu
STEP

FROM base AS image-devicequery
COPY --from=build-devicequery /run/cudabuild/out/deviceQuery /usr/local/bin/
ENV CUDA_VERSION="12.4.1" \
    NVIDIA_DRIVER_CAPABILITIES="compute,utility" \
    NVIDIA_REQUIRE_CUDA="driver>=525.60.13" \
    NVIDIA_VISIBLE_DEVICES="all" \
    PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LABEL io.github.cudabuild.ends="2030-06-30" \
      org.opencontainers.image.title="12.4-deviceQuery-debian13" \
      org.opencontainers.image.version="12.4.1"
CMD ["deviceQuery"]
