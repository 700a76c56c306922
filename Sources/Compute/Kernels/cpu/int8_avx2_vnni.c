// AVX-VNNI: the dot product of AVX-512 VNNI in registers half as wide.
#include "../internal/int8.h"
#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,avxvnni"))), apply_to = function)
#define LANES_AVX2
#include "vector.h"
#define INT8_GROUP 4
#define INT8_OFFSET 1
#define INT8_ROWS 6
#define INT8_VECTORS 1
INLINE i16 integer_dot(i16 sums, i16 left, i16 right) {
    sums.lo = (i8)_mm256_dpbusd_avx_epi32((__m256i)sums.lo, (__m256i)left.lo, (__m256i)right.lo);
    sums.hi = (i8)_mm256_dpbusd_avx_epi32((__m256i)sums.hi, (__m256i)left.hi, (__m256i)right.hi);
    return sums;
}
INLINE i16 column_sums(i16 sums, u16 words) { return integer_dot(sums, (i16)(0x01010101), (i16)words); }
#include "vector_int8_pack.h"
#include "vector_int8_product.h"
#include "vector_int8_table.h"
#pragma clang attribute pop

const assay_int8_kernels assay_int8_avx2_vnni = INT8_TABLE("avx2-vnni", INT8_ROWS, int8_product, int8_peak);
#endif
