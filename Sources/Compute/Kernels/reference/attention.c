// Causal attention, a query at a time. Vaswani et al., "Attention Is All You Need" (2017), eq. 1; in tiles as Dao et al., "FlashAttention"
// (2022), but with whole rows of keys, so that a row's sum keeps its order.
//
// A query in a tile of ASSAY_QUERY_TILE sees the keys up to the tile's end, those after itself with probability +0. They take part in products,
// so that a tile may be computed as a whole.
#include "kernels.h"

static long tile_end(long context, long query) {
    long end = (query / ASSAY_QUERY_TILE + 1) * ASSAY_QUERY_TILE;
    return end < context ? end : context;
}

static float dot(long size, const float *a, const float *b) {
    float sum = 0.0f;
    for (long c = 0; c < size; c++) sum = fused(a[c], b[c], sum);
    return sum;
}

void reference_attention(const assay_head *head, float *out, float *largest, float *inverse, float *scratch) {
    float *row = scratch;
    for (long i = 0; i < head->context; i++, out += head->outStride) {
        long end = tile_end(head->context, i);
        for (long j = 0; j <= i; j++) row[j] = dot(head->size, head->q + i * head->stride, head->k + j * head->stride) * head->scale;
        largest[i] = reference_largest(i + 1, row);
        for (long j = 0; j <= i; j++) row[j] = exact_exp(row[j] - largest[i]);
        inverse[i] = 1.0f / reference_sum(i + 1, row);
        for (long j = 0; j <= i; j++) row[j] = row[j] * inverse[i];
        for (long j = i + 1; j < end; j++) row[j] = 0.0f;
        for (long c = 0; c < head->size; c++) out[c] = 0.0f;
        for (long j = 0; j < end; j++)
            for (long c = 0; c < head->size; c++) out[c] = fused(row[j], head->v[j * head->stride + c], out[c]);
    }
}

void reference_attention_backward(const assay_head *head, const float *largest, const float *inverse, const float *dout, float *dq, float *dk,
                                  float *dv, float *scratch) {
    long stride = head->stride;
    float *row = scratch, *gradient = scratch + head->context;
    for (long i = 0; i < head->context; i++)
        for (long c = 0; c < head->size; c++) dq[i * stride + c] = dk[i * stride + c] = dv[i * stride + c] = 0.0f;
    for (long i = 0; i < head->context; i++, dout += head->outStride) {
        const float *q = head->q + i * stride;
        long end = tile_end(head->context, i);
        float lanes[16] = {0};
        for (long j = 0; j <= i; j++) {
            row[j] = exact_exp(dot(head->size, q, head->k + j * stride) * head->scale - largest[i]) * inverse[i];
            gradient[j] = dot(head->size, dout, head->v + j * stride);
            lanes[j % 16] = fused(row[j], gradient[j], lanes[j % 16]);
        }
        float mean = lane_tree(lanes);
        for (long j = 0; j <= i; j++) gradient[j] = (row[j] * (gradient[j] - mean)) * head->scale;
        for (long j = i + 1; j < end; j++) row[j] = gradient[j] = 0.0f;
        for (long j = 0; j < end; j++)
            for (long c = 0; c < head->size; c++) dq[i * stride + c] = fused(gradient[j], head->k[j * stride + c], dq[i * stride + c]);
        for (long j = 0; j < end; j++)
            for (long c = 0; c < head->size; c++) dk[j * stride + c] = fused(gradient[j], q[c], dk[j * stride + c]);
        for (long j = 0; j < end; j++)
            for (long c = 0; c < head->size; c++) dv[j * stride + c] = fused(row[j], dout[c], dv[j * stride + c]);
    }
}
ASSAY_REFERENCE_END
