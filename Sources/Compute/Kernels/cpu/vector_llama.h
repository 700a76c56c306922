// RMSNorm, SwiGLU and rotation, sixteen at a time. Included once by each path's file.

INLINE void rms_line(long channels, const float *x, const float *weight, float *out, float *rstd) {
    float scale = 1.0f / __builtin_sqrtf(vector_sum_squares(channels, x) / (float)channels + ASSAY_NORM_EPSILON);
    EACH_SIXTEEN(channels, { PUT(out, (GET(x) * scale) * GET(weight)); })
    *rstd = scale;
}

static void vector_rms_norm(long rows, long channels, const float *x, const float *weight, float *out, float *rstd) {
    for (long r = 0; r < rows; r++) rms_line(channels, x + r * channels, weight, out + r * channels, rstd + r);
}

static void vector_residual_rms_norm(long rows, long channels, const float *x, float *y, const float *weight, float *out, float *rstd) {
    for (long r = 0; r < rows; r++) {
        residual_line(channels, x + r * channels, NULL, y + r * channels);
        rms_line(channels, y + r * channels, weight, out + r * channels, rstd + r);
    }
}

static void vector_rms_norm_backward_input(long rows, long channels, const float *dy, const float *x, const float *weight, const float *rstd, float *dx) {
    for (long r = 0; r < rows; r++, x += channels, dy += channels, dx += channels) {
        f16 along = splat(0.0f);
        EACH_SIXTEEN(channels, { along = KEEP(along, fused(GET(dy) * GET(weight), GET(x) * rstd[r], along)); })
        float slope = lane_tree(along) / (float)channels;
        EACH_SIXTEEN(channels, { PUT(dx, fused(fused(-(GET(x) * rstd[r]), splat(slope), GET(dy) * GET(weight)), splat(rstd[r]), GET(dx))); })
    }
}

static void vector_rms_norm_backward_weights(long rows, long channels, long first, long last, const float *dy, const float *x, const float *rstd,
                                             float *dweight) {
    EACH_STRIP(first, last, {
        f16 weights[STRIP];
        EACH_VECTOR weights[v] = STRIP_GET(dweight, v);
        for (long r = 0; r < rows; r++)
            EACH_VECTOR weights[v] = fused(STRIP_GET(dy + r * channels, v), STRIP_GET(x + r * channels, v) * rstd[r], weights[v]);
        EACH_VECTOR STRIP_PUT(dweight, v, weights[v]);
    })
}

static void vector_swiglu(long count, const float *gate, const float *up, float *out) {
    EACH_SIXTEEN(count, {
        f16 x = GET(gate);
        PUT(out, (x * vector_sigmoid(x)) * GET(up));
    })
}

static void vector_swiglu_backward(long count, const float *gate, const float *up, const float *dout, float *dgate, float *dup) {
    EACH_SIXTEEN(count, {
        f16 x = GET(gate);
        f16 d = GET(dout);
        f16 s = vector_sigmoid(x);
        PUT(dup, d * (x * s));
        PUT(dgate, (d * GET(up)) * (s * fused(x, 1.0f - s, splat(1.0f))));
    })
}

static void vector_rotate(long heads, long size, const float *cosines, const float *sines, bool back, float *x) {
    long half = size / 2;
    for (long h = 0; h < heads; h++, x += size)
        EACH_SIXTEEN(half, {
            f16 a = GET(x);
            f16 b = GET(x + half);
            f16 sine = back ? -GET(sines) : GET(sines);
            PUT(x, fused(a, GET(cosines), -(b * sine)));
            PUT(x + half, fused(b, GET(cosines), a * sine));
        })
}
