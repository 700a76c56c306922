// The table of a path, once all of its kernels are defined.
#define VECTOR_TABLE(path)                                                                                                      \
    {                                                                                                                           \
        .name = path, .matmul = vector_matmul, .exp = vector_exp_all, .log = vector_log_all, .tanh = vector_tanh_all,           \
        .sum = vector_sum, .sumSquares = vector_sum_squares, .add = vector_add, .subtract = vector_subtract,                    \
        .addScaled = vector_add_scaled, .scale = vector_scale, .gelu = vector_gelu_all, .geluBackward = vector_gelu_backward,   \
        .addBias = vector_add_bias, .sumRows = vector_sum_rows, .layerNorm = vector_layer_norm, .residualNorm = vector_residual_norm, .biasGelu = vector_bias_gelu,                                 \
        .layerNormBackwardInput = vector_layer_norm_backward_input, .layerNormBackwardWeights = vector_layer_norm_backward_weights, \
        .attention = vector_attention, .attentionBackward = vector_attention_backward,                                          \
        .crossEntropy = vector_cross_entropy, .adamw = vector_adamw,                                                            \
    }
