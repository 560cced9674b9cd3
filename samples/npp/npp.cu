// SPDX-License-Identifier: Apache-2.0
//
// npp calls one function of each library of NPP on a picture, or on a signal, and compares with the CPU. All are told their stream
// (_Ctx): CUDA 13 has no others.
//   nvcc -O3 -cudart static -I.. -o npp npp.cu -lnppial -lnppicc -lnppidei -lnppif -lnppig -lnppim -lnppist -lnppisu -lnppitc -lnpps -lnppc

#include <npp.h>

#include <algorithm>
#include <cmath>

#include "sample.h"

enum { kWidth = 500, kHeight = 300, kChannels = 3, kNumbers = 100003, kThreshold = 100, kMask = 3 };
typedef Npp8u Byte;

// A picture on the host, with rows one after the other, and on the device, where NPP keeps them further apart.
struct Picture : std::vector<Byte> {
    Byte* gpu;
    int width, height, bytes, step;
    Picture(int w, int h, int channels) : std::vector<Byte>(w * h * channels), width(w), height(h), bytes(w * channels) {
        gpu = channels == 1 ? nppiMalloc_8u_C1(w, h, &step) : nppiMalloc_8u_C3(w, h, &step);
        if (!gpu) throw Failure(cudaErrorMemoryAllocation, "nppiMalloc");
    }
    ~Picture() { nppiFree(gpu); }
    void send() { CHECK(cudaMemcpy2D(gpu, step, &(*this)[0], bytes, bytes, height, cudaMemcpyHostToDevice)); }
    void fetch() { CHECK(cudaMemcpy2D(&(*this)[0], bytes, gpu, step, bytes, height, cudaMemcpyDeviceToHost)); }
    int at(int x, int y) const { return (*this)[y * width + x]; }

  private:
    Picture(const Picture&);
};

// The largest difference to what want says of each pixel that is not nearer than border to the edge.
static double differ(Picture& got, int border, double (*want)(const Picture&, int, int), const Picture& from) {
    double worst = 0;
    got.fetch();
    for (int y = border; y < got.height - border; ++y)
        for (int x = border; x < got.width - border; ++x) worst = worse(worst, std::fabs(got.at(x, y) - want(from, x, y)));
    return worst;
}

static double mean(const Picture& p, int x, int y) {
    double sum = 0;
    for (int k = 0; k < kMask * kMask; ++k) sum += p.at(x + k % kMask - 1, y + k / kMask - 1);
    return sum / (kMask * kMask);
}
static double largest(const Picture& p, int x, int y) {
    int most = 0;
    for (int k = 0; k < kMask * kMask; ++k) most = std::max(most, p.at(x + k % kMask - 1, y + k / kMask - 1));
    return most;
}
static double gray(const Picture& p, int x, int y) {
    const Byte* const c = &p[kChannels * (y * p.width + x)];
    return 0.299 * c[0] + 0.587 * c[1] + 0.114 * c[2];
}
static double difference(const Picture& p, int x, int y) { return std::abs(p.at(x, y) - p.at(p.width - 1 - x, y)); }
static double mirrored(const Picture& p, int x, int y) { return p.at(p.width - 1 - x, y); }
static double transposed(const Picture& p, int x, int y) { return p.at(y, x); }
static double clipped(const Picture& p, int x, int y) { return std::max(p.at(x, y), (int)kThreshold); }

// How many bytes a function needs beside. CUDA 12 has size_t for some of the lengths and sizes that were int.
template <typename Size, typename Bytes, typename Given>
static size_t scratch(NppStatus (*ask)(Size, Bytes*, NppStreamContext), Given size, const NppStreamContext& context) {
    Bytes bytes = 0;
    CHECK(ask(size, &bytes, context));
    return bytes;
}

static int attribute(cudaDeviceAttr which) {
    int out = 0;
    CHECK(cudaDeviceGetAttribute(&out, which, 0));
    return out;
}

static NppStreamContext newContext() {
    NppStreamContext c = NppStreamContext();  // of the default stream of device 0
    c.nMultiProcessorCount = attribute(cudaDevAttrMultiProcessorCount);
    c.nMaxThreadsPerMultiProcessor = attribute(cudaDevAttrMaxThreadsPerMultiProcessor);
    c.nMaxThreadsPerBlock = attribute(cudaDevAttrMaxThreadsPerBlock);
    c.nSharedMemPerBlock = attribute(cudaDevAttrMaxSharedMemoryPerBlock);
    c.nCudaDevAttrComputeCapabilityMajor = attribute(cudaDevAttrComputeCapabilityMajor);
    c.nCudaDevAttrComputeCapabilityMinor = attribute(cudaDevAttrComputeCapabilityMinor);
    return c;
}

static NppStatus property(libraryPropertyType part, int* value) {
    const NppLibraryVersion* const v = nppGetLibVersion();
    *value = part == MAJOR_VERSION ? v->major : part == MINOR_VERSION ? v->minor : v->build;
    return NPP_SUCCESS;
}

static void sums(Sample& s, const NppStreamContext& context, const Picture& in) {
    double want = 0, signal = 0;
    Array<Npp64f> sum(1);
    Array<Npp32f> numbers(kNumbers), total(1);
    const NppiSize size = {kWidth, kHeight};
    Array<Byte> room(scratch(nppiSumGetBufferHostSize_8u_C1R_Ctx, size, context));
    CHECK(nppiSum_8u_C1R_Ctx(in.gpu, in.step, size, room.gpu, sum.gpu, context));
    sum.fetch();
    for (size_t i = 0; i < in.size(); ++i) want += in[i];
    s.check("libnppist: sum of a picture", std::fabs(sum[0] - want), 0);
    unsigned int seed = 2;
    for (int i = 0; i < kNumbers; ++i) signal += numbers[i] = (Npp32f)(1 + uniform(seed));
    numbers.send();
    Array<Byte> more(scratch(nppsSumGetBufferSize_32f_Ctx, kNumbers, context));
    CHECK(nppsSum_32f_Ctx(numbers.gpu, kNumbers, total.gpu, more.gpu, context));
    total.fetch();
    s.check("libnpps: sum of a signal", std::fabs(total[0] / signal - 1), 256 * 6.0e-8);  // roundings of a thread's part, and of all parts
}

static void run(Sample& s) {
    LIBRARY(s, "libnppc", NPP, property);
    const NppStreamContext context = newContext();
    const NppiSize size = {kWidth, kHeight}, inside = {kWidth - 2, kHeight - 2}, mask = {kMask, kMask};
    const NppiPoint middle = {1, 1};
    Picture in(kWidth, kHeight, 1), color(kWidth, kHeight, kChannels), out(kWidth, kHeight, 1), flip(kWidth, kHeight, 1),
        turned(kHeight, kWidth, 1);
    unsigned int seed = 1;
    for (size_t i = 0; i < color.size(); ++i) color[i] = (Byte)(128 + 128 * uniform(seed));
    for (size_t i = 0; i < in.size(); ++i) in[i] = (Byte)(128 + 128 * uniform(seed));
    in.send(), color.send();
    const Byte* const from = in.gpu + in.step + 1;  // the first pixel that has neighbours on all sides
    Byte* const to = out.gpu + out.step + 1;
    CHECK(nppiRGBToGray_8u_C3C1R_Ctx(color.gpu, color.step, out.gpu, out.step, size, context));
    s.check("libnppicc: color to gray", differ(out, 0, gray, color), 1);  // rounded, up or down
    CHECK(nppiFilterBox_8u_C1R_Ctx(from, in.step, to, out.step, inside, mask, middle, context));
    s.check("libnppif: mean of neighbours", differ(out, 1, mean, in), 1);
    CHECK(nppiDilate3x3_8u_C1R_Ctx(from, in.step, to, out.step, inside, context));
    s.check("libnppim: largest of neighbours", differ(out, 1, largest, in), 0);
    CHECK(nppiThreshold_8u_C1R_Ctx(in.gpu, in.step, out.gpu, out.step, size, kThreshold, NPP_CMP_LESS, context));
    s.check("libnppitc: threshold", differ(out, 0, clipped, in), 0);
    CHECK(nppiMirror_8u_C1R_Ctx(in.gpu, in.step, flip.gpu, flip.step, size, NPP_VERTICAL_AXIS, context));
    s.check("libnppig: mirror", differ(flip, 0, mirrored, in), 0);
    CHECK(nppiAbsDiff_8u_C1R_Ctx(in.gpu, in.step, flip.gpu, flip.step, out.gpu, out.step, size, context));
    s.check("libnppial: difference", differ(out, 0, difference, in), 0);
    CHECK(nppiTranspose_8u_C1R_Ctx(in.gpu, in.step, turned.gpu, turned.step, size, context));
    s.check("libnppidei: transpose", differ(turned, 0, transposed, in), 0);
    sums(s, context, in);
}

int main(int argc, char** argv) { return sampleMain(argc, argv, "npp", run); }
