/* How the functions are called: a number that `library.py` must know, or it uses none of them. */

#include "kernels.h"

int64_t abi(void) { return ABI; }
