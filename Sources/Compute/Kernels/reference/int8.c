// What profile i8 means: quantise each line along its own k, sum products of integers, scale the sum. Block after block where k is long.
#include "../internal/int8.h"
#include <stdlib.h>

/// |x| as bits: among them the order of integers is that of magnitudes, with infinity above all numbers and NaN above infinity.
static uint32_t magnitude(float x) { uint32_t bits; memcpy(&bits, &x, 4); return bits & 0x7fffffffu; }

float assay_int8_quantize(long count, const float *x, long step, int8_t *out) {
    uint32_t bits = 0;
    for (long i = 0; i < count; i++) bits = magnitude(x[i * step]) > bits ? magnitude(x[i * step]) : bits;
    if (bits < ASSAY_INT8_SMALLEST_BITS || bits >= ASSAY_INT8_INFINITY_BITS) {
        for (long i = 0; i < count; i++) out[i] = 0;
        return bits < ASSAY_INT8_SMALLEST_BITS ? 0.0f : __builtin_nanf("");
    }
    float amax;
    memcpy(&amax, &bits, 4);
    float inverse = 127.0f / amax;
    for (long i = 0; i < count; i++) {
        float scaled = x[i * step] * inverse;
        scaled = scaled > 127.0f ? 127.0f : scaled;
        scaled = scaled < -127.0f ? -127.0f : scaled;
        out[i] = (int8_t)((scaled + ASSAY_MAGIC) - ASSAY_MAGIC);     // 1.5·2²³ has no room for a fraction: half to even
    }
    return amax / 127.0f;
}

static int32_t dot(long k, const int8_t *a, const int8_t *b) {
    int32_t sum = 0;
    for (long p = 0; p < k; p++) sum += (int32_t)a[p] * b[p];
    return sum;
}

static void whole(assay_orientation orientation, long firstRow, long lastRow, long n, long k, const float *a, long lda, const float *b, long ldb,
                  float *c, long ldc, bool accumulate, void *workspace) {
    (void)workspace;
    long block = assay_int8_block(orientation), rows = lastRow - firstRow;
    size_t most = (size_t)(k < block ? k : block) + 1;
    int8_t *right = malloc(most * (size_t)(n + 1)), *left = malloc(most);
    float *scales = malloc(sizeof(float) * (size_t)(n + 1));
    if (!right || !left || !scales) abort();
    if (!accumulate)
        for (long i = 0; i < rows; i++) memset(c + (firstRow + i) * ldc, 0, sizeof(float) * (size_t)n);
    for (long k0 = 0; k0 < k; k0 += block) {
        long kb = k - k0 < block ? k - k0 : block;
        for (long j = 0; j < n; j++)
            scales[j] = orientation == ASSAY_NT ? assay_int8_quantize(kb, b + j * ldb + k0, 1, right + j * kb)
                                                : assay_int8_quantize(kb, b + k0 * ldb + j, ldb, right + j * kb);
        for (long i = firstRow; i < lastRow; i++) {
            float scale = orientation == ASSAY_TN ? assay_int8_quantize(kb, a + k0 * lda + i, lda, left)
                                                  : assay_int8_quantize(kb, a + i * lda + k0, 1, left);
            for (long j = 0; j < n; j++) {
                float result = ((float)dot(kb, left, right + j * kb) * scale) * scales[j];
                c[i * ldc + j] = c[i * ldc + j] + result;
            }
        }
    }
    free(right);
    free(left);
    free(scales);
}

const assay_int8_kernels assay_int8_reference = {.name = "reference", .group = 4, .panel = 16, .tile = 1, .whole = whole};
