// AVX2: values widened to sixteen bits, two products a word. maddubs would take bytes, but it saturates.
#include "../internal/int8.h"
#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define LANES_AVX2
#include "vector.h"
#define INT8_GROUP 2
#define INT8_OFFSET 0
#define INT8_ROWS 6
#define INT8_VECTORS 1
INLINE i16 integer_dot(i16 sums, i16 left, i16 right) {
    i16 products;
    products.lo = (i8)_mm256_madd_epi16((__m256i)left.lo, (__m256i)right.lo);
    products.hi = (i8)_mm256_madd_epi16((__m256i)left.hi, (__m256i)right.hi);
    return sums + products;
}
INLINE i16 column_sums(i16 sums, u16 words) { (void)words; return sums; }
#include "vector_int8_pack.h"
#include "vector_int8_product.h"
#include "vector_int8_table.h"
#pragma clang attribute pop

const assay_int8_kernels assay_int8_avx2 = INT8_TABLE("avx2", INT8_ROWS, int8_product, int8_peak);
#endif
