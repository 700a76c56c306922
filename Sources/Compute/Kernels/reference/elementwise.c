// Each output from its own inputs; and the 16-lane sums.
#include "kernels.h"

void reference_exp(long count, const float *x, float *out) { for (long i = 0; i < count; i++) out[i] = exact_exp(x[i]); }
void reference_log(long count, const float *x, float *out) { for (long i = 0; i < count; i++) out[i] = exact_log(x[i]); }
void reference_tanh(long count, const float *x, float *out) { for (long i = 0; i < count; i++) out[i] = exact_tanh(x[i]); }
void reference_gelu(long count, const float *x, float *out) { for (long i = 0; i < count; i++) out[i] = exact_gelu(x[i]); }
void reference_gelu_backward(long count, const float *x, const float *dy, float *dx) {
    for (long i = 0; i < count; i++) dx[i] = dy[i] * exact_gelu_slope(x[i]);
}
void reference_add(long count, const float *a, const float *b, float *out) { for (long i = 0; i < count; i++) out[i] = a[i] + b[i]; }
void reference_subtract(long count, const float *a, const float *b, float *out) { for (long i = 0; i < count; i++) out[i] = a[i] - b[i]; }
void reference_add_scaled(long count, float scale, const float *x, float *out) {
    for (long i = 0; i < count; i++) out[i] = fused(scale, x[i], out[i]);
}
void reference_scale(long count, float scale, const float *x, float *out) { for (long i = 0; i < count; i++) out[i] = scale * x[i]; }

float reference_sum(long count, const float *x) {
    float lanes[16] = {0};
    for (long i = 0; i < count; i++) lanes[i % 16] = lanes[i % 16] + x[i];
    return lane_tree(lanes);
}

float reference_sum_squares(long count, const float *x) {
    float lanes[16] = {0};
    for (long i = 0; i < count; i++) lanes[i % 16] = fused(x[i], x[i], lanes[i % 16]);
    return lane_tree(lanes);
}

/// Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2, with the bias corrections folded into scalars.
void reference_adamw(long count, const assay_adamw *rules, const float *gradient, float *parameters, float *m, float *v) {
    for (long i = 0; i < count; i++) {
        float g = gradient[i] * rules->gradientScale;
        m[i] = fused(rules->beta1, m[i], rules->oneMinusBeta1 * g);
        v[i] = fused(rules->beta2, v[i], (rules->oneMinusBeta2 * g) * g);
        float denominator = fused(__builtin_sqrtf(v[i]), rules->rootCorrection, rules->epsilon);
        float decayed = fused(-rules->decay, parameters[i], parameters[i]);
        parameters[i] = fused(-rules->stepSize, m[i] / denominator, decayed);
    }
}
ASSAY_REFERENCE_END
