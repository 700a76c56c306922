// NEON: sixteen lanes are four registers; tiles of 6 × 16 keep 24 sums of the 32 registers.
#include "../internal/exact.h"
#if defined(__aarch64__)

#define TILE_ROWS 6
#define TILE_VECTORS 1
#include "vector.h"
#include "vector_elementwise.h"
#include "vector_rows.h"
#include "vector_llama.h"
#include "vector_matmul.h"
#include "vector_attention.h"
#include "vector_table.h"

double assay_peak_neon(long iterations) { return vector_peak(iterations); }

const assay_kernels assay_kernels_neon = VECTOR_TABLE("neon");
#endif
