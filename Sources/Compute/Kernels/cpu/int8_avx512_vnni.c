// AVX-512 VNNI: sixteen sums of four products of unsigned by signed bytes. The left operand is stored + 128; each column's sum starts from −128 times its own.
#include "../internal/int8.h"
#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma"))), apply_to = function)
#define LANES_AVX512
#include "vector.h"
#define INT8_GROUP 4
#define INT8_OFFSET 1
#define INT8_ROWS 12
#define INT8_VECTORS 2
INLINE i16 integer_dot(i16 sums, i16 left, i16 right) { return (i16)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)left, (__m512i)right); }
INLINE i16 column_sums(i16 sums, u16 words) { return integer_dot(sums, (i16)(0x01010101), (i16)words); }
#include "vector_int8_pack.h"
#include "vector_int8_product.h"
#include "vector_int8_table.h"
#pragma clang attribute pop

const assay_int8_kernels assay_int8_avx512_vnni = INT8_TABLE("avx512-vnni", INT8_ROWS, int8_product, int8_peak);
#endif
