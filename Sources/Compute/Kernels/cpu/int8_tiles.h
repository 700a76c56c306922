// The product in AMX tiles. Included by int8_amx.c with the instructions, and by int8_tiles_plain.c with what stands in for them.

enum { TILE_SIDE = 32 };
_Static_assert(TILE_SIDE == PANEL, "two tiles abreast are a panel");

/// Palette 1 as LDTILECFG reads it: eight tiles of sixteen rows of sixty-four bytes.
typedef struct {
    uint8_t palette, startRow, reserved[14];
    uint16_t rowBytes[16];
    uint8_t rows[16];
} tile_configuration;
_Static_assert(sizeof(tile_configuration) == 64, "a tile configuration is 64 bytes");

/// The 32 × 32 sums of two rows of tiles by a panel. Memory is there for whole tiles: what lies beyond the operands is summed and not used.
INLINE void tiles_sums(long groups, const uint8_t *left, long stride, const uint32_t *right, int32_t *sums) {
    enum { SUMS_STRIDE = TILE_SIDE * 4, PANEL_STRIDE = PANEL * 4 };
    const uint8_t *lower = left + 16 * stride;
    TILES_KEPT
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
    for (long g = 0; g < groups; g += 16, left += 64, lower += 64, right += 16 * PANEL) {
        TILE_LOAD(4, left, stride);
        TILE_LOAD(6, right, PANEL_STRIDE);
        TILE_DOT(0, 4, 6);
        TILE_LOAD(7, right + 16, PANEL_STRIDE);
        TILE_DOT(1, 4, 7);
        TILE_LOAD(5, lower, stride);
        TILE_DOT(2, 5, 6);
        TILE_DOT(3, 5, 7);
    }
    TILE_STORE(0, sums, SUMS_STRIDE);
    TILE_STORE(1, sums + 16, SUMS_STRIDE);
    TILE_STORE(2, sums + 16 * TILE_SIDE, SUMS_STRIDE);
    TILE_STORE(3, sums + 16 * TILE_SIDE + 16, SUMS_STRIDE);
}

static void tiles_scaled(long rows, long columns, const int32_t *sums, const float *leftScales, const float *rightScales, float *c, long ldc,
                         bool accumulate) {
    for (long i = 0; i < rows; i++)
        for (long j = 0; j < columns; j += 16) {
            i16 sum = *(const i16 *)(sums + i * TILE_SIDE + j);
            f16 result = (__builtin_convertvector(sum, f16) * leftScales[i]) * load(rightScales + j);
            float *to = c + i * ldc + j;
            if (columns - j >= 16) store(to, (accumulate ? load(to) : splat(0.0f)) + result);
            else store_part(to, (accumulate ? load_part(to, columns - j) : splat(0.0f)) + result, columns - j);
        }
}

static void tiles_product(long firstRow, long lastRow, long firstColumn, long lastColumn, long k, const assay_int8_operands *from, float *c, long ldc,
                          bool accumulate, float *scratch) {
    (void)scratch;
    enum { NEAR = 512 << 10 };
    tile_configuration configuration __attribute__((aligned(64))) = {.palette = 1};
    for (int i = 0; i < 8; i++) configuration.rowBytes[i] = 64, configuration.rows[i] = 16;
    TILES_BEGIN(&configuration);
    int32_t sums[TILE_SIDE * TILE_SIDE] __attribute__((aligned(64)));
    long groups = (k + CHUNK - 1) / CHUNK * 16, block = NEAR / (4 * groups + 1) / TILE_SIDE * TILE_SIDE;
    if (block < TILE_SIDE) block = TILE_SIDE;
    for (long i0 = firstRow; i0 < lastRow; i0 += block) {
        long end = lastRow - i0 < block ? lastRow : i0 + block;
        for (long j = firstColumn; j < lastColumn; j += PANEL)
            for (long i = i0; i < end; i += TILE_SIDE) {
                tiles_sums(groups, from->left + i * from->stride, from->stride, from->right + j / PANEL * from->panelWords, sums);
                tiles_scaled(end - i < TILE_SIDE ? end - i : TILE_SIDE, lastColumn - j < PANEL ? lastColumn - j : PANEL, sums, from->leftScales + i,
                             from->rightScales + j, c + i * ldc + j, ldc, accumulate);
            }
    }
    TILES_END();
}

/// Products of tiles that are already loaded, for the core's peak.
static double tiles_peak(long iterations) {
    tile_configuration configuration __attribute__((aligned(64))) = {.palette = 1};
    for (int i = 0; i < 8; i++) configuration.rowBytes[i] = 64, configuration.rows[i] = 16;
    TILES_BEGIN(&configuration);
    TILES_KEPT
    uint8_t bytes[16 * 64] __attribute__((aligned(64))) = {1};
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
    TILE_LOAD(4, bytes, 64);
    TILE_LOAD(5, bytes, 64);
    TILE_LOAD(6, bytes, 64);
    TILE_LOAD(7, bytes, 64);
    for (long n = 0; n < iterations; n++) {
        TILE_DOT(0, 4, 6);
        TILE_DOT(1, 4, 7);
        TILE_DOT(2, 5, 6);
        TILE_DOT(3, 5, 7);
    }
    TILE_STORE(0, bytes, 64);
    TILES_END();
    return (double)iterations * 4 * 16 * 16 * 64 * 2;
}
