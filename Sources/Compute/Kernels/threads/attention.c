// Attention over a pool: one head of one sequence a part.
#include "pool.h"

typedef struct {
    const assay_kernels *kernels;
    assay_head head;
    long heads;
    float *out, *largest, *inverse, *dqkv;
    const float *qkv, *largestWas, *inverseWas, *dout;
} attention;

/// The part's own head: queries, keys and values of a token stand side by side.
static assay_head head_of(const attention *t, long part, long *offset, long *outOffset) {
    assay_head head = t->head;
    long sequence = part / t->heads, column = part % t->heads * head.size, width = t->heads * head.size;
    *offset = sequence * head.context * head.stride + column;
    *outOffset = sequence * head.context * head.outStride + column;
    head.q = t->qkv + *offset;
    head.k = head.q + width;
    head.v = head.k + width;
    return head;
}

static void forward_part(void *context, long part, float *scratch) {
    const attention *t = context;
    long offset, outOffset, row = part * t->head.context;
    assay_head head = head_of(t, part, &offset, &outOffset);
    t->kernels->attention(&head, t->out + outOffset, t->largest + row, t->inverse + row, scratch);
}

static void backward_part(void *context, long part, float *scratch) {
    const attention *t = context;
    long offset, outOffset, row = part * t->head.context, width = t->heads * t->head.size;
    assay_head head = head_of(t, part, &offset, &outOffset);
    float *dq = t->dqkv + offset;
    t->kernels->attentionBackward(&head, t->largestWas + row, t->inverseWas + row, t->dout + outOffset, dq, dq + width, dq + 2 * width, scratch);
}

static assay_head shape(long context, long heads, long size) {
    long width = heads * size;
    return (assay_head){.context = context, .size = size, .stride = 3 * width, .outStride = width, .scale = 1.0f / __builtin_sqrtf((float)size)};
}

void assay_parallel_attention(const assay_kernels *kernels, assay_pool *pool, long sequences, long context, long heads, long size,
                              const float *qkv, float *largest, float *inverse, float *out) {
    attention t = {.kernels = kernels, .head = shape(context, heads, size), .heads = heads, .qkv = qkv, .largest = largest, .inverse = inverse, .out = out};
    assay_pool_run(pool, sequences * heads, forward_part, &t);
}

void assay_parallel_attention_backward(const assay_kernels *kernels, assay_pool *pool, long sequences, long context, long heads, long size,
                                       const float *qkv, const float *largest, const float *inverse, const float *dout, float *dqkv) {
    attention t = {.kernels = kernels, .head = shape(context, heads, size), .heads = heads, .qkv = qkv, .largestWas = largest, .inverseWas = inverse,
                   .dout = dout, .dqkv = dqkv};
    assay_pool_run(pool, sequences * heads, backward_part, &t);
}
