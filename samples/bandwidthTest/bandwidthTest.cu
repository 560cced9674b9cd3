// SPDX-License-Identifier: Apache-2.0
//
// bandwidthTest says how fast the device's memory is reached: copies to it and from it, from pageable and from pinned memory of the host,
// and within it. What was copied is compared.
//   nvcc -O3 -cudart static -I.. -o bandwidthTest bandwidthTest.cu

#include "sample.h"

enum { kBytes = 256 << 20, kWords = kBytes / sizeof(unsigned int), kRepeats = 10 };

// Copies once to warm up and then kRepeats times; returns gigabytes (10^9) a second.
static double copy(void* to, const void* from, cudaMemcpyKind kind) {
    cudaEvent_t begin, end;
    float ms = 0;
    CHECK(cudaEventCreate(&begin));
    CHECK(cudaEventCreate(&end));
    for (int i = 0; i <= kRepeats; ++i) {
        CHECK(cudaMemcpyAsync(to, from, kBytes, kind, 0));
        if (i == 0) CHECK(cudaEventRecord(begin, 0));
    }
    CHECK(cudaEventRecord(end, 0));
    CHECK(cudaEventSynchronize(end));
    CHECK(cudaEventElapsedTime(&ms, begin, end));
    CHECK(cudaEventDestroy(begin));
    CHECK(cudaEventDestroy(end));
    return (double)kBytes * kRepeats / ms * 1e-6;
}

// From the host to the device, within it, and back, with memory of the host of one kind.
static void measure(Sample& s, const std::string& kind, unsigned int* out, unsigned int* back, Array<unsigned int>& a,
                    Array<unsigned int>& b, unsigned int seed) {
    for (int i = 0; i < kWords; ++i) out[i] = seed + 2654435761u * i, back[i] = 0;
    const double up = copy(a.gpu, out, cudaMemcpyHostToDevice), within = copy(b.gpu, a.gpu, cudaMemcpyDeviceToDevice);
    const double down = copy(back, b.gpu, cudaMemcpyDeviceToHost);
    int wrong = 0;
    for (int i = 0; i < kWords; ++i) wrong += back[i] != seed + 2654435761u * i;
    s.check(kind + ": words that differ", wrong, 0);
    Sample::next(s.figures, kind + "_to_device_gbytes_per_second") << ": " << up;
    Sample::next(s.figures, kind + "_from_device_gbytes_per_second") << ": " << down;
    if (kind == "pinned") Sample::next(s.figures, "device_gbytes_per_second") << ": " << 2 * within;  // each byte is read and written
}

static void run(Sample& s) {
    Array<unsigned int> a(kWords), b(kWords);
    measure(s, "pageable", &a[0], &b[0], a, b, 1);
    unsigned int *out, *back;
    CHECK(cudaMallocHost((void**)&out, kBytes));
    CHECK(cudaMallocHost((void**)&back, kBytes));
    measure(s, "pinned", out, back, a, b, 2);
    CHECK(cudaFreeHost(out));
    CHECK(cudaFreeHost(back));
}

int main(int argc, char** argv) { return sampleMain(argc, argv, "bandwidthTest", run); }
