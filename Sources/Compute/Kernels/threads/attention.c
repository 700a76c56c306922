// Causal attention out of products and softmax rows, one (sequence, head) a part.
// In tiles of ASSAY_QUERY_TILE queries: tile i sees keys 0 ..< min(context, end of the tile), so sums over keys end there for every path.
#include "pool.h"

typedef struct {
    const assay_kernels *kernels;
    long context, heads, size;
    const float *qkv, *p, *dout;
    float *probabilities, *out, *dqkv;
    float scale;
} attention;

static long tile_rows(long context, long first) { return context - first < ASSAY_QUERY_TILE ? context - first : ASSAY_QUERY_TILE; }

static void forward_part(void *context, long part, float *scratch) {
    const attention *t = context;
    long sequence = part / t->heads, head = part % t->heads, width = t->heads * t->size, stride = 3 * width, length = t->context;
    const float *q = t->qkv + sequence * length * stride + head * t->size, *k = q + width, *v = k + width;
    float *out = t->out + sequence * length * width + head * t->size, *p = t->probabilities + part * length * length;
    for (long first = 0; first < length; first += ASSAY_QUERY_TILE) {
        long rows = tile_rows(length, first), keys = first + rows;
        float *tile = p + first * length;
        t->kernels->matmul(ASSAY_NT, rows, keys, t->size, q + first * stride, stride, k, stride, tile, length, false, scratch);
        for (long r = 0; r < rows; r++) t->kernels->softmaxRow(first + r + 1, keys, t->scale, tile + r * length);
        t->kernels->matmul(ASSAY_NN, rows, t->size, keys, tile, length, v, stride, out + first * width, width, false, scratch);
    }
}

static void backward_part(void *context, long part, float *scratch) {
    const attention *t = context;
    long sequence = part / t->heads, head = part % t->heads, width = t->heads * t->size, stride = 3 * width, length = t->context;
    const float *q = t->qkv + sequence * length * stride + head * t->size, *k = q + width, *v = k + width;
    float *dq = t->dqkv + sequence * length * stride + head * t->size, *dk = dq + width, *dv = dk + width;
    const float *p = t->p + part * length * length, *dout = t->dout + sequence * length * width + head * t->size;
    float *gradient = t->probabilities + part * length * length;
    for (long i = 0; i < length; i++) {
        memset(dk + i * stride, 0, sizeof(float) * (size_t)t->size);
        memset(dv + i * stride, 0, sizeof(float) * (size_t)t->size);
    }
    for (long first = 0; first < length; first += ASSAY_QUERY_TILE) {
        long rows = tile_rows(length, first), keys = first + rows;
        const float *tile = p + first * length, *dtile = dout + first * width;
        float *dscore = gradient + first * length;
        t->kernels->matmul(ASSAY_NT, rows, keys, t->size, dtile, width, v, stride, dscore, length, false, scratch);
        for (long r = 0; r < rows; r++)
            t->kernels->softmaxRowBackward(first + r + 1, keys, t->scale, tile + r * length, dscore + r * length);
        t->kernels->matmul(ASSAY_NN, rows, t->size, keys, dscore, length, k, stride, dq + first * stride, stride, false, scratch);
        t->kernels->matmul(ASSAY_TN, keys, t->size, rows, dscore, length, q + first * stride, stride, dk, stride, true, scratch);
        t->kernels->matmul(ASSAY_TN, keys, t->size, rows, tile, length, dtile, width, dv, stride, true, scratch);
    }
}

void assay_parallel_attention(const assay_kernels *kernels, assay_pool *pool, long sequences, long context, long heads, long size,
                              const float *qkv, float *p, float *out) {
    attention t = {.kernels = kernels, .context = context, .heads = heads, .size = size, .qkv = qkv, .probabilities = p, .out = out,
                   .scale = 1.0f / __builtin_sqrtf((float)size)};
    assay_pool_run(pool, sequences * heads, forward_part, &t);
}

void assay_parallel_attention_backward(const assay_kernels *kernels, assay_pool *pool, long sequences, long context, long heads, long size,
                                       const float *qkv, const float *p, const float *dout, float *work, float *dqkv) {
    attention t = {.kernels = kernels, .context = context, .heads = heads, .size = size, .qkv = qkv, .p = p, .dout = dout,
                   .probabilities = work, .dqkv = dqkv, .scale = 1.0f / __builtin_sqrtf((float)size)};
    assay_pool_run(pool, sequences * heads, backward_part, &t);
}
