// SPDX-License-Identifier: Apache-2.0
//
// npp adds, filters and shrinks pictures and sums up a signal, and compares with the CPU.
//   nvcc -O3 -cudart static -I.. -o npp npp.cu -lnppial -lnppif -lnppig -lnpps -lnppc
// All functions are those that are told their stream (_Ctx): CUDA 13 has no others.

#include <npp.h>

#include <algorithm>
#include <cmath>

#include "sample.h"

enum { kWidth = 640, kHeight = 480, kPixels = kWidth * kHeight, kMask = 5, kNumbers = 1 << 20 };
static const NppiSize kSize = {kWidth, kHeight}, kHalf = {kWidth / 2, kHeight / 2};

static NppStatus version(libraryPropertyType part, int* value) {
    const NppLibraryVersion* const v = nppGetLibVersion();
    *value = part == MAJOR_VERSION ? v->major : part == MINOR_VERSION ? v->minor : v->build;
    return NPP_SUCCESS;
}

static int attribute(cudaDeviceAttr which) {
    int out = 0;
    CHECK(cudaDeviceGetAttribute(&out, which, 0));
    return out;
}

static NppStreamContext describe() {
    NppStreamContext c = NppStreamContext();  // the default stream of device 0
    c.nMultiProcessorCount = attribute(cudaDevAttrMultiProcessorCount);
    c.nMaxThreadsPerMultiProcessor = attribute(cudaDevAttrMaxThreadsPerMultiProcessor);
    c.nMaxThreadsPerBlock = attribute(cudaDevAttrMaxThreadsPerBlock);
    c.nSharedMemPerBlock = attribute(cudaDevAttrMaxSharedMemoryPerBlock);
    c.nCudaDevAttrComputeCapabilityMajor = attribute(cudaDevAttrComputeCapabilityMajor);
    c.nCudaDevAttrComputeCapabilityMinor = attribute(cudaDevAttrComputeCapabilityMinor);
    return c;
}

// The mean of a square of the picture, from its upper left corner.
static double mean(const std::vector<Npp8u>& picture, int x, int y, int side) {
    double sum = 0;
    for (int i = 0; i < side * side; ++i) sum += picture[(y + i / side) * kWidth + x + i % side];
    return sum / (side * side);
}

static void pictures(Sample& s, const NppStreamContext& context) {
    Array<Npp8u> a(kPixels), b(kPixels), sum(kPixels), filtered(kPixels), half(kPixels / 4);
    unsigned int seed = 1;
    for (int i = 0; i < kPixels; ++i) a[i] = (Npp8u)(128 + 128 * uniform(seed)), b[i] = (Npp8u)(128 + 128 * uniform(seed));
    a.send(), b.send();
    CHECK(nppiAdd_8u_C1RSfs_Ctx(a.gpu, kWidth, b.gpu, kWidth, sum.gpu, kWidth, kSize, 0, context));
    sum.fetch();
    double worst = 0;
    for (int i = 0; i < kPixels; ++i) worst = worse(worst, std::abs(sum[i] - std::min(255, a[i] + b[i])));
    s.check("add", worst, 0);

    // Where the mask does not reach over the edge, that is.
    const NppiSize inner = {kWidth - kMask + 1, kHeight - kMask + 1}, mask = {kMask, kMask};
    const NppiPoint anchor = {kMask / 2, kMask / 2};
    const int first = kMask / 2 * kWidth + kMask / 2;
    CHECK(nppiFilterBox_8u_C1R_Ctx(a.gpu + first, kWidth, filtered.gpu + first, kWidth, inner, mask, anchor, context));
    filtered.fetch();
    worst = 0;
    for (int y = 0; y < inner.height; ++y)
        for (int x = 0; x < inner.width; ++x) worst = worse(worst, std::fabs(filtered[first + y * kWidth + x] - mean(a, x, y, kMask)));
    s.check("box filter", worst, 1);  // a mean is not always whole, and may be rounded or cut off

    const NppiRect all = {0, 0, kWidth, kHeight}, allOfHalf = {0, 0, kWidth / 2, kHeight / 2};
    CHECK(nppiResize_8u_C1R_Ctx(a.gpu, kWidth, kSize, all, half.gpu, kWidth / 2, kHalf, allOfHalf, NPPI_INTER_SUPER, context));
    half.fetch();
    worst = 0;
    for (int i = 0; i < kPixels / 4; ++i) worst = worse(worst, std::fabs(half[i] - mean(a, i % (kWidth / 2) * 2, i / (kWidth / 2) * 2, 2)));
    s.check("half the size", worst, 1);
}

// Lengths and sizes became size_t in CUDA 12.
template <typename Length, typename Size>
static size_t bufferBytes(NppStatus (*ask)(Length, Size*, NppStreamContext), int length, const NppStreamContext& context) {
    Size bytes = 0;
    CHECK(ask(length, &bytes, context));
    return bytes;
}

static void signal(Sample& s, const NppStreamContext& context) {
    Array<Npp32f> numbers(kNumbers), sum(1);
    Array<Npp8u> buffer(bufferBytes(nppsSumGetBufferSize_32f_Ctx, kNumbers, context));
    unsigned int seed = 1;
    double want = 0, sizes = 0;
    for (int i = 0; i < kNumbers; ++i) numbers[i] = uniform(seed), want += numbers[i], sizes += std::fabs(numbers[i]);
    numbers.send();
    CHECK(nppsSum_32f_Ctx(numbers.gpu, kNumbers, sum.gpu, buffer.gpu, context));
    sum.fetch();
    s.check("sum", std::fabs(sum[0] - want) / sizes, 128 * 6.0e-8);  // a thread adds up some hundred numbers, the threads a few more
}

static void run(Sample& s) {
    LIBRARY(s, "libnppc", NPP, version);
    CHECK(cudaFree(0));  // says what is missing, if that is a driver or a device
    const NppStreamContext context = describe();
    pictures(s, context);
    signal(s, context);
}

int main(int argc, char** argv) { return sampleMain(argc, argv, "npp", run); }
