// AVX2 and FMA3: sixteen lanes are two registers; tiles of 6 × 16 keep 12 sums of the 16 registers.
#include "../internal/exact.h"
#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define LANES_AVX2
#define TILE_ROWS 6
#define TILE_VECTORS 1
#include "vector.h"
#include "vector_elementwise.h"
#include "vector_rows.h"
#include "vector_llama.h"
#include "vector_matmul.h"
#include "vector_attention.h"
#include "vector_table.h"

double assay_peak_avx2(long iterations) { return vector_peak(iterations); }
#pragma clang attribute pop

const assay_kernels assay_kernels_avx2 = VECTOR_TABLE("avx2");
#endif
