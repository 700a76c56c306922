#pragma once
// What every kernel file begins with: no contraction, no excess precision, and the words for bits.
#include "../include/assay_kernels.h"
#include <float.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF
#ifdef __FAST_MATH__
#error "exact kernels cannot be built with -ffast-math"
#endif
_Static_assert(FLT_EVAL_METHOD == 0, "floats must be computed as floats");
_Static_assert(sizeof(float) == 4, "float is IEEE binary32");

#include "polynomials.h"

extern const assay_kernels assay_kernels_reference;
#if defined(__x86_64__)
extern const assay_kernels assay_kernels_avx2;
extern const assay_kernels assay_kernels_avx512;
double assay_peak_avx2(long iterations);
double assay_peak_avx512(long iterations);
#elif defined(__aarch64__)
extern const assay_kernels assay_kernels_neon;
double assay_peak_neon(long iterations);
#endif
