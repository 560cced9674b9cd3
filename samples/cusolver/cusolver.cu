// SPDX-License-Identifier: Apache-2.0
//
// cusolver solves dense equations by LU and Cholesky factors, takes a matrix apart into Q and R, and finds eigenvalues and eigenvectors.
// Each result is put back into the equation that it solves, on the CPU; what is left must be rounding.
//   nvcc -O3 -cudart static -I.. -o cusolver cusolver.cu -lcusolver
// Matrices are stored by columns: element (i, j) is at i + j * kSize.

#include <cusolverDn.h>

#include <cmath>

#include "sample.h"

enum { kSize = 200, kElements = kSize * kSize };
static const double kTolerance = kSize * 2.2e-16;  // one rounding for each of the kSize terms of a sum

typedef std::vector<double> Matrix;

static double norm(const Matrix& a) {
    double squares = 0;
    for (size_t i = 0; i < a.size(); ++i) squares += a[i] * a[i];
    return std::sqrt(squares);
}

// |A B - C| / (|A| |B|), all norms that of all elements as one vector. B and C have any number of columns.
static double residual(const Matrix& a, const Matrix& b, const Matrix& c) {
    Matrix rest(c.size());
    for (size_t at = 0; at < c.size(); ++at) {
        const size_t i = at % kSize, column = at / kSize * kSize;
        rest[at] = -c[at];
        for (int k = 0; k < kSize; ++k) rest[at] += a[i + k * kSize] * b[column + k];
    }
    return norm(rest) / (norm(a) * norm(b));
}

static Matrix transposed(const Matrix& a) {
    Matrix out(kElements);
    for (int at = 0; at < kElements; ++at) out[at % kSize * kSize + at / kSize] = a[at];
    return out;
}

// A copy on the device that a routine may overwrite.
struct Copy : Array<double> {
    explicit Copy(const Matrix& from) : Array<double>(from.size()) {
        std::copy(from.begin(), from.end(), begin());
        send();
    }
};

static void solve(Sample& s, cusolverDnHandle_t handle, const Matrix& a, const Matrix& symmetric, const Matrix& b) {
    Array<int> info(1), pivots(kSize);
    int length = 0;
    Copy lu(a), x(b), l(symmetric), y(b);
    CHECK(cusolverDnDgetrf_bufferSize(handle, kSize, kSize, lu.gpu, kSize, &length));
    Array<double> work(length);
    CHECK(cusolverDnDgetrf(handle, kSize, kSize, lu.gpu, kSize, work.gpu, pivots.gpu, info.gpu));
    CHECK(cusolverDnDgetrs(handle, CUBLAS_OP_N, kSize, 1, lu.gpu, kSize, pivots.gpu, x.gpu, kSize, info.gpu));
    x.fetch();
    s.check("LU", residual(a, x, b), kTolerance);
    CHECK(cusolverDnDpotrf_bufferSize(handle, CUBLAS_FILL_MODE_LOWER, kSize, l.gpu, kSize, &length));
    Array<double> more(length);
    CHECK(cusolverDnDpotrf(handle, CUBLAS_FILL_MODE_LOWER, kSize, l.gpu, kSize, more.gpu, length, info.gpu));
    CHECK(cusolverDnDpotrs(handle, CUBLAS_FILL_MODE_LOWER, kSize, 1, l.gpu, kSize, y.gpu, kSize, info.gpu));
    y.fetch();
    s.check("Cholesky", residual(symmetric, y, b), kTolerance);
}

#if CUDART_VERSION >= 8000
static void takeApart(Sample& s, cusolverDnHandle_t handle, const Matrix& a, const Matrix& symmetric) {
    Array<int> info(1);
    int length = 0, other = 0;
    Copy qr(a), vectors(symmetric);
    Array<double> tau(kSize), values(kSize);
    CHECK(cusolverDnDgeqrf_bufferSize(handle, kSize, kSize, qr.gpu, kSize, &length));
    CHECK(cusolverDnDorgqr_bufferSize(handle, kSize, kSize, kSize, qr.gpu, kSize, tau.gpu, &other));
    length = std::max(length, other);
    Array<double> work(length);
    Matrix r(kElements), unit(kElements), diagonal(kElements);
    CHECK(cusolverDnDgeqrf(handle, kSize, kSize, qr.gpu, kSize, tau.gpu, work.gpu, length, info.gpu));
    qr.fetch();
    for (int at = 0; at < kElements; ++at) r[at] = at % kSize <= at / kSize ? qr[at] : 0;  // R is above the diagonal and on it
    for (int i = 0; i < kSize; ++i) unit[i + i * kSize] = 1;
    CHECK(cusolverDnDorgqr(handle, kSize, kSize, kSize, qr.gpu, kSize, tau.gpu, work.gpu, length, info.gpu));
    qr.fetch();
    s.check("Q R", residual(qr, r, a), kTolerance);
    s.check("Q orthogonal", residual(transposed(qr), qr, unit), kTolerance);

    const cusolverEigMode_t mode = CUSOLVER_EIG_MODE_VECTOR;
    CHECK(cusolverDnDsyevd_bufferSize(handle, mode, CUBLAS_FILL_MODE_LOWER, kSize, vectors.gpu, kSize, values.gpu, &length));
    Array<double> more(length);
    CHECK(cusolverDnDsyevd(handle, mode, CUBLAS_FILL_MODE_LOWER, kSize, vectors.gpu, kSize, values.gpu, more.gpu, length, info.gpu));
    vectors.fetch(), values.fetch();
    Matrix scaled(vectors);  // each eigenvector times its eigenvalue
    for (int at = 0; at < kElements; ++at) scaled[at] *= values[at / kSize];
    s.check("eigenvectors", residual(symmetric, vectors, scaled), kTolerance);
    s.check("eigenvectors orthogonal", residual(transposed(vectors), vectors, unit), kTolerance);
}
#endif

static void run(Sample& s) {
#if CUDART_VERSION >= 10010
    LIBRARY(s, "libcusolver", CUSOLVER, cusolverGetProperty);
#endif
    CHECK(cudaFree(0));  // says what is missing, if that is a driver or a device; the library would only say that something is
    cusolverDnHandle_t handle;
    CHECK(cusolverDnCreate(&handle));
    unsigned int seed = 1;
    Matrix a(kElements), symmetric(kElements), b(kSize);
    for (int i = 0; i < kElements; ++i) a[i] = uniform(seed);
    for (int i = 0; i < kSize; ++i) b[i] = uniform(seed);
    const Matrix t = transposed(a);
    for (int i = 0; i < kElements; ++i) symmetric[i] = a[i] + t[i] + (i % (kSize + 1) ? 0 : 2 * kSize);  // positive definite, too
    solve(s, handle, a, symmetric, b);
#if CUDART_VERSION >= 8000
    takeApart(s, handle, a, symmetric);
#endif
    CHECK(cusolverDnDestroy(handle));
}

int main(int argc, char** argv) { return sampleMain(argc, argv, "cusolver", run); }
