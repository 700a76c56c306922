#pragma once
// Exact float kernels. Every path gives the same bits: products and sums have one written order, each multiply-add that is fused
// says so, and threads split outputs, never a sum. `reference/` is what a kernel means, `cpu/` is its speed.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Sums of up to this many elements are one 16-lane sum; longer ones are cut into chunks of this size.
#define ASSAY_SUM_CHUNK 4096
/// Attention works in tiles of this many queries; a tile sees the keys up to its own end, those above the diagonal with probability +0.
#define ASSAY_QUERY_TILE 16
/// The longest sequence: a row of scores is one 16-lane sum.
#define ASSAY_CONTEXT_LIMIT ASSAY_SUM_CHUNK
/// Floats of scratch that a thread of a pool has for packing.
#define ASSAY_SCRATCH_FLOATS (5 << 18)

/// Which operand is read across its rows: C = A·B, A·Bᵀ or Aᵀ·B, all row-major.
typedef enum { ASSAY_NN = 0, ASSAY_NT = 1, ASSAY_TN = 2 } assay_orientation;

/// One AdamW step's scalars, all computed by the caller in the order the rules give.
typedef struct {
    float gradientScale;      ///< 1, or clip ÷ norm
    float beta1, oneMinusBeta1, beta2, oneMinusBeta2;
    float rootCorrection;     ///< 1 ÷ √(1 − β₂ᵗ)
    float epsilon;
    float stepSize;           ///< learning rate ÷ (1 − β₁ᵗ)
    float decay;              ///< learning rate × weight decay, or 0 where a tensor does not decay
} assay_adamw;

/// One head over one sequence. q, k and v are [context, size] with `stride` floats from row to row; out and its gradient have `outStride`.
typedef struct {
    long context, size;       ///< context ≤ ASSAY_CONTEXT_LIMIT
    const float *q, *k, *v;
    long stride, outStride;
    float scale;              ///< 1 ÷ √size
} assay_head;

/// The kernels of one path. Each runs on the calling thread; `assay_parallel_*` below split their outputs over a pool.
typedef struct assay_kernels {
    const char *name;
    /// C[m, n] (+)= A·B: each element is acc = fma(a[k], b[k], acc), k = 0, 1, … from +0, or from what C holds when `accumulate`.
    /// `scratch` holds ASSAY_SCRATCH_FLOATS, 64-byte aligned.
    void (*matmul)(assay_orientation orientation, long m, long n, long k, const float *a, long lda, const float *b, long ldb,
                   float *c, long ldc, bool accumulate, float *scratch);
    /// Elementwise exp, log, tanh by our own polynomials (internal/polynomials.h).
    void (*exp)(long count, const float *x, float *out);
    void (*log)(long count, const float *x, float *out);
    void (*tanh)(long count, const float *x, float *out);
    /// The 16-lane sum, and sum of squares by fma, of at most ASSAY_SUM_CHUNK elements.
    float (*sum)(long count, const float *x);
    float (*sumSquares)(long count, const float *x);
    /// out = a + b, and out = a − b.
    void (*add)(long count, const float *a, const float *b, float *out);
    void (*subtract)(long count, const float *a, const float *b, float *out);
    /// out = fma(scale, x, out), and out = scale · x.
    void (*addScaled)(long count, float scale, const float *x, float *out);
    void (*scale)(long count, float scale, const float *x, float *out);
    /// GELU in its tanh form, and dx = dy · gelu′(x).
    void (*gelu)(long count, const float *x, float *out);
    void (*geluBackward)(long count, const float *x, const float *dy, float *dx);
    /// x[row, ·] += bias.
    void (*addBias)(long rows, long columns, const float *bias, float *x);
    /// out[c] += x[0, c] + x[1, c] + …, rows in order, for columns first ..< last.
    void (*sumRows)(long rows, long columns, long first, long last, const float *x, float *out);
    /// Rows to zero mean and unit variance, times weight, plus bias (which may be null). Channels ≤ ASSAY_SUM_CHUNK.
    void (*layerNorm)(long rows, long channels, const float *x, const float *weight, const float *bias, float *out, float *mean, float *rstd);
    /// y = x + (y + yBias), where yBias may be null, then its norm: the residual stream goes on and enters the next part.
    void (*residualNorm)(long rows, long channels, const float *x, const float *yBias, float *y, const float *weight, const float *bias, float *out,
                         float *mean, float *rstd);
    /// x += bias, which may be null; out = gelu(x).
    void (*biasGelu)(long rows, long columns, const float *bias, float *x, float *out);
    /// dx += the gradient through the norm.
    void (*layerNormBackwardInput)(long rows, long channels, const float *dy, const float *x, const float *weight, const float *mean,
                                   const float *rstd, float *dx);
    /// dweight[c] = fma(dy, normalised x, dweight[c]) and dbias[c] += dy (unless null), rows in order, for columns first ..< last.
    void (*layerNormBackwardWeights)(long rows, long channels, long first, long last, const float *dy, const float *x, const float *mean,
                                     const float *rstd, float *dweight, float *dbias);
    /// Rows to a root mean square of 1, times weight. Channels ≤ ASSAY_SUM_CHUNK.
    void (*rmsNorm)(long rows, long channels, const float *x, const float *weight, float *out, float *rstd);
    /// y = x + y, then its norm.
    void (*residualRmsNorm)(long rows, long channels, const float *x, float *y, const float *weight, float *out, float *rstd);
    /// dx += the gradient through the norm; dweight as in layerNormBackwardWeights.
    void (*rmsNormBackwardInput)(long rows, long channels, const float *dy, const float *x, const float *weight, const float *rstd, float *dx);
    void (*rmsNormBackwardWeights)(long rows, long channels, long first, long last, const float *dy, const float *x, const float *rstd, float *dweight);
    /// out = silu(gate)·up, and back; dgate may be dout.
    void (*swiglu)(long count, const float *gate, const float *up, float *out);
    void (*swigluBackward)(long count, const float *gate, const float *up, const float *dout, float *dgate, float *dup);
    /// Turns the columns i and i + size ÷ 2 of each head by an angle, or back; cosines and sines have size ÷ 2 of them.
    void (*rotate)(long heads, long size, const float *cosines, const float *sines, bool back, float *x);
    /// Causal attention of one head: out, and of each row of scores the maximum and 1 ÷ sum of exponentials, from which backward makes the
    /// probabilities again. No more than a tile of ASSAY_QUERY_TILE rows of scores exists at a time.
    void (*attention)(const assay_head *head, float *out, float *largest, float *inverse, float *scratch);
    /// dq, dk and dv (all with the stride of q) from dout.
    void (*attentionBackward)(const assay_head *head, const float *largest, const float *inverse, const float *dout, float *dq, float *dk, float *dv,
                              float *scratch);
    /// The cross-entropy of each row in nats; logits become (softmax − one-hot) · scale unless `gradient` is false.
    void (*crossEntropy)(long rows, long vocabulary, float *logits, const uint16_t *targets, float scale, bool gradient, float *losses);
    /// One AdamW step over a range of one tensor.
    void (*adamw)(long count, const assay_adamw *rules, const float *gradient, float *parameters, float *m, float *v);
} assay_kernels;

typedef enum { ASSAY_REFERENCE = 0, ASSAY_AVX2 = 1, ASSAY_AVX512 = 2, ASSAY_NEON = 3, ASSAY_PATHS = 4 } assay_path;

/// The kernels of a path, or null if this CPU cannot run it or this build does not have it.
const assay_kernels *assay_kernels_of(assay_path path);
/// Whether this machine can be in the network at all: FMA3 and AVX2, or AArch64.
bool assay_machine_supported(void);

/// Sets this thread's float environment to round-to-nearest, no flush to zero, no traps; returns what it was.
uint64_t assay_float_environment_enter(void);
/// Whether the environment is still that one (exception flags aside); then restores `before`.
bool assay_float_environment_leave(uint64_t before);

/// cos(π·x) for 0 ≤ x ≤ 1, for the schedule.
float assay_cospi(float x);

/// Threads that run a job's parts. One thread is the caller itself.
typedef struct assay_pool assay_pool;
assay_pool *assay_pool_create(int threads);
void assay_pool_destroy(assay_pool *pool);
int assay_pool_threads(const assay_pool *pool);

// The same kernels with their outputs split over a pool. The bits do not depend on the number of threads.
void assay_parallel_matmul(const assay_kernels *kernels, assay_pool *pool, assay_orientation orientation, long m, long n, long k,
                           const float *a, long lda, const float *b, long ldb, float *c, long ldc, bool accumulate);
void assay_parallel_gelu(const assay_kernels *kernels, assay_pool *pool, long count, const float *x, float *out);
void assay_parallel_gelu_backward(const assay_kernels *kernels, assay_pool *pool, long count, const float *x, const float *dy, float *dx);
void assay_parallel_add(const assay_kernels *kernels, assay_pool *pool, long count, const float *a, const float *b, float *out);
void assay_parallel_layer_norm(const assay_kernels *kernels, assay_pool *pool, long rows, long channels, const float *x, const float *weight,
                               const float *bias, float *out, float *mean, float *rstd);
/// y = x + (y + yBias), then its norm.
void assay_parallel_residual_norm(const assay_kernels *kernels, assay_pool *pool, long rows, long channels, const float *x, const float *yBias,
                                  float *y, const float *weight, const float *bias, float *out, float *mean, float *rstd);
/// x += bias (may be null); out = gelu(x).
void assay_parallel_bias_gelu(const assay_kernels *kernels, assay_pool *pool, long rows, long columns, const float *bias, float *x, float *out);
/// dx += …, dweight += …, dbias += … (bias may be null).
void assay_parallel_layer_norm_backward(const assay_kernels *kernels, assay_pool *pool, long rows, long channels, const float *dy,
                                        const float *x, const float *weight, const float *mean, const float *rstd, float *dx,
                                        float *dweight, float *dbias);
void assay_parallel_add_bias(const assay_kernels *kernels, assay_pool *pool, long rows, long columns, const float *bias, float *x);
void assay_parallel_sum_rows(const assay_kernels *kernels, assay_pool *pool, long rows, long columns, const float *x, float *out);
/// Causal attention. qkv [sequences·context, 3·heads·size], out [sequences·context, heads·size], largest and inverse [sequences·heads·context].
void assay_parallel_attention(const assay_kernels *kernels, assay_pool *pool, long sequences, long context, long heads, long size,
                              const float *qkv, float *largest, float *inverse, float *out);
void assay_parallel_attention_backward(const assay_kernels *kernels, assay_pool *pool, long sequences, long context, long heads, long size,
                                       const float *qkv, const float *largest, const float *inverse, const float *dout, float *dqkv);
void assay_parallel_cross_entropy(const assay_kernels *kernels, assay_pool *pool, long rows, long vocabulary, float *logits,
                                  const uint16_t *targets, float scale, bool gradient, float *losses);
void assay_parallel_rms_norm(const assay_kernels *kernels, assay_pool *pool, long rows, long channels, const float *x, const float *weight, float *out,
                             float *rstd);
void assay_parallel_residual_rms_norm(const assay_kernels *kernels, assay_pool *pool, long rows, long channels, const float *x, float *y,
                                      const float *weight, float *out, float *rstd);
/// dx += …, dweight += ….
void assay_parallel_rms_norm_backward(const assay_kernels *kernels, assay_pool *pool, long rows, long channels, const float *dy, const float *x,
                                      const float *weight, const float *rstd, float *dx, float *dweight);
void assay_parallel_swiglu(const assay_kernels *kernels, assay_pool *pool, long count, const float *gate, const float *up, float *out);
void assay_parallel_swiglu_backward(const assay_kernels *kernels, assay_pool *pool, long count, const float *gate, const float *up, const float *dout,
                                    float *dgate, float *dup);
/// Row r is `heads` heads of `size` columns at x + r·stride, turned by the angles of position r mod context; tables [context, size ÷ 2].
void assay_parallel_rotate(const assay_kernels *kernels, assay_pool *pool, long rows, long context, long heads, long size, const float *cosines,
                           const float *sines, bool back, float *x, long stride);
/// Heads of keys or values in place: each is copied for `group` heads in a row, and back: each becomes the sum of its group, first to last.
void assay_parallel_share_heads(assay_pool *pool, long rows, long heads, long group, long size, float *x, long stride);
void assay_parallel_gather_heads(const assay_kernels *kernels, assay_pool *pool, long rows, long heads, long group, long size, float *x, long stride);
/// out[r] = tokens[inputs[r]] + positions[r mod context], where there are positions.
void assay_parallel_embed(const assay_kernels *kernels, assay_pool *pool, long rows, long context, long width, const uint16_t *inputs,
                          const float *tokens, const float *positions, float *out);
/// dtokens[inputs[r]] += dx[r] and, where there are positions, dpositions[r mod context] += dx[r], rows in order.
void assay_parallel_embed_backward(const assay_kernels *kernels, assay_pool *pool, long rows, long context, long width,
                                   const uint16_t *inputs, const float *dx, float *dtokens, float *dpositions);
void assay_parallel_adamw(const assay_kernels *kernels, assay_pool *pool, long count, const assay_adamw *rules, const float *gradient,
                          float *parameters, float *m, float *v);
/// Chunks of ASSAY_SUM_CHUNK by the 16-lane rule, their sums added in double in chunk order.
double assay_parallel_sum(const assay_kernels *kernels, assay_pool *pool, long count, const float *x);
double assay_parallel_sum_squares(const assay_kernels *kernels, assay_pool *pool, long count, const float *x);

/// For the bench: runs `iterations` rounds of independent fused multiply-adds of a path's width; returns the float operations done.
double assay_peak_run(assay_path path, long iterations);

/// The value of ASSAY_KERNELS in the environment, or null.
const char *assay_kernels_wanted(void);
