#pragma once
// The elementary functions, one IEEE operation at a time: what internal/polynomials.h says, as C.
#include "../internal/exact.h"

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("fma"))), apply_to = function)   // the same fma, without a call into libm
#define ASSAY_REFERENCE_END _Pragma("clang attribute pop")
#else
#define ASSAY_REFERENCE_END
#endif

static inline float fused(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
static inline uint32_t bits_of(float x) { uint32_t b; memcpy(&b, &x, 4); return b; }
static inline float float_of(uint32_t b) { float x; memcpy(&x, &b, 4); return x; }

static inline float exact_exp(float x) {
    x = x < ASSAY_EXP_LOW ? ASSAY_EXP_LOW : x;
    x = x > ASSAY_EXP_HIGH ? ASSAY_EXP_HIGH : x;
    float t = fused(x, ASSAY_LOG2E, ASSAY_MAGIC);
    float n = t - ASSAY_MAGIC;
    float r = fused(n, -ASSAY_LN2_HI, x);
    r = fused(n, -ASSAY_LN2_LO, r);
    float q = fused(ASSAY_E5, r, ASSAY_E4);
    q = fused(q, r, ASSAY_E3);
    q = fused(q, r, ASSAY_E2);
    q = fused(q, r, ASSAY_E1);
    q = fused(q, r, ASSAY_E0);
    float p = fused(r * r, q, r) + 1.0f;
    int32_t power = (int32_t)(bits_of(t) - bits_of(ASSAY_MAGIC));
    int32_t half = power >> 1;
    float low = float_of((uint32_t)(half + 127) << 23), high = float_of((uint32_t)(power - half + 127) << 23);
    return (p * low) * high;
}

static inline float exact_log(float x) {
    bool tiny = x < FLT_MIN;
    float scaled = tiny ? x * 0x1p23f : x;
    uint32_t bits = bits_of(scaled);
    int32_t exponent = (int32_t)(bits - ASSAY_SQRT_HALF_BITS) >> 23;
    float m = float_of(bits - ((uint32_t)exponent << 23));
    float e = (float)(exponent - (tiny ? 23 : 0));
    float f = m - 1.0f;
    float q = fused(ASSAY_L8, f, ASSAY_L7);
    q = fused(q, f, ASSAY_L6);
    q = fused(q, f, ASSAY_L5);
    q = fused(q, f, ASSAY_L4);
    q = fused(q, f, ASSAY_L3);
    q = fused(q, f, ASSAY_L2);
    q = fused(q, f, ASSAY_L1);
    q = fused(q, f, ASSAY_L0);
    float z = f * f;
    float y = (f * z) * q;
    y = fused(e, ASSAY_LN2_LO, y);
    y = fused(-0.5f, z, y);
    float result = fused(e, ASSAY_LN2_HI, f + y);
    result = x < __builtin_inff() ? result : x;                 // +∞ and NaN
    result = x == 0.0f ? -__builtin_inff() : result;
    return x < 0.0f ? __builtin_nanf("") : result;
}

static inline float exact_tanh(float x) {
    float a = float_of(bits_of(x) & 0x7fffffffu);
    float z = x * x;
    float q = fused(ASSAY_T4, z, ASSAY_T3);
    q = fused(q, z, ASSAY_T2);
    q = fused(q, z, ASSAY_T1);
    q = fused(q, z, ASSAY_T0);
    float small = fused(x * z, q, x);
    float large = 1.0f - 2.0f / (exact_exp(2.0f * a) + 1.0f);
    large = float_of(bits_of(large) | (bits_of(x) & 0x80000000u));
    return a < 0.625f ? small : large;
}

static inline float exact_gelu(float x) {
    float t = exact_tanh(ASSAY_GELU_A * fused(ASSAY_GELU_B * (x * x), x, x));
    return (0.5f * x) * (1.0f + t);
}

static inline float exact_gelu_slope(float x) {
    float square = x * x;
    float t = exact_tanh(ASSAY_GELU_A * fused(ASSAY_GELU_B * square, x, x));
    float inner = ASSAY_GELU_A * fused(ASSAY_GELU_B3, square, 1.0f);
    return fused((0.5f * x) * (1.0f - t * t), inner, 0.5f * (1.0f + t));
}

static inline float exact_sigmoid(float x) { return 1.0f / (1.0f + exact_exp(-x)); }

/// 16 → 8 → 4 → 2 → 1.
static inline float lane_tree(float lanes[16]) {
    for (int width = 8; width > 0; width /= 2)
        for (int i = 0; i < width; i++) lanes[i] = lanes[i] + lanes[i + width];
    return lanes[0];
}
