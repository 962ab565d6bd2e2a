/* The version of the functions' signatures. `library.py` uses the library only if it knows this number. */

#include "kernels.h"

int64_t abi(void) { return ABI; }
