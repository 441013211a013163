/* The quantiser of FORMAT.md 4.4, float32, compiled without fused multiply-add: the same symbols as
   quantiser.py makes with NumPy, bit for bit. */
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define EXPORT __attribute__((visibility("default")))
#elif defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT
#endif

#if defined(_MSC_VER)
#define restrict __restrict
#endif

#define LIMIT_BITS 0x4f000000 /* 2^31 as a float32: the largest float below it is still an int32 */

/* symbols[i] = sign(v) * floor(|v| + rounding), v = y[i] * inverse_step.
   Returns -1, or the first i whose symbol does not exist (NaN, infinity, too large); what stands in
   symbols is then of no use. |v| + rounding is not negative, so the conversion is the floor.
   Floats that are not negative compare as their bits do, NaN above all others; without a branch and
   without a comparison of floats, which could trap, compilers make vectors of the loop. */
EXPORT int64_t rdedge_quantise(const float *restrict y, int64_t n, float inverse_step,
                               float rounding, int32_t *restrict symbols)
{
    int32_t all_fine = -1;
    for (int64_t i = 0; i < n; i++) {
        float v = y[i] * inverse_step, magnitude;
        int32_t bits, sign, fine;
        memcpy(&bits, &v, sizeof bits);
        sign = bits < 0 ? -1 : 0;
        bits &= 0x7fffffff;
        memcpy(&magnitude, &bits, sizeof bits);
        magnitude += rounding;
        memcpy(&bits, &magnitude, sizeof bits);
        fine = bits < LIMIT_BITS ? -1 : 0;
        all_fine &= fine;
        bits &= fine;
        memcpy(&magnitude, &bits, sizeof bits);
        symbols[i] = ((int32_t)magnitude ^ sign) - sign;
    }
    if (all_fine)
        return -1;
    for (int64_t i = 0; i < n; i++) {
        float v = y[i] * inverse_step;
        float magnitude = (v < 0.0f ? -v : v) + rounding;
        if (!(magnitude < 2147483648.0f))
            return i;
    }
    return -1;
}
