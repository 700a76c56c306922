// Elementwise kernels and 16-lane sums, sixteen at a time. Included once by each path's file.

#define ELEMENTWISE(name, function)                                                                                        \
    static void name(long count, const float *x, float *out) {                                                              \
        long i = 0;                                                                                                         \
        for (; i + 16 <= count; i += 16) store(out + i, function(load(x + i)));                                             \
        if (i < count) store_part(out + i, function(load_part(x + i, count - i)), count - i);                               \
    }
ELEMENTWISE(vector_exp_all, vector_exp)
ELEMENTWISE(vector_log_all, vector_log)
ELEMENTWISE(vector_tanh_all, vector_tanh)
ELEMENTWISE(vector_gelu_all, vector_gelu)

static void vector_gelu_backward(long count, const float *x, const float *dy, float *dx) {
    long i = 0;
    for (; i + 16 <= count; i += 16) store(dx + i, load(dy + i) * vector_gelu_slope(load(x + i)));
    long left = count - i;
    if (left > 0) store_part(dx + i, load_part(dy + i, left) * vector_gelu_slope(load_part(x + i, left)), left);
}
static void vector_add(long count, const float *a, const float *b, float *out) {
    long i = 0;
    for (; i + 16 <= count; i += 16) store(out + i, load(a + i) + load(b + i));
    for (; i < count; i++) out[i] = a[i] + b[i];
}
static void vector_subtract(long count, const float *a, const float *b, float *out) {
    long i = 0;
    for (; i + 16 <= count; i += 16) store(out + i, load(a + i) - load(b + i));
    for (; i < count; i++) out[i] = a[i] - b[i];
}
static void vector_add_scaled(long count, float scale, const float *x, float *out) {
    long i = 0;
    for (; i + 16 <= count; i += 16) store(out + i, fused(splat(scale), load(x + i), load(out + i)));
    for (; i < count; i++) out[i] = __builtin_fmaf(scale, x[i], out[i]);
}
static void vector_scale(long count, float scale, const float *x, float *out) {
    long i = 0;
    for (; i + 16 <= count; i += 16) store(out + i, scale * load(x + i));
    for (; i < count; i++) out[i] = scale * x[i];
}

static float vector_sum(long count, const float *x) {
    f16 lanes = splat(0.0f);
    long i = 0;
    for (; i + 16 <= count; i += 16) lanes = lanes + load(x + i);
    if (i < count) lanes = choose(first_lanes(count - i), lanes + load_part(x + i, count - i), lanes);
    return lane_tree(lanes);
}
static float vector_sum_squares(long count, const float *x) {
    f16 lanes = splat(0.0f);
    long i = 0;
    for (; i + 16 <= count; i += 16) {
        f16 value = load(x + i);
        lanes = fused(value, value, lanes);
    }
    if (i < count) {
        f16 value = load_part(x + i, count - i);
        lanes = choose(first_lanes(count - i), fused(value, value, lanes), lanes);
    }
    return lane_tree(lanes);
}

INLINE void adamw_lanes(const assay_adamw *rules, f16 gradient, f16 *parameters, f16 *m, f16 *v) {
    f16 g = gradient * rules->gradientScale;
    *m = fused(splat(rules->beta1), *m, rules->oneMinusBeta1 * g);
    *v = fused(splat(rules->beta2), *v, (rules->oneMinusBeta2 * g) * g);
    f16 denominator = fused(__builtin_elementwise_sqrt(*v), splat(rules->rootCorrection), splat(rules->epsilon));
    f16 decayed = fused(splat(-rules->decay), *parameters, *parameters);
    *parameters = fused(splat(-rules->stepSize), *m / denominator, decayed);
}
static void vector_adamw(long count, const assay_adamw *rules, const float *gradient, float *parameters, float *m, float *v) {
    long i = 0;
    for (; i + 16 <= count; i += 16) {
        f16 p = load(parameters + i), a = load(m + i), b = load(v + i);
        adamw_lanes(rules, load(gradient + i), &p, &a, &b);
        store(parameters + i, p);
        store(m + i, a);
        store(v + i, b);
    }
    long left = count - i;
    if (left > 0) {
        f16 p = load_part(parameters + i, left), a = load_part(m + i, left), b = load_part(v + i, left);
        adamw_lanes(rules, load_part(gradient + i, left), &p, &a, &b);
        store_part(parameters + i, p, left);
        store_part(m + i, a, left);
        store_part(v + i, b, left);
    }
}
