// SPDX-License-Identifier: Apache-2.0

package samples_test

import (
	"fmt"
	"maps"
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

// since names what the samples use of the CUDA runtime that came after 6.5,
// with the CUDART_VERSION that must guard it. Both tables here are from
// knowledge, not yet read off the headers of each release: they keep a new name
// from slipping in unseen, and are no proof that 6.5 compiles (issue 4).
var since = map[string]int{
	"cudaDevAttrComputePreemptionSupported":   8000,
	"cudaDevAttrCooperativeLaunch":            9000,
	"cudaDevAttrCooperativeMultiDeviceLaunch": 9000, // and gone in 13.0
	"cudaDataType":                  8000,
	"cudaDataType_t":                8000,
	"uuid.bytes":                    10000,
	"cudaErrorSystemDriverMismatch": 10010,
	"cudaErrorStubLibrary":          11010,
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

// TestOldReleases stands in for compilers that cannot run here: each name of
// the CUDA runtime is known to a table above, and guarded as that says.
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

// checkNames reads a file that no release before first compiles.
func checkNames(t *testing.T, file, source string, first int) {
	t.Helper()
	names := regexp.MustCompile(`\bcuda[A-Z]\w+|uuid\.bytes`)
	guard := regexp.MustCompile(`CUDART_VERSION >= (\d+)`)
	guards := []int{first} // the innermost last
	for i, line := range strings.Split(source, "\n") {
		switch {
		case strings.HasPrefix(line, "#if "):
			m := guard.FindStringSubmatch(line)
			if m == nil {
				t.Fatalf("%s:%d: %q, want a guard by CUDART_VERSION", file, i+1, line)
			}
			version, _ := strconv.Atoi(m[1])
			guards = append(guards, version)
		case strings.HasPrefix(line, "#else"):
			guards[len(guards)-1] = first
		case strings.HasPrefix(line, "#endif"):
			guards = guards[:len(guards)-1]
		}
		version := slices.Max(guards)
		code, _, _ := strings.Cut(line, "//")
		for _, name := range names.FindAllString(code, -1) {
			want, later := since[name]
			if !later && !slices.Contains(firstRelease, name) {
				t.Errorf("%s:%d: %s is in neither table of releases", file, i+1, name)
			}
			if want > version {
				t.Errorf("%s:%d: %s came with %d, guarded for %d", file, i+1, name, want, version)
			}
		}
	}
}
