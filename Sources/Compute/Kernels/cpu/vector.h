#pragma once
// Sixteen lanes as one value: a zmm, two ymm or four q registers. The file that includes this has set the target of its functions,
// so the same C becomes AVX-512, AVX2 or NEON; what a lane computes is the reference's line of the same name.
#include "../internal/exact.h"

#pragma clang diagnostic ignored "-Wpsabi"   // every function that takes or returns lanes is inlined: no ABI is involved

typedef float f16 __attribute__((ext_vector_type(16)));
typedef float f16u __attribute__((ext_vector_type(16), aligned(4)));
typedef float f8 __attribute__((ext_vector_type(8)));
typedef float f4 __attribute__((ext_vector_type(4)));
typedef float f2 __attribute__((ext_vector_type(2)));
typedef int32_t i16 __attribute__((ext_vector_type(16)));
typedef int32_t i8 __attribute__((ext_vector_type(8)));
typedef uint32_t u16 __attribute__((ext_vector_type(16)));

#define INLINE static inline __attribute__((always_inline))

INLINE f16 load(const float *p) { return *(const f16u *)p; }
INLINE void store(float *p, f16 x) { *(f16u *)p = x; }
INLINE f16 splat(float x) { return (f16)(x); }
INLINE f16 fused(f16 a, f16 b, f16 c) { return __builtin_elementwise_fma(a, b, c); }
INLINE f16 choose(i16 mask, f16 yes, f16 no) { return mask ? yes : no; }
/// (a > b) ? a : b.
INLINE f16 larger(f16 a, f16 b) { return choose(a > b, a, b); }
INLINE i16 first_lanes(long count) {
    const i16 index = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return index < (i16)((int32_t)count);
}
/// The last, partial lanes of a row (at most 15); the rest are +0.
#if defined(LANES_AVX512)
INLINE f16 load_part(const float *p, long count) { return (f16)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), p); }
INLINE void store_part(float *p, f16 x, long count) { _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), (__m512)x); }
#elif defined(LANES_AVX2)
INLINE f16 load_part(const float *p, long count) {
    i16 mask = first_lanes(count);
    f16 x;
    x.lo = (f8)_mm256_maskload_ps(p, (__m256i)mask.lo);
    x.hi = (f8)_mm256_maskload_ps(p + 8, (__m256i)mask.hi);
    return x;
}
INLINE void store_part(float *p, f16 x, long count) {
    i16 mask = first_lanes(count);
    _mm256_maskstore_ps(p, (__m256i)mask.lo, (__m256)x.lo);
    _mm256_maskstore_ps(p + 8, (__m256i)mask.hi, (__m256)x.hi);
}
#else
INLINE f16 load_part(const float *p, long count) {
    float part[16] __attribute__((aligned(64))) = {0};
    for (long i = 0; i < count; i++) part[i] = p[i];
    return load(part);
}
INLINE void store_part(float *p, f16 x, long count) {
    float part[16] __attribute__((aligned(64)));
    store(part, x);
    for (long i = 0; i < count; i++) p[i] = part[i];
}
#endif

INLINE f16 load_up_to(const float *p, long count) { return count >= 16 ? load(p) : load_part(p, count); }
INLINE void store_up_to(float *p, f16 x, long count) {
    if (count >= 16) store(p, x);
    else store_part(p, x, count);
}

/// 16 → 8 → 4 → 2 → 1.
INLINE float lane_tree(f16 x) {
    f8 a = x.lo + x.hi;
    f4 b = a.lo + a.hi;
    f2 c = b.lo + b.hi;
    return c.x + c.y;
}
INLINE float lane_largest(f16 x) {
    f8 a = x.lo > x.hi ? x.lo : x.hi;
    f4 b = a.lo > a.hi ? a.lo : a.hi;
    f2 c = b.lo > b.hi ? b.lo : b.hi;
    return c.x > c.y ? c.x : c.y;
}

INLINE f16 vector_exp(f16 x) {
    x = choose(x < ASSAY_EXP_LOW, splat(ASSAY_EXP_LOW), x);
    x = choose(x > ASSAY_EXP_HIGH, splat(ASSAY_EXP_HIGH), x);
    f16 t = fused(x, splat(ASSAY_LOG2E), splat(ASSAY_MAGIC));
    f16 n = t - ASSAY_MAGIC;
    f16 r = fused(n, splat(-ASSAY_LN2_HI), x);
    r = fused(n, splat(-ASSAY_LN2_LO), r);
    f16 q = fused(splat(ASSAY_E5), r, splat(ASSAY_E4));
    q = fused(q, r, splat(ASSAY_E3));
    q = fused(q, r, splat(ASSAY_E2));
    q = fused(q, r, splat(ASSAY_E1));
    q = fused(q, r, splat(ASSAY_E0));
    f16 p = fused(r * r, q, r) + 1.0f;
    i16 power = (i16)t - (i16)splat(ASSAY_MAGIC);
    i16 half = power >> 1;
    f16 low = (f16)((u16)(half + 127) << 23u), high = (f16)((u16)(power - half + 127) << 23u);
    return (p * low) * high;
}

INLINE f16 vector_log(f16 x) {
    i16 tiny = x < FLT_MIN;
    f16 scaled = choose(tiny, x * 0x1p23f, x);
    u16 bits = (u16)scaled;
    i16 exponent = (i16)(bits - (u16)(ASSAY_SQRT_HALF_BITS)) >> 23;
    f16 m = (f16)(bits - ((u16)exponent << 23u));
    f16 e = __builtin_convertvector(exponent - (tiny & 23), f16);
    f16 f = m - 1.0f;
    f16 q = fused(splat(ASSAY_L8), f, splat(ASSAY_L7));
    q = fused(q, f, splat(ASSAY_L6));
    q = fused(q, f, splat(ASSAY_L5));
    q = fused(q, f, splat(ASSAY_L4));
    q = fused(q, f, splat(ASSAY_L3));
    q = fused(q, f, splat(ASSAY_L2));
    q = fused(q, f, splat(ASSAY_L1));
    q = fused(q, f, splat(ASSAY_L0));
    f16 z = f * f;
    f16 y = (f * z) * q;
    y = fused(e, splat(ASSAY_LN2_LO), y);
    y = fused(splat(-0.5f), z, y);
    f16 result = fused(e, splat(ASSAY_LN2_HI), f + y);
    result = choose(x < __builtin_inff(), result, x);
    result = choose(x == 0.0f, splat(-__builtin_inff()), result);
    return choose(x < 0.0f, splat(__builtin_nanf("")), result);
}

INLINE f16 vector_tanh(f16 x) {
    f16 a = (f16)((u16)x & 0x7fffffffu);
    f16 z = x * x;
    f16 q = fused(splat(ASSAY_T4), z, splat(ASSAY_T3));
    q = fused(q, z, splat(ASSAY_T2));
    q = fused(q, z, splat(ASSAY_T1));
    q = fused(q, z, splat(ASSAY_T0));
    f16 small = fused(x * z, q, x);
    f16 large = 1.0f - 2.0f / (vector_exp(2.0f * a) + 1.0f);
    large = (f16)((u16)large | ((u16)x & 0x80000000u));
    return choose(a < 0.625f, small, large);
}

INLINE f16 vector_gelu(f16 x) {
    f16 t = vector_tanh(ASSAY_GELU_A * fused(ASSAY_GELU_B * (x * x), x, x));
    return (0.5f * x) * (1.0f + t);
}

INLINE f16 vector_gelu_slope(f16 x) {
    f16 square = x * x;
    f16 t = vector_tanh(ASSAY_GELU_A * fused(ASSAY_GELU_B * square, x, x));
    f16 inner = ASSAY_GELU_A * fused(splat(ASSAY_GELU_B3), square, splat(1.0f));
    return fused((0.5f * x) * (1.0f - t * t), inner, 0.5f * (1.0f + t));
}

INLINE f16 vector_sigmoid(f16 x) { return 1.0f / (1.0f + vector_exp(-x)); }
