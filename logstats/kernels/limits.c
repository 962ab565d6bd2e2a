/* Rate limits, replayed: which requests are refused, and for how long. Reads times and where keys begin; writes
   waits, and the state of the last key. Trusts the order of the requests, which `rate_limits` gives them, and the
   bounds and rooms said below, which `library.py` checks. */

#include "kernels.h"

enum { TOKEN_BUCKET, SLIDING_WINDOW, SLIDING_LOG, FIXED_WINDOW };

static int64_t floored(int64_t a, int64_t b) { return a / b - (a % b < 0); }

/* Requests in order of key and time (microseconds); `begins` marks the first one of a key. `most` requests are allowed
   in a `period`, a bucket holds `burst` of them. `waits`, unless it is NULL, gets the microseconds until a request
   could be repeated, 0 if it is allowed. `state` (three numbers) and `admitted` (a ring of `most` times, used by the
   sliding log only) carry the last key over to the next call. Returns how many are refused.

   most * period and burst * period are at most 2^61, so that nothing here overflows. */
int64_t limit(const int64_t *times, const uint8_t *begins, int64_t rows, uint64_t algorithm, int64_t most,
              int64_t period, int64_t burst, int64_t *state, int64_t *admitted, int64_t *waits) {
    int64_t refused = 0, a = state[0], b = state[1], c = state[2];
    for (int64_t row = 0; row < rows; row++) {
        int64_t now = times[row], wait = 0;
        int fresh = begins[row];
        if (algorithm == TOKEN_BUCKET) { /* a: what is in the bucket, in parts of 1 / period of a request; b: when */
            int64_t whole = burst * period, passed = now - b;
            if (fresh || passed > (whole - a) / most)
                a = whole;
            else
                a += passed * most;
            b = now;
            if (a >= period)
                a -= period;
            else
                wait = (period - a + most - 1) / most;
        } else if (algorithm == SLIDING_LOG) { /* a: how many were admitted */
            if (fresh)
                a = 0;
            int64_t oldest = a >= most ? admitted[a % most] : 0;
            if (a >= most && oldest > now - period)
                wait = oldest + period - now;
            else
                admitted[a++ % most] = now;
        } else { /* a: the number of the window; b, c: admitted in it, and in the one before */
            int64_t window = floored(now, period), gone = now - window * period;
            if (fresh || window != a) {
                c = !fresh && window == a + 1 ? b : 0;
                b = 0;
                a = window;
            }
            if (algorithm == FIXED_WINDOW) {
                if (b >= most)
                    wait = period - gone;
                else
                    b++;
            } else if (c * (period - gone) <= (most - b - 1) * period) {
                b++;
            } else { /* the weight of the window before has to fall, of this one or of the next */
                int64_t until = b < most && c ? period - (most - b - 1) * period / c : period;
                if (until >= period) {
                    until = period;
                    if (b && period > (most - 1) * period / b)
                        until += period - (most - 1) * period / b;
                }
                wait = until - gone;
            }
        }
        refused += wait > 0;
        if (waits)
            waits[row] = wait;
    }
    state[0] = a;
    state[1] = b;
    state[2] = c;
    return refused;
}
