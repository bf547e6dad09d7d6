// The kernel that a GPU runs: one block for each pair of images.
#include "maps.h"

extern "C" __global__ void __launch_bounds__(THREADS, 1) gram(const Job job) {
    extern __shared__ double shared[];
    Pair pair = pair_of(job, blockIdx.x);
    if (!is_wanted(job, pair)) return;
    pair = stage(job, pair, threadIdx.x, blockDim.x, shared);
    __syncthreads();
    all_maps(job, pair, threadIdx.x / 32, blockDim.x / 32, shared);
    __syncthreads();
    write(job, pair, threadIdx.x, blockDim.x, shared);
}
