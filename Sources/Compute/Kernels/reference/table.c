#include "kernels.h"

const assay_kernels assay_kernels_reference = {
    .name = "reference", .matmul = reference_matmul, .exp = reference_exp, .log = reference_log, .tanh = reference_tanh,
    .sum = reference_sum, .sumSquares = reference_sum_squares, .add = reference_add, .subtract = reference_subtract,
    .addScaled = reference_add_scaled, .scale = reference_scale, .gelu = reference_gelu, .geluBackward = reference_gelu_backward,
    .addBias = reference_add_bias, .sumRows = reference_sum_rows, .layerNorm = reference_layer_norm,
    .residualNorm = reference_residual_norm, .biasGelu = reference_bias_gelu,
    .layerNormBackwardInput = reference_layer_norm_backward_input, .layerNormBackwardWeights = reference_layer_norm_backward_weights,
    .rmsNorm = reference_rms_norm, .residualRmsNorm = reference_residual_rms_norm,
    .rmsNormBackwardInput = reference_rms_norm_backward_input, .rmsNormBackwardWeights = reference_rms_norm_backward_weights,
    .swiglu = reference_swiglu, .swigluBackward = reference_swiglu_backward, .rotate = reference_rotate,
    .attention = reference_attention, .attentionBackward = reference_attention_backward,
    .crossEntropy = reference_cross_entropy, .adamw = reference_adamw,
};

/// The schedule's cosine is computed once a step and has one form for all paths.
float assay_cospi(float x) {
    float u = x <= 0.5f ? x : 1.0f - x;
    float value;
    if (u <= 0.25f) {
        float z = u * u;
        value = fused(z, fused(fused(fused(ASSAY_C3, z, ASSAY_C2), z, ASSAY_C1), z, ASSAY_C0), 1.0f);
    } else {
        float s = 0.5f - u, z = s * s;
        value = s * fused(fused(fused(ASSAY_S3, z, ASSAY_S2), z, ASSAY_S1), z, ASSAY_S0);
    }
    return x <= 0.5f ? value : -value;
}
ASSAY_REFERENCE_END
