// AVX-512 without VNNI: values widened to sixteen bits, two products a word.
#include "../internal/int8.h"
#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#define LANES_AVX512
#include "vector.h"
#define INT8_GROUP 2
#define INT8_OFFSET 0
#define INT8_ROWS 12
#define INT8_VECTORS 2
INLINE i16 integer_dot(i16 sums, i16 left, i16 right) { return sums + (i16)_mm512_madd_epi16((__m512i)left, (__m512i)right); }
INLINE i16 column_sums(i16 sums, u16 words) { (void)words; return sums; }
#include "vector_int8_pack.h"
#include "vector_int8_product.h"
#include "vector_int8_table.h"
#pragma clang attribute pop

const assay_int8_kernels assay_int8_avx512 = INT8_TABLE("avx512", INT8_ROWS, int8_product, int8_peak);
#endif
