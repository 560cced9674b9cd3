// SPDX-License-Identifier: Apache-2.0
//
// cublas multiplies matrices in the types that release and GPU have, compares with the CPU in double precision, and times float.
//   nvcc -O3 -cudart static -I.. -o cublas cublas.cu -lcublas -lcublasLt
// C = A^T B by columns: rows of A^T and columns of B are k elements each, one after the other. FP8 can be multiplied no other way.

#include <cublas_v2.h>
#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <dlfcn.h>
#include <stdlib.h>

#include <complex>

#include "sample.h"

enum { kSize = 128, kTimedSize = 4096, kWarmUps = 3, kRepeats = 10, kLooked = 8192, kWorkspaceBytes = 32 << 20 };
enum { kFP8 = CUDART_VERSION < 12020 ? 90 : 89 };  // the capability that it takes: Ada came with 12.1.3

struct Kind {
    const char* name;
    int capability;  // of the GPU, 80 for 8.0
    cudaDataType_t in, out;
    cublasComputeType_t sums;
    double tolerance, (*run)(cublasHandle_t, const Kind&, int, float*);
};

// libcublas says the version of libcublasLt as its own. Its own is in the name of its file, as a rule.
static cublasStatus_t cublasVersion(libraryPropertyType part, int* value) {
    const char* const formats[] = {".so.%d", ".so.%*d.%d", ".so.%*d.%*d.%d"};
    Dl_info found;
    char path[4096];
    const bool known = dladdr(dlsym(RTLD_DEFAULT, "cublasDestroy_v2"), &found) && realpath(found.dli_fname, path);
    const char* const name = known ? strstr(path, ".so.") : 0;
    return name && sscanf(name, formats[part], value) == 1 ? CUBLAS_STATUS_SUCCESS : cublasGetProperty(part, value);
}

// A random number of any type, integers in [-127, 127], and any type as complex double.
template <typename T>
static void draw(T& to, unsigned int& seed, int factor) {
    to = T((float)(factor * uniform(seed)));
}
template <typename T>
static void draw(std::complex<T>& to, unsigned int& seed, int) {
    to = std::complex<T>(uniform(seed), uniform(seed));
}
template <typename T>
static std::complex<double> wide(const T& x) {
    return std::complex<double>(x);
}
static std::complex<double> wide(__half x) { return (double)__half2float(x); }

static std::complex<double> wide(__nv_bfloat16 x) { return (double)__bfloat162float(x); }

#if CUDART_VERSION >= 11080
#include <cuda_fp8.h>
static std::complex<double> wide(__nv_fp8_e4m3 x) { return (double)(float)x; }
static bool multiplyFP8(cublasLtHandle_t lt, const Kind& kind, int m, int n, int k, const void* a, const void* b, void* c) {
    const cublasOperation_t transposed = CUBLAS_OP_T;
    const size_t bytes = kWorkspaceBytes;
    const float one = 1, zero = 0;
    cublasLtMatmulDescOpaque_t product;
    cublasLtMatrixLayoutOpaque_t la, lb, lc;
    cublasLtMatmulPreferenceOpaque_t limits;
    cublasLtMatmulHeuristicResult_t best;
    int found = 0;
    Array<char> workspace(bytes);
    CHECK(cublasLtMatmulDescInit(&product, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    CHECK(cublasLtMatmulDescSetAttribute(&product, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed));
    CHECK(cublasLtMatrixLayoutInit(&la, kind.in, k, m, k)), CHECK(cublasLtMatrixLayoutInit(&lb, kind.in, k, n, k));
    CHECK(cublasLtMatrixLayoutInit(&lc, kind.out, m, n, m));
    CHECK(cublasLtMatmulPreferenceInit(&limits));
    CHECK(cublasLtMatmulPreferenceSetAttribute(&limits, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes, sizeof bytes));
    CHECK(cublasLtMatmulAlgoGetHeuristic(lt, &product, &la, &lb, &lc, &lc, &limits, 1, &best, &found));
    CHECK(cublasLtMatmul(lt, &product, &one, a, &la, b, &lb, &zero, c, &lc, c, &lc, &best.algo, workspace.gpu, bytes, 0));
    return true;
}
#endif

// Returns the largest error, as a share of the sum of |a||b| that made the element: rounding is in proportion to that.
template <typename In, typename Out, typename Scale>
static double gemm(cublasHandle_t handle, const Kind& kind, int size, float* ms) {
    const int m = size / 4 * 3, n = size / 8 * 5, k = size;
    unsigned int seed = 1;
    cudaEvent_t begin, end;
    const Scale one = Scale(1), zero = Scale(0);
    Array<In> a(m * k), b(n * k);
    Array<Out> c(m * n);
    for (int i = 0; i < m * k; ++i) draw(a[i], seed, kind.in == CUDA_R_8I ? 127 : 1);
    for (int i = 0; i < n * k; ++i) draw(b[i], seed, kind.in == CUDA_R_8I ? 127 : 1);
    a.send(), b.send(), CHECK(cudaEventCreate(&begin)), CHECK(cudaEventCreate(&end));
    for (int i = 0; i < kWarmUps + kRepeats; ++i) {
        if (i == kWarmUps) CHECK(cudaEventRecord(begin, 0));
#if CUDART_VERSION >= 11080
        if (kind.in == CUDA_R_8F_E4M3 && multiplyFP8((cublasLtHandle_t)handle, kind, m, n, k, a.gpu, b.gpu, c.gpu)) continue;
#endif
        CHECK(cublasGemmEx(handle, CUBLAS_OP_T, CUBLAS_OP_N, m, n, k, &one, a.gpu, kind.in, k, b.gpu, kind.in, k, &zero, c.gpu, kind.out, m,
                           kind.sums, CUBLAS_GEMM_DEFAULT));
    }
    CHECK(cudaEventRecord(end, 0));
    c.fetch();
    CHECK(cudaEventElapsedTime(ms, begin, end));
    double worst = 0;
    for (size_t at = 0; at < c.size(); at += 1 + c.size() / kLooked) {
        std::complex<double> sum = 0;
        double sizes = 0;
        for (int p = 0; p < k; ++p) {
            const std::complex<double> product = wide(a[at % m * k + p]) * wide(b[at / m * k + p]);
            sum += product, sizes += std::abs(product);
        }
        worst = worse(worst, std::abs(wide(c[at]) - sum) / sizes);
    }
    return worst;
}
typedef std::complex<float> Complex;
typedef std::complex<double> ComplexD;
// A tolerance has a rounding for each of the k terms, and a few more where factors, results or sums of parts are kept in fewer bits.
static const double kFloat = kSize * 1.2e-7, kDouble = kSize * 2.2e-16, kHalf = 4.9e-4, kBFloat16 = 3.9e-3;
static const Kind kKinds[] = {
    {"float", 0, CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F, kFloat, gemm<float, float, float>},
    {"double", 0, CUDA_R_64F, CUDA_R_64F, CUBLAS_COMPUTE_64F, kDouble, gemm<double, double, double>},
    {"complex float", 0, CUDA_C_32F, CUDA_C_32F, CUBLAS_COMPUTE_32F, 2 * kFloat, gemm<Complex, Complex, Complex>},
    {"complex double", 0, CUDA_C_64F, CUDA_C_64F, CUBLAS_COMPUTE_64F, 2 * kDouble, gemm<ComplexD, ComplexD, ComplexD>},
    {"half", 0, CUDA_R_16F, CUDA_R_16F, CUBLAS_COMPUTE_32F, kFloat + 4 * kHalf, gemm<__half, __half, float>},
    {"half to float", 0, CUDA_R_16F, CUDA_R_32F, CUBLAS_COMPUTE_32F, kFloat, gemm<__half, float, float>},
    {"int8 to int32", 61, CUDA_R_8I, CUDA_R_32I, CUBLAS_COMPUTE_32I, 0, gemm<signed char, int, int>},
    {"bfloat16", 80, CUDA_R_16BF, CUDA_R_16BF, CUBLAS_COMPUTE_32F, kFloat + 4 * kBFloat16, gemm<__nv_bfloat16, __nv_bfloat16, float>},
    {"tf32", 80, CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32, kFloat + 4 * kHalf, gemm<float, float, float>},
#if CUDART_VERSION >= 11080
    {"fp8 e4m3 to float", kFP8, CUDA_R_8F_E4M3, CUDA_R_32F, CUBLAS_COMPUTE_32F, 4e-3, gemm<__nv_fp8_e4m3, float, float>},
#endif
};

static void run(Sample& s) {
    LIBRARY(s, "libcublas", CUBLAS, cublasVersion);
    LIBRARY(s, "libcublasLt", CUBLAS, cublasLtGetProperty);
    cudaDeviceProp gpu;
    cublasHandle_t handle;
    float ms = 0;
    CHECK(cudaGetDeviceProperties(&gpu, 0)), CHECK(cublasCreate(&handle));
    for (const Kind* k = kKinds; k != kKinds + sizeof kKinds / sizeof *kKinds; ++k)
        if (10 * gpu.major + gpu.minor >= k->capability) s.check(k->name, k->run(handle, *k, kSize, &ms), k->tolerance);
    s.check("float, timed", kKinds->run(handle, *kKinds, kTimedSize, &ms), kFloat * kTimedSize / kSize);
    Sample::next(s.figures, "gflops") << ": " << 2 * pow((double)kTimedSize, 3) * 15 / 32 * kRepeats / ms * 1e-6;  // 2 m n k
    CHECK(cublasDestroy(handle));
}

int main(int argc, char** argv) { return sampleMain(argc, argv, "cublas", run); }
