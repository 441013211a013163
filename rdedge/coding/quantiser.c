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

/* The same with a step and a rounding for each place of a row: inverse_steps, roundings: [period];
   n is a multiple of period. */
EXPORT int64_t rdedge_quantise_by(const float *restrict y, int64_t n,
                                  const float *restrict inverse_steps,
                                  const float *restrict roundings, int64_t period,
                                  int32_t *restrict symbols)
{
    for (int64_t row = 0; row < n; row += period) {
        int32_t all_fine = -1;
        for (int64_t j = 0; j < period; j++) {
            float v = y[row + j] * inverse_steps[j], magnitude;
            int32_t bits, sign, fine;
            memcpy(&bits, &v, sizeof bits);
            sign = bits < 0 ? -1 : 0;
            bits &= 0x7fffffff;
            memcpy(&magnitude, &bits, sizeof bits);
            magnitude += roundings[j];
            memcpy(&bits, &magnitude, sizeof bits);
            fine = bits < LIMIT_BITS ? -1 : 0;
            all_fine &= fine;
            bits &= fine;
            memcpy(&magnitude, &bits, sizeof bits);
            symbols[row + j] = ((int32_t)magnitude ^ sign) - sign;
        }
        for (int64_t j = 0; !all_fine && j < period; j++) {
            float v = y[row + j] * inverse_steps[j];
            float magnitude = (v < 0.0f ? -v : v) + roundings[j];
            if (!(magnitude < 2147483648.0f))
                return row + j;
        }
    }
    return -1;
}
