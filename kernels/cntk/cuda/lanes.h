// Thirty-two lanes that compute in step: a warp of a GPU, or on a CPU a struct that stands for one.
//
// What is written on these types runs unchanged in both places, as long as no branch depends on a
// lane. The CPU makes the approximate instructions as coarse as NVIDIA says that they may be.
#pragma once

#ifdef __CUDACC__

#define DEVICE __device__ __forceinline__
#define UNROLL _Pragma("unroll")
#define KEEP_LOOP _Pragma("unroll 1")

using Lanes = float;
using Positions = int;

DEVICE int own_lane() { return threadIdx.x % 32; }
DEVICE bool is_first_lane() { return own_lane() == 0; }
DEVICE Lanes load(const float* values, Positions at) { return values[at]; }
DEVICE Lanes load_lanes(const float* values) { return values[own_lane()]; }
DEVICE Positions load_lanes(const int* values) { return values[own_lane()]; }
DEVICE Lanes multiply_add(Lanes a, Lanes b, Lanes c) { return __fmaf_rn(a, b, c); }
DEVICE Lanes absolute(Lanes a) { return fabsf(a); }
DEVICE Lanes at_most(Lanes a, float limit) { return fminf(a, limit); }
DEVICE Lanes at_least(Lanes a, float limit) { return fmaxf(a, limit); }
DEVICE Lanes where_negative(Lanes a, Lanes yes, Lanes no) { return a < 0 ? yes : no; }
DEVICE Lanes from_lane(Lanes a, Positions lane) { return __shfl_sync(0xffffffff, a, lane); }
DEVICE Lanes from_left(Lanes a) { return __shfl_up_sync(0xffffffff, a, 1); }
DEVICE Lanes from_right(Lanes a) { return __shfl_down_sync(0xffffffff, a, 1); }
DEVICE bool all_equal(Lanes a, Lanes b) { return __all_sync(0xffffffff, a == b); }

DEVICE Lanes reciprocal(Lanes a) {
    float result;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(a));
    return result;
}

DEVICE Lanes reciprocal_root(Lanes a) {
    float result;
    asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(a));
    return result;
}

DEVICE float total(Lanes a) {
    UNROLL
    for (int apart = 16; apart > 0; apart /= 2) a += __shfl_xor_sync(0xffffffff, a, apart);
    return a;
}

#else

#include <cmath>
#include <cstdint>
#include <cstring>

#define DEVICE inline
#define UNROLL
#define KEEP_LOOP

struct Lanes {
    float of[32];
    Lanes() = default;
    Lanes(float value) {
        for (float& lane : of) lane = value;
    }
};

struct Positions {
    int of[32];
};

template <class Function>
inline Lanes each_lane(Function function) {
    Lanes result;
    for (int lane = 0; lane < 32; lane++) result.of[lane] = function(lane);
    return result;
}

inline Lanes operator-(const Lanes& a) {
    return each_lane([&](int i) { return -a.of[i]; });
}
inline Lanes operator-(const Lanes& a, const Lanes& b) {
    return each_lane([&](int i) { return a.of[i] - b.of[i]; });
}
inline Lanes operator+(const Lanes& a, const Lanes& b) {
    return each_lane([&](int i) { return a.of[i] + b.of[i]; });
}
inline Lanes operator*(const Lanes& a, const Lanes& b) {
    return each_lane([&](int i) { return a.of[i] * b.of[i]; });
}

inline bool is_first_lane() { return true; }
inline Lanes load(const float* values, const Positions& at) {
    return each_lane([&](int i) { return values[at.of[i]]; });
}
inline Lanes load_lanes(const float* values) {
    return each_lane([&](int i) { return values[i]; });
}
inline Positions load_lanes(const int* values) {
    Positions result;
    std::memcpy(result.of, values, sizeof result.of);
    return result;
}
inline Lanes multiply_add(const Lanes& a, const Lanes& b, const Lanes& c) {
    return each_lane([&](int i) { return std::fma(a.of[i], b.of[i], c.of[i]); });
}
inline Lanes absolute(const Lanes& a) {
    return each_lane([&](int i) { return std::fabs(a.of[i]); });
}
// As on the GPU, the limit is what comes of a NaN.
inline Lanes at_most(const Lanes& a, float limit) {
    return each_lane([&](int i) { return a.of[i] < limit ? a.of[i] : limit; });
}
inline Lanes at_least(const Lanes& a, float limit) {
    return each_lane([&](int i) { return a.of[i] > limit ? a.of[i] : limit; });
}
inline Lanes where_negative(const Lanes& a, const Lanes& yes, const Lanes& no) {
    return each_lane([&](int i) { return a.of[i] < 0 ? yes.of[i] : no.of[i]; });
}
inline Lanes from_lane(const Lanes& a, const Positions& lane) {
    return each_lane([&](int i) { return a.of[lane.of[i]]; });
}
// As on the GPU, a lane without a neighbour keeps its own value.
inline Lanes from_left(const Lanes& a) {
    return each_lane([&](int i) { return a.of[i > 0 ? i - 1 : 0]; });
}
inline Lanes from_right(const Lanes& a) {
    return each_lane([&](int i) { return a.of[i < 31 ? i + 1 : 31]; });
}
inline bool all_equal(const Lanes& a, const Lanes& b) {
    bool all = true;
    for (int i = 0; i < 32; i++) all &= a.of[i] == b.of[i];
    return all;
}

// Off by `coarseness` of its value, up or down as its last bits have it.
inline float coarse(float exact, float coarseness) {
    std::uint32_t bits;
    std::memcpy(&bits, &exact, sizeof bits);
    return exact * (((bits * 2654435769u) >> 31) ? 1 + coarseness : 1 - coarseness);
}
// PTX ISA: rcp.approx.ftz.f32 is within 1 unit in the last place.
inline Lanes reciprocal(const Lanes& a) {
    return each_lane([&](int i) { return coarse(1 / a.of[i], 0x1p-23f); });
}
// PTX ISA: rsqrt.approx.ftz.f32 has a relative error of at most 2**-22.9.
inline Lanes reciprocal_root(const Lanes& a) {
    return each_lane([&](int i) { return coarse(1 / std::sqrt(a.of[i]), 1.28e-7f); });
}

inline float total(Lanes a) {
    for (int apart = 16; apart > 0; apart /= 2)
        a = each_lane([&](int i) { return a.of[i] + a.of[i ^ apart]; });
    return a.of[0];
}

#endif
