// SPDX-License-Identifier: Apache-2.0
//
// nvrtc compiles a kernel at run time and runs it through the driver's library, which it opens by name: where no driver is, it has
// compiled before it is waived (exit 2).
//   nvcc -O3 -cudart static -I.. -o nvrtc nvrtc.cu -lnvrtc

#include <cuda.h>
#include <dlfcn.h>
#include <nvrtc.h>

#include <cmath>

#include "sample.h"

#define NVRTC_VER_MAJOR __CUDACC_VER_MAJOR__  // it comes with the compiler, and has its version
#define NVRTC_VER_MINOR __CUDACC_VER_MINOR__
#define NVRTC_VER_PATCH 0

enum { kElements = 1000003, kThreads = 256 };  // the last block has threads with nothing to do

static const char* const kName = "saxpy";
static const char* const kKernel =
    "extern \"C\" __global__ void saxpy(float a, const float* x, float* y, unsigned int n) {\n"
    "    const unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
    "    if (i < n) y[i] = a * x[i] + y[i];\n"
    "}\n";

static nvrtcResult version(int part, int* value) {
    int numbers[3] = {0, 0, 0};
    const nvrtcResult result = nvrtcVersion(&numbers[0], &numbers[1]);
    *value = numbers[part];
    return result;
}

// Machine code for one architecture, "" if this NVRTC cannot make it; PTX without one.
static std::string compile(const std::string& architecture) {
    const char* options[] = {architecture.c_str()};
    std::string code;
    size_t bytes = 0;
    nvrtcProgram program;
    CHECK(nvrtcCreateProgram(&program, kKernel, kName, 0, 0, 0));
    const nvrtcResult result = nvrtcCompileProgram(program, architecture.empty() ? 0 : 1, options);
    if (architecture.empty()) {
        check(result, "nvrtcCompileProgram");
        CHECK(nvrtcGetPTXSize(program, &bytes));
        code.resize(bytes);
        CHECK(nvrtcGetPTX(program, &code[0]));
    }
#if CUDART_VERSION >= 11010
    else if (result == NVRTC_SUCCESS) {
        CHECK(nvrtcGetCUBINSize(program, &bytes));
        code.resize(bytes);
        CHECK(nvrtcGetCUBIN(program, &code[0]));
    }
#endif
    CHECK(nvrtcDestroyProgram(&program));
    return code;
}

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

static void launch(const std::string& ptx, std::vector<float>& y, const std::vector<float>& x, float a) {
    DRIVER(cuInit);
    DRIVER(cuDeviceGet);
    DRIVER(cuDeviceGetAttribute);
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
    CUdeviceptr onX, onY;
    int major = 0, minor = 0;
    unsigned int n = kElements;
    CHECK(cuInit_(0));
    CHECK(cuDeviceGet_(&device, 0));
    CHECK(cuDeviceGetAttribute_(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device));
    CHECK(cuDeviceGetAttribute_(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device));
    CHECK(createContext(&context, 0, device));
    // Machine code runs on every driver of this CUDA major, PTX only on those that are as new as the compiler.
    std::ostringstream architecture;
    architecture << "--gpu-architecture=sm_" << major << minor;
    const std::string code = compile(architecture.str());
    CHECK(cuModuleLoadData_(&module, code.empty() ? ptx.c_str() : code.c_str()));
    CHECK(cuModuleGetFunction_(&kernel, module, kName));
    CHECK(cuMemAlloc_(&onX, n * sizeof(float)));
    CHECK(cuMemAlloc_(&onY, n * sizeof(float)));
    CHECK(cuMemcpyHtoD_(onX, &x[0], n * sizeof(float)));
    CHECK(cuMemcpyHtoD_(onY, &y[0], n * sizeof(float)));
    void* parameters[] = {&a, &onX, &onY, &n};
    CHECK(cuLaunchKernel_(kernel, (n + kThreads - 1) / kThreads, 1, 1, kThreads, 1, 1, 0, 0, parameters, 0));
    CHECK(cuMemcpyDtoH_(&y[0], onY, n * sizeof(float)));
}

static void run(Sample& s) {
    LIBRARY(s, "libnvrtc", NVRTC, version);
    const std::string ptx = compile("");
    s.check("entry in PTX", ptx.find(std::string(".entry ") + kName) == ptx.npos, 0);
    std::vector<float> x(kElements), y(kElements);
    std::vector<double> want(kElements), size(kElements);
    unsigned int seed = 1;
    const float a = 3;
    for (int i = 0; i < kElements; ++i) {
        x[i] = uniform(seed), y[i] = uniform(seed);
        want[i] = (double)a * x[i] + y[i], size[i] = std::fabs((double)a * x[i]) + std::fabs(y[i]);
    }
    launch(ptx, y, x, a);
    double worst = 0;
    for (int i = 0; i < kElements; ++i) worst = worse(worst, std::fabs(y[i] - want[i]) / size[i]);
    s.check("saxpy", worst, 2 * 6.0e-8);  // a rounding of the product, which a fused one has not, and one of the sum
}

int main(int argc, char** argv) { return sampleMain(argc, argv, "nvrtc", run); }
