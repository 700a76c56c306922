// The matrix product in register tiles of TILE_ROWS × (16·TILE_VECTORS), over packed panels.
// Cutting k into blocks changes no bit: a block goes on from the partial sums that the one before stored. Included once by each path's file.

// Up to BLOCK_ONCE rows of A are one block; more go in blocks of BLOCK_M, so that a block and the raw rows of the next share the second cache.
enum { BLOCK_K = 512, BLOCK_M = 192, BLOCK_ONCE = 384, BLOCK_N = 2048, PANEL = 16 * TILE_VECTORS };
_Static_assert(BLOCK_M % TILE_ROWS == 0 && BLOCK_ONCE % TILE_ROWS == 0 && BLOCK_N % PANEL == 0, "blocks hold whole tiles");
enum { MARGIN = 16 };
_Static_assert((BLOCK_M + BLOCK_N) * BLOCK_K + 2 * MARGIN <= ASSAY_SCRATCH_FLOATS && BLOCK_ONCE + PANEL <= BLOCK_M + BLOCK_N, "packed blocks fit the scratch");

/// What a tile asks memory for while it works, two lines each eight steps of k.
typedef struct { const float *from; long apart, step; } ahead;

/// C[rows, 16·vectors] (+)= panel of A · panel of B, with constant `rows` and `vectors`, so that the sums stay in registers.
/// Beside `next` a tile asks for one line each eight steps of k from `soon` on.
INLINE void tile(const int rows, const int vectors, long k, const float *a, const float *b, float *c, long ldc, bool accumulate, ahead next, const float *soon) {
    f16 sums[TILE_ROWS][TILE_VECTORS];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) sums[i][v] = accumulate ? load(c + i * ldc + 16 * v) : splat(0.0f);
    const float *below = c + TILE_ROWS * ldc;                   // the tile of C that follows; a prefetch never faults
#define STEP(p)                                                                                                         \
    do {                                                                                                                \
        f16 right[TILE_VECTORS];                                                                                        \
        _Pragma("clang loop unroll(full)") for (int v = 0; v < vectors; v++) right[v] = load(b + (p) * PANEL + 16 * v);   \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < rows; i++) {                                             \
            f16 left = splat(a[(p) * TILE_ROWS + i]);                                                                   \
            _Pragma("clang loop unroll(full)") for (int v = 0; v < vectors; v++) sums[i][v] = fused(left, right[v], sums[i][v]); \
        }                                                                                                               \
    } while (0)
    long p = 0;
    for (; p + 8 <= k; p += 8, a += 8 * TILE_ROWS, b += 8 * PANEL) {
        __builtin_prefetch(next.from, 0, 2);
        __builtin_prefetch(next.from + next.apart, 0, 2);
        __builtin_prefetch(soon, 0, 2);
        __builtin_prefetch(below, 1, 3);
        __builtin_prefetch(below + PANEL - 1, 1, 3);
        next.from += next.step;
        soon += 16;
        below += ldc;
#pragma clang loop unroll(full)
        for (int q = 0; q < 8; q++) STEP(q);
    }
#pragma clang loop unroll(disable)
    for (; p < k; p++, a += TILE_ROWS, b += PANEL) STEP(0);
#undef STEP
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) store(c + i * ldc + 16 * v, sums[i][v]);
}

/// A tile of any size up to the whole: the height is rounded up to a third of a tile, the width to a vector.
static void any_tile(long rows, long columns, long k, const float *a, const float *b, float *c, long ldc, bool accumulate, ahead next, const float *soon) {
    enum { THIRD = TILE_ROWS / 3 };
    long height = (rows + THIRD - 1) / THIRD * THIRD, width = (columns + 15) / 16 * 16;
    float edge[TILE_ROWS * PANEL] __attribute__((aligned(64)));
    bool partial = height != rows || width != columns;
    float *to = partial ? edge : c;
    long stride = partial ? PANEL : ldc;
    if (partial && accumulate)
        for (long i = 0; i < rows; i++) memcpy(edge + i * PANEL, c + i * ldc, sizeof(float) * (size_t)columns);
    int full = width == PANEL;
    if (height == TILE_ROWS) {
        if (full) tile(TILE_ROWS, TILE_VECTORS, k, a, b, to, stride, accumulate, next, soon);
        else tile(TILE_ROWS, 1, k, a, b, to, stride, accumulate, next, soon);
    } else if (height == 2 * THIRD) {
        if (full) tile(2 * THIRD, TILE_VECTORS, k, a, b, to, stride, accumulate, next, soon);
        else tile(2 * THIRD, 1, k, a, b, to, stride, accumulate, next, soon);
    } else {
        if (full) tile(THIRD, TILE_VECTORS, k, a, b, to, stride, accumulate, next, soon);
        else tile(THIRD, 1, k, a, b, to, stride, accumulate, next, soon);
    }
    if (partial)
        for (long i = 0; i < rows; i++) memcpy(c + i * ldc, edge + i * PANEL, sizeof(float) * (size_t)columns);
}

INLINE f16 interleave_low(f16 a, f16 b) { return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23); }
INLINE f16 interleave_high(f16 a, f16 b) { return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31); }

/// Sixteen rows become sixteen columns by four perfect shuffles of the rows' halves.
INLINE void transpose(f16 rows[16]) {
#pragma clang loop unroll(full)
    for (int stage = 0; stage < 4; stage++) {
        f16 next[16];
#pragma clang loop unroll(full)
        for (int i = 0; i < 8; i++) {
            next[2 * i] = interleave_low(rows[i], rows[i + 8]);
            next[2 * i + 1] = interleave_high(rows[i], rows[i + 8]);
        }
#pragma clang loop unroll(full)
        for (int i = 0; i < 16; i++) rows[i] = next[i];
    }
}

/// `to`[p][i] = from[i, p] for `rows` <= `height` rows of `from`; missing rows are +0. May write up to 16 floats past the panel.
INLINE void pack_across(const long height, long rows, long k, const float *from, long stride, float *to) {
    for (long first = 0; first < height; first += 16) {
        const long whole = height - first < 16 ? height - first : 16;
        long here = rows - first < whole ? rows - first : whole;
        for (long p = 0; p < k; p += 16) {
            long left = k - p;
            f16 block[16];
            if (here == whole && left >= 16) {
#pragma clang loop unroll(full)
                for (long i = 0; i < 16; i++) block[i] = i < whole ? load(from + (first + i) * stride + p) : splat(0.0f);
            } else {
                for (long i = 0; i < 16; i++)
                    block[i] = i >= here ? splat(0.0f) : left >= 16 ? load(from + (first + i) * stride + p) : load_part(from + (first + i) * stride + p, left);
            }
            transpose(block);
            // Where a panel is lower than sixteen, a line's end is written over by the next line, or lies in the margin.
            if (left >= 16) {
#pragma clang loop unroll(full)
                for (long i = 0; i < 16; i++) store(to + (p + i) * height + first, block[i]);
            } else {
                for (long i = 0; i < left; i++) store(to + (p + i) * height + first, block[i]);
            }
        }
    }
}

/// `to`[p][i] = from[p, i] for `columns` <= `height` columns of `from`; missing ones are +0. May write up to 16 floats past the panel.
INLINE void pack_along(const long height, long columns, long k, const float *from, long stride, float *to) {
    for (long p = 0; p < k; p++, from += stride, to += height)
        for (long i = 0; i < height; i += 16) {
            long here = columns - i < height - i ? columns - i : height - i;
            store(to + i, here >= 16 ? load(from + i) : load_part(from + i, here > 0 ? here : 0));
        }
}

/// Equal shares of at most `most`, in whole units.
INLINE long share(long count, long most, long unit) {
    long shares = (count + most - 1) / most;
    return shares < 2 ? count : ((count + shares - 1) / shares + unit - 1) / unit * unit;
}

/// A block of A that is packed next: `rows` × `depth` from `from`.
typedef struct { const float *from; long rows, depth; } block;

/// What the tile with this number fetches of it: two rows, or where A lies the other way (TN) two lines of each eighth row of k.
INLINE ahead share_of(block next, assay_orientation orientation, long stride, long tile, long steps) {
    if (orientation != ASSAY_TN) return 2 * tile + 1 < next.rows ? (ahead){next.from + 2 * tile * stride, stride, 8} : (ahead){next.from, 0, 0};
    long strips = (next.rows + 31) / 32, down = tile / strips * steps;
    return down + steps <= next.depth ? (ahead){next.from + down * stride + tile % strips * 32, 16, stride} : (ahead){next.from, 0, 0};
}

static void vector_matmul(assay_orientation orientation, long m, long n, long k, const float *a, long lda, const float *b, long ldb,
                          float *c, long ldc, bool accumulate, float *scratch) {
    if (k == 0 && !accumulate)
        for (long i = 0; i < m; i++) memset(c + i * ldc, 0, sizeof(float) * (size_t)n);
    const bool across = orientation == ASSAY_NT, once = m <= BLOCK_ONCE;
    float *packedA = scratch, *packedB = scratch + (once ? BLOCK_ONCE : BLOCK_M) * BLOCK_K + MARGIN;
    const long rowsStep = once ? m : share(m, BLOCK_M, TILE_ROWS), depthStep = share(k, BLOCK_K, 16);
    // Where one block has all rows of A, a panel of B is used but once, so all panels share the nearest memory.
    const long columnsStep = once ? n : share(n, BLOCK_N, PANEL);
    for (long n0 = 0; n0 < n; n0 += columnsStep) {
        long nb = n - n0 < columnsStep ? n - n0 : columnsStep;
        for (long k0 = 0; k0 < k; k0 += depthStep) {
            long kb = k - k0 < depthStep ? k - k0 : depthStep;
            bool onwards = accumulate || k0 > 0;
            for (long m0 = 0; m0 < m; m0 += rowsStep) {
                long mb = m - m0 < rowsStep ? m - m0 : rowsStep, tiles = (mb + TILE_ROWS - 1) / TILE_ROWS;
                for (long i = 0; i < mb; i += TILE_ROWS) {
                    long rows = mb - i < TILE_ROWS ? mb - i : TILE_ROWS;
                    if (orientation == ASSAY_TN) pack_along(TILE_ROWS, rows, kb, a + k0 * lda + m0 + i, lda, packedA + i * kb);
                    else pack_across(TILE_ROWS, rows, kb, a + (m0 + i) * lda + k0, lda, packedA + i * kb);
                }
                const long m1 = m0 + rowsStep < m ? m0 + rowsStep : 0, k1 = m1 > 0 ? k0 : k0 + depthStep < k ? k0 + depthStep : 0;
                const block nextBlock = {orientation == ASSAY_TN ? a + k1 * lda + m1 : a + m1 * lda + k1, m - m1 < rowsStep ? m - m1 : rowsStep, k - k1 < depthStep ? k - k1 : depthStep};
                for (long j = 0; j < nb; j += PANEL) {
                    long columns = nb - j < PANEL ? nb - j : PANEL, following = nb - j - PANEL < PANEL ? nb - j - PANEL : PANEL;
                    float *panel = packedB + (once ? 0 : j * kb);
                    const float *next = across ? b + (n0 + j + PANEL) * ldb + k0 : b + k0 * ldb + n0 + j + PANEL;
                    if (m0 == 0) {
                        if (across) pack_across(PANEL, columns, kb, b + (n0 + j) * ldb + k0, ldb, panel);
                        else pack_along(PANEL, columns, kb, b + k0 * ldb + n0 + j, ldb, panel);
                    }
                    for (long t = 0; t < tiles; t++) {
                        long i = t * TILE_ROWS, rows = mb - i < TILE_ROWS ? mb - i : TILE_ROWS;
                        ahead ask = {panel, 0, 0};
                        if (m0 == 0 && following > 0) {         // the panel after this one is fetched while this one is worked on
                            long done = across ? 2 * t : t * (kb / 8);
                            if (across && done + 1 < following) ask = (ahead){next + done * ldb, ldb, 8};
                            if (!across && done < kb) ask = (ahead){next + done * ldb, 16, ldb};
                        } else {                                // then the block of A after this one
                            ask = share_of(nextBlock, orientation, lda, m0 == 0 ? t : j / PANEL * tiles + t, kb / 8);
                        }
                        // Once packed, the panel after this one comes from the third cache, in as many parts as there are tiles.
                        const float *soon = m0 == 0 || following <= 0 ? panel : panel + PANEL * kb + t * (kb / 8) * 16;
                        any_tile(rows, columns, kb, packedA + i * kb, panel, c + (m0 + i) * ldc + n0 + j, ldc, onwards, ask, soon);
                    }
                }
            }
        }
    }
}

/// As many independent chains as a tile has, for the core's peak.
static double vector_peak(long iterations) {
    f16 sums[TILE_ROWS];
    for (int i = 0; i < TILE_ROWS; i++) sums[i] = splat((float)i);
    for (long n = 0; n < iterations; n++)
#pragma clang loop unroll(full)
        for (int i = 0; i < TILE_ROWS; i++) {
            sums[i] = fused(sums[i], splat(0.5f), splat(0.25f));
            __asm__ volatile("" : : : "memory");
        }
    f16 total = sums[0];
    for (int i = 1; i < TILE_ROWS; i++) total = total + sums[i];
    volatile float keep = lane_tree(total);
    (void)keep;
    return (double)iterations * TILE_ROWS * 16 * 2;
}
