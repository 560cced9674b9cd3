// SPDX-License-Identifier: Apache-2.0

package samples_test

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/samples"
)

func Example() {
	for _, name := range samples.Names() {
		s, _ := samples.Lookup(name)
		fmt.Println(s.File, s.Cmd, s.Libraries)
	}
	// Output:
	// bandwidthTest.cu [bandwidthTest] []
	// cublas.cu [cublas] [cublas cublasLt]
	// cufft.cu [cufft] [cufft]
	// curand.cu [curand] [curand]
	// cusolver.cu [cusolver] [cusolver]
	// cusparse.cu [cusparse] [cusparse]
	// deviceQuery.cu [deviceQuery] []
	// nbody.cu [nbody -benchmark] []
	// npp.cu [npp] [nppial nppicc nppidei nppif nppig nppim nppist nppisu nppitc npps nppc]
	// nvjpeg.cu [nvjpeg] [nvjpeg]
	// nvrtc.cu [nvrtc] [nvrtc]
	// vectorAdd.cu [vectorAdd] []
}

func TestLookup(t *testing.T) {
	t.Parallel()
	if !slices.IsSorted(samples.Names()) {
		t.Errorf("Names() = %v, want them sorted", samples.Names())
	}
	// A page that a student could learn from: shorter than this.
	lines := map[string]int{
		"bandwidthTest": 150, "cublas": 150, "cufft": 150, "curand": 150, "cusolver": 150, "cusparse": 150,
		"deviceQuery": 250, "nbody": 450, "npp": 150, "nvjpeg": 150, "nvrtc": 150, "vectorAdd": 150,
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(lines)), samples.Names()); diff != "" {
		t.Errorf("Names() differ (-want +got):\n%s", diff)
	}
	for name, limit := range lines {
		s, ok := samples.Lookup(name)
		if !ok {
			t.Errorf("Lookup(%q) finds nothing", name)
		}
		if got := strings.Count(s.Source, "\n"); got == 0 || got >= limit {
			t.Errorf("%s has %d lines, want 1 to %d", s.File, got, limit-1)
		}
		if !strings.HasPrefix(s.Source, "// SPDX-License-Identifier: Apache-2.0\n") {
			t.Errorf("%s does not start with its licence", s.File)
		}
		link := "-o " + name + " " + s.File
		for _, library := range s.Libraries {
			link += " -l" + library
		}
		if !strings.Contains(s.Source, link+"\n") {
			t.Errorf("%s does not say that it is compiled with %q", s.File, link)
		}
		again, _ := samples.Lookup(name)
		s.Cmd[0] = "X"
		for i := range s.Libraries {
			s.Libraries[i] = "X"
		}
		if third, _ := samples.Lookup(name); !cmp.Equal(third, again) {
			t.Errorf("Lookup(%q) shares what an earlier caller got", name)
		}
	}
	if got := strings.Count(samples.Header, "\n"); got == 0 || got >= 80 {
		t.Errorf("%s has %d lines, want 1 to 79", samples.HeaderFile, got)
	}
	for _, name := range []string{"", "devicequery", "../nbody", "nbody.cu"} {
		if _, ok := samples.Lookup(name); ok {
			t.Errorf("Lookup(%q) finds something", name)
		}
	}
}

// since names what the samples use that came after the first release of theirs (6.5, or what
// their Since says), with the CUDART_VERSION that must guard it; gone is what a release has
// dropped. The tables here are from knowledge, not read off the headers of each release: they
// keep a new name from slipping in unseen, and are no proof that 6.5 compiles (issue 4).
var since = map[string]int{
	"cudaDevAttrComputePreemptionSupported":   8000,
	"cudaDevAttrCooperativeLaunch":            9000,
	"cudaDevAttrCooperativeMultiDeviceLaunch": 9000,
	"cudaDataType":                  8000,
	"cudaDataType_t":                8000,
	"uuid.bytes":                    10000,
	"cudaErrorSystemDriverMismatch": 10010,
	"cudaErrorStubLibrary":          11010,

	"CUDA_R_32F": 8000, "CUDA_R_64F": 8000, "CUDA_R_8F_E4M3": 11080,
	"cufftGetProperty":  8000,
	"curandGetProperty": 8000, "CURAND_RNG_PSEUDO_MT19937": 7000,
	"cusolverGetProperty": 8000, "cusolverEigMode_t": 8000, "CUSOLVER_EIG_MODE_VECTOR": 8000,
	"cusolverDnDorgqr": 8000, "cusolverDnDorgqr_bufferSize": 8000, "cusolverDnDsyevd": 8000, "cusolverDnDsyevd_bufferSize": 8000,
	"cusparseGetProperty": 8000, "cusparseCreateCsr": 10020, "cusparseCreateDnVec": 10020, "cusparseDestroyDnVec": 10020,
	"cusparseCreateDnMat": 10010, "cusparseDestroyDnMat": 10010, "cusparseDestroySpMat": 10010, "cusparseSpMatDescr_t": 10010,
	"cusparseDnVecDescr_t": 10020, "cusparseDnMatDescr_t": 10010, "CUSPARSE_INDEX_32I": 10010, "CUSPARSE_ORDER_COL": 10010,
	"cusparseSpMV": 10020, "cusparseSpMV_bufferSize": 10020, "cusparseSpMVAlg_t": 10020,
	"cusparseSpMM": 10010, "cusparseSpMM_bufferSize": 10010, "CUSPARSE_SPMM_ALG_DEFAULT": 11000,
	"cusparseSpMatSetAttribute": 11030, "CUSPARSE_SPMAT_FILL_MODE": 11030, "cusparseSpSVDescr_t": 11030,
	"cusparseSpSV_createDescr": 11030, "cusparseSpSV_destroyDescr": 11030, "cusparseSpSV_bufferSize": 11030,
	"cusparseSpSV_analysis": 11030, "cusparseSpSV_solve": 11030, "CUSPARSE_SPSV_ALG_DEFAULT": 11030,
	"nvrtcGetCUBIN": 11010, "nvrtcGetCUBINSize": 11010,
}

var gone = map[string]int{
	"cudaDevAttrCooperativeMultiDeviceLaunch": 13000,
	"cusparseScsrmv": 11000,
}

// firstRelease is what 6.5 has of what the samples use. Fields of
// cudaDeviceProp are not looked at, uuid apart: use only name, major, minor and
// totalGlobalMem.
var firstRelease = strings.Fields(`
	cudaDeviceCanAccessPeer cudaDeviceEnablePeerAccess cudaDeviceGetAttribute cudaDeviceGetPCIBusId
	cudaDeviceSynchronize cudaDriverGetVersion cudaEventCreate cudaEventCreateWithFlags
	cudaEventElapsedTime cudaEventRecord cudaEventSynchronize cudaFree cudaGetDeviceCount
	cudaGetDeviceProperties cudaGetErrorName cudaGetErrorString cudaGetLastError cudaMalloc cudaMemcpy
	cudaMemcpyPeerAsync cudaOccupancyMaxActiveBlocksPerMultiprocessor cudaRuntimeGetVersion cudaSetDevice
	cudaStreamCreate cudaStreamWaitEvent
	cudaErrorMemoryAllocation cudaMemcpy2D cudaEventDestroy cudaFreeHost cudaMallocHost cudaMemcpyAsync
	cudaDevAttrComputeCapabilityMajor cudaDevAttrComputeCapabilityMinor
	cudaMemcpyDeviceToDevice cudaMemcpyHostToDevice cudaMemcpyKind
	cudaDeviceAttr cudaDeviceProp cudaError_t cudaEvent_t cudaStream_t
	cudaErrorInsufficientDriver cudaErrorInvalidDevice cudaErrorNoDevice cudaSuccess
	cudaEventDisableTiming cudaMemcpyDefault cudaMemcpyDeviceToHost
	cudaDevAttrAsyncEngineCount cudaDevAttrCanMapHostMemory cudaDevAttrClockRate cudaDevAttrComputeMode
	cudaDevAttrEccEnabled cudaDevAttrGlobalMemoryBusWidth cudaDevAttrIntegrated
	cudaDevAttrKernelExecTimeout cudaDevAttrL2CacheSize cudaDevAttrManagedMemory
	cudaDevAttrMaxBlockDimX cudaDevAttrMaxBlockDimY cudaDevAttrMaxBlockDimZ
	cudaDevAttrMaxGridDimX cudaDevAttrMaxGridDimY cudaDevAttrMaxGridDimZ cudaDevAttrMaxPitch
	cudaDevAttrMaxRegistersPerBlock cudaDevAttrMaxSharedMemoryPerBlock
	cudaDevAttrMaxSharedMemoryPerMultiprocessor cudaDevAttrMaxTexture1DLayeredLayers
	cudaDevAttrMaxTexture1DLayeredWidth cudaDevAttrMaxTexture1DWidth cudaDevAttrMaxTexture2DHeight
	cudaDevAttrMaxTexture2DLayeredHeight cudaDevAttrMaxTexture2DLayeredLayers
	cudaDevAttrMaxTexture2DLayeredWidth cudaDevAttrMaxTexture2DWidth cudaDevAttrMaxTexture3DDepth
	cudaDevAttrMaxTexture3DHeight cudaDevAttrMaxTexture3DWidth cudaDevAttrMaxThreadsPerBlock
	cudaDevAttrMaxThreadsPerMultiProcessor cudaDevAttrMemoryClockRate cudaDevAttrMultiProcessorCount
	cudaDevAttrPciBusId cudaDevAttrPciDeviceId cudaDevAttrPciDomainId cudaDevAttrSurfaceAlignment
	cudaDevAttrTextureAlignment cudaDevAttrTotalConstantMemory cudaDevAttrUnifiedAddressing
	cudaDevAttrWarpSize`)

// libraries is what the first release of a sample has of what it uses of the libraries and of
// the driver.
var libraries = strings.Fields(`
	CUBLASLT_MATMUL_DESC_TRANSA CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES CUBLAS_COMPUTE_32F
	CUBLAS_COMPUTE_32F_FAST_TF32 CUBLAS_COMPUTE_32I CUBLAS_COMPUTE_64F CUBLAS_GEMM_DEFAULT CUBLAS_OP_N
	CUBLAS_OP_T CUBLAS_STATUS_SUCCESS CUDA_C_32F CUDA_C_64F CUDA_R_16BF CUDA_R_16F CUDA_R_32I CUDA_R_8I
	cublasComputeType_t cublasCreate cublasDestroy cublasDestroy_v2 cublasGemmEx cublasGetProperty cublasHandle_t
	cublasLt cublasLtGetProperty cublasLtHandle_t cublasLtMatmul cublasLtMatmulAlgoGetHeuristic
	cublasLtMatmulDescInit cublasLtMatmulDescOpaque_t cublasLtMatmulDescSetAttribute
	cublasLtMatmulHeuristicResult_t cublasLtMatmulPreferenceInit cublasLtMatmulPreferenceOpaque_t
	cublasLtMatmulPreferenceSetAttribute cublasLtMatrixLayoutInit cublasLtMatrixLayoutOpaque_t cublasOperation_t
	cublasStatus_t cublasVersion
	CUFFT_C2C CUFFT_D2Z CUFFT_FORWARD CUFFT_INVERSE CUFFT_R2C CUFFT_Z2Z cufftComplex cufftDestroy
	cufftDoubleComplex cufftDoubleReal cufftExecC2C cufftExecD2Z cufftExecR2C cufftExecZ2Z cufftHandle
	cufftPlan1d cufftReal cufftResult cufftType
	CURAND_RNG_PSEUDO_MRG32K3A CURAND_RNG_PSEUDO_MTGP32 CURAND_RNG_PSEUDO_PHILOX4_32_10 CURAND_RNG_PSEUDO_XORWOW
	CURAND_RNG_QUASI_SCRAMBLED_SOBOL32 CURAND_RNG_QUASI_SOBOL32 curandCreateGenerator curandCreateGeneratorHost
	curandDestroyGenerator curandGenerateUniform curandGenerator_t curandRngType_t
	curandSetPseudoRandomGeneratorSeed curandStatus_t
	CUBLAS_FILL_MODE_LOWER cusolverDn cusolverDnCreate cusolverDnDestroy cusolverDnDgeqrf
	cusolverDnDgeqrf_bufferSize cusolverDnDgetrf cusolverDnDgetrf_bufferSize cusolverDnDgetrs cusolverDnDpotrf
	cusolverDnDpotrf_bufferSize cusolverDnDpotrs cusolverDnHandle_t
	CUSPARSE_FILL_MODE_LOWER CUSPARSE_INDEX_BASE_ZERO CUSPARSE_OPERATION_NON_TRANSPOSE cusparseCreate
	cusparseCreateMatDescr cusparseDestroy cusparseDestroyMatDescr cusparseFillMode_t cusparseHandle_t
	cusparseMatDescr_t cusparseOperation_t cusparseScsrmv
	NPP_CMP_LESS NPP_SUCCESS NPP_VERTICAL_AXIS nppGetLibVersion nppiAbsDiff_8u_C1R_Ctx nppiDilate3x3_8u_C1R_Ctx
	nppiFilterBox_8u_C1R_Ctx nppiFree nppiMalloc nppiMalloc_8u_C1 nppiMalloc_8u_C3 nppiMirror_8u_C1R_Ctx
	nppiRGBToGray_8u_C3C1R_Ctx nppiSumGetBufferHostSize_8u_C1R_Ctx nppiSum_8u_C1R_Ctx nppiThreshold_8u_C1R_Ctx
	nppiTranspose_8u_C1R_Ctx nppsSumGetBufferSize_32f_Ctx nppsSum_32f_Ctx
	NVJPEG_CSS_444 NVJPEG_INPUT_RGBI NVJPEG_MAX_COMPONENT NVJPEG_OUTPUT_RGBI nvjpegChromaSubsampling_t
	nvjpegCreateSimple nvjpegDecode nvjpegDestroy nvjpegEncodeImage nvjpegEncodeRetrieveBitstream
	nvjpegEncoderParamsCreate nvjpegEncoderParamsDestroy nvjpegEncoderParamsSetQuality
	nvjpegEncoderParamsSetSamplingFactors nvjpegEncoderParams_t nvjpegEncoderStateCreate
	nvjpegEncoderStateDestroy nvjpegEncoderState_t nvjpegGetImageInfo nvjpegGetProperty nvjpegHandle_t
	nvjpegImage_t nvjpegJpegStateCreate nvjpegJpegStateDestroy nvjpegJpegState_t
	CUDA_ERROR_NO_DEVICE CUDA_SUCCESS NVRTC_SUCCESS cuCtxCreate_v2 cuDeviceGet cuDeviceGetAttribute cuInit
	cuLaunchKernel cuMemAlloc cuMemcpyDtoH cuMemcpyHtoD cuModuleGetFunction cuModuleLoadData nvrtcCompileProgram
	nvrtcCreateProgram nvrtcDestroyProgram nvrtcGetPTX nvrtcGetPTXSize nvrtcProgram nvrtcResult nvrtcVersion`)

// TestOldReleases stands in for compilers that cannot run here: each name of
// CUDA is known to a table above, and guarded as that says.
func TestOldReleases(t *testing.T) {
	t.Parallel()
	checkNames(t, samples.HeaderFile, samples.Header, 6050)
	for _, sample := range samples.Names() {
		s, _ := samples.Lookup(sample)
		checkNames(t, s.File, s.Source, cudartVersion(t, s.Since))
	}
}

// cudartVersion is CUDART_VERSION of a release, that of 6.5 for "".
func cudartVersion(t *testing.T, release string) int {
	t.Helper()
	if release == "" {
		return 6050
	}
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		t.Fatalf("%q is no release: %v", release, err)
	}
	return 1000*major + 10*minor
}

// span is the releases for which a line is compiled, as CUDART_VERSION.
type span struct{ from, before int }

// checkNames reads a file that no release before first compiles.
func checkNames(t *testing.T, file, source string, first int) {
	t.Helper()
	names := regexp.MustCompile(`\b(?:cuda|cublas|cufft|curand|cusolver|cusparse|npp[is]?|nvjpeg|nvrtc|cu)[A-Z]\w+` +
		`|\b(?:CUBLAS|CUBLASLT|CUFFT|CURAND|CUSOLVER|CUSPARSE|NPP|NVJPEG|NVRTC|CUDA_[RC])_\w+|uuid\.bytes`)
	guard := regexp.MustCompile(`^#if CUDART_VERSION >= (\d+)(?: && CUDART_VERSION < (\d+))?`)
	spans := []span{{first, math.MaxInt}} // the innermost last
	for i, line := range strings.Split(source, "\n") {
		here := spans[len(spans)-1]
		switch {
		case strings.HasPrefix(line, "#if "):
			m := guard.FindStringSubmatch(line)
			if m == nil {
				t.Fatalf("%s:%d: %q, want a guard by CUDART_VERSION", file, i+1, line)
			}
			from, _ := strconv.Atoi(m[1])
			before, err := strconv.Atoi(m[2])
			if err != nil {
				before = here.before
			}
			spans = append(spans, span{max(from, here.from), before})
		case strings.HasPrefix(line, "#else"):
			outer := spans[len(spans)-2]
			spans[len(spans)-1] = span{outer.from, here.from}
		case strings.HasPrefix(line, "#endif"):
			spans = spans[:len(spans)-1]
		}
		code, _, _ := strings.Cut(line, "//")
		for _, name := range names.FindAllString(code, -1) {
			name = strings.TrimSuffix(name, "_") // what a sample found by that name
			here := spans[len(spans)-1]
			want, later := since[name]
			if !later && !strings.Contains(name, "_VER_") && !slices.Contains(firstRelease, name) && !slices.Contains(libraries, name) {
				t.Errorf("%s:%d: %s is in no table of releases", file, i+1, name)
			}
			if want > here.from {
				t.Errorf("%s:%d: %s came with %d, guarded for %d", file, i+1, name, want, here.from)
			}
			if end, dropped := gone[name]; dropped && end < here.before {
				t.Errorf("%s:%d: %s went with %d, and is compiled after that", file, i+1, name, end)
			}
		}
	}
}
