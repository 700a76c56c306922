#pragma once
// Profile i8: the products of linear layers as sums of eight-bit integers, in which order cannot matter. `reference/int8.c` is what they mean.
#include "assay_kernels.h"

/// k is cut into blocks of this many, each quantised with scales of its own; the blocks' results are added in order.
#define ASSAY_INT8_BLOCK 65536
/// The same for the weight gradient (ASSAY_TN), whose k are tokens.
#define ASSAY_INT8_TOKENS 4096

/// What multiplies the integers within a path. All give the same bits.
typedef enum {
    ASSAY_INTEGERS_PLAIN = 0,    ///< sixteen-bit products in ordinary vectors; in the reference, plain C
    ASSAY_INTEGERS_VNNI = 1,     ///< AVX-VNNI or AVX-512 VNNI: u8 × s8, four at a time
    ASSAY_INTEGERS_AMX = 2,      ///< AMX int8 tiles
    ASSAY_INTEGERS_DOT = 3,      ///< the dot product of AArch64
    ASSAY_INTEGERS_TILES = 4,    ///< AMX's instructions in plain C, for tests
    ASSAY_INTEGER_UNITS = 5,
} assay_integer_unit;

typedef struct assay_int8_kernels assay_int8_kernels;

/// The integer kernels of a path, or null if this CPU, its kernel or this build does not have them.
const assay_int8_kernels *assay_int8_kernels_of(assay_path path, assay_integer_unit unit);

/// Bytes of workspace, 64-byte aligned, that a product needs.
size_t assay_int8_workspace(const assay_int8_kernels *kernels, assay_orientation orientation, long m, long n, long k);

/// C[m, n] (+)= A·B, A·Bᵀ or Aᵀ·B by quantised operands, each along its own k (Docs/Kernels.md, "Profile i8").
/// The bits do not depend on the kernels or on the number of threads.
void assay_parallel_int8_matmul(const assay_int8_kernels *kernels, assay_pool *pool, assay_orientation orientation, long m, long n, long k,
                                const float *a, long lda, const float *b, long ldb, float *c, long ldc, bool accumulate, void *workspace);

/// The quantiser's rule for one line of `count` values that lie `step` floats apart: its integers, and its scale as the result.
float assay_int8_quantize(long count, const float *x, long step, int8_t *out);

/// For the bench: runs `iterations` rounds of independent integer products of a unit's width; returns the operations done, a product and its sum being two.
double assay_int8_peak_run(const assay_int8_kernels *kernels, long iterations);
