#pragma once
// What the integer kernels of one path and unit are made of. The left operand lies in rows along k, the right one in panels.
#include "../include/assay_int8.h"
#include "exact.h"

/// Below this a line is all zero: its inverse would leave the range of floats. 2^−100, as a float and as its bits.
#define ASSAY_INT8_SMALLEST 0x1p-100f
#define ASSAY_INT8_SMALLEST_BITS 0x0d800000u
#define ASSAY_INT8_INFINITY_BITS 0x7f800000u

/// Where the two quantised operands of one block lie in the workspace.
typedef struct {
    uint8_t *left;            ///< [rows][stride] bytes: 4 ÷ group bytes a value, k in order, zero up to a multiple of 16 groups
    long stride;
    float *leftScales;
    uint32_t *right;          ///< [panels][groups][panel]: a word holds `group` values of one column
    long panelWords;
    float *rightScales;
    int32_t *corrections;     ///< what each column's sum starts from
} assay_int8_operands;

struct assay_int8_kernels {
    const char *name;
    /// Values of k in a 32-bit word: 4 bytes or 2 halves.
    int group;
    /// Columns of a right panel.
    int panel;
    /// Rows of a left tile: parts of a product are cut at multiples of it, and memory is there for a whole last one.
    int tile;
    /// Quantise lines first ..< last, which are the rows of `x` or its columns; `first` is a multiple of 16 (left) or of the panel (right).
    void (*leftFromRows)(long first, long last, long k, const float *x, long ldx, const assay_int8_operands *to, float *scratch);
    void (*leftFromColumns)(long first, long last, long k, const float *x, long ldx, const assay_int8_operands *to, float *scratch);
    void (*rightFromRows)(long first, long last, long k, const float *x, long ldx, const assay_int8_operands *to, float *scratch);
    void (*rightFromColumns)(long first, long last, long k, const float *x, long ldx, const assay_int8_operands *to, float *scratch);
    /// C's rows ..< and columns ..<, multiples of `tile` and `panel` at their starts; C += the block's result, or +0 + it.
    void (*product)(long firstRow, long lastRow, long firstColumn, long lastColumn, long k, const assay_int8_operands *from, float *c, long ldc,
                    bool accumulate, float *scratch);
    /// The reference alone: everything at once for rows firstRow ..< lastRow of C, with `workspace` of its own.
    void (*whole)(assay_orientation orientation, long firstRow, long lastRow, long n, long k, const float *a, long lda, const float *b, long ldb,
                  float *c, long ldc, bool accumulate, void *workspace);
    /// Operations done in `iterations` rounds on registers alone; null in the reference.
    double (*peak)(long iterations);
};

extern const assay_int8_kernels assay_int8_reference;
#if defined(__x86_64__)
extern const assay_int8_kernels assay_int8_avx2, assay_int8_avx2_vnni, assay_int8_avx512, assay_int8_avx512_vnni, assay_int8_avx512_amx,
    assay_int8_avx512_tiles;
#elif defined(__aarch64__)
extern const assay_int8_kernels assay_int8_neon, assay_int8_neon_dot;
#endif

static inline long assay_int8_block(assay_orientation orientation) { return orientation == ASSAY_TN ? ASSAY_INT8_TOKENS : ASSAY_INT8_BLOCK; }
