// SPDX-License-Identifier: Apache-2.0
//
// cufft transforms complex and real numbers, there and back, and compares with the sum that defines the transform, on the CPU.
//   nvcc -O3 -cudart static -I.. -o cufft cufft.cu -lcufft
// cuFFT's transforms are not normalised: there and back multiplies by the number of elements.

#include <cufft.h>

#include <cmath>
#include <complex>

#include "sample.h"

// 1200 = 2^4 3 5^2 takes kernels of several radices. A real transform keeps the half that the other half mirrors.
enum { kSize = 1200, kBatch = 3, kHalf = kSize / 2 + 1 };

typedef std::complex<long double> Wide;
typedef std::vector<Wide> Signals;  // one after the other

// The transform by its definition, to the first `kept` of kSize elements of each signal.
static Signals transformed(const Signals& in, int kept) {
    const long double turn = -2 * std::acos((long double)-1) / kSize;
    Signals roots, out;
    for (int i = 0; i < kSize; ++i) roots.push_back(std::polar((long double)1, turn * i));
    for (int b = 0; b < kBatch; ++b) {
        for (int k = 0; k < kept; ++k) {
            Wide sum = 0;
            for (int j = 0; j < kSize; ++j) sum += in[b * kSize + j] * roots[j * k % kSize];
            out.push_back(sum);
        }
    }
    return out;
}

// The largest difference, in root mean squares of what is wanted.
template <typename Complex>
static double error(const std::vector<Complex>& got, const Signals& want, double factor) {
    double worst = 0, squares = 0;
    for (size_t i = 0; i < want.size(); ++i) {
        worst = worse(worst, std::abs(Wide(got[i].x, got[i].y) - want[i] * (long double)factor));
        squares += std::norm(want[i]) * factor * factor;
    }
    return worst / std::sqrt(squares / want.size());
}

static cufftResult execute(cufftHandle p, cufftComplex* in, cufftComplex* out, int way) { return cufftExecC2C(p, in, out, way); }
static cufftResult execute(cufftHandle p, cufftDoubleComplex* in, cufftDoubleComplex* out, int way) {
    return cufftExecZ2Z(p, in, out, way);
}
static cufftResult execute(cufftHandle p, cufftReal* in, cufftComplex* out) { return cufftExecR2C(p, in, out); }
static cufftResult execute(cufftHandle p, cufftDoubleReal* in, cufftDoubleComplex* out) { return cufftExecD2Z(p, in, out); }

template <typename Real, typename Complex>
static void transform(Sample& s, const std::string& name, cufftType fromComplex, cufftType fromReal, double tolerance) {
    Array<Complex> in(kBatch * kSize), out(kBatch * kSize), half(kBatch * kHalf);
    Array<Real> real(kBatch * kSize);
    Signals complexes, reals;
    unsigned int seed = 1;
    for (int i = 0; i < kBatch * kSize; ++i) {
        in[i].x = uniform(seed), in[i].y = uniform(seed), real[i] = uniform(seed);
        complexes.push_back(Wide(in[i].x, in[i].y)), reals.push_back(real[i]);
    }
    in.send(), real.send();
    cufftHandle plan;
    CHECK(cufftPlan1d(&plan, kSize, fromComplex, kBatch));
    CHECK(execute(plan, in.gpu, out.gpu, CUFFT_FORWARD));
    out.fetch();
    s.check("complex " + name, error(out, transformed(complexes, kSize), 1), tolerance);
    CHECK(execute(plan, out.gpu, in.gpu, CUFFT_INVERSE));
    in.fetch();
    s.check("complex " + name + ", there and back", error(in, complexes, kSize), 2 * tolerance);
    CHECK(cufftDestroy(plan));
    CHECK(cufftPlan1d(&plan, kSize, fromReal, kBatch));
    CHECK(execute(plan, real.gpu, half.gpu));
    half.fetch();
    s.check("real " + name, error(half, transformed(reals, kHalf), 1), tolerance);
    CHECK(cufftDestroy(plan));
}

static void run(Sample& s) {
#if CUDART_VERSION >= 10010
    LIBRARY(s, "libcufft", CUFFT, cufftGetProperty);
#endif
    // About log2(1200) = 10 roundings follow each other, and the worst of 3600 elements has five times the usual error: 64 leaves room.
    transform<cufftReal, cufftComplex>(s, "float", CUFFT_C2C, CUFFT_R2C, 64 * 1.2e-7);
    transform<cufftDoubleReal, cufftDoubleComplex>(s, "double", CUFFT_Z2Z, CUFFT_D2Z, 64 * 2.2e-16);
}

int main(int argc, char** argv) { return sampleMain(argc, argv, "cufft", run); }
