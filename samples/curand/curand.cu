// SPDX-License-Identifier: Apache-2.0
//
// curand draws numbers from each generator of cuRAND, looks whether they are spread evenly and come again, and compares them with those
// of cuRAND's generator on the CPU.
//   nvcc -O3 -cudart static -I.. -o curand curand.cu -lcurand

#include <curand.h>

#include <algorithm>
#include <cmath>

#include "sample.h"

enum { kNumbers = 1 << 20, kBuckets = 64 };

struct Kind {
    const char* name;
    curandRngType_t type;
    bool pseudo, cpu;  // takes a seed; is there on a CPU without a GPU, too
};
static const Kind kKinds[] = {
    {"XORWOW", CURAND_RNG_PSEUDO_XORWOW, true, true},    {"MRG32k3a", CURAND_RNG_PSEUDO_MRG32K3A, true, true},
    {"MTGP32", CURAND_RNG_PSEUDO_MTGP32, true, true},    {"Philox4_32_10", CURAND_RNG_PSEUDO_PHILOX4_32_10, true, true},
    {"Sobol32", CURAND_RNG_QUASI_SOBOL32, false, true},  {"scrambled Sobol32", CURAND_RNG_QUASI_SCRAMBLED_SOBOL32, false, true},
#if CUDART_VERSION >= 7000
    {"MT19937", CURAND_RNG_PSEUDO_MT19937, true, false},
#endif
};

typedef curandStatus_t (*Create)(curandGenerator_t*, curandRngType_t);

// Numbers in (0, 1], to memory of the side that create makes generators for.
static void draw(Create create, const Kind& kind, float* out) {
    curandGenerator_t generator;
    CHECK(create(&generator, kind.type));
    if (kind.pseudo) CHECK(curandSetPseudoRandomGeneratorSeed(generator, 1234));
    CHECK(curandGenerateUniform(generator, out, kNumbers));
    CHECK(curandDestroyGenerator(generator));
}

static void look(Sample& s, const Kind& kind) {
    const std::string name = kind.name;
    Array<float> first(kNumbers), again(kNumbers);
    std::vector<float> cpu(kNumbers);
    draw(curandCreateGenerator, kind, first.gpu);
    draw(curandCreateGenerator, kind, again.gpu);
    if (kind.cpu) draw(curandCreateGeneratorHost, kind, &cpu[0]);
    first.fetch(), again.fetch();
    double sum = 0, squares = 0, others = 0, difference = 0, outside = 0, spread = 0;
    std::vector<double> buckets(kBuckets);
    for (int i = 0; i < kNumbers; ++i) {
        const double x = first[i];
        const bool inside = x > 0 && x <= 1;
        sum += x, squares += (x - 0.5) * (x - 0.5), outside += !inside, others += first[i] != again[i];
        difference = worse(difference, std::fabs(x - cpu[i]));
        if (inside) ++buckets[std::min(kBuckets - 1, (int)(x * kBuckets))];
    }
    const double expected = kNumbers / kBuckets;
    for (int i = 0; i < kBuckets; ++i) spread += (buckets[i] - expected) * (buckets[i] - expected) / expected;
    // Five standard deviations of each: the variance of a number is 1/12, of its squared distance 1/180, of chi squared 2 * 63.
    s.check(name + ": outside (0, 1]", outside, 0);
    s.check(name + ": mean", std::fabs(sum / kNumbers - 0.5), 5 * std::sqrt(1.0 / 12 / kNumbers));
    s.check(name + ": variance", std::fabs(squares / kNumbers - 1.0 / 12), 5 * std::sqrt(1.0 / 180 / kNumbers));
    s.check(name + ": chi squared", spread, kBuckets - 1 + 5 * std::sqrt(2.0 * (kBuckets - 1)));
    s.check(name + ": others from the same seed", others, 0);
    if (kind.cpu) s.check(name + ": CPU", difference, 1.2e-7);  // a last bit, where the two round otherwise
}

static void run(Sample& s) {
#if CUDART_VERSION >= 10010
    LIBRARY(s, "libcurand", CURAND, curandGetProperty);
#endif
    for (size_t i = 0; i < sizeof kKinds / sizeof *kKinds; ++i) look(s, kKinds[i]);
}

int main(int argc, char** argv) { return sampleMain(argc, argv, "curand", run); }
