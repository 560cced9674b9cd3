// SPDX-License-Identifier: Apache-2.0
//
// What verify takes for the driver's libcuda: its exports, its SONAME, and more code than
// a stub has. NOTE is the JSON of its note of forward compatibility, SECTION where that is.
int cuInit(void) { return 0; }
int cuDriverGetVersion(void) { return 0; }
int cuGetExportTable(void) { return 0; }
int cudbgIpcFlag;

__asm__(".text\n.space 300 * 1024, 0x90\n");

#ifdef NOTE
#define QUOTE(text) #text
#define QUOTED(macro) QUOTE(macro)
__asm__(".section " SECTION ", \"a\", @note\n"
        ".balign 4\n"
        ".long 19, 2f - 1f, 1\n"
        ".asciz \"NVIDIA Corporation\"\n"
        ".balign 4\n"
        "1: .ascii " QUOTED(NOTE) "\n"
        "2: .balign 4\n");
#endif
