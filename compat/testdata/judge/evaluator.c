// SPDX-License-Identifier: Apache-2.0

// Asks libnvidia-container's own evaluator, with its own rules, one question for each
// five strings on stdin that end in NUL: driver, CUDA, architecture and brand of a host,
// each "-" where it is not known, and the requirement.
#define main unused_main
#include "configure.c"
#undef main

static char *known(char *s) { return strcmp(s, "-") == 0 ? NULL : s; }

int main(void)
{
        char *field[5] = {0};
        size_t size[5] = {0};

        for (;;) {
                for (int i = 0; i < 5; i++)
                        if (getdelim(&field[i], &size[i], '\0', stdin) < 0)
                                return 0;
                struct nvc_driver_info drv = {.nvrm_version = known(field[0]), .cuda_version = known(field[1])};
                struct nvc_device dev = {.arch = known(field[2]), .brand = known(field[3])};
                struct dsl_data data = {&drv, &dev};
                struct error err = {0};
                if (dsl_evaluate(&err, field[4], &data, rules, nitems(rules)) == 0)
                        puts("holds");
                else
                        puts(strcmp(err.msg, "invalid expression") == 0 ? "refused" : "fails");
        }
}
