// NEON without the dot product: bytes multiplied to halves, and halves added in pairs, twice.
#include "../internal/int8.h"
#if defined(__aarch64__)
#include <arm_neon.h>

#include "vector.h"
#define INT8_GROUP 4
#define INT8_OFFSET 0
#define INT8_ROWS 6
#define INT8_VECTORS 1
INLINE int32x4_t four_sums(int32x4_t sums, int8x16_t left, int8x16_t right) {
    int16x8_t low = vmull_s8(vget_low_s8(left), vget_low_s8(right)), high = vmull_high_s8(left, right);
    return vaddq_s32(sums, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
}
#include "int8_quarters.h"
#include "vector_int8_pack.h"
#include "vector_int8_product.h"
#include "vector_int8_table.h"

const assay_int8_kernels assay_int8_neon = INT8_TABLE("neon", INT8_ROWS, int8_product, int8_peak);
#endif
