/* The quantiser of FORMAT.md 4.4, float32, compiled without fused multiply-add: the same symbols as
   quantiser.py makes with NumPy, bit for bit. */
#include <stdint.h>

#if defined(__GNUC__)
#define EXPORT __attribute__((visibility("default")))
#elif defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT
#endif

#define LIMIT 2147483648.0f /* 2^31: the largest float below it is still an int32 */

/* symbols[i] = sign(v) * floor(|v| + rounding), v = y[i] * inverse_step.
   Returns -1, or the first i whose symbol does not exist (NaN, infinity, too large); what stands in
   symbols is then of no use. |v| + rounding is not negative, so the conversion is the floor. */
EXPORT int64_t rdedge_quantise(const float *y, int64_t n, float inverse_step, float rounding,
                               int32_t *symbols)
{
    int32_t bad = 0;
    for (int64_t i = 0; i < n; i++) {
        float v = y[i] * inverse_step;
        float magnitude = (v < 0.0f ? -v : v) + rounding;
        int32_t beyond = !(magnitude < LIMIT);
        int32_t q = (int32_t)(magnitude < LIMIT ? magnitude : 0.0f);
        bad |= beyond;
        symbols[i] = v < 0.0f ? -q : q;
    }
    if (!bad)
        return -1;
    for (int64_t i = 0; i < n; i++) {
        float v = y[i] * inverse_step;
        float magnitude = (v < 0.0f ? -v : v) + rounding;
        if (!(magnitude < LIMIT))
            return i;
    }
    return -1;
}
