// AVX-512: sixteen lanes are one register; tiles of 12 × 32 keep 24 sums of the 32 registers.
#include "../internal/exact.h"
#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#define LANES_AVX512
#define TILE_ROWS 12
#define TILE_VECTORS 2
#include "vector.h"
#include "vector_elementwise.h"
#include "vector_rows.h"
#include "vector_llama.h"
#include "vector_matmul.h"
#include "vector_attention.h"
#include "vector_table.h"

double assay_peak_avx512(long iterations) { return vector_peak(iterations); }
#pragma clang attribute pop

const assay_kernels assay_kernels_avx512 = VECTOR_TABLE("avx512");
#endif
