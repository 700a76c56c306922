// A Llama-style layer's kernels over a pool: rows are split, or elements, or the columns that are summed.
#include "pool.h"

typedef struct {
    const assay_kernels *kernels;
    long rows, channels, parts;
    const float *x, *weight, *dy, *rstd;
    float *y, *out, *rstdOut, *dweight;
} rms;

static void norm_part(void *context, long part, float *scratch) {
    (void)scratch;
    const rms *n = context;
    long first = part_start(n->rows, n->parts, part, 1), rows = part_start(n->rows, n->parts, part + 1, 1) - first, at = first * n->channels;
    if (n->y) n->kernels->residualRmsNorm(rows, n->channels, n->x + at, n->y + at, n->weight, n->out + at, n->rstdOut + first);
    else n->kernels->rmsNorm(rows, n->channels, n->x + at, n->weight, n->out + at, n->rstdOut + first);
}

void assay_parallel_rms_norm(const assay_kernels *kernels, assay_pool *pool, long rows, long channels, const float *x, const float *weight, float *out,
                             float *rstd) {
    rms n = {.kernels = kernels, .rows = rows, .channels = channels, .parts = parts_of(pool, rows * channels), .x = x, .weight = weight, .out = out,
             .rstdOut = rstd};
    assay_pool_run(pool, n.parts, norm_part, &n);
}

void assay_parallel_residual_rms_norm(const assay_kernels *kernels, assay_pool *pool, long rows, long channels, const float *x, float *y,
                                      const float *weight, float *out, float *rstd) {
    rms n = {.kernels = kernels, .rows = rows, .channels = channels, .parts = parts_of(pool, rows * channels), .x = x, .y = y, .weight = weight,
             .out = out, .rstdOut = rstd};
    assay_pool_run(pool, n.parts, norm_part, &n);
}

static void norm_input_part(void *context, long part, float *scratch) {
    (void)scratch;
    const rms *n = context;
    long first = part_start(n->rows, n->parts, part, 1), rows = part_start(n->rows, n->parts, part + 1, 1) - first, at = first * n->channels;
    n->kernels->rmsNormBackwardInput(rows, n->channels, n->dy + at, n->x + at, n->weight, n->rstd + first, n->out + at);
}

static void norm_weights_part(void *context, long part, float *scratch) {
    (void)scratch;
    const rms *n = context;
    long first = part_start(n->channels, n->parts, part, 16), last = part_start(n->channels, n->parts, part + 1, 16);
    n->kernels->rmsNormBackwardWeights(n->rows, n->channels, first, last, n->dy, n->x, n->rstd, n->dweight);
}

void assay_parallel_rms_norm_backward(const assay_kernels *kernels, assay_pool *pool, long rows, long channels, const float *dy, const float *x,
                                      const float *weight, const float *rstd, float *dx, float *dweight) {
    rms n = {.kernels = kernels, .rows = rows, .channels = channels, .parts = parts_of(pool, rows * channels), .x = x, .weight = weight, .dy = dy,
             .rstd = rstd, .out = dx, .dweight = dweight};
    assay_pool_run(pool, n.parts, norm_input_part, &n);
    assay_pool_run(pool, n.parts, norm_weights_part, &n);
}

typedef struct {
    const assay_kernels *kernels;
    long count, parts;
    const float *gate, *up, *dout;
    float *out, *dup;
} swiglu;

static void swiglu_part(void *context, long part, float *scratch) {
    (void)scratch;
    const swiglu *s = context;
    long at = part_start(s->count, s->parts, part, 64), count = part_start(s->count, s->parts, part + 1, 64) - at;
    if (s->dout) s->kernels->swigluBackward(count, s->gate + at, s->up + at, s->dout + at, s->out + at, s->dup + at);
    else s->kernels->swiglu(count, s->gate + at, s->up + at, s->out + at);
}

void assay_parallel_swiglu(const assay_kernels *kernels, assay_pool *pool, long count, const float *gate, const float *up, float *out) {
    swiglu s = {.kernels = kernels, .count = count, .parts = parts_of(pool, count), .gate = gate, .up = up, .out = out};
    assay_pool_run(pool, s.parts, swiglu_part, &s);
}

void assay_parallel_swiglu_backward(const assay_kernels *kernels, assay_pool *pool, long count, const float *gate, const float *up, const float *dout,
                                    float *dgate, float *dup) {
    swiglu s = {.kernels = kernels, .count = count, .parts = parts_of(pool, count), .gate = gate, .up = up, .dout = dout, .out = dgate, .dup = dup};
    assay_pool_run(pool, s.parts, swiglu_part, &s);
}

typedef struct {
    const assay_kernels *kernels;
    long rows, context, heads, size, group, stride, parts;
    const float *cosines, *sines;
    bool back;
    float *x;
} turn;

static void rotate_part(void *context, long part, float *scratch) {
    (void)scratch;
    const turn *t = context;
    for (long r = part_start(t->rows, t->parts, part, 1); r < part_start(t->rows, t->parts, part + 1, 1); r++) {
        long at = r % t->context * (t->size / 2);
        t->kernels->rotate(t->heads, t->size, t->cosines + at, t->sines + at, t->back, t->x + r * t->stride);
    }
}

void assay_parallel_rotate(const assay_kernels *kernels, assay_pool *pool, long rows, long context, long heads, long size, const float *cosines,
                           const float *sines, bool back, float *x, long stride) {
    turn t = {.kernels = kernels, .rows = rows, .context = context, .heads = heads, .size = size, .stride = stride,
              .parts = parts_of(pool, rows * heads * size), .cosines = cosines, .sines = sines, .back = back, .x = x};
    assay_pool_run(pool, t.parts, rotate_part, &t);
}

/// From the last head down: a head is overwritten once all that read it are done.
static void share_part(void *context, long part, float *scratch) {
    (void)scratch;
    const turn *t = context;
    for (long r = part_start(t->rows, t->parts, part, 1); r < part_start(t->rows, t->parts, part + 1, 1); r++) {
        float *x = t->x + r * t->stride;
        for (long h = t->heads - 1; h > 0; h--) memcpy(x + h * t->size, x + h / t->group * t->size, sizeof(float) * (size_t)t->size);
    }
}

void assay_parallel_share_heads(assay_pool *pool, long rows, long heads, long group, long size, float *x, long stride) {
    if (group == 1) return;
    turn t = {.rows = rows, .heads = heads, .size = size, .group = group, .stride = stride, .parts = parts_of(pool, rows * heads * size), .x = x};
    assay_pool_run(pool, t.parts, share_part, &t);
}

static void gather_part(void *context, long part, float *scratch) {
    (void)scratch;
    const turn *t = context;
    for (long r = part_start(t->rows, t->parts, part, 1); r < part_start(t->rows, t->parts, part + 1, 1); r++)
        for (long h = 0; h < t->heads; h++) {
            float *to = t->x + r * t->stride + h / t->group * t->size;
            const float *from = t->x + r * t->stride + h * t->size;
            if (h % t->group == 0) memmove(to, from, sizeof(float) * (size_t)t->size);
            else t->kernels->add(t->size, to, from, to);
        }
}

void assay_parallel_gather_heads(const assay_kernels *kernels, assay_pool *pool, long rows, long heads, long group, long size, float *x, long stride) {
    if (group == 1) return;
    turn t = {.kernels = kernels, .rows = rows, .heads = heads, .size = size, .group = group, .stride = stride,
              .parts = parts_of(pool, rows * heads * size), .x = x};
    assay_pool_run(pool, t.parts, gather_part, &t);
}
