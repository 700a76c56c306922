// Quantising and packing in one: a pass for the largest magnitudes, a pass that multiplies, rounds, and lays the integers down as the product reads them.
// Included by each unit's file after INT8_GROUP (values in a word), INT8_OFFSET (1: the left operand is stored + 128) and INT8_VECTORS (of a panel).
// The clamp of the rule is not here: |x| ≤ amax makes x · (127 ÷ amax) round to 127 at most.

enum { GROUP = INT8_GROUP, CHUNK = 16 * INT8_GROUP, PANEL = 16 * INT8_VECTORS, VALUE_BYTES = 4 / INT8_GROUP };

typedef uint8_t c16 __attribute__((ext_vector_type(16)));
typedef uint8_t c32 __attribute__((ext_vector_type(32)));
typedef uint8_t c64 __attribute__((ext_vector_type(64)));
typedef uint16_t h16 __attribute__((ext_vector_type(16)));
typedef uint16_t h32 __attribute__((ext_vector_type(32)));
typedef uint32_t u16u __attribute__((ext_vector_type(16), aligned(4)));

INLINE void store_words(void *p, u16 x) { *(u16u *)p = x; }
INLINE u16 magnitude(f16 x) { return (u16)x & 0x7fffffffu; }
INLINE u16 larger_words(u16 a, u16 b) { return __builtin_elementwise_max(a, b); }
INLINE uint32_t largest_word(u16 x) {
    uint32_t words[16] __attribute__((aligned(64))), largest = 0;
    memcpy(words, &x, sizeof words);
    for (int i = 0; i < 16; i++) largest = words[i] > largest ? words[i] : largest;
    return largest;
}
/// `left` of sixteen floats; the rest, or all if none is left, +0.
INLINE f16 load_some(const float *p, long left) { return left >= 16 ? load(p) : left > 0 ? load_part(p, left) : splat(0.0f); }

/// By the largest magnitude of each of sixteen lines: 127 ÷ it, the scale, and ones in every bit where the line has integers other than zero.
typedef struct { f16 inverse, scale; u16 valid; } line_scales;
INLINE line_scales scales_of(u16 largest) {
    line_scales s;
    s.valid = (u16)((largest >= ASSAY_INT8_SMALLEST_BITS) & (largest < ASSAY_INT8_INFINITY_BITS));
    f16 amax = choose((i16)s.valid, (f16)largest, splat(127.0f));
    s.inverse = 127.0f / amax;
    u16 infinite = (u16)(largest >= ASSAY_INT8_INFINITY_BITS);
    s.scale = (f16)(((u16)(amax / 127.0f) & s.valid) | (infinite & 0x7fc00000u));
    return s;
}

/// Integers in the low bits of each lane: adding 1.5·2²³ rounds half to even and leaves them there, in two's complement.
INLINE u16 quantized(f16 x, f16 inverse) { f16 scaled = x * inverse; return (u16)(scaled + ASSAY_MAGIC); }

/// Words of `GROUP` lines each: lane i takes lane i of every vector.
INLINE u16 words_across(const u16 *q) {
#if INT8_GROUP == 4
    return (q[0] & 0xffu) | ((q[1] & 0xffu) << 8u) | ((q[2] & 0xffu) << 16u) | (q[3] << 24u);
#else
    return (q[0] & 0xffffu) | (q[1] << 16u);
#endif
}
/// Words of consecutive values: the vectors one after another.
INLINE u16 words_along(const u16 *q) {
#if INT8_GROUP == 4
    c16 a = __builtin_convertvector(q[0], c16), b = __builtin_convertvector(q[1], c16);
    c16 c = __builtin_convertvector(q[2], c16), d = __builtin_convertvector(q[3], c16);
    c64 all;
    all.lo = (c32)__builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
    all.hi = (c32)__builtin_shufflevector(c, d, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
    return (u16)all;
#else
    h32 all;
    all.lo = __builtin_convertvector(q[0], h16);
    all.hi = __builtin_convertvector(q[1], h16);
    return (u16)all;
#endif
}

INLINE u16 interleave_low(u16 a, u16 b) { return __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29); }
INLINE u16 interleave_high(u16 a, u16 b) { return __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31); }
INLINE u16 pairs_low(u16 a, u16 b) { return __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29); }
INLINE u16 pairs_high(u16 a, u16 b) { return __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31); }
/// Sixteen rows of sixteen words become columns.
INLINE void transpose_words(u16 *x) {
    u16 t[16];
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i += 4) {
        u16 a = interleave_low(x[i], x[i + 1]), b = interleave_high(x[i], x[i + 1]);
        u16 c = interleave_low(x[i + 2], x[i + 3]), d = interleave_high(x[i + 2], x[i + 3]);
        t[i] = pairs_low(a, c), t[i + 1] = pairs_high(a, c), t[i + 2] = pairs_low(b, d), t[i + 3] = pairs_high(b, d);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) {          // t[i], t[i + 4] … hold four words of four columns each, sixteen bytes a column
        u16 a = __builtin_shufflevector(t[i], t[i + 4], 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
        u16 b = __builtin_shufflevector(t[i], t[i + 4], 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
        u16 c = __builtin_shufflevector(t[i + 8], t[i + 12], 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
        u16 d = __builtin_shufflevector(t[i + 8], t[i + 12], 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
        x[i] = __builtin_shufflevector(a, c, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
        x[i + 4] = __builtin_shufflevector(a, c, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
        x[i + 8] = __builtin_shufflevector(b, d, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
        x[i + 12] = __builtin_shufflevector(b, d, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    }
}

INLINE u16 as_left(u16 words) { return INT8_OFFSET ? words ^ 0x80808080u : words; }

static uint32_t row_largest(long k, const float *x) {
    u16 a = (u16)(0), b = a, c = a, d = a;
    long p = 0;
    for (; p + 64 <= k; p += 64) {
        a = larger_words(a, magnitude(load(x + p)));
        b = larger_words(b, magnitude(load(x + p + 16)));
        c = larger_words(c, magnitude(load(x + p + 32)));
        d = larger_words(d, magnitude(load(x + p + 48)));
    }
    for (; p + 16 <= k; p += 16) a = larger_words(a, magnitude(load(x + p)));
    if (p < k) b = larger_words(b, magnitude(load_part(x + p, k - p)));
    return largest_word(larger_words(larger_words(a, b), larger_words(c, d)));
}

/// One chunk of a row as sixteen words.
INLINE u16 row_words(const float *x, long left, float inverse, uint32_t valid) {
    u16 q[GROUP];
#pragma clang loop unroll(full)
    for (int e = 0; e < GROUP; e++) q[e] = quantized(left >= CHUNK ? load(x + 16 * e) : load_some(x + 16 * e, left - 16 * e), splat(inverse));
    return words_along(q) & valid;
}

static void left_from_rows(long first, long last, long k, const float *x, long ldx, const assay_int8_operands *to, float *scratch) {
    (void)scratch;
    for (long i = first; i < last; i++) {
        const float *row = x + i * ldx;
        line_scales s = scales_of((u16)(row_largest(k, row)));
        float inverse = s.inverse[0];
        uint32_t valid = s.valid[0];
        to->leftScales[i] = s.scale[0];
        uint8_t *out = to->left + i * to->stride;
        long p = 0;
        for (; p + CHUNK <= k; p += CHUNK) store_words(out + p * VALUE_BYTES, as_left(row_words(row + p, CHUNK, inverse, valid)));
        if (p < k) store_words(out + p * VALUE_BYTES, as_left(row_words(row + p, k - p, inverse, valid)));
    }
}

static void right_from_rows(long first, long last, long k, const float *x, long ldx, const assay_int8_operands *to, float *scratch) {
    (void)scratch;
    for (long j = first; j < last; j += 16) {
        long here = last - j < 16 ? last - j : 16;
        u16 largest = (u16)(0);
        for (long r = 0; r < here; r++) largest[r] = row_largest(k, x + (j + r) * ldx);
        line_scales s = scales_of(largest);
        store(to->rightScales + j, s.scale);
        float inverse[16] __attribute__((aligned(64)));
        uint32_t valid[16] __attribute__((aligned(64)));
        memcpy(inverse, &s.inverse, sizeof inverse);
        memcpy(valid, &s.valid, sizeof valid);
        uint32_t *out = to->right + j / PANEL * to->panelWords + j % PANEL;
        i16 sums = (i16)(0);
        for (long p = 0; p < k; p += CHUNK) {
            u16 block[16];
            long left = k - p;
            if (here == 16 && left >= CHUNK) {
#pragma clang loop unroll(full)
                for (int r = 0; r < 16; r++) block[r] = row_words(x + (j + r) * ldx + p, CHUNK, inverse[r], valid[r]);
            } else {
                for (long r = 0; r < 16; r++) block[r] = r < here ? row_words(x + (j + r) * ldx + p, left, inverse[r], valid[r]) : (u16)(0);
            }
            transpose_words(block);
#pragma clang loop unroll(full)
            for (int g = 0; g < 16; g++) {
                store_words(out + (p / GROUP + g) * PANEL, block[g]);
                sums = column_sums(sums, block[g]);
            }
        }
        *(i16 *)(to->corrections + j) = sums * -128;
    }
}

/// The largest magnitudes of `columns` columns (whole vectors), in the scratch.
static void column_largest(long columns, long real, long k, const float *x, long ldx, uint32_t *largest) {
    memset(largest, 0, sizeof(uint32_t) * (size_t)columns);
    long p = 0;
    for (; p + 4 <= k; p += 4) {
        const float *row = x + p * ldx;
        for (long j = 0; j < columns; j += 16) {
            u16 most = *(const u16 *)(largest + j);
            if (real - j >= 16) {
                u16 a = larger_words(magnitude(load(row + j)), magnitude(load(row + ldx + j)));
                u16 b = larger_words(magnitude(load(row + 2 * ldx + j)), magnitude(load(row + 3 * ldx + j)));
                most = larger_words(most, larger_words(a, b));
            } else {
                for (int e = 0; e < 4; e++) most = larger_words(most, magnitude(load_some(row + e * ldx + j, real - j)));
            }
            *(u16 *)(largest + j) = most;
        }
    }
    for (; p < k; p++)
        for (long j = 0; j < columns; j += 16)
            *(u16 *)(largest + j) = larger_words(*(const u16 *)(largest + j), magnitude(load_some(x + p * ldx + j, real - j)));
}

/// Sixteen columns of a chunk of k as sixteen vectors of words.
INLINE void column_words(const float *x, long ldx, long rows, long columns, f16 inverse, u16 valid, u16 *block) {
    if (rows >= CHUNK && columns >= 16) {
#pragma clang loop unroll(full)
        for (int g = 0; g < 16; g++) {
            u16 q[GROUP];
#pragma clang loop unroll(full)
            for (int e = 0; e < GROUP; e++) q[e] = quantized(load(x + (g * GROUP + e) * ldx), inverse);
            block[g] = words_across(q) & valid;
        }
        return;
    }
    for (long g = 0; g < 16; g++) {
        u16 q[GROUP];
        for (long e = 0; e < GROUP; e++) q[e] = g * GROUP + e < rows ? quantized(load_some(x + (g * GROUP + e) * ldx, columns), inverse) : (u16)(0);
        block[g] = words_across(q) & valid;
    }
}

/// Columns in strips that stay near: the largest magnitudes of a strip first, then its words.
enum { STRIP = 128 };
typedef struct { uint32_t largest[STRIP], valid[STRIP]; float inverse[STRIP], scale[STRIP]; int32_t sums[STRIP]; } strip_state;
_Static_assert(sizeof(strip_state) <= sizeof(float) * ASSAY_SCRATCH_FLOATS, "a strip's state fits the scratch");

static long begin_strip(long real, long k, const float *x, long ldx, strip_state *s) {
    long columns = (real + 15) / 16 * 16;
    column_largest(columns, real, k, x, ldx, s->largest);
    for (long j = 0; j < columns; j += 16) {
        line_scales found = scales_of(*(const u16 *)(s->largest + j));
        *(u16 *)(s->valid + j) = found.valid;
        *(f16 *)(s->inverse + j) = found.inverse;
        *(f16 *)(s->scale + j) = found.scale;
        *(i16 *)(s->sums + j) = (i16)(0);
    }
    return columns;
}

static void left_from_columns(long first, long last, long k, const float *x, long ldx, const assay_int8_operands *to, float *scratch) {
    strip_state *s = (strip_state *)scratch;
    for (long start = first; start < last; start += STRIP) {
        long real = last - start < STRIP ? last - start : STRIP, columns = begin_strip(real, k, x + start, ldx, s);
        for (long j = 0; j < columns; j += 16) store(to->leftScales + start + j, *(const f16 *)(s->scale + j));
        for (long p = 0; p < k; p += CHUNK)
            for (long j = 0; j < columns; j += 16) {
                u16 block[16];
                column_words(x + p * ldx + start + j, ldx, k - p, real - j, *(const f16 *)(s->inverse + j), *(const u16 *)(s->valid + j), block);
                transpose_words(block);
                uint8_t *out = to->left + (start + j) * to->stride + p * VALUE_BYTES;
#pragma clang loop unroll(full)
                for (int r = 0; r < 16; r++) store_words(out + r * to->stride, as_left(block[r]));
            }
    }
}

static void right_from_columns(long first, long last, long k, const float *x, long ldx, const assay_int8_operands *to, float *scratch) {
    strip_state *s = (strip_state *)scratch;
    for (long start = first; start < last; start += STRIP) {
        long real = last - start < STRIP ? last - start : STRIP, columns = begin_strip(real, k, x + start, ldx, s);
        for (long j = 0; j < columns; j += 16) store(to->rightScales + start + j, *(const f16 *)(s->scale + j));
        for (long p = 0; p < k; p += CHUNK)
            for (long j = 0; j < columns; j += 16) {
                u16 block[16];
                column_words(x + p * ldx + start + j, ldx, k - p, real - j, *(const f16 *)(s->inverse + j), *(const u16 *)(s->valid + j), block);
                uint32_t *out = to->right + (start + j) / PANEL * to->panelWords + p / GROUP * PANEL + (start + j) % PANEL;
                i16 sums = *(const i16 *)(s->sums + j);
#pragma clang loop unroll(full)
                for (int g = 0; g < 16; g++) {
                    store_words(out + g * PANEL, block[g]);
                    sums = column_sums(sums, block[g]);
                }
                *(i16 *)(s->sums + j) = sums;
            }
        for (long j = 0; j < columns; j += 16) *(i16 *)(to->corrections + start + j) = *(const i16 *)(s->sums + j) * -128;
    }
}
