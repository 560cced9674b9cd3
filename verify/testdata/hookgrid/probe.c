// SPDX-License-Identifier: Apache-2.0
//
// Prints the path, links followed, of the libcuda.so.1 that its dynamic linker loads. With
// HELPER a library that the program is linked with asks for it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>

void *open_libcuda(void);

#ifndef HELPER
void *open_libcuda(void) { return dlopen("libcuda.so.1", RTLD_NOW); }
#endif

#ifndef LIBRARY
int main(void) {
  struct link_map *map;
  char path[PATH_MAX];
  void *library = open_libcuda();
  if (!library || dlinfo(library, RTLD_DI_LINKMAP, &map) || !realpath(map->l_name, path)) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  puts(path);
  return 0;
}
#endif
