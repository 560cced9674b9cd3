// SPDX-License-Identifier: Apache-2.0
//
// cusparse multiplies a sparse matrix with a vector and with several at once, solves a triangle of it, and compares with the CPU.
//   nvcc -O3 -cudart static -I.. -o cusparse cusparse.cu -lcusparse
// CSR: row i has the entries firsts[i] to firsts[i + 1] - 1 of values, in the columns of the same entries of columns.

#include <cusparse.h>

#include <algorithm>
#include <cmath>

#include "sample.h"

enum { kRows = 1000, kPerRow = 9, kEntries = kRows * kPerRow, kVectors = 4 };

template <typename T>
struct Csr {
    Array<int> firsts, columns;
    Array<T> values;
    Csr() : firsts(kRows + 1), columns(kEntries), values(kEntries) {}
};

// kPerRow entries below the diagonal, on it and above, of which the one on the diagonal is larger than the others together.
template <typename T>
static void fill(Csr<T>& m, unsigned int& seed) {
    for (int at = 0; at < kEntries; ++at) {
        const int row = at / kPerRow, offset = at % kPerRow - kPerRow / 2;
        m.columns[at] = std::min(std::max(row, kPerRow / 2), kRows - 1 - kPerRow / 2) + offset;
        m.values[at] = m.columns[at] == row ? kPerRow : uniform(seed);
    }
    for (int i = 0; i <= kRows; ++i) m.firsts[i] = i * kPerRow;
    m.firsts.send(), m.columns.send(), m.values.send();
}

// The largest |y - M x| of a row, as a share of its sum of |m||x|. lower: of M the lower triangle.
template <typename T>
static double error(const Csr<T>& m, const T* x, const T* y, bool lower) {
    double worst = 0;
    for (int i = 0; i < kRows; ++i) {
        double rest = -y[i], sizes = std::fabs(y[i]);
        for (int at = m.firsts[i]; at < m.firsts[i + 1]; ++at) {
            const double product = (double)m.values[at] * x[m.columns[at]];
            if (!lower || m.columns[at] <= i) rest += product, sizes += std::fabs(product);
        }
        worst = worse(worst, std::fabs(rest) / sizes);
    }
    return worst;
}

#if CUDART_VERSION >= 11000
template <typename T>
static cusparseSpMatDescr_t describe(const Csr<T>& m, cudaDataType type) {
    cusparseSpMatDescr_t out;
    CHECK(cusparseCreateCsr(&out, kRows, kRows, kEntries, m.firsts.gpu, m.columns.gpu, m.values.gpu, CUSPARSE_INDEX_32I, CUSPARSE_INDEX_32I,
                            CUSPARSE_INDEX_BASE_ZERO, type));
    return out;
}

template <typename T>
static void multiply(Sample& s, cusparseHandle_t handle, const std::string& name, cudaDataType type, double tolerance) {
    const T one = 1, zero = 0;
    const cusparseOperation_t as = CUSPARSE_OPERATION_NON_TRANSPOSE;
    unsigned int seed = 1;
    Csr<T> m;
    Array<T> x(kRows * kVectors), y(kRows * kVectors);
    fill(m, seed);
    for (size_t i = 0; i < x.size(); ++i) x[i] = uniform(seed);
    x.send();
    // A descriptor for each operation: the multiplication with several vectors is wrong in 12.4 (12.3.1.170) where one vector came before.
    const cusparseSpMatDescr_t forVector = describe(m, type), forMatrix = describe(m, type);
    cusparseDnVecDescr_t in, out;
    cusparseDnMatDescr_t ins, outs;
    CHECK(cusparseCreateDnVec(&in, kRows, x.gpu, type));
    CHECK(cusparseCreateDnVec(&out, kRows, y.gpu, type));
    CHECK(cusparseCreateDnMat(&ins, kRows, kVectors, kRows, x.gpu, type, CUSPARSE_ORDER_COL));
    CHECK(cusparseCreateDnMat(&outs, kRows, kVectors, kRows, y.gpu, type, CUSPARSE_ORDER_COL));

    size_t bytes = 0;
    const cusparseSpMVAlg_t way = (cusparseSpMVAlg_t)0;  // the default, to which 11.2 gave another name
    CHECK(cusparseSpMV_bufferSize(handle, as, &one, forVector, in, &zero, out, type, way, &bytes));
    Array<char> buffer(bytes + 1);
    CHECK(cusparseSpMV(handle, as, &one, forVector, in, &zero, out, type, way, buffer.gpu));
    y.fetch();
    s.check(name + ", vector", error(m, &x[0], &y[0], false), tolerance);

    CHECK(cusparseSpMM_bufferSize(handle, as, as, &one, forMatrix, ins, &zero, outs, type, CUSPARSE_SPMM_ALG_DEFAULT, &bytes));
    Array<char> more(bytes + 1);
    CHECK(cusparseSpMM(handle, as, as, &one, forMatrix, ins, &zero, outs, type, CUSPARSE_SPMM_ALG_DEFAULT, more.gpu));
    y.fetch();
    double worst = 0;
    for (int v = 0; v < kVectors; ++v) worst = worse(worst, error(m, &x[v * kRows], &y[v * kRows], false));
    s.check(name + ", matrix", worst, tolerance);
#if CUDART_VERSION >= 11080  // 11.3 has it; no release before this one has compiled it
    const cusparseFillMode_t lower = CUSPARSE_FILL_MODE_LOWER;
    const cusparseSpMatDescr_t forTriangle = describe(m, type);
    cusparseSpSVDescr_t plan;
    CHECK(cusparseSpMatSetAttribute(forTriangle, CUSPARSE_SPMAT_FILL_MODE, (void*)&lower, sizeof lower));
    CHECK(cusparseSpSV_createDescr(&plan));
    CHECK(cusparseSpSV_bufferSize(handle, as, &one, forTriangle, in, out, type, CUSPARSE_SPSV_ALG_DEFAULT, plan, &bytes));
    Array<char> most(bytes + 1);
    CHECK(cusparseSpSV_analysis(handle, as, &one, forTriangle, in, out, type, CUSPARSE_SPSV_ALG_DEFAULT, plan, most.gpu));
    CHECK(cusparseSpSV_solve(handle, as, &one, forTriangle, in, out, type, CUSPARSE_SPSV_ALG_DEFAULT, plan));
    y.fetch();
    s.check(name + ", triangle", error(m, &y[0], &x[0], true), tolerance);
    CHECK(cusparseSpSV_destroyDescr(plan));
    CHECK(cusparseDestroySpMat(forTriangle));
#endif
    CHECK(cusparseDestroySpMat(forVector)), CHECK(cusparseDestroySpMat(forMatrix));
    CHECK(cusparseDestroyDnVec(in)), CHECK(cusparseDestroyDnVec(out));
    CHECK(cusparseDestroyDnMat(ins));
    CHECK(cusparseDestroyDnMat(outs));
}
#else
static void multiplyBefore11(Sample& s, cusparseHandle_t handle, double tolerance) {
    const float one = 1, zero = 0;
    unsigned int seed = 1;
    Csr<float> m;
    Array<float> x(kRows), y(kRows);
    fill(m, seed);
    for (int i = 0; i < kRows; ++i) x[i] = uniform(seed);
    x.send();
    cusparseMatDescr_t shape;  // any, from 0 on
    CHECK(cusparseCreateMatDescr(&shape));
    CHECK(cusparseScsrmv(handle, CUSPARSE_OPERATION_NON_TRANSPOSE, kRows, kRows, kEntries, &one, shape, m.values.gpu, m.firsts.gpu,
                         m.columns.gpu, x.gpu, &zero, y.gpu));
    y.fetch();
    s.check("float, vector", error(m, &x[0], &y[0], false), tolerance);
    CHECK(cusparseDestroyMatDescr(shape));
}
#endif

static void run(Sample& s) {
#if CUDART_VERSION >= 10010
    LIBRARY(s, "libcusparse", CUSPARSE, cusparseGetProperty);
#endif
    CHECK(cudaFree(0));  // says what is missing, if that is a driver or a device; the library would only say that something is
    cusparseHandle_t handle;
    CHECK(cusparseCreate(&handle));
    // A rounding for each of the 9 products, and as many for their sums.
#if CUDART_VERSION >= 11000
    multiply<float>(s, handle, "float", CUDA_R_32F, 2 * kPerRow * 6.0e-8);
    multiply<double>(s, handle, "double", CUDA_R_64F, 2 * kPerRow * 1.2e-16);
#else
    multiplyBefore11(s, handle, 2 * kPerRow * 6.0e-8);
#endif
    CHECK(cusparseDestroy(handle));
}

int main(int argc, char** argv) { return sampleMain(argc, argv, "cusparse", run); }
