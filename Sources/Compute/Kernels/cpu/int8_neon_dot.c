// The dot product of AArch64: four sums of four products of signed bytes.
#include "../internal/int8.h"
#if defined(__aarch64__)
#include <arm_neon.h>

#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#include "vector.h"
#define INT8_GROUP 4
#define INT8_OFFSET 0
#define INT8_ROWS 6
#define INT8_VECTORS 1
INLINE int32x4_t four_sums(int32x4_t sums, int8x16_t left, int8x16_t right) { return vdotq_s32(sums, left, right); }
#include "int8_quarters.h"
#include "vector_int8_pack.h"
#include "vector_int8_product.h"
#include "vector_int8_table.h"
#pragma clang attribute pop

const assay_int8_kernels assay_int8_neon_dot = INT8_TABLE("neon-dot", INT8_ROWS, int8_product, int8_peak);
#endif
