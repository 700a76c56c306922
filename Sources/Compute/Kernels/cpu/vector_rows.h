// Norms, softmax and cross-entropy by the row, column sums by sixteen columns. Included once by each path's file.

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

static void vector_sum_rows(long rows, long columns, long first, long last, const float *x, float *out) {
    long c = first;
    for (; c + 16 <= last; c += 16) {
        f16 sum = load(out + c);
        for (long r = 0; r < rows; r++) sum = sum + load(x + r * columns + c);
        store(out + c, sum);
    }
    for (; c < last; c++)
        for (long r = 0; r < rows; r++) out[c] = out[c] + x[r * columns + c];
}

static void vector_layer_norm(long rows, long channels, const float *x, const float *weight, const float *bias, float *out, float *mean, float *rstd) {
    for (long r = 0; r < rows; r++, x += channels, out += channels) {
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
        mean[r] = centre;
        rstd[r] = scale;
    }
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
    long c = first;
    for (; c + 16 <= last; c += 16) {
        f16 weight = load(dweight + c), bias = dbias ? load(dbias + c) : splat(0.0f);
        for (long r = 0; r < rows; r++) {
            f16 d = load(dy + r * channels + c);
            weight = fused(d, (load(x + r * channels + c) - mean[r]) * rstd[r], weight);
            bias = bias + d;
        }
        store(dweight + c, weight);
        if (dbias) store(dbias + c, bias);
    }
    for (; c < last; c++)
        for (long r = 0; r < rows; r++) {
            float d = dy[r * channels + c];
            dweight[c] = __builtin_fmaf(d, (x[r * channels + c] - mean[r]) * rstd[r], dweight[c]);
            if (dbias) dbias[c] = dbias[c] + d;
        }
}

INLINE float row_largest(long count, const float *x) {
    f16 top = splat(-__builtin_inff());
    EACH_SIXTEEN(count, { top = KEEP(top, larger(top, GET(x))); })
    return lane_largest(top);
}

static void vector_softmax_row(long valid, long total, float scale, float *row) {
    EACH_SIXTEEN(valid, { PUT(row, GET(row) * scale); })
    float top = row_largest(valid, row);
    f16 lanes = splat(0.0f);
    EACH_SIXTEEN(valid, {
        f16 e = vector_exp(GET(row) - top);
        PUT(row, e);
        lanes = KEEP(lanes, lanes + e);
    })
    float inverse = 1.0f / lane_tree(lanes);
    EACH_SIXTEEN(valid, { PUT(row, GET(row) * inverse); })
    for (long i = valid; i < total; i++) row[i] = 0.0f;
}

static void vector_softmax_row_backward(long valid, long total, float scale, const float *p, float *gradient) {
    f16 lanes = splat(0.0f);
    EACH_SIXTEEN(valid, { lanes = KEEP(lanes, fused(GET(p), GET(gradient), lanes)); })
    float mean = lane_tree(lanes);
    EACH_SIXTEEN(valid, { PUT(gradient, (GET(p) * (GET(gradient) - mean)) * scale); })
    for (long i = valid; i < total; i++) gradient[i] = 0.0f;
}

static void vector_cross_entropy(long rows, long vocabulary, float *logits, const uint16_t *targets, float scale, bool gradient, float *losses) {
    for (long r = 0; r < rows; r++, logits += vocabulary) {
        float top = row_largest(vocabulary, logits), wanted = logits[targets[r]];
        EACH_SIXTEEN(vocabulary, { PUT(logits, vector_exp(GET(logits) - top)); })
        double total = 0;
        for (long i = 0; i < vocabulary; i += ASSAY_SUM_CHUNK)
            total += (double)vector_sum(vocabulary - i < ASSAY_SUM_CHUNK ? vocabulary - i : ASSAY_SUM_CHUNK, logits + i);
        float sum = (float)total;
        losses[r] = vector_log(splat(sum)).x + (top - wanted);
        if (!gradient) continue;
        float inverse = 1.0f / sum, target = logits[targets[r]] * inverse - 1.0f;
        EACH_SIXTEEN(vocabulary, { PUT(logits, (GET(logits) * inverse) * scale); })
        logits[targets[r]] = target * scale;
    }
}
