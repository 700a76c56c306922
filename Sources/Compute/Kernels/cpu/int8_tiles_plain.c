// The AMX kernel with its instructions in plain C, after Intel's manual (TILELOADD, TDPBSSD, TILESTORED): slow, and there so that
// the loops around them are held to the reference on every AVX-512 machine. Never chosen unless it is named.
#include "../internal/int8.h"
#if defined(__x86_64__)
#include <immintrin.h>

typedef struct { int8_t bytes[16][64]; } plain_tile;

static void plain_zero(plain_tile *t) { memset(t, 0, sizeof *t); }
static void plain_load(plain_tile *t, const void *from, long stride) {
    for (int row = 0; row < 16; row++) memcpy(t->bytes[row], (const uint8_t *)from + row * stride, 64);
}
static void plain_store(const plain_tile *t, void *to, long stride) {
    for (int row = 0; row < 16; row++) memcpy((uint8_t *)to + row * stride, t->bytes[row], 64);
}
static void plain_dot(plain_tile *sums, const plain_tile *a, const plain_tile *b) {
    for (int row = 0; row < 16; row++)
        for (int word = 0; word < 16; word++)
            for (int column = 0; column < 16; column++) {
                int32_t sum;
                memcpy(&sum, sums->bytes[row] + 4 * column, 4);
                for (int e = 0; e < 4; e++) sum += (int32_t)a->bytes[row][4 * word + e] * b->bytes[word][4 * column + e];
                memcpy(sums->bytes[row] + 4 * column, &sum, 4);
            }
}
#define TILES_KEPT plain_tile kept[8];
#define TILES_BEGIN(configuration) (void)configuration
#define TILES_END()
#define TILE_ZERO(t) plain_zero(&kept[t])
#define TILE_LOAD(t, from, stride) plain_load(&kept[t], from, stride)
#define TILE_STORE(t, to, stride) plain_store(&kept[t], to, stride)
#define TILE_DOT(sums, a, b) plain_dot(&kept[sums], &kept[a], &kept[b])

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#define LANES_AVX512
#include "vector.h"
#define INT8_GROUP 4
#define INT8_OFFSET 0
#define INT8_VECTORS 2
INLINE i16 column_sums(i16 sums, u16 words) { (void)words; return sums; }
#include "vector_int8_pack.h"
#include "vector_int8_table.h"
#include "int8_tiles.h"
#pragma clang attribute pop

const assay_int8_kernels assay_int8_avx512_tiles = INT8_TABLE("avx512-tiles", TILE_SIDE, tiles_product, tiles_peak);
#endif
