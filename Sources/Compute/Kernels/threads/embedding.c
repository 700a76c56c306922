// Token and position embeddings. Gradients are added row after row; what is split is columns.
#include "pool.h"

typedef struct {
    long rows, context, width, parts;
    const uint16_t *inputs;
    const float *tokens, *positions, *dx;
    float *out, *dtokens, *dpositions;
} embedding;

static void embed_part(void *context, long part, float *scratch) {
    (void)scratch;
    const embedding *e = context;
    for (long r = part_start(e->rows, e->parts, part, 1); r < part_start(e->rows, e->parts, part + 1, 1); r++) {
        const float *token = e->tokens + e->inputs[r] * e->width;
        float *out = e->out + r * e->width;
        if (!e->positions) {
            memcpy(out, token, sizeof(float) * (size_t)e->width);
            continue;
        }
        const float *position = e->positions + r % e->context * e->width;
        for (long c = 0; c < e->width; c++) out[c] = token[c] + position[c];
    }
}

static void embed_backward_part(void *context, long part, float *scratch) {
    (void)scratch;
    const embedding *e = context;
    long first = part_start(e->width, e->parts, part, 16), last = part_start(e->width, e->parts, part + 1, 16);
    for (long r = 0; r < e->rows; r++) {
        const float *dx = e->dx + r * e->width;
        float *token = e->dtokens + e->inputs[r] * e->width;
        for (long c = first; c < last; c++) token[c] = token[c] + dx[c];
        if (!e->dpositions) continue;
        float *position = e->dpositions + r % e->context * e->width;
        for (long c = first; c < last; c++) position[c] = position[c] + dx[c];
    }
}

void assay_parallel_embed(const assay_kernels *kernels, assay_pool *pool, long rows, long context, long width, const uint16_t *inputs,
                          const float *tokens, const float *positions, float *out) {
    (void)kernels;
    embedding e = {.rows = rows, .context = context, .width = width, .parts = assay_pool_threads(pool), .inputs = inputs, .tokens = tokens,
                   .positions = positions, .out = out};
    assay_pool_run(pool, e.parts, embed_part, &e);
}

void assay_parallel_embed_backward(const assay_kernels *kernels, assay_pool *pool, long rows, long context, long width,
                                   const uint16_t *inputs, const float *dx, float *dtokens, float *dpositions) {
    (void)kernels;
    embedding e = {.rows = rows, .context = context, .width = width, .parts = assay_pool_threads(pool), .inputs = inputs, .dx = dx,
                   .dtokens = dtokens, .dpositions = dpositions};
    assay_pool_run(pool, e.parts, embed_backward_part, &e);
}
