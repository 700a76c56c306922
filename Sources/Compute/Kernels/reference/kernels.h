#pragma once
// The reference kernels by name; their table is in table.c.
#include "elementary.h"

void reference_matmul(assay_orientation, long, long, long, const float *, long, const float *, long, float *, long, bool, float *);
void reference_exp(long, const float *, float *);
void reference_log(long, const float *, float *);
void reference_tanh(long, const float *, float *);
float reference_sum(long, const float *);
float reference_sum_squares(long, const float *);
void reference_add(long, const float *, const float *, float *);
void reference_subtract(long, const float *, const float *, float *);
void reference_add_scaled(long, float, const float *, float *);
void reference_scale(long, float, const float *, float *);
void reference_gelu(long, const float *, float *);
void reference_gelu_backward(long, const float *, const float *, float *);
void reference_add_bias(long, long, const float *, float *);
void reference_sum_rows(long, long, long, long, const float *, float *);
void reference_layer_norm(long, long, const float *, const float *, const float *, float *, float *, float *);
void reference_residual_norm(long, long, const float *, const float *, float *, const float *, const float *, float *, float *, float *);
void reference_bias_gelu(long, long, const float *, float *, float *);
void reference_layer_norm_backward_input(long, long, const float *, const float *, const float *, const float *, const float *, float *);
void reference_layer_norm_backward_weights(long, long, long, long, const float *, const float *, const float *, const float *, float *, float *);
float reference_largest(long, const float *);
void reference_attention(const assay_head *, float *, float *, float *, float *);
void reference_attention_backward(const assay_head *, const float *, const float *, const float *, float *, float *, float *, float *);
void reference_cross_entropy(long, long, float *, const uint16_t *, float, bool, float *);
void reference_rms_norm(long, long, const float *, const float *, float *, float *);
void reference_residual_rms_norm(long, long, const float *, float *, const float *, float *, float *);
void reference_rms_norm_backward_input(long, long, const float *, const float *, const float *, const float *, float *);
void reference_rms_norm_backward_weights(long, long, long, long, const float *, const float *, const float *, float *);
void reference_swiglu(long, const float *, const float *, float *);
void reference_swiglu_backward(long, const float *, const float *, const float *, float *, float *);
void reference_rotate(long, long, const float *, const float *, bool, float *);
void reference_adamw(long, const assay_adamw *, const float *, float *, float *, float *);
