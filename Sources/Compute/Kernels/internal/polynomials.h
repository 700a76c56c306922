#pragma once
// The numbers of our elementary functions: other programs may be trainers, so these are part of the rules.
// Every step is one IEEE operation, in the order written in reference/elementary.h; F(…) below is fma, Horner from the last coefficient.
//
// exp(x): x clamped to [-104, 89]; t = F(x, LOG2E, MAGIC); n = t − MAGIC; r = F(n, −LN2_HI, x); r = F(n, −LN2_LO, r);
//   q = E0 + r·(E1 + …); p = F(r·r, q, r) + 1; result (p · 2^⌊n/2⌋) · 2^(n−⌊n/2⌋). Overflows to +∞, underflows gradually.
// log(x): subnormals times 2^23 first; x = 2^e · m, m in [√½, √2); f = m − 1; q = L0 + f·(L1 + …); z = f·f;
//   y = (f·z)·q; y = F(e, LN2_LO, y); y = F(−½, z, y); result F(e, LN2_HI, f + y). log(±0) = −∞, log(negative) = NaN, log(+∞) = +∞.
// tanh(x): |x| < 0.625: z = x·x; F(x·z, T0 + z·(T1 + …), x). Otherwise 1 − 2 ÷ (exp(2|x|) + 1), with the sign of x. tanh(−0) is +0.
// cos(πx): u = x or 1 − x, whichever is ≤ ½; u ≤ ¼: F(u·u, C0 + …, 1), else s = ½ − u: s · (S0 + …); sign of the half.

#define ASSAY_MAGIC 0x1.8p+23f
#define ASSAY_EXP_LOW (-104.0f)
#define ASSAY_EXP_HIGH 89.0f
#define ASSAY_LOG2E 0x1.715476p+0f
#define ASSAY_LN2_HI 0x1.62e4p-1f
#define ASSAY_LN2_LO 0x1.7f7d1cp-20f

#define ASSAY_E0 0x1p-1f
#define ASSAY_E1 0x1.555554p-3f
#define ASSAY_E2 0x1.55548ep-5f
#define ASSAY_E3 0x1.111272p-7f
#define ASSAY_E4 0x1.6d8dbp-10f
#define ASSAY_E5 0x1.9f081p-13f

#define ASSAY_SQRT_HALF_BITS 0x3f3504f3u
#define ASSAY_L0 0x1.555548p-2f
#define ASSAY_L1 (-0x1.000006p-2f)
#define ASSAY_L2 0x1.99a4bcp-3f
#define ASSAY_L3 (-0x1.555c5ap-3f)
#define ASSAY_L4 0x1.2336e2p-3f
#define ASSAY_L5 (-0x1.fc1f6cp-4f)
#define ASSAY_L6 0x1.e6f608p-4f
#define ASSAY_L7 (-0x1.de4f9ep-4f)
#define ASSAY_L8 0x1.14630ep-4f

#define ASSAY_T0 (-0x1.555532p-2f)
#define ASSAY_T1 0x1.110726p-3f
#define ASSAY_T2 (-0x1.b83c5ap-5f)
#define ASSAY_T3 0x1.52269ap-6f
#define ASSAY_T4 (-0x1.75e1cap-8f)

#define ASSAY_C0 (-0x1.3bd3ccp+2f)
#define ASSAY_C1 0x1.03c1dep+2f
#define ASSAY_C2 (-0x1.55c65ep+0f)
#define ASSAY_C3 0x1.d9f5b4p-3f
#define ASSAY_S0 0x1.921fb6p+1f
#define ASSAY_S1 (-0x1.4abbb8p+2f)
#define ASSAY_S2 0x1.465e8cp+1f
#define ASSAY_S3 (-0x1.2d91aap-1f)

// GELU(x) = (½·x)·(1 + tanh(u)), u = GELU_A·F(GELU_B·(x·x), x, x).
// GELU′(x) = F((½·x)·(1 − t·t), GELU_A·F(GELU_B3, x·x, 1), ½·(1 + t)).
#define ASSAY_GELU_A 0x1.988454p-1f
#define ASSAY_GELU_B 0x1.6e4e26p-5f
#define ASSAY_GELU_B3 0x1.12ba9cp-3f
// silu(x) = x·s, s = 1 ÷ (1 + exp(−x)); silu′(x) = s·F(x, 1 − s, 1).
#define ASSAY_NORM_EPSILON 0x1.4f8b58p-17f
