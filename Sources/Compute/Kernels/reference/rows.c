// Kernels that work along rows: norms, cross-entropy; and sums down the columns.
#include "kernels.h"

void reference_add_bias(long rows, long columns, const float *bias, float *x) {
    for (long r = 0; r < rows; r++)
        for (long c = 0; c < columns; c++) x[r * columns + c] = x[r * columns + c] + bias[c];
}

void reference_sum_rows(long rows, long columns, long first, long last, const float *x, float *out) {
    for (long r = 0; r < rows; r++)
        for (long c = first; c < last; c++) out[c] = out[c] + x[r * columns + c];
}

/// Ba, Kiros, Hinton, "Layer Normalization" (2016), eq. 4, with ε = 1e-5 under the root.
void reference_layer_norm(long rows, long channels, const float *x, const float *weight, const float *bias, float *out, float *mean, float *rstd) {
    for (long r = 0; r < rows; r++, x += channels, out += channels) {
        float centre = reference_sum(channels, x) / (float)channels;
        float lanes[16] = {0};
        for (long c = 0; c < channels; c++) {
            float d = x[c] - centre;
            lanes[c % 16] = fused(d, d, lanes[c % 16]);
        }
        float scale = 1.0f / __builtin_sqrtf(lane_tree(lanes) / (float)channels + ASSAY_NORM_EPSILON);
        for (long c = 0; c < channels; c++) {
            float y = ((x[c] - centre) * scale) * weight[c];
            out[c] = bias ? y + bias[c] : y;
        }
        mean[r] = centre;
        rstd[r] = scale;
    }
}

void reference_residual_norm(long rows, long channels, const float *x, const float *yBias, float *y, const float *weight, const float *bias,
                             float *out, float *mean, float *rstd) {
    for (long r = 0; r < rows; r++)
        for (long c = 0; c < channels; c++) {
            float value = y[r * channels + c];
            if (yBias) value = value + yBias[c];
            y[r * channels + c] = x[r * channels + c] + value;
        }
    reference_layer_norm(rows, channels, y, weight, bias, out, mean, rstd);
}

void reference_bias_gelu(long rows, long columns, const float *bias, float *x, float *out) {
    if (bias) reference_add_bias(rows, columns, bias, x);
    reference_gelu(rows * columns, x, out);
}

void reference_layer_norm_backward_input(long rows, long channels, const float *dy, const float *x, const float *weight, const float *mean,
                                         const float *rstd, float *dx) {
    for (long r = 0; r < rows; r++, x += channels, dy += channels, dx += channels) {
        float plain[16] = {0}, along[16] = {0};
        for (long c = 0; c < channels; c++) {
            float normal = (x[c] - mean[r]) * rstd[r], d = dy[c] * weight[c];
            plain[c % 16] = plain[c % 16] + d;
            along[c % 16] = fused(d, normal, along[c % 16]);
        }
        float shift = lane_tree(plain) / (float)channels, slope = lane_tree(along) / (float)channels;
        for (long c = 0; c < channels; c++) {
            float normal = (x[c] - mean[r]) * rstd[r], d = dy[c] * weight[c];
            dx[c] = fused(fused(-normal, slope, d - shift), rstd[r], dx[c]);
        }
    }
}

void reference_layer_norm_backward_weights(long rows, long channels, long first, long last, const float *dy, const float *x, const float *mean,
                                           const float *rstd, float *dweight, float *dbias) {
    for (long r = 0; r < rows; r++, x += channels, dy += channels)
        for (long c = first; c < last; c++) {
            dweight[c] = fused(dy[c], (x[c] - mean[r]) * rstd[r], dweight[c]);
            if (dbias) dbias[c] = dbias[c] + dy[c];
        }
}

float reference_largest(long count, const float *x) {
    float lanes[16];
    for (int i = 0; i < 16; i++) lanes[i] = -__builtin_inff();
    for (long i = 0; i < count; i++) lanes[i % 16] = lanes[i % 16] > x[i] ? lanes[i % 16] : x[i];
    for (int width = 8; width > 0; width /= 2)
        for (int i = 0; i < width; i++) lanes[i] = lanes[i] > lanes[i + width] ? lanes[i] : lanes[i + width];
    return lanes[0];
}

void reference_cross_entropy(long rows, long vocabulary, float *logits, const uint16_t *targets, float scale, bool gradient, float *losses) {
    for (long r = 0; r < rows; r++, logits += vocabulary) {
        float top = reference_largest(vocabulary, logits), wanted = logits[targets[r]];
        for (long i = 0; i < vocabulary; i++) logits[i] = exact_exp(logits[i] - top);
        double whole = 0;
        for (long i = 0; i < vocabulary; i += ASSAY_SUM_CHUNK)
            whole += (double)reference_sum(vocabulary - i < ASSAY_SUM_CHUNK ? vocabulary - i : ASSAY_SUM_CHUNK, logits + i);
        float sum = (float)whole;
        losses[r] = exact_log(sum) + (top - wanted);
        if (!gradient) continue;
        float inverse = 1.0f / sum, target = logits[targets[r]] * inverse - 1.0f;
        for (long i = 0; i < vocabulary; i++) logits[i] = (logits[i] * inverse) * scale;
        logits[targets[r]] = target * scale;
    }
}
ASSAY_REFERENCE_END
