// The product of packed integers in register tiles of INT8_ROWS × (16·INT8_VECTORS): sums of whole numbers, so k needs no order and no blocks.
// Included after vector_int8_pack.h by the units whose dot product takes vectors.

/// The sums of `height` rows and `vectors` vectors of columns; `rows` and `columns` of them are real.
INLINE void int8_tile(const int height, const int vectors, long rows, long columns, long groups, const uint8_t *left, long stride, const uint32_t *right,
                      const int32_t *corrections, const float *leftScales, const float *rightScales, float *c, long ldc, bool accumulate) {
    i16 sums[INT8_ROWS][INT8_VECTORS];
#pragma clang loop unroll(full)
    for (int i = 0; i < height; i++)
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) sums[i][v] = INT8_OFFSET ? *(const i16 *)(corrections + 16 * v) : (i16)(0);
    for (long g = 0; g < groups; g++, left += 4, right += PANEL) {
        i16 words[INT8_VECTORS];
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) words[v] = *(const i16 *)(right + 16 * v);
#pragma clang loop unroll(full)
        for (int i = 0; i < height; i++) {
            int32_t word;
            memcpy(&word, left + i * stride, 4);
            i16 all = (i16)(word);
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++) sums[i][v] = integer_dot(sums[i][v], all, words[v]);
        }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < height; i++) {
        if (i >= rows) break;
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            f16 result = (__builtin_convertvector(sums[i][v], f16) * leftScales[i]) * load(rightScales + 16 * v);
            float *to = c + i * ldc + 16 * v;
            long here = columns - 16 * v;
            if (here >= 16) store(to, (accumulate ? load(to) : splat(0.0f)) + result);
            else if (here > 0) store_part(to, (accumulate ? load_part(to, here) : splat(0.0f)) + result, here);
        }
    }
}

static void int8_product(long firstRow, long lastRow, long firstColumn, long lastColumn, long k, const assay_int8_operands *from, float *c, long ldc,
                         bool accumulate, float *scratch) {
    (void)scratch;
    enum { THIRD = INT8_ROWS / 3, NEAR = 192 << 10 };
    long groups = (k + GROUP - 1) / GROUP, block = NEAR / (4 * groups + 1) / INT8_ROWS * INT8_ROWS;
    if (block < INT8_ROWS) block = INT8_ROWS;
    for (long i0 = firstRow; i0 < lastRow; i0 += block) {
        long end = lastRow - i0 < block ? lastRow : i0 + block;
        for (long j = firstColumn; j < lastColumn; j += PANEL) {
            long columns = lastColumn - j < PANEL ? lastColumn - j : PANEL;
            const uint32_t *right = from->right + j / PANEL * from->panelWords;
            for (long i = i0; i < end; i += INT8_ROWS) {
                long rows = end - i < INT8_ROWS ? end - i : INT8_ROWS;
#define INT8_TILE(height, vectors)                                                                                                              \
    int8_tile(height, vectors, rows, columns, groups, from->left + i * from->stride, from->stride, right, from->corrections + j, from->leftScales + i, \
              from->rightScales + j, c + i * ldc + j, ldc, accumulate)
                if (columns > PANEL - 16) {
                    if (rows > 2 * THIRD) INT8_TILE(INT8_ROWS, INT8_VECTORS);
                    else if (rows > THIRD) INT8_TILE(2 * THIRD, INT8_VECTORS);
                    else INT8_TILE(THIRD, INT8_VECTORS);
                } else {
                    if (rows > 2 * THIRD) INT8_TILE(INT8_ROWS, 1);
                    else if (rows > THIRD) INT8_TILE(2 * THIRD, 1);
                    else INT8_TILE(THIRD, 1);
                }
#undef INT8_TILE
            }
        }
    }
}

/// As many independent sums as a tile has, for the core's peak. The operands lie in memory, so that no product is made once for all.
static double int8_peak(long iterations) {
    enum { CHAINS = INT8_ROWS * INT8_VECTORS };
    static i16 operands[CHAINS + 1];
    i16 sums[CHAINS];
    for (int i = 0; i < CHAINS; i++) sums[i] = operands[i + 1] = (i16)(i);
    for (long n = 0; n < iterations; n++) {
        i16 left = operands[0];
#pragma clang loop unroll(full)
        for (int i = 0; i < CHAINS; i++) sums[i] = integer_dot(sums[i], left, operands[i + 1]);
        __asm__ volatile("" : : "r"(operands) : "memory");
    }
    i16 total = sums[0];
    for (int i = 1; i < CHAINS; i++) total += sums[i];
    volatile int32_t keep = total[0];
    (void)keep;
    return (double)iterations * CHAINS * 16 * GROUP * 2;
}
