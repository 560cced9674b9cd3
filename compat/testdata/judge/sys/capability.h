// SPDX-License-Identifier: Apache-2.0

// Stands in for the header of libcap, of which the evaluator needs nothing.
#pragma once
#include <linux/capability.h>

typedef int cap_value_t;
typedef void *cap_t;
typedef enum { CAP_EFFECTIVE, CAP_PERMITTED, CAP_INHERITABLE } cap_flag_t;
typedef enum { CAP_CLEAR, CAP_SET } cap_flag_value_t;
