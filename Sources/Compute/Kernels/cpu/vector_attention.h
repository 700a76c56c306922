// One head of causal attention over one sequence. Keys and values are packed once; scores and probabilities never leave a tile of
// ASSAY_QUERY_TILE queries, and backward makes the tile's probabilities again from each row's maximum and 1 ÷ sum. Included once by each path's file.

/// A line of a tile's scores. Constant, so that a line's place needs no multiplication; odd in cache lines, so that lines do not compete.
enum { SCORES = ASSAY_CONTEXT_LIMIT + 16, HEAD_ROWS = TILE_VECTORS == 2 ? 8 : 4, TILE = ASSAY_QUERY_TILE };
_Static_assert(TILE == 16 && TILE % HEAD_ROWS == 0, "a query tile is sixteen lines");

/// C[rows, columns] (+)= A·B for up to HEAD_ROWS rows and one panel of B. A's element (i, p) lies at a[i·aRow + p·aStep]; all HEAD_ROWS are read.
INLINE void head_tile(const long aRow, const long aStep, long k, const float *a, const float *b, long rows, long columns, float *c, long ldc,
                      bool accumulate) {
    f16 sums[HEAD_ROWS][TILE_VECTORS];
    bool whole = rows >= HEAD_ROWS && columns >= PANEL;
#pragma clang loop unroll(full)
    for (int i = 0; i < HEAD_ROWS; i++)
#pragma clang loop unroll(full)
        for (int v = 0; v < TILE_VECTORS; v++) sums[i][v] = splat(0.0f);
    if (accumulate) {
        if (whole) {
#pragma clang loop unroll(full)
            for (int i = 0; i < HEAD_ROWS; i++)
#pragma clang loop unroll(full)
                for (int v = 0; v < TILE_VECTORS; v++) sums[i][v] = load(c + i * ldc + 16 * v);
        } else {
#pragma clang loop unroll(full)
            for (int i = 0; i < HEAD_ROWS; i++)
#pragma clang loop unroll(full)
                for (int v = 0; v < TILE_VECTORS; v++)
                    if (i < rows && 16 * v < columns) sums[i][v] = load_up_to(c + i * ldc + 16 * v, columns - 16 * v);
        }
    }
    for (long p = 0; p < k; p++) {
        f16 right[TILE_VECTORS];
#pragma clang loop unroll(full)
        for (int v = 0; v < TILE_VECTORS; v++) right[v] = load(b + p * PANEL + 16 * v);
#pragma clang loop unroll(full)
        for (int i = 0; i < HEAD_ROWS; i++) {
            f16 left = splat(a[i * aRow + p * aStep]);
#pragma clang loop unroll(full)
            for (int v = 0; v < TILE_VECTORS; v++) sums[i][v] = fused(left, right[v], sums[i][v]);
        }
    }
    if (whole) {
#pragma clang loop unroll(full)
        for (int i = 0; i < HEAD_ROWS; i++)
#pragma clang loop unroll(full)
            for (int v = 0; v < TILE_VECTORS; v++) store(c + i * ldc + 16 * v, sums[i][v]);
    } else {
#pragma clang loop unroll(full)
        for (int i = 0; i < HEAD_ROWS; i++)
#pragma clang loop unroll(full)
            for (int v = 0; v < TILE_VECTORS; v++)
                if (i < rows && 16 * v < columns) store_up_to(c + i * ldc + 16 * v, sums[i][v], columns - 16 * v);
    }
}

/// C[m, n] (+)= A·B over the panels of B, each `panel` floats from the one before.
INLINE void head_product(const long aRow, const long aStep, long m, long n, long k, const float *a, const float *b, long panel, float *c, long ldc,
                         bool accumulate) {
    for (long j = 0; j < n; j += PANEL, b += panel)
        for (long i = 0; i < m; i += HEAD_ROWS) head_tile(aRow, aStep, k, a + i * aRow, b, m - i, n - j, c + i * ldc + j, ldc, accumulate);
}
/// A packed across a tile's queries; A a tile of scores; A the same, read down its columns.
static void queries_times(long m, long n, long k, const float *a, const float *b, long panel, float *c, long ldc) {
    head_product(1, TILE, m, n, k, a, b, panel, c, ldc, false);
}
static void scores_times(long m, long n, long k, const float *a, const float *b, long panel, float *c, long ldc) {
    head_product(SCORES, 1, m, n, k, a, b, panel, c, ldc, false);
}
static void scores_transposed_times(long m, long n, long k, const float *a, const float *b, long panel, float *c, long ldc, bool accumulate) {
    head_product(1, SCORES, m, n, k, a, b, panel, c, ldc, accumulate);
}

/// The panels of B = Xᵀ, and of B = X, for `rows` rows of `size` floats.
static void pack_transposed(long rows, long size, const float *x, long stride, float *to) {
    for (long j = 0; j < rows; j += PANEL, to += size * PANEL) pack_across(PANEL, rows - j < PANEL ? rows - j : PANEL, size, x + j * stride, stride, to);
}
static void pack_plain(long rows, long size, const float *x, long stride, float *to) {
    for (long j = 0; j < size; j += PANEL, to += rows * PANEL) pack_along(PANEL, size - j < PANEL ? size - j : PANEL, rows, x + j, stride, to);
}

/// A thread's scratch: two tiles of scores, four packed tiles of queries, then whole heads, packed.
enum { FORWARD_PACKS = 2, BACKWARD_PACKS = 3, TILES_OF_SCORES = 2 * TILE * SCORES };
_Static_assert(TILES_OF_SCORES + (BLOCK_M + BLOCK_N) * BLOCK_K + 2 * MARGIN <= ASSAY_SCRATCH_FLOATS, "tiles of scores and a matrix product fit the scratch");
static long up_to_panel(long count) { return (count + PANEL - 1) / PANEL * PANEL; }
static bool head_fits(long context, long size, long packs) {
    return TILES_OF_SCORES + 4 * TILE * up_to_panel(size) + packs * (up_to_panel(context) * up_to_panel(size) + MARGIN) <= ASSAY_SCRATCH_FLOATS;
}

/// row = exp(scale · row − max) ÷ sum over the valid, +0 up to `total`.
INLINE void softmax_line(long valid, long total, float scale, float *row, float *largest, float *inverse) {
    f16 tops = splat(-__builtin_inff());
    EACH_SIXTEEN(valid, {
        f16 x = GET(row) * scale;
        PUT(row, x);
        tops = KEEP(tops, larger(tops, x));
    })
    float top = lane_largest(tops);
    float over = 1.0f / exp_and_sum(valid, top, row);
    EACH_SIXTEEN(valid, { PUT(row, GET(row) * over); })
    for (long i = valid; i < total; i++) row[i] = 0.0f;
    *largest = top;
    *inverse = over;
}

/// Scores become probabilities again, and gradients of probabilities become gradients of scores.
INLINE void softmax_line_backward(long valid, long total, float scale, float *row, float *gradient, float top, float inverse) {
    f16 lanes = splat(0.0f);
    EACH_SIXTEEN(valid, {
        f16 p = vector_exp(GET(row) * scale - top) * inverse;
        PUT(row, p);
        lanes = KEEP(lanes, fused(p, GET(gradient), lanes));
    })
    float mean = lane_tree(lanes);
    EACH_SIXTEEN(valid, { PUT(gradient, (GET(row) * (GET(gradient) - mean)) * scale); })
    for (long i = valid; i < total; i++) row[i] = gradient[i] = 0.0f;
}

/// The same for a head that does not fit the scratch, by the general product.
static void large_attention(const assay_head *head, float *out, float *largest, float *inverse, float *scratch) {
    const long size = head->size, stride = head->stride;
    float *scores = scratch, *rest = scratch + TILES_OF_SCORES;
    for (long first = 0; first < head->context; first += TILE) {
        long rows = head->context - first < TILE ? head->context - first : TILE, seen = first + rows;
        vector_matmul(ASSAY_NT, rows, seen, size, head->q + first * stride, stride, head->k, stride, scores, SCORES, false, rest);
        for (long r = 0; r < rows; r++)
            softmax_line(first + r + 1, seen, head->scale, scores + r * SCORES, largest + first + r, inverse + first + r);
        vector_matmul(ASSAY_NN, rows, size, seen, scores, SCORES, head->v, stride, out + first * head->outStride, head->outStride, false, rest);
    }
}

static void large_attention_backward(const assay_head *head, const float *largest, const float *inverse, const float *dout, float *dq, float *dk,
                                     float *dv, float *scratch) {
    const long size = head->size, stride = head->stride, outStride = head->outStride;
    float *scores = scratch, *gradients = scratch + TILE * SCORES, *rest = scratch + TILES_OF_SCORES;
    for (long first = 0; first < head->context; first += TILE) {
        long rows = head->context - first < TILE ? head->context - first : TILE, seen = first + rows;
        const float *q = head->q + first * stride, *d = dout + first * outStride;
        vector_matmul(ASSAY_NT, rows, seen, size, q, stride, head->k, stride, scores, SCORES, false, rest);
        vector_matmul(ASSAY_NT, rows, seen, size, d, outStride, head->v, stride, gradients, SCORES, false, rest);
        for (long r = 0; r < rows; r++)
            softmax_line_backward(first + r + 1, seen, head->scale, scores + r * SCORES, gradients + r * SCORES, largest[first + r], inverse[first + r]);
        vector_matmul(ASSAY_NN, rows, size, seen, gradients, SCORES, head->k, stride, dq + first * stride, stride, false, rest);
        // The keys of the tiles before go on; the tile's own begin here.
        for (int own = 0; own < 2; own++) {
            long from = own ? first : 0, keys = own ? rows : first;
            vector_matmul(ASSAY_TN, keys, size, rows, gradients + from, SCORES, q, stride, dk + from * stride, stride, !own, rest);
            vector_matmul(ASSAY_TN, keys, size, rows, scores + from, SCORES, d, outStride, dv + from * stride, stride, !own, rest);
        }
    }
}

static void vector_attention(const assay_head *head, float *out, float *largest, float *inverse, float *scratch) {
    const long context = head->context, size = head->size, stride = head->stride, panels = up_to_panel(size), keyPanel = size * PANEL;
    if (!head_fits(context, size, FORWARD_PACKS)) {
        large_attention(head, out, largest, inverse, scratch);
        return;
    }
    float *scores = scratch, *query = scores + TILES_OF_SCORES, *keys = query + 4 * TILE * panels;
    float *values = keys + up_to_panel(context) * panels + MARGIN;
    pack_transposed(context, size, head->k, stride, keys);
    pack_plain(context, size, head->v, stride, values);
    for (long first = 0; first < context; first += TILE) {
        long rows = context - first < TILE ? context - first : TILE, seen = first + rows;
        pack_across(TILE, rows, size, head->q + first * stride, stride, query);
        queries_times(TILE, seen, size, query, keys, keyPanel, scores, SCORES);
        for (long r = 0; r < rows; r++)
            softmax_line(first + r + 1, seen, head->scale, scores + r * SCORES, largest + first + r, inverse + first + r);
        scores_times(rows, size, seen, scores, values, context * PANEL, out + first * head->outStride, head->outStride);
    }
}

static void vector_attention_backward(const assay_head *head, const float *largest, const float *inverse, const float *dout, float *dq, float *dk,
                                      float *dv, float *scratch) {
    const long context = head->context, size = head->size, stride = head->stride, panels = up_to_panel(size), keyPanel = size * PANEL;
    if (!head_fits(context, size, BACKWARD_PACKS)) {
        large_attention_backward(head, largest, inverse, dout, dq, dk, dv, scratch);
        return;
    }
    const long packed = up_to_panel(context) * panels + MARGIN;
    float *scores = scratch, *gradients = scores + TILE * SCORES, *query = gradients + TILE * SCORES, *queryPlain = query + TILE * panels;
    float *outer = queryPlain + TILE * panels, *outerPlain = outer + TILE * panels, *keysTransposed = outerPlain + TILE * panels;
    float *valuesTransposed = keysTransposed + packed, *keys = valuesTransposed + packed;
    pack_transposed(context, size, head->k, stride, keysTransposed);
    pack_transposed(context, size, head->v, stride, valuesTransposed);
    pack_plain(context, size, head->k, stride, keys);
    for (long first = 0; first < context; first += TILE) {
        long rows = context - first < TILE ? context - first : TILE, seen = first + rows;
        const float *q = head->q + first * stride, *d = dout + first * head->outStride;
        pack_across(TILE, rows, size, q, stride, query);
        pack_across(TILE, rows, size, d, head->outStride, outer);
        pack_plain(rows, size, q, stride, queryPlain);
        pack_plain(rows, size, d, head->outStride, outerPlain);
        queries_times(TILE, seen, size, query, keysTransposed, keyPanel, scores, SCORES);
        queries_times(TILE, seen, size, outer, valuesTransposed, keyPanel, gradients, SCORES);
        for (long r = 0; r < rows; r++)
            softmax_line_backward(first + r + 1, seen, head->scale, scores + r * SCORES, gradients + r * SCORES, largest[first + r], inverse[first + r]);
        scores_times(rows, size, seen, gradients, keys, context * PANEL, dq + first * stride, stride);
        // The keys of the tiles before go on; the tile's own begin here.
        scores_transposed_times(first, size, rows, gradients, queryPlain, rows * PANEL, dk, stride, true);
        scores_transposed_times(rows, size, rows, gradients + first, queryPlain, rows * PANEL, dk + first * stride, stride, false);
        scores_transposed_times(first, size, rows, scores, outerPlain, rows * PANEL, dv, stride, true);
        scores_transposed_times(rows, size, rows, scores + first, outerPlain, rows * PANEL, dv + first * stride, stride, false);
    }
}
