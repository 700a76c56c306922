// The integer products over a pool: quantise and pack both operands, then multiply. Each phase is split by what it writes.
#include "../internal/int8.h"
#include "pool.h"

static size_t padded(size_t bytes) { return (bytes + 63) / 64 * 64; }
static long whole(long count, long unit) { return (count + unit - 1) / unit * unit; }

/// Cuts the workspace up for a block of k; returns how much of it that takes.
static size_t lay_out(const assay_int8_kernels *kernels, long m, long n, long k, void *workspace, assay_int8_operands *o) {
    long words = whole(k, 16L * kernels->group) / kernels->group, panels = whole(n, kernels->panel) / kernels->panel;
    // Rows an odd number of cache lines apart, so that those of a tile do not fight for the same places of the cache.
    size_t stride = (size_t)words * 4 + (words / 16 % 2 == 0 ? 64 : 0), at = 0;
    uintptr_t base = (uintptr_t)workspace;                          // null when only the size is asked for
    size_t rows = (size_t)whole(whole(m, kernels->tile), 16);
    o->stride = (long)stride;
    o->panelWords = words * kernels->panel;
    o->left = (uint8_t *)(base + at), at += padded(rows * stride);
    o->leftScales = (float *)(base + at), at += padded(rows * sizeof(float));
    o->right = (uint32_t *)(base + at), at += padded((size_t)(panels * o->panelWords) * sizeof(uint32_t));
    o->rightScales = (float *)(base + at), at += padded((size_t)(panels * kernels->panel) * sizeof(float));
    o->corrections = (int32_t *)(base + at), at += padded((size_t)(panels * kernels->panel) * sizeof(int32_t));
    return at;
}

size_t assay_int8_workspace(const assay_int8_kernels *kernels, assay_orientation orientation, long m, long n, long k) {
    if (kernels->whole) return 64;
    long block = assay_int8_block(orientation);
    assay_int8_operands o;
    return lay_out(kernels, m, n, k < block ? k : block, NULL, &o) + 64;
}

typedef struct {
    const assay_int8_kernels *kernels;
    assay_int8_operands operands;
    assay_orientation orientation;
    long m, n, k, parts;
    const float *a, *b;
    float *c;
    long lda, ldb, ldc;
    bool accumulate;
    void *workspace;
} integers;

static void left_part(void *context, long part, float *scratch) {
    const integers *p = context;
    long first = part_start(p->m, p->parts, part, 16), last = part_start(p->m, p->parts, part + 1, 16);
    if (last <= first) return;
    (p->orientation == ASSAY_TN ? p->kernels->leftFromColumns : p->kernels->leftFromRows)(first, last, p->k, p->a, p->lda, &p->operands, scratch);
}

static void right_part(void *context, long part, float *scratch) {
    const integers *p = context;
    long first = part_start(p->n, p->parts, part, p->kernels->panel), last = part_start(p->n, p->parts, part + 1, p->kernels->panel);
    if (last <= first) return;
    (p->orientation == ASSAY_NT ? p->kernels->rightFromRows : p->kernels->rightFromColumns)(first, last, p->k, p->b, p->ldb, &p->operands, scratch);
}

/// The longer side of C is cut.
static void product_part(void *context, long part, float *scratch) {
    const integers *p = context;
    long rows[2] = {0, p->m}, columns[2] = {0, p->n};
    long *cut = p->m >= p->n ? rows : columns, count = p->m >= p->n ? p->m : p->n, unit = p->m >= p->n ? p->kernels->tile : p->kernels->panel;
    cut[0] = part_start(count, p->parts, part, unit), cut[1] = part_start(count, p->parts, part + 1, unit);
    if (cut[1] > cut[0])
        p->kernels->product(rows[0], rows[1], columns[0], columns[1], p->k, &p->operands, p->c, p->ldc, p->accumulate, scratch);
}

static void whole_part(void *context, long part, float *scratch) {
    (void)scratch;
    const integers *p = context;
    long first = part_start(p->m, p->parts, part, 1), last = part_start(p->m, p->parts, part + 1, 1);
    if (last > first)
        p->kernels->whole(p->orientation, first, last, p->n, p->k, p->a, p->lda, p->b, p->ldb, p->c, p->ldc, p->accumulate, p->workspace);
}

void assay_parallel_int8_matmul(const assay_int8_kernels *kernels, assay_pool *pool, assay_orientation orientation, long m, long n, long k,
                                const float *a, long lda, const float *b, long ldb, float *c, long ldc, bool accumulate, void *workspace) {
    if (m <= 0 || n <= 0) return;
    integers p = {.kernels = kernels, .orientation = orientation, .m = m, .n = n, .parts = assay_pool_threads(pool), .a = a, .b = b, .c = c,
                  .lda = lda, .ldb = ldb, .ldc = ldc, .accumulate = accumulate, .workspace = workspace};
    if (kernels->whole) {
        p.k = k;
        assay_pool_run(pool, p.parts, whole_part, &p);
        return;
    }
    if (k <= 0 && !accumulate)
        for (long i = 0; i < m; i++) memset(c + i * ldc, 0, sizeof(float) * (size_t)n);
    long block = assay_int8_block(orientation);
    for (long k0 = 0; k0 < k; k0 += block) {
        p.k = k - k0 < block ? k - k0 : block;
        p.a = orientation == ASSAY_TN ? a + k0 * lda : a + k0;
        p.b = orientation == ASSAY_NT ? b + k0 : b + k0 * ldb;
        p.accumulate = accumulate || k0 > 0;
        lay_out(kernels, m, n, p.k, workspace, &p.operands);
        assay_pool_run(pool, p.parts, left_part, &p);
        assay_pool_run(pool, p.parts, right_part, &p);
        assay_pool_run(pool, p.parts, product_part, &p);
    }
}

double assay_int8_peak_run(const assay_int8_kernels *kernels, long iterations) { return kernels->peak ? kernels->peak(iterations) : 0; }
