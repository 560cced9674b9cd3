// SPDX-License-Identifier: Apache-2.0
//
// vectorAdd adds two vectors through the driver's library alone, which it opens by name: it needs no library of CUDA, and starts where
// no driver is (exit 2, waived). The kernel is PTX, which the driver compiles for its GPU.
//   nvcc -O3 -cudart static -I.. -o vectorAdd vectorAdd.cu

#include <cuda.h>
#include <dlfcn.h>

#include "sample.h"

static const char* const kName = "vectorAdd";
// c[i] = a[i] + b[i] for i < n, in PTX of CUDA 6.0, for every GPU since Kepler.
static const char* const kKernel =
    ".version 4.0\n"
    ".target sm_30\n"
    ".address_size 64\n"
    ".visible .entry vectorAdd(.param .u64 pa, .param .u64 pb, .param .u64 pc, .param .u32 pn) {\n"
    "  .reg .pred %outside; .reg .f32 %x, %y; .reg .u32 %i, %n, %block, %width; .reg .u64 %a, %b, %c, %at;\n"
    "  ld.param.u32 %n, [pn];\n"
    "  mov.u32 %i, %tid.x; mov.u32 %block, %ctaid.x; mov.u32 %width, %ntid.x;\n"
    "  mad.lo.u32 %i, %block, %width, %i;\n"
    "  setp.ge.u32 %outside, %i, %n;\n"
    "  @%outside ret;\n"
    "  ld.param.u64 %a, [pa]; ld.param.u64 %b, [pb]; ld.param.u64 %c, [pc];\n"
    "  mul.wide.u32 %at, %i, 4;\n"
    "  cvta.to.global.u64 %a, %a; add.u64 %a, %a, %at; ld.global.f32 %x, [%a];\n"
    "  cvta.to.global.u64 %b, %b; add.u64 %b, %b, %at; ld.global.f32 %y, [%b];\n"
    "  cvta.to.global.u64 %c, %c; add.u64 %c, %c, %at; add.f32 %x, %x, %y; st.global.f32 [%c], %x;\n"
    "  ret;\n"
    "}\n";

enum { kElements = 1000003, kThreads = 256 };  // the last block has threads with nothing to do

static void check(CUresult status, const char* call) {
    if (status != CUDA_SUCCESS) throw Failure(status == CUDA_ERROR_NO_DEVICE ? cudaErrorNoDevice : (int)status, call);
}

static void* symbol(const char* name) {
    static void* const driver = dlopen("libcuda.so.1", RTLD_NOW);
    if (!driver) throw Failure(cudaErrorInsufficientDriver, std::string("no NVIDIA driver in this container: ") + dlerror());
    void* const found = dlsym(driver, name);
    if (!found) throw Failure(-1, std::string("the driver has no ") + name);
    return found;
}

// cuda.h gives names a version (cuMemAlloc is cuMemAlloc_v2): NAME_OF says the one that the library has.
#define NAME_OF(name) #name
#define DRIVER(name) const __typeof__(&name) name##_ = (__typeof__(&name))symbol(NAME_OF(name))

static void run(Sample& s) {
    DRIVER(cuInit);
    DRIVER(cuDeviceGet);
    DRIVER(cuModuleLoadData);
    DRIVER(cuModuleGetFunction);
    DRIVER(cuMemAlloc);
    DRIVER(cuMemcpyHtoD);
    DRIVER(cuMemcpyDtoH);
    DRIVER(cuLaunchKernel);
    // CUDA 13 gave this name other parameters; the driver keeps the version of before.
    typedef CUresult (*CreateContext)(CUcontext*, unsigned int, CUdevice);
    const CreateContext createContext = (CreateContext)symbol("cuCtxCreate_v2");

    CUdevice device;
    CUcontext context;
    CUmodule module;
    CUfunction kernel;
    CHECK(cuInit_(0));
    CHECK(cuDeviceGet_(&device, 0));
    CHECK(createContext(&context, 0, device));
    CHECK(cuModuleLoadData_(&module, kKernel));
    CHECK(cuModuleGetFunction_(&kernel, module, kName));

    std::vector<float> a(kElements), b(kElements), c(kElements);
    unsigned int seed = 1, n = kElements;
    for (int i = 0; i < kElements; ++i) a[i] = uniform(seed), b[i] = uniform(seed);
    const size_t bytes = n * sizeof(float);
    CUdeviceptr onA, onB, onC;
    CHECK(cuMemAlloc_(&onA, bytes));
    CHECK(cuMemAlloc_(&onB, bytes));
    CHECK(cuMemAlloc_(&onC, bytes));
    CHECK(cuMemcpyHtoD_(onA, &a[0], bytes));
    CHECK(cuMemcpyHtoD_(onB, &b[0], bytes));
    void* parameters[] = {&onA, &onB, &onC, &n};
    CHECK(cuLaunchKernel_(kernel, (n + kThreads - 1) / kThreads, 1, 1, kThreads, 1, 1, 0, 0, parameters, 0));
    CHECK(cuMemcpyDtoH_(&c[0], onC, bytes));

    double worst = 0;
    for (int i = 0; i < kElements; ++i) {
        const float sum = a[i] + b[i];  // rounded once, as on the GPU: no other value is right
        worst = std::max(worst, c[i] == sum ? 0.0 : 1.0);
    }
    s.check("sum", worst, 0);
}

int main(int argc, char** argv) { return sampleMain(argc, argv, "vectorAdd", run); }
