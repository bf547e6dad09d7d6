// The kernel of kernels/cntk/cuda on a CPU: block by block, and of each block warp by warp.
//
// Between two barriers the warps run one after the other, forwards or backwards: the order must not
// matter. Shared memory is what a block finds it to be on a GPU: of any content, here NaN.
#include "maps.h"

#include <cmath>
#include <vector>

extern "C" void emulate(const Job* job, int blocks, int threads, int shared_bytes,
                        int backwards) {
    for (int block = 0; block < blocks; block++) {
        std::vector<double> shared(shared_bytes / 8 + 1, std::nan(""));
        Pair pair = pair_of(*job, block);
        if (!is_wanted(*job, pair)) continue;
        Pair staged = pair;
        for (int thread = 0; thread < threads; thread++)
            staged = stage(*job, pair, thread, threads, shared.data());
        const int warps = threads / 32;
        for (int k = 0; k < warps; k++)
            all_maps(*job, staged, backwards ? warps - 1 - k : k, warps, shared.data());
        for (int thread = 0; thread < threads; thread++)
            write(*job, staged, thread, threads, shared.data());
    }
}
