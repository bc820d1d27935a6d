/* each_isa.h - checks that run once with the kernels of each instruction set, or with those alone
 * that SINKD_KERNELS forces. */
#ifndef TESTS_SUPPORT_EACH_ISA_H
#define TESTS_SUPPORT_EACH_ISA_H

#include <stdbool.h>

#include "tests/support/check.h"

enum { MAX_ISAS = 6 };

/* Their names; returns how many. This CPU may lack some. */
int isas_to_check(const char *out[MAX_ISAS]);

struct isa_check {
    const char *name;
    CMUnitTestFunction run; /* state: the instruction set's name, for select_isa */
};

/* Runs the n_others tests, then each check with each instruction set; returns what main should. */
int run_with_each_isa(const struct isa_check *checks, int n_checks, const struct CMUnitTest *others,
                      int n_others);

/* Leaves the kernels as they are and says so when the CPU lacks the instructions. */
bool select_isa(const char *name);

/* Fails, naming the kernels, unless |got - expected| <= tolerance. */
void check_near(double got, double expected, double tolerance);

/* 24 bits, the same in each run. */
unsigned random_bits(void);

/* -range .. range */
float random_float(float range);

#endif
