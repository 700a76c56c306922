// The table of a path, once all of its kernels are defined.
#define VECTOR_TABLE(path)                                                                                                      \
    {                                                                                                                           \
        .name = path, .matmul = vector_matmul, .exp = vector_exp_all, .log = vector_log_all, .tanh = vector_tanh_all,           \
        .sum = vector_sum, .sumSquares = vector_sum_squares, .add = vector_add, .subtract = vector_subtract,                    \
        .addScaled = vector_add_scaled, .scale = vector_scale, .gelu = vector_gelu_all, .geluBackward = vector_gelu_backward,   \
        .addBias = vector_add_bias, .sumRows = vector_sum_rows, .layerNorm = vector_layer_norm, .residualNorm = vector_residual_norm, .biasGelu = vector_bias_gelu,                                 \
        .layerNormBackwardInput = vector_layer_norm_backward_input, .layerNormBackwardWeights = vector_layer_norm_backward_weights, \
        .rmsNorm = vector_rms_norm, .residualRmsNorm = vector_residual_rms_norm,                                                \
        .rmsNormBackwardInput = vector_rms_norm_backward_input, .rmsNormBackwardWeights = vector_rms_norm_backward_weights,     \
        .swiglu = vector_swiglu, .swigluBackward = vector_swiglu_backward, .rotate = vector_rotate,                             \
        .attention = vector_attention, .attentionBackward = vector_attention_backward,                                          \
        .crossEntropy = vector_cross_entropy, .adamw = vector_adamw,                                                            \
    }
