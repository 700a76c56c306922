// Norms and cross-entropy by the row, column sums by strips of columns. Included once by each path's file.

/// Runs `body` for each sixteen of `count` with `i`, and `whole` telling whether all lanes count; `left` is how many do.
#define EACH_SIXTEEN(count, body)                                                                                           \
    for (long i = 0; i < (count); i += 16) {                                                                                \
        long left = (count) - i;                                                                                            \
        if (left >= 16) { const bool whole = true; (void)whole; body } else { const bool whole = false; (void)whole; body } \
    }
#define GET(p) (whole ? load((p) + i) : load_part((p) + i, left))
#define PUT(p, x) do { if (whole) store((p) + i, (x)); else store_part((p) + i, (x), left); } while (0)
/// A lane that is past the end keeps its sum.
#define KEEP(old, new) (whole ? (new) : choose(first_lanes(left), (new), (old)))

static void vector_add_bias(long rows, long columns, const float *bias, float *x) {
    for (long r = 0; r < rows; r++, x += columns) vector_add(columns, x, bias, x);
}

/// Columns in strips of STRIP vectors, so that a row is read by whole lines.
enum { STRIP = 4 };
#define EACH_STRIP(first, last, body)                                                   \
    for (long c = (first); c < (last); c += 16 * STRIP) {                               \
        long left = (last) - c;                                                         \
        if (left >= 16 * STRIP) { const bool all = true; body } else { const bool all = false; body } \
    }
#define STRIP_GET(p, v) (all ? load((p) + c + 16 * (v)) : left > 16 * (v) ? load_up_to((p) + c + 16 * (v), left - 16 * (v)) : splat(0.0f))
#define STRIP_PUT(p, v, x)                                                              \
    do {                                                                                \
        if (all) store((p) + c + 16 * (v), (x));                                        \
        else if (left > 16 * (v)) store_up_to((p) + c + 16 * (v), (x), left - 16 * (v)); \
    } while (0)
#define EACH_VECTOR _Pragma("clang loop unroll(full)") for (int v = 0; v < STRIP; v++)

static void vector_sum_rows(long rows, long columns, long first, long last, const float *x, float *out) {
    EACH_STRIP(first, last, {
        f16 sums[STRIP];
        EACH_VECTOR sums[v] = STRIP_GET(out, v);
        for (long r = 0; r < rows; r++)
            EACH_VECTOR sums[v] = sums[v] + STRIP_GET(x + r * columns, v);
        EACH_VECTOR STRIP_PUT(out, v, sums[v]);
    })
}

INLINE void norm_line(long channels, const float *x, const float *weight, const float *bias, float *out, float *mean, float *rstd) {
    float centre = vector_sum(channels, x) / (float)channels;
    f16 lanes = splat(0.0f);
    EACH_SIXTEEN(channels, {
        f16 d = GET(x) - centre;
        lanes = KEEP(lanes, fused(d, d, lanes));
    })
    float scale = 1.0f / __builtin_sqrtf(lane_tree(lanes) / (float)channels + ASSAY_NORM_EPSILON);
    EACH_SIXTEEN(channels, {
        f16 y = ((GET(x) - centre) * scale) * GET(weight);
        if (bias) y = y + GET(bias);
        PUT(out, y);
    })
    *mean = centre;
    *rstd = scale;
}

static void vector_layer_norm(long rows, long channels, const float *x, const float *weight, const float *bias, float *out, float *mean, float *rstd) {
    for (long r = 0; r < rows; r++) norm_line(channels, x + r * channels, weight, bias, out + r * channels, mean + r, rstd + r);
}

/// y = x + (y + yBias).
INLINE void residual_line(long channels, const float *x, const float *yBias, float *y) {
    EACH_SIXTEEN(channels, {
        f16 value = GET(y);
        if (yBias) value = value + GET(yBias);
        PUT(y, GET(x) + value);
    })
}

static void vector_residual_norm(long rows, long channels, const float *x, const float *yBias, float *y, const float *weight, const float *bias,
                                 float *out, float *mean, float *rstd) {
    for (long r = 0; r < rows; r++) {
        residual_line(channels, x + r * channels, yBias, y + r * channels);
        norm_line(channels, y + r * channels, weight, bias, out + r * channels, mean + r, rstd + r);
    }
}

static void vector_bias_gelu(long rows, long columns, const float *bias, float *x, float *out) {
    if (!bias) {
        vector_gelu_all(rows * columns, x, out);
        return;
    }
    for (long r = 0; r < rows; r++, x += columns, out += columns)
        EACH_SIXTEEN(columns, {
            f16 value = GET(x) + GET(bias);
            PUT(x, value);
            PUT(out, vector_gelu(value));
        })
}

static void vector_layer_norm_backward_input(long rows, long channels, const float *dy, const float *x, const float *weight, const float *mean,
                                             const float *rstd, float *dx) {
    for (long r = 0; r < rows; r++, x += channels, dy += channels, dx += channels) {
        f16 plain = splat(0.0f), along = splat(0.0f);
        EACH_SIXTEEN(channels, {
            f16 normal = (GET(x) - mean[r]) * rstd[r];
            f16 d = GET(dy) * GET(weight);
            plain = KEEP(plain, plain + d);
            along = KEEP(along, fused(d, normal, along));
        })
        float shift = lane_tree(plain) / (float)channels, slope = lane_tree(along) / (float)channels;
        EACH_SIXTEEN(channels, {
            f16 normal = (GET(x) - mean[r]) * rstd[r];
            f16 d = GET(dy) * GET(weight);
            PUT(dx, fused(fused(-normal, splat(slope), d - shift), splat(rstd[r]), GET(dx)));
        })
    }
}

static void vector_layer_norm_backward_weights(long rows, long channels, long first, long last, const float *dy, const float *x,
                                               const float *mean, const float *rstd, float *dweight, float *dbias) {
    EACH_STRIP(first, last, {
        f16 weights[STRIP];
        f16 biases[STRIP];
        EACH_VECTOR weights[v] = STRIP_GET(dweight, v);
        EACH_VECTOR biases[v] = dbias ? STRIP_GET(dbias, v) : splat(0.0f);
        for (long r = 0; r < rows; r++) {
            EACH_VECTOR {
                f16 d = STRIP_GET(dy + r * channels, v);
                weights[v] = fused(d, (STRIP_GET(x + r * channels, v) - mean[r]) * rstd[r], weights[v]);
                biases[v] = biases[v] + d;
            }
        }
        EACH_VECTOR STRIP_PUT(dweight, v, weights[v]);
        if (dbias) EACH_VECTOR STRIP_PUT(dbias, v, biases[v]);
    })
}

INLINE float row_largest(long count, const float *x) {
    f16 top = splat(-__builtin_inff());
    EACH_SIXTEEN(count, { top = KEEP(top, larger(top, GET(x))); })
    return lane_largest(top);
}

/// x = exp(x − top), and its 16-lane sum, for up to ASSAY_SUM_CHUNK elements.
INLINE float exp_and_sum(long count, float top, float *x) {
    f16 lanes = splat(0.0f);
    EACH_SIXTEEN(count, {
        f16 e = vector_exp(GET(x) - top);
        PUT(x, e);
        lanes = KEEP(lanes, lanes + e);
    })
    return lane_tree(lanes);
}

static void vector_cross_entropy(long rows, long vocabulary, float *logits, const uint16_t *targets, float scale, bool gradient, float *losses) {
    for (long r = 0; r < rows; r++, logits += vocabulary) {
        float top = row_largest(vocabulary, logits), wanted = logits[targets[r]];
        double total = 0;
        for (long i = 0; i < vocabulary; i += ASSAY_SUM_CHUNK)
            total += (double)exp_and_sum(vocabulary - i < ASSAY_SUM_CHUNK ? vocabulary - i : ASSAY_SUM_CHUNK, top, logits + i);
        float sum = (float)total;
        losses[r] = vector_log(splat(sum)).x + (top - wanted);
        if (!gradient) continue;
        float inverse = 1.0f / sum, target = logits[targets[r]] * inverse - 1.0f;
        EACH_SIXTEEN(vocabulary, { PUT(logits, (GET(logits) * inverse) * scale); })
        logits[targets[r]] = target * scale;
    }
}
