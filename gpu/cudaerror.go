// SPDX-License-Identifier: Apache-2.0

package gpu

import "fmt"

// cudaErrors are the errors that say something about image and host rather than
// about a program. Source: CUDA Runtime API, enum cudaError.
var cudaErrors = map[int]string{
	1:   "cudaErrorInvalidValue",
	2:   "cudaErrorMemoryAllocation",
	3:   "cudaErrorInitializationError",
	34:  "cudaErrorStubLibrary",
	35:  "cudaErrorInsufficientDriver",
	36:  "cudaErrorCallRequiresNewerDriver",
	46:  "cudaErrorDevicesUnavailable",
	98:  "cudaErrorInvalidDeviceFunction",
	100: "cudaErrorNoDevice",
	101: "cudaErrorInvalidDevice",
	200: "cudaErrorInvalidKernelImage",
	209: "cudaErrorNoKernelImageForDevice",
	214: "cudaErrorECCUncorrectable",
	218: "cudaErrorInvalidPtx",
	221: "cudaErrorJitCompilerNotFound",
	222: "cudaErrorUnsupportedPtxVersion",
	223: "cudaErrorJitCompilationDisabled",
	302: "cudaErrorSharedObjectSymbolNotFound",
	303: "cudaErrorSharedObjectInitFailed",
	304: "cudaErrorOperatingSystem",
	700: "cudaErrorIllegalAddress",
	719: "cudaErrorLaunchFailure",
	800: "cudaErrorNotPermitted",
	801: "cudaErrorNotSupported",
	802: "cudaErrorSystemNotReady",
	803: "cudaErrorSystemDriverMismatch",
	804: "cudaErrorCompatNotSupportedOnDevice",
	999: "cudaErrorUnknown",
}

// CUDAErrorName returns the name of an error code: "" for 0, "cudaError <code>" for
// one that this package does not know.
func CUDAErrorName(code int) string {
	if name, ok := cudaErrors[code]; ok || code == 0 {
		return name
	}
	return fmt.Sprintf("cudaError %d", code)
}
