// SPDX-License-Identifier: Apache-2.0
//
// What the samples of libraries share: errors, versions, memory, numbers, the report. Each hands its one function to sampleMain, which
// prints one JSON document and, without --json, a line with the result: PASS (exit 0), FAIL (1) or WAIVED (2: no driver or device).
#include <cuda_runtime.h>
#include <stdio.h>

#include <fstream>
#include <sstream>
#include <vector>

typedef std::pair<int, std::string> Failure;  // what is thrown: CUDA's number of the error, below 0 for any other, and the reason
#define CHECK(call) check((call), #call)      // success is 0 in every library
inline void check(int status, const char* call) { status ? throw Failure(status < 0 ? status : -status, call) : (void)0; }
inline void check(cudaError_t e, const char* call) { e ? throw Failure(e, std::string(call) + ": " + cudaGetErrorString(e)) : (void)0; }
template <typename T>
struct Array : std::vector<T> {  // elements on the host, and room for as many on the device
    T* gpu;
    explicit Array(size_t n) : std::vector<T>(n), gpu(0) { CHECK(cudaMalloc((void**)&gpu, n * sizeof(T))); }
    ~Array() { cudaFree(gpu); }
    void send() const { CHECK(cudaMemcpy(gpu, &(*this)[0], this->size() * sizeof(T), cudaMemcpyHostToDevice)); }
    void fetch() { CHECK(cudaMemcpy(&(*this)[0], gpu, this->size() * sizeof(T), cudaMemcpyDeviceToHost)); }
};
inline double uniform(unsigned int& state) { return ((state = state * 1664525u + 1013904223u) >> 8) / 8388608.0 - 1; }  // [-1, 1)
inline double worse(double a, double b) { return b <= a ? a : b < 1e99 ? b : 1e99; }  // for what is not a number, too

// LIBRARY fails if the library is older than its headers. Their version (10.1 and later tell it) stays in the program as an ELF note.
#define LIBRARY(sample, name, X, property) LIBRARY_(sample, name, X##_VER_MAJOR, X##_VER_MINOR, X##_VER_PATCH, property)
#define LIBRARY_(sample, name, a, b, c, property)                                                                                   \
    asm(".pushsection .note.cudabuild,\"a\",%%note\n.balign 4\n.long 10,2f-1f,1\n.asciz \"cudabuild\"\n.balign 4\n1:.ascii \"" name \
        ".so %c0.%c1.%c2\\n\"\n2:.balign 4\n.popsection" ::"i"(a),                                                                  \
        "i"(b), "i"(c));                                                                                                            \
    (sample).library(name, a, b, c, property)

struct Sample {
    bool passed;
    std::ostringstream libraries, checks, figures, loaded;
    static std::ostream& next(std::ostream& to, const std::string& key) { return to << (to.tellp() > 0 ? ",\n\"" : "\n\"") << key << '"'; }
    void check(const std::string& what, double error, double tolerance) {
        passed = passed && error <= tolerance;
        next(checks, what) << ": {\"error\": " << worse(0, error) << ", \"tolerance\": " << tolerance << "}";
    }
    template <typename Status, typename Part>
    void library(const std::string& name, int a, int b, int c, Status (*property)(Part, int*)) {
        std::ostringstream built, found;
        int x = 0, y = 0, z = 0;
        ::check(property((Part)0, &x) || property((Part)1, &y) || property((Part)2, &z), "GetProperty");
        built << a << '.' << b << '.' << c, found << x << '.' << y << '.' << z;
        next(libraries, name + ".so") << ": {\"built\": \"" << built.str() << "\", \"found\": \"" << found.str() << "\"}";
        if (x != a ? x < a : y != b ? y < b : z < c)
            throw Failure(-1, name + " " + found.str() + " is older than " + built.str() + ", which this was built with");
    }
};
inline int sampleMain(int argc, char** argv, const char* name, void (*run)(Sample&)) {
    const bool json = argc == 2 && argv[1] == std::string("--json");
    if (argc > 1 + json) return fprintf(stderr, "usage: %s [--json]\n", name), 1;
    Sample s;
    Failure e(0, "null");
    try {
        s.passed = true, run(s);
    } catch (Failure& f) {
        for (size_t i = 0; (i = f.second.find_first_of("\"\\\n", i)) != f.second.npos;) f.second[i] = '\'';  // as JSON wants it
        e = Failure(f.first, '"' + f.second + '"');
    }
    const int end =
        e.first == cudaErrorInsufficientDriver || e.first == cudaErrorNoDevice ? 2 : e.first || !s.passed || s.checks.tellp() < 1;
    const char* const results[] = {"PASS", "FAIL", "WAIVED"};
    std::string libcuda = "null", path;
    for (std::ifstream maps("/proc/self/maps"); maps >> path;) {
        if (path.find(".so") != path.npos && s.loaded.str().find('"' + path + '"') == path.npos) Sample::next(s.loaded, path);
        if (path.find("/libcuda.so") != path.npos) libcuda = '"' + path + '"';
    }
    printf("{\"version\": 1, \"sample\": \"%s\", \"result\": \"%s\", \"error_code\": %d,\n", name, results[end], e.first);
    printf("\"error\": %s,\n\"figures\": {%s},\n", e.second.c_str(), s.figures.str().c_str());
    printf("\"checks\": {%s},\n\"libraries\": {%s},\n", s.checks.str().c_str(), s.libraries.str().c_str());
    printf("\"loaded\": [%s],\n\"libcuda_path\": %s}\n", s.loaded.str().c_str(), libcuda.c_str());
    if (!json) printf("Result = %s\n", results[end]);
    return end;
}
