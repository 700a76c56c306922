// What a Llama-style layer has in place of LayerNorm, GELU and learned positions.
#include "kernels.h"

/// Zhang, Sennrich, "Root Mean Square Layer Normalization" (2019), eq. 4, with ε = 1e-5 under the root.
void reference_rms_norm(long rows, long channels, const float *x, const float *weight, float *out, float *rstd) {
    for (long r = 0; r < rows; r++, x += channels, out += channels) {
        float scale = 1.0f / __builtin_sqrtf(reference_sum_squares(channels, x) / (float)channels + ASSAY_NORM_EPSILON);
        for (long c = 0; c < channels; c++) out[c] = (x[c] * scale) * weight[c];
        rstd[r] = scale;
    }
}

void reference_residual_rms_norm(long rows, long channels, const float *x, float *y, const float *weight, float *out, float *rstd) {
    for (long i = 0; i < rows * channels; i++) y[i] = x[i] + y[i];
    reference_rms_norm(rows, channels, y, weight, out, rstd);
}

void reference_rms_norm_backward_input(long rows, long channels, const float *dy, const float *x, const float *weight, const float *rstd, float *dx) {
    for (long r = 0; r < rows; r++, x += channels, dy += channels, dx += channels) {
        float along[16] = {0};
        for (long c = 0; c < channels; c++) along[c % 16] = fused(dy[c] * weight[c], x[c] * rstd[r], along[c % 16]);
        float slope = lane_tree(along) / (float)channels;
        for (long c = 0; c < channels; c++) dx[c] = fused(fused(-(x[c] * rstd[r]), slope, dy[c] * weight[c]), rstd[r], dx[c]);
    }
}

void reference_rms_norm_backward_weights(long rows, long channels, long first, long last, const float *dy, const float *x, const float *rstd,
                                         float *dweight) {
    for (long r = 0; r < rows; r++, x += channels, dy += channels)
        for (long c = first; c < last; c++) dweight[c] = fused(dy[c], x[c] * rstd[r], dweight[c]);
}

/// Shazeer, "GLU Variants Improve Transformer" (2020), eq. 5: SwiGLU with β = 1.
void reference_swiglu(long count, const float *gate, const float *up, float *out) {
    for (long i = 0; i < count; i++) out[i] = (gate[i] * exact_sigmoid(gate[i])) * up[i];
}

void reference_swiglu_backward(long count, const float *gate, const float *up, const float *dout, float *dgate, float *dup) {
    for (long i = 0; i < count; i++) {
        float x = gate[i], d = dout[i], s = exact_sigmoid(x);
        dup[i] = d * (x * s);
        dgate[i] = (d * up[i]) * (s * fused(x, 1.0f - s, 1.0f));
    }
}

/// Su et al., "RoFormer" (2021), eq. 34, with column i paired with i + size ÷ 2 as transformers pairs them.
void reference_rotate(long heads, long size, const float *cosines, const float *sines, bool back, float *x) {
    long half = size / 2;
    for (long h = 0; h < heads; h++, x += size)
        for (long i = 0; i < half; i++) {
            float a = x[i], b = x[i + half], sine = back ? -sines[i] : sines[i];
            x[i] = fused(a, cosines[i], -(b * sine));
            x[i + half] = fused(b, cosines[i], a * sine);
        }
}
ASSAY_REFERENCE_END
