// SPDX-License-Identifier: Apache-2.0
//
// nbody integrates N bodies under their own softened gravity, every pair counted, and says how many interactions per second the
// devices did:  nvcc -O3 -cudart static -o nbody nbody.cu
// Flags and the three summary lines are those of NVIDIA's sample of that name, without the window.
// stdout ends in "Result = PASS" (exit 0) or "Result = FAIL" (exit 1); without the devices asked for: exit 2 (waived) and one line
// on stderr. --json prints one JSON document instead. Host code is C++98 with the runtime API of CUDA 6.5.

#include <cuda_runtime.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <string>
#include <vector>

enum { kExitPass = 0, kExitFail = 1, kExitWaived = 2 };
enum {
    kThreads = 256,               // of a block; also the bodies of a tile in shared memory
    kBodies = 4,                  // kept in registers by each thread
    kGroup = kThreads * kBodies,  // bodies of a block; lists are padded to whole groups with bodies of no mass
    kWaves = 8,                   // of blocks: where groups make fewer, the tiles of each are split over several
    kWarmUpMs = 300,              // clocks settle within this
    kSampledBodies = 64,          // compared with the CPU after a benchmark
    kComparedPairs = 1 << 28      // computed on the CPU by -compare: all bodies up to 16,384, a sample of larger systems
};

// Units: gravitational constant, total mass and radius of the initial ball are 1. softening and timeStep keep the leapfrog's own
// energy error far below energyTolerance (of the energy, over the whole run).
static double softening() { return 0.05; }
static double timeStep() { return 1.0 / 512; }
static double energyTolerance() { return 1e-5; }

// Tolerances are of accelerations against the same sums in double precision: relative error of the median body, and of the worst
// one relative to the root mean square (its own may nearly cancel). Rounding alone gives about 1e-7 and 1e-15.
struct Precision {
    const char* name;
    int flopsPerInteraction;  // 20 and 30 by the sample's old convention, whatever the instructions
    double medianTolerance, worstTolerance;
};
static Precision precisionOf(size_t scalarBytes) {
    const Precision single = {"single", 20, 1e-5, 1e-4}, twice = {"double", 30, 1e-13, 1e-12};
    return scalarBytes == sizeof(float) ? single : twice;
}

struct CudaError {
    cudaError_t code;
    const char* call;
};

#define CUDA_CHECK(expression)                                \
    do {                                                      \
        const CudaError error_ = {(expression), #expression}; \
        if (error_.code != cudaSuccess) throw error_;         \
    } while (0)

// Position and mass; or velocity or acceleration, with w unused. Hosts keep them as four scalars in a row.
template <typename T>
struct __align__(16) Vec4 {
    T x, y, z, w;
};

// The reference: acceleration of body i; returns the potential there, its own left out.
template <typename T>
static double pullOnCpu(const std::vector<T>& p, int n, int i, double a[3]) {
    const double x = p[4 * i], y = p[4 * i + 1], z = p[4 * i + 2], eps2 = softening() * softening();
    double potential = p[4 * i + 3] / softening();
    a[0] = a[1] = a[2] = 0;
    for (const T *q = &p[0], *end = q + 4 * (size_t)n; q != end; q += 4) {
        const double dx = q[0] - x, dy = q[1] - y, dz = q[2] - z, r2 = dx * dx + dy * dy + dz * dz + eps2;
        const double m = q[3] / sqrt(r2), s = m / r2;
        potential -= m;
        a[0] += s * dx, a[1] += s * dy, a[2] += s * dz;
    }
    return potential;
}

template <typename T>
static double energyOnCpu(const std::vector<T>& p, const std::vector<T>& v, int n) {
    double energy = 0, unused[3];
    for (int i = 0; i < n; ++i) {
        const double vx = v[4 * i], vy = v[4 * i + 1], vz = v[4 * i + 2];
        energy += 0.5 * p[4 * i + 3] * (vx * vx + vy * vy + vz * vz + pullOnCpu(p, n, i, unused));
    }
    return energy;
}

// m / r2^(3/2). The root is one instruction, without the scaling that rsqrtf() adds for denormals: a softened distance is none.
static __device__ __forceinline__ float pull(float m, float r2) {
    float y;
    asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(r2));
    return m * y * (y * y);
}
// The same from a root of 20 bits: y * y is exact, e is what it misses by, and (1 - e)^(-3/2) is 1 + 3/2 e + 15/8 e^2 to 60 bits.
static __device__ __forceinline__ double pull(double m, double r2) {
    double y;
    asm("rsqrt.approx.ftz.f64 %0, %1;" : "=d"(y) : "d"(r2));
    const double e = fma(-r2, y * y, 1.0), s = m * y * (y * y);
    return fma(s * e, fma(1.875, e, 1.5), s);
}

// Sums, for kBodies bodies of each thread, the pull of this block's share (blockIdx.y) of the tiles. Padding has no mass and a body
// is softened against itself: no tests. Each tile is summed apart: one long sum rounds off more. Operands in one register bank wait
// for one another: own bodies are loaded by the word, as wide loads put x in the others' banks, and the 1 leaves registers to spare.
template <typename T>
__global__ void __launch_bounds__(kThreads, 1)
    accelerate(const Vec4<T>* __restrict__ positions, Vec4<T>* __restrict__ partial, int first, int tiles, T eps2) {
    __shared__ Vec4<T> tile[kThreads];
    const int local = blockIdx.x * kGroup + threadIdx.x, end = (int)((long long)tiles * (blockIdx.y + 1) / gridDim.y);
    Vec4<T> body[kBodies], total[kBodies] = {};
    for (int b = 0; b < kBodies; ++b) {
        const volatile T* const own = &positions[first + local + b * kThreads].x;
        body[b].x = own[0], body[b].y = own[1], body[b].z = own[2];
    }
    for (int t = (int)((long long)tiles * blockIdx.y / gridDim.y); t < end; ++t) {
        T ax[kBodies] = {0}, ay[kBodies] = {0}, az[kBodies] = {0};
        __syncthreads();
        tile[threadIdx.x] = positions[t * kThreads + threadIdx.x];
        __syncthreads();
#pragma unroll 16
        for (int j = 0; j < kThreads; ++j) {
            const Vec4<T> other = tile[j];
#pragma unroll
            for (int b = 0; b < kBodies; ++b) {  // 3 subtractions, 3 fused, 1 root, 3 products (double: 7), 3 fused
                const T dx = other.x - body[b].x, dy = other.y - body[b].y, dz = other.z - body[b].z;
                const T s = pull(other.w, dx * dx + (dy * dy + (dz * dz + eps2)));
                ax[b] += s * dx, ay[b] += s * dy, az[b] += s * dz;
            }
        }
        for (int b = 0; b < kBodies; ++b) total[b].x += ax[b], total[b].y += ay[b], total[b].z += az[b];
    }
    for (int b = 0; b < kBodies; ++b) partial[(size_t)blockIdx.y * gridDim.x * kGroup + local + b * kThreads] = total[b];
}

// Leapfrog: velocities live half a step behind positions. kick is the time to accelerate for, drift the time to move for.
template <typename T>
__global__ void advance(const Vec4<T>* __restrict__ partial, const Vec4<T>* __restrict__ old, Vec4<T>* __restrict__ positions,
                        Vec4<T>* __restrict__ velocities, int first, int count, int splits, T kick, T drift) {
    const int i = blockIdx.x * kThreads + threadIdx.x;  // count is a multiple of kThreads
    Vec4<T> a = partial[i], p = old[first + i], v = velocities[i];
    for (int s = 1; s < splits; ++s) {
        const Vec4<T> more = partial[(size_t)s * count + i];
        a.x += more.x, a.y += more.y, a.z += more.z;
    }
    v.x += a.x * kick, v.y += a.y * kick, v.z += a.z * kick;
    p.x += v.x * drift, p.y += v.y * drift, p.z += v.z * drift;
    velocities[i] = v;
    positions[first + i] = p;
}

// Bodies on one or several devices. Lists from and for the host have 4 * padded scalars.
template <typename T>
struct Simulation {
    // One device's share: it knows all positions and moves the bodies first .. first + count. Positions have two buffers, which take
    // turns; sent[b] is when this device's part of buffer b has reached the others.
    struct Part {
        int device, first, count, splits;
        cudaStream_t stream;
        cudaEvent_t begin, end, sent[2];
        Vec4<T>*positions[2], *velocities, *partial;
    };
    int padded, current;
    std::vector<Part> parts;

    Simulation(const std::vector<int>& devices, int bodies) : padded((bodies + kGroup - 1) / kGroup * kGroup), current(0) {
        const int groups = padded / kGroup, used = std::min(groups, (int)devices.size());
        for (int d = 0; d < used; ++d) {
            const int first = (int)((long long)groups * d / used), end = (int)((long long)groups * (d + 1) / used);
            parts.push_back(makePart(devices[d], first, end - first));
        }
        for (int d = 0; d < used; ++d)
            for (int e = 0; e < used; ++e) {
                int can = 0;
                if (d != e) CUDA_CHECK(cudaDeviceCanAccessPeer(&can, devices[d], devices[e]));
                CUDA_CHECK(cudaSetDevice(devices[d]));
                if (can) CUDA_CHECK(cudaDeviceEnablePeerAccess(devices[e], 0));
            }
    }

    void upload(const std::vector<T>& positions, const std::vector<T>& velocities) {
        wait();
        for (size_t d = 0; d < parts.size(); ++d) {
            const Part& s = parts[d];
            for (int b = 0; b < 2; ++b) copy(s.positions[b], &positions[0], padded);
            copy(s.velocities, &velocities[4 * s.first], s.count);
        }
    }

    void download(std::vector<T>& positions, std::vector<T>& velocities) const {
        wait();
        for (size_t d = 0; d < parts.size(); ++d) {
            const Part& s = parts[d];
            copy(&positions[4 * s.first], s.positions[current] + s.first, s.count);
            copy(&velocities[4 * s.first], s.velocities, s.count);
        }
    }

    // One step on all devices, in order on their streams; returns at once.
    void step(double kick, double drift) {
        const int next = 1 - current;
        for (size_t d = 0; d < parts.size(); ++d) {
            const Part& s = parts[d];
            const dim3 grid(s.count / kGroup, s.splits);
            const Vec4<T>* const old = s.positions[current];
            CUDA_CHECK(cudaSetDevice(s.device));
            for (size_t e = 0; e < parts.size(); ++e)
                if (e != d) CUDA_CHECK(cudaStreamWaitEvent(s.stream, parts[e].sent[current], 0));
            accelerate<T><<<grid, kThreads, 0, s.stream>>>(old, s.partial, s.first, padded / kThreads, (T)(softening() * softening()));
            CUDA_CHECK(cudaGetLastError());
            advance<T><<<s.count / kThreads, kThreads, 0, s.stream>>>(s.partial, old, s.positions[next], s.velocities, s.first, s.count,
                                                                      s.splits, (T)kick, (T)drift);
            CUDA_CHECK(cudaGetLastError());
            for (size_t e = 0; e < parts.size(); ++e)  // over the link, or staged by the driver where there is none
                if (e != d)
                    CUDA_CHECK(cudaMemcpyPeerAsync(parts[e].positions[next] + s.first, parts[e].device, s.positions[next] + s.first,
                                                   s.device, s.count * sizeof(Vec4<T>), s.stream));
            CUDA_CHECK(cudaEventRecord(s.sent[next], s.stream));
        }
        current = next;
    }

    // Milliseconds for that many steps on all devices.
    float time(int iterations) {
        const Part& s = parts[0];
        float ms = 0;
        wait();
        CUDA_CHECK(cudaSetDevice(s.device));
        CUDA_CHECK(cudaEventRecord(s.begin, s.stream));
        for (int i = 0; i < iterations; ++i) step(timeStep(), timeStep());
        CUDA_CHECK(cudaSetDevice(s.device));
        for (size_t d = 1; d < parts.size(); ++d) CUDA_CHECK(cudaStreamWaitEvent(s.stream, parts[d].sent[current], 0));
        CUDA_CHECK(cudaEventRecord(s.end, s.stream));
        CUDA_CHECK(cudaEventSynchronize(s.end));
        CUDA_CHECK(cudaEventElapsedTime(&ms, s.begin, s.end));
        return ms;
    }

    static void copy(void* to, const void* from, size_t count) {
        CUDA_CHECK(cudaMemcpy(to, from, count * sizeof(Vec4<T>), cudaMemcpyDefault));
    }

    static Vec4<T>* allocate(size_t count) {
        Vec4<T>* out = 0;
        CUDA_CHECK(cudaMalloc((void**)&out, count * sizeof(Vec4<T>)));
        return out;
    }

    void wait() const {
        for (size_t d = 0; d < parts.size(); ++d) {
            CUDA_CHECK(cudaSetDevice(parts[d].device));
            CUDA_CHECK(cudaDeviceSynchronize());
        }
    }

    Part makePart(int device, int firstGroup, int groups) const {
        Part s;
        int processors = 0, resident = 0;
        CUDA_CHECK(cudaSetDevice(device));
        CUDA_CHECK(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device));
        CUDA_CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, accelerate<T>, kThreads, 0));
        CUDA_CHECK(cudaStreamCreate(&s.stream));
        CUDA_CHECK(cudaEventCreate(&s.begin));
        CUDA_CHECK(cudaEventCreate(&s.end));
        for (int b = 0; b < 2; ++b) CUDA_CHECK(cudaEventCreateWithFlags(&s.sent[b], cudaEventDisableTiming));
        s.device = device, s.first = firstGroup * kGroup, s.count = groups * kGroup;
        s.splits = std::max(1, std::min(padded / kThreads, kWaves * resident * processors / groups));
        s.positions[0] = allocate(padded), s.positions[1] = allocate(padded), s.velocities = allocate(s.count);
        s.partial = allocate((size_t)s.splits * s.count);
        return s;
    }
};

// Uniform in [0, 1), the same numbers on every machine.
static double uniform(unsigned long long& state) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (double)(state >> 11) / 9007199254740992.0;
}

// A ball of bodies whose speeds hold it up against its gravity. Masses are random, up to three to one; the lists' tails are padding.
template <typename T>
static void makeBodies(int n, std::vector<T>& positions, std::vector<T>& velocities) {
    unsigned long long state = 20;
    for (int i = 0; i < 2 * n; ++i) {
        T* const v = i < n ? &positions[4 * i] : &velocities[4 * (i - n)];
        do {
            for (int k = 0; k < 3; ++k) v[k] = (T)(2 * uniform(state) - 1);
        } while (v[0] * v[0] + v[1] * v[1] + v[2] * v[2] > 1);
        if (i < n) v[3] = (T)((0.5 + uniform(state)) / n);
    }
}

struct Outcome {
    int devices, checked;  // checked: bodies whose acceleration was compared
    double median, worst;  // errors as Precision has them
    double drift;          // of the energy, relative; -1 where it was not measured
    double ms;             // -1 where nothing was timed
    bool passed;
};

// Compares accelerations at the present positions: from rest, a kick of one unit of time gives the acceleration.
template <typename T>
static void checkAccelerations(Simulation<T>& simulation, int n, int wanted, Outcome& out) {
    std::vector<T> positions(4 * simulation.padded), velocities(positions.size());
    simulation.download(positions, velocities);
    simulation.upload(positions, std::vector<T>(positions.size()));
    simulation.step(1, 0);
    simulation.download(positions, velocities);
    std::vector<double> relative, absolute;
    double squares = 0;
    out.checked = std::min(n, wanted);
    for (int k = 0; k < out.checked; ++k) {
        const int i = k == 0 ? 0 : (int)((long long)k * (n - 1) / (out.checked - 1));  // the first, the last and between
        double a[3];
        pullOnCpu(positions, n, i, a);
        const double dx = velocities[4 * i] - a[0], dy = velocities[4 * i + 1] - a[1], dz = velocities[4 * i + 2] - a[2];
        const double error = sqrt(dx * dx + dy * dy + dz * dz), size2 = a[0] * a[0] + a[1] * a[1] + a[2] * a[2];
        squares += size2;
        absolute.push_back(error < 1e99 ? error : 1e99);  // not a number is no match either
        relative.push_back(size2 > 0 ? absolute.back() / sqrt(size2) : absolute.back());
    }
    std::sort(relative.begin(), relative.end());
    out.median = relative[out.checked / 2];
    out.worst = *std::max_element(absolute.begin(), absolute.end()) / (squares > 0 ? sqrt(squares / out.checked) : 1);
    const Precision limit = precisionOf(sizeof(T));
    out.passed = out.passed && out.median <= limit.medianTolerance && out.worst <= limit.worstTolerance;
}

struct Options {
    int benchmark, compare, fp64, json, bodies, iterations, devices, device;  // bodies 0 and device -1: not said
};

template <typename T>
static Outcome simulate(const Options& o, const std::vector<int>& devices) {
    Simulation<T> simulation(devices, o.bodies);
    std::vector<T> positions(4 * simulation.padded), velocities(positions.size()), moved(positions), speeds(positions);
    makeBodies(o.bodies, positions, velocities);
    simulation.upload(positions, velocities);
    Outcome out = {(int)simulation.parts.size(), 0, 0, 0, -1, -1, true};
    if (o.compare) checkAccelerations(simulation, o.bodies, kComparedPairs / o.bodies, out);
    simulation.upload(positions, velocities);
    if (o.compare && (long long)o.bodies * o.bodies <= kComparedPairs) {
        for (int i = 0; i < o.iterations; ++i) simulation.step(i == 0 ? timeStep() / 2 : timeStep(), timeStep());
        simulation.step(timeStep() / 2, 0);  // brings velocities to the positions' time
        simulation.download(moved, speeds);
        out.drift = fabs(energyOnCpu(moved, speeds, o.bodies) / energyOnCpu(positions, velocities, o.bodies) - 1);
        out.passed = out.passed && out.drift <= energyTolerance();
    }
    if (o.compare && !o.benchmark) return out;
    for (double warm = 0; warm < kWarmUpMs;) warm += simulation.time(o.iterations);
    simulation.upload(positions, velocities);
    out.ms = simulation.time(o.iterations);
    if (!o.compare) checkAccelerations(simulation, o.bodies, kSampledBodies, out);
    return out;
}

// Reads "name=N", or "name" alone where N could only be 1; false if it is anything else or N is out of bounds.
static bool option(const char* argument, const char* name, long least, long most, int& out) {
    const size_t length = strlen(name);
    long value = 1;
    char tail;
    if (strncmp(argument, name, length)) return false;
    if (most == 1 ? argument[length] != 0 : sscanf(argument + length, "=%ld%c", &value, &tail) != 1) return false;
    if (value < least || value > most) return false;
    out = (int)value;
    return true;
}

static bool parse(int argc, char** argv, Options& o) {
    for (int i = 1; i < argc; ++i) {
        const char* const a = argv[i] + (argv[i][0] == '-') + (argv[i][0] == '-' && argv[i][1] == '-');
        if (a != argv[i] &&
            (option(a, "benchmark", 1, 1, o.benchmark) || option(a, "compare", 1, 1, o.compare) || option(a, "fp64", 1, 1, o.fp64) ||
             option(a, "json", 1, 1, o.json) || option(a, "numbodies", 1, 1 << 24, o.bodies) || option(a, "i", 1, 1000000, o.iterations) ||
             option(a, "numdevices", 1, 64, o.devices) || option(a, "device", 0, 63, o.device)))
            continue;
        fprintf(stderr, "nbody: cannot use argument \"%s\"\nusage: nbody [-benchmark] [-compare] [-fp64] [-numbodies=N] [-i=N] ", argv[i]);
        fprintf(stderr, "[-numdevices=N | -device=N] [--json]\n");
        return false;
    }
    if (o.device >= 0 && o.devices > 1) fprintf(stderr, "nbody: -device and -numdevices exclude each other\n");
    return o.device < 0 || o.devices == 1;
}

static bool run(Options o) {
    int count = 0, processors = 0;
    const int first = std::max(o.device, 0);
    cudaDeviceProp p;
    CUDA_CHECK(cudaGetDeviceCount(&count));
    CUDA_CHECK(count == 0 ? cudaErrorNoDevice : first + o.devices > count ? cudaErrorInvalidDevice : cudaSuccess);
    CUDA_CHECK(cudaGetDeviceProperties(&p, first));
    CUDA_CHECK(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, first));
    if (o.bodies == 0) o.bodies = o.compare ? 4096 : 1024 * processors * o.devices;  // as the sample: enough for each device
    std::vector<int> devices;
    for (int d = 0; d < o.devices; ++d) devices.push_back(first + d);
    const Outcome r = o.fp64 ? simulate<double>(o, devices) : simulate<float>(o, devices);
    const Precision limit = precisionOf(o.fp64 ? sizeof(double) : sizeof(float));
    const double billions = (double)o.bodies * o.bodies * o.iterations / r.ms * 1e-6, gflops = billions * limit.flopsPerInteraction;
    if (o.json) {
        printf("{\"version\":1,\"sample\":\"nbody\",\"result\":\"%s\",\"error_code\":0,\"error\":null,\"precision\":\"%s\"",
               r.passed ? "PASS" : "FAIL", limit.name);
        printf(",\"device_name\":\"%s\",\"first_device\":%d,\"devices\":%d", p.name, first, r.devices);
        printf(",\"bodies\":%d,\"iterations\":%d,\"flops_per_interaction\":%d", o.bodies, o.iterations, limit.flopsPerInteraction);
        printf(",\"checked_bodies\":%d,\"median_relative_error\":%.3e,\"worst_relative_error\":%.3e", r.checked, r.median, r.worst);
        if (r.drift >= 0) printf(",\"energy_drift\":%.3e", r.drift);
        if (r.ms >= 0) printf(",\"time_ms\":%.4f,\"interactions_per_second\":%.6e,\"gflops\":%.3f", r.ms, billions * 1e9, gflops);
        printf("}\n");
        return r.passed;
    }
    printf("> %s precision floating point simulation\n> %d Devices used for simulation\n", o.fp64 ? "Double" : "Single", r.devices);
    printf("> Compute %d.%d CUDA device: [%s]\n", p.major, p.minor, p.name);
    if (r.ms >= 0) {
        printf("%d bodies, total time for %d iterations: %.3f ms\n", o.bodies, o.iterations, r.ms);
        printf("= %.3f billion interactions per second\n", billions);
        printf("= %.3f %s-precision GFLOP/s at %d flops per interaction\n", gflops, limit.name, limit.flopsPerInteraction);
    }
    printf("> accelerations of %d bodies against the CPU in double precision: relative error ", r.checked);
    printf("%.1e median (at most %.0e), %.1e worst (at most %.0e)\n", r.median, limit.medianTolerance, r.worst, limit.worstTolerance);
    if (r.drift >= 0) printf("> energy drift in %d iterations: %.1e (at most %.0e)\n", o.iterations, r.drift, energyTolerance());
    printf("Result = %s\n", r.passed ? "PASS" : "FAIL");
    return r.passed;
}

// What the error means for a container, where CUDA's own text leads astray.
static std::string explain(const CudaError& error) {
    int driver = 0;
    if (error.code == cudaErrorInsufficientDriver && cudaDriverGetVersion(&driver) == cudaSuccess && driver == 0)
        return "no NVIDIA driver in this container: start it with the NVIDIA runtime hook (--gpus all)";
    if (error.code == cudaErrorNoDevice) return "the driver sees no GPU: check NVIDIA_VISIBLE_DEVICES and /dev/nvidia*";
    if (error.code == cudaErrorInvalidDevice) return "fewer devices than asked for";
    return std::string(cudaGetErrorString(error.code)) + " in " + error.call;
}

int main(int argc, char** argv) {
    Options o = {0, 0, 0, 0, 0, 10, 1, -1};
    if (!parse(argc, argv, o)) return kExitFail;
    try {
        return run(o) ? kExitPass : kExitFail;
    } catch (const CudaError& e) {
        const bool waived = e.code == cudaErrorInsufficientDriver || e.code == cudaErrorNoDevice || e.code == cudaErrorInvalidDevice;
        const std::string text = explain(e);
        fprintf(stderr, "nbody: error %d (%s): %s\n", e.code, cudaGetErrorName(e.code), text.c_str());
        if (o.json)
            printf("{\"version\":1,\"sample\":\"nbody\",\"result\":\"%s\",\"error_code\":%d,\"error\":\"%s\"}\n",
                   waived ? "WAIVED" : "FAIL", e.code, text.c_str());
        if (!o.json && !waived) printf("Result = FAIL\n");
        return waived ? kExitWaived : kExitFail;
    }
}
