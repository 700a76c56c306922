// AMX int8: a tile of sixteen rows by sixty-four bytes times a tile of sixteen words by sixteen columns, both signed, added to sixteen by sixteen sums.
// Two by two such sums are kept, so that each tile that is loaded is used twice.
#include "../internal/int8.h"
#if defined(__x86_64__)
#include <immintrin.h>

#define TILES_KEPT
#define TILES_BEGIN _tile_loadconfig
#define TILES_END _tile_release
#define TILE_ZERO _tile_zero
#define TILE_LOAD _tile_loadd
#define TILE_STORE _tile_stored
#define TILE_DOT _tile_dpbssd

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,amx-tile,amx-int8"))), apply_to = function)
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

const assay_int8_kernels assay_int8_avx512_amx = INT8_TABLE("avx512-amx", TILE_SIDE, tiles_product, tiles_peak);
#endif
