// The kernels over a pool: what is split is always outputs, so each output is made by one thread in its own order.
#include "pool.h"

typedef struct {
    const assay_kernels *kernels;
    assay_orientation orientation;
    long m, n, k, parts;
    const float *a, *b;
    float *c;
    long lda, ldb, ldc;
    bool accumulate;
} product;

/// The longer side of C is split, so that what each thread packs for itself is the smaller operand.
static void product_part(void *context, long part, float *scratch) {
    const product *p = context;
    if (p->m >= p->n) {
        long first = part_start(p->m, p->parts, part, 12), last = part_start(p->m, p->parts, part + 1, 12);
        const float *a = p->orientation == ASSAY_TN ? p->a + first : p->a + first * p->lda;
        if (last > first)
            p->kernels->matmul(p->orientation, last - first, p->n, p->k, a, p->lda, p->b, p->ldb, p->c + first * p->ldc, p->ldc, p->accumulate, scratch);
    } else {
        long first = part_start(p->n, p->parts, part, 32), last = part_start(p->n, p->parts, part + 1, 32);
        const float *b = p->orientation == ASSAY_NT ? p->b + first * p->ldb : p->b + first;
        if (last > first)
            p->kernels->matmul(p->orientation, p->m, last - first, p->k, p->a, p->lda, b, p->ldb, p->c + first, p->ldc, p->accumulate, scratch);
    }
}

void assay_parallel_matmul(const assay_kernels *kernels, assay_pool *pool, assay_orientation orientation, long m, long n, long k,
                           const float *a, long lda, const float *b, long ldb, float *c, long ldc, bool accumulate) {
    product p = {kernels, orientation, m, n, k, parts_of(pool, m * n), a, b, c, lda, ldb, ldc, accumulate};
    assay_pool_run(pool, p.parts, product_part, &p);
}

/// Elementwise kernels of one or two inputs.
typedef struct {
    void (*one)(long, const float *, float *);
    void (*two)(long, const float *, const float *, float *);
    long count, parts;
    const float *a, *b;
    float *out;
} elements;

static void elements_part(void *context, long part, float *scratch) {
    (void)scratch;
    const elements *e = context;
    long first = part_start(e->count, e->parts, part, 64), last = part_start(e->count, e->parts, part + 1, 64);
    if (e->two) e->two(last - first, e->a + first, e->b + first, e->out + first);
    else e->one(last - first, e->a + first, e->out + first);
}

void assay_parallel_gelu(const assay_kernels *kernels, assay_pool *pool, long count, const float *x, float *out) {
    elements e = {.one = kernels->gelu, .count = count, .parts = parts_of(pool, count), .a = x, .out = out};
    assay_pool_run(pool, e.parts, elements_part, &e);
}

void assay_parallel_gelu_backward(const assay_kernels *kernels, assay_pool *pool, long count, const float *x, const float *dy, float *dx) {
    elements e = {.two = kernels->geluBackward, .count = count, .parts = parts_of(pool, count), .a = x, .b = dy, .out = dx};
    assay_pool_run(pool, e.parts, elements_part, &e);
}

void assay_parallel_add(const assay_kernels *kernels, assay_pool *pool, long count, const float *a, const float *b, float *out) {
    elements e = {.two = kernels->add, .count = count, .parts = parts_of(pool, count), .a = a, .b = b, .out = out};
    assay_pool_run(pool, e.parts, elements_part, &e);
}

typedef struct {
    const assay_kernels *kernels;
    long rows, columns, parts;
    const float *dy, *x, *weight, *bias, *mean, *rstd;
    float *out, *meanOut, *rstdOut, *dweight, *dbias;
    const float *yBias;                                         // with `y`, of a residual
    float *y;
} norm;

static void norm_part(void *context, long part, float *scratch) {
    (void)scratch;
    const norm *n = context;
    long first = part_start(n->rows, n->parts, part, 1), last = part_start(n->rows, n->parts, part + 1, 1), at = first * n->columns;
    n->kernels->layerNorm(last - first, n->columns, n->x + at, n->weight, n->bias, n->out + at, n->meanOut + first, n->rstdOut + first);
}

void assay_parallel_layer_norm(const assay_kernels *kernels, assay_pool *pool, long rows, long channels, const float *x, const float *weight,
                               const float *bias, float *out, float *mean, float *rstd) {
    norm n = {.kernels = kernels, .rows = rows, .columns = channels, .parts = parts_of(pool, rows * channels), .x = x, .weight = weight,
              .bias = bias, .out = out, .meanOut = mean, .rstdOut = rstd};
    assay_pool_run(pool, n.parts, norm_part, &n);
}

static void residual_part(void *context, long part, float *scratch) {
    (void)scratch;
    const norm *n = context;
    long first = part_start(n->rows, n->parts, part, 1), last = part_start(n->rows, n->parts, part + 1, 1), at = first * n->columns;
    n->kernels->residualNorm(last - first, n->columns, n->x + at, n->yBias, n->y + at, n->weight, n->bias, n->out + at, n->meanOut + first,
                             n->rstdOut + first);
}

void assay_parallel_residual_norm(const assay_kernels *kernels, assay_pool *pool, long rows, long channels, const float *x, const float *yBias,
                                  float *y, const float *weight, const float *bias, float *out, float *mean, float *rstd) {
    norm n = {.kernels = kernels, .rows = rows, .columns = channels, .parts = parts_of(pool, rows * channels), .x = x, .yBias = yBias, .y = y,
              .weight = weight, .bias = bias, .out = out, .meanOut = mean, .rstdOut = rstd};
    assay_pool_run(pool, n.parts, residual_part, &n);
}

static void bias_gelu_part(void *context, long part, float *scratch) {
    (void)scratch;
    const norm *n = context;
    long first = part_start(n->rows, n->parts, part, 1), last = part_start(n->rows, n->parts, part + 1, 1), at = first * n->columns;
    n->kernels->biasGelu(last - first, n->columns, n->bias, n->y + at, n->out + at);
}

void assay_parallel_bias_gelu(const assay_kernels *kernels, assay_pool *pool, long rows, long columns, const float *bias, float *x, float *out) {
    norm n = {.kernels = kernels, .rows = rows, .columns = columns, .parts = parts_of(pool, rows * columns), .bias = bias, .y = x, .out = out};
    assay_pool_run(pool, n.parts, bias_gelu_part, &n);
}

static void norm_input_part(void *context, long part, float *scratch) {
    (void)scratch;
    const norm *n = context;
    long first = part_start(n->rows, n->parts, part, 1), last = part_start(n->rows, n->parts, part + 1, 1), at = first * n->columns;
    n->kernels->layerNormBackwardInput(last - first, n->columns, n->dy + at, n->x + at, n->weight, n->mean + first, n->rstd + first, n->out + at);
}

static void norm_weights_part(void *context, long part, float *scratch) {
    (void)scratch;
    const norm *n = context;
    long first = part_start(n->columns, n->parts, part, 16), last = part_start(n->columns, n->parts, part + 1, 16);
    n->kernels->layerNormBackwardWeights(n->rows, n->columns, first, last, n->dy, n->x, n->mean, n->rstd, n->dweight, n->dbias);
}

void assay_parallel_layer_norm_backward(const assay_kernels *kernels, assay_pool *pool, long rows, long channels, const float *dy,
                                        const float *x, const float *weight, const float *mean, const float *rstd, float *dx,
                                        float *dweight, float *dbias) {
    norm n = {.kernels = kernels, .rows = rows, .columns = channels, .parts = parts_of(pool, rows * channels), .dy = dy, .x = x,
              .weight = weight, .mean = mean, .rstd = rstd, .out = dx, .dweight = dweight, .dbias = dbias};
    assay_pool_run(pool, n.parts, norm_input_part, &n);
    assay_pool_run(pool, n.parts, norm_weights_part, &n);
}

static void bias_part(void *context, long part, float *scratch) {
    (void)scratch;
    const norm *n = context;
    long first = part_start(n->rows, n->parts, part, 1), last = part_start(n->rows, n->parts, part + 1, 1);
    n->kernels->addBias(last - first, n->columns, n->bias, n->out + first * n->columns);
}

void assay_parallel_add_bias(const assay_kernels *kernels, assay_pool *pool, long rows, long columns, const float *bias, float *x) {
    norm n = {.kernels = kernels, .rows = rows, .columns = columns, .parts = parts_of(pool, rows * columns), .bias = bias, .out = x};
    assay_pool_run(pool, n.parts, bias_part, &n);
}

static void sum_rows_part(void *context, long part, float *scratch) {
    (void)scratch;
    const norm *n = context;
    long first = part_start(n->columns, n->parts, part, 16), last = part_start(n->columns, n->parts, part + 1, 16);
    n->kernels->sumRows(n->rows, n->columns, first, last, n->x, n->out);
}

void assay_parallel_sum_rows(const assay_kernels *kernels, assay_pool *pool, long rows, long columns, const float *x, float *out) {
    norm n = {.kernels = kernels, .rows = rows, .columns = columns, .parts = parts_of(pool, rows * columns), .x = x, .out = out};
    assay_pool_run(pool, n.parts, sum_rows_part, &n);
}

typedef struct {
    const assay_kernels *kernels;
    long rows, vocabulary, parts;
    float *logits;
    const uint16_t *targets;
    float scale;
    bool gradient;
    float *losses;
} entropy;

static void entropy_part(void *context, long part, float *scratch) {
    (void)scratch;
    const entropy *e = context;
    long first = part_start(e->rows, e->parts, part, 1), last = part_start(e->rows, e->parts, part + 1, 1);
    e->kernels->crossEntropy(last - first, e->vocabulary, e->logits + first * e->vocabulary, e->targets + first, e->scale, e->gradient, e->losses + first);
}

void assay_parallel_cross_entropy(const assay_kernels *kernels, assay_pool *pool, long rows, long vocabulary, float *logits,
                                  const uint16_t *targets, float scale, bool gradient, float *losses) {
    entropy e = {kernels, rows, vocabulary, parts_of(pool, rows * vocabulary), logits, targets, scale, gradient, losses};
    assay_pool_run(pool, e.parts, entropy_part, &e);
}

typedef struct {
    const assay_kernels *kernels;
    long count, parts;
    const assay_adamw *rules;
    const float *gradient;
    float *parameters, *m, *v;
} update;

static void update_part(void *context, long part, float *scratch) {
    (void)scratch;
    const update *u = context;
    long first = part_start(u->count, u->parts, part, 64), last = part_start(u->count, u->parts, part + 1, 64);
    u->kernels->adamw(last - first, u->rules, u->gradient + first, u->parameters + first, u->m + first, u->v + first);
}

void assay_parallel_adamw(const assay_kernels *kernels, assay_pool *pool, long count, const assay_adamw *rules, const float *gradient,
                          float *parameters, float *m, float *v) {
    update u = {kernels, count, parts_of(pool, count), rules, gradient, parameters, m, v};
    assay_pool_run(pool, u.parts, update_part, &u);
}

/// Chunk sums are outputs too; SUMS of them at a time, so that no memory need be asked for.
enum { SUMS = 256 };
typedef struct {
    float (*sum)(long, const float *);
    long count, parts;
    const float *x;
    float sums[SUMS];
} chunks;

static void chunk_part(void *context, long part, float *scratch) {
    (void)scratch;
    chunks *c = context;
    long total = (c->count + ASSAY_SUM_CHUNK - 1) / ASSAY_SUM_CHUNK;
    for (long i = part_start(total, c->parts, part, 1); i < part_start(total, c->parts, part + 1, 1); i++) {
        long start = i * ASSAY_SUM_CHUNK, left = c->count - start;
        c->sums[i] = c->sum(left < ASSAY_SUM_CHUNK ? left : ASSAY_SUM_CHUNK, c->x + start);
    }
}

static double chunked(assay_pool *pool, float (*sum)(long, const float *), long count, const float *x) {
    double total = 0;
    chunks c = {.sum = sum};
    for (long start = 0; start < count; start += (long)SUMS * ASSAY_SUM_CHUNK) {
        long left = count - start, most = (long)SUMS * ASSAY_SUM_CHUNK;
        c.count = left < most ? left : most;
        c.parts = parts_of(pool, c.count);
        c.x = x + start;
        assay_pool_run(pool, c.parts, chunk_part, &c);
        for (long i = 0; i * ASSAY_SUM_CHUNK < c.count; i++) total += (double)c.sums[i];
    }
    return total;
}

double assay_parallel_sum(const assay_kernels *kernels, assay_pool *pool, long count, const float *x) { return chunked(pool, kernels->sum, count, x); }
double assay_parallel_sum_squares(const assay_kernels *kernels, assay_pool *pool, long count, const float *x) {
    return chunked(pool, kernels->sumSquares, count, x);
}
