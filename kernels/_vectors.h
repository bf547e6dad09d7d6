// Vectors as wide as the instruction set that this file is compiled for: operators work lane by
// lane, and `a < b ? x : y` selects by lane.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace vectors {

#if defined(__AVX512F__)
constexpr int BYTES = 64;
#elif defined(__AVX2__)
constexpr int BYTES = 32;
#else
constexpr int BYTES = 16;
#endif

typedef float vf __attribute__((vector_size(BYTES)));
typedef double vd __attribute__((vector_size(BYTES)));
typedef float vh __attribute__((vector_size(BYTES / 2)));  // as many lanes as a vd has

template <class T> struct Of;
template <> struct Of<float> { using type = vf; };
template <> struct Of<double> { using type = vd; };
template <class T> using Vector = typename Of<T>::type;
template <class T> constexpr int LANES = BYTES / sizeof(T);

template <class T> inline Vector<T> splat(T x) { return x - Vector<T>{}; }

template <class T> inline Vector<T> load(const T* from) {  // at any address
    Vector<T> v;
    std::memcpy(&v, from, BYTES);
    return v;
}

template <class T> inline void store(T* to, Vector<T> v) { std::memcpy(to, &v, BYTES); }

template <class V> inline V maximum(V a, V b) { return a > b ? a : b; }
template <class V> inline V minimum(V a, V b) { return a < b ? a : b; }

#if defined(__x86_64__)
// The same in one instruction: compilers make two of a comparison with a constant.
inline vf maximum(vf a, vf b) {
#if defined(__AVX512F__)
    return _mm512_max_ps(a, b);
#elif defined(__AVX2__)
    return _mm256_max_ps(a, b);
#else
    return _mm_max_ps(a, b);
#endif
}
#endif

inline vf root(vf x) {
#if defined(__AVX512F__)
    return _mm512_sqrt_ps(x);
#elif defined(__AVX2__)
    return _mm256_sqrt_ps(x);
#elif defined(__x86_64__)
    return _mm_sqrt_ps(x);
#else
    for (int k = 0; k < LANES<float>; k++) x[k] = std::sqrt(x[k]);
    return x;
#endif
}

inline vd root(vd x) {
#if defined(__AVX512F__)
    return _mm512_sqrt_pd(x);
#elif defined(__AVX2__)
    return _mm256_sqrt_pd(x);
#elif defined(__x86_64__)
    return _mm_sqrt_pd(x);
#else
    for (int k = 0; k < LANES<double>; k++) x[k] = std::sqrt(x[k]);
    return x;
#endif
}

// Past the caches, to an aligned address: for results larger than they are, whose lines a plain
// store would first read.
inline void store_past_caches(float* to, vf v) {
#if defined(__AVX512F__)
    _mm512_stream_ps(to, v);
#elif defined(__AVX2__)
    _mm256_stream_ps(to, v);
#elif defined(__x86_64__)
    _mm_stream_ps(to, v);
#else
    store(to, v);
#endif
}

inline void store_past_caches(double* to, vd v) {
#if defined(__AVX512F__)
    _mm512_stream_pd(to, v);
#elif defined(__AVX2__)
    _mm256_stream_pd(to, v);
#elif defined(__x86_64__)
    _mm_stream_pd(to, v);
#else
    store(to, v);
#endif
}

// Copies to any address, whole cache lines past the caches. Before another thread may read it, call
// `finish_streams`.
template <class T> inline void stream(T* to, const T* from, long count) {
    constexpr long LINE = 64, ENTRIES = LINE / sizeof(T);
    const long past = reinterpret_cast<std::uintptr_t>(to) % LINE / sizeof(T);
    long k = past == 0 ? 0 : ENTRIES - past;
    if (k > count) k = count;
    std::memcpy(to, from, k * sizeof(T));
    for (; k + ENTRIES <= count; k += ENTRIES)
        for (long part = k; part < k + ENTRIES; part += LANES<T>)
            store_past_caches(to + part, load(from + part));
    std::memcpy(to + k, from + k, (count - k) * sizeof(T));
}

inline void finish_streams() {
#if defined(__x86_64__)
    _mm_sfence();
#endif
}

// Lanes of two vectors in turn: a0 b0 a1 b1 ..., from `start` on.
template <int START, class V, int... K>
inline V interleave(V a, V b, std::integer_sequence<int, K...>) {
    constexpr int COUNT = sizeof...(K);
#if defined(__clang__)
    return __builtin_shufflevector(a, b, (START + K / 2 + K % 2 * COUNT)...);
#else
    return __builtin_shuffle(a, b, decltype(a < b){(START + K / 2 + K % 2 * COUNT)...});
#endif
}

// Turns LANES x LANES entries. Interleaving the first half of the rows with the second moves the
// highest bit of a row's number to its column's; after as many rounds as bits they have changed
// places.
template <class T> inline void transpose(Vector<T>* rows) {
    constexpr int SIDE = LANES<T>;
    constexpr std::make_integer_sequence<int, SIDE> LANE{};
    Vector<T> turned[SIDE];
    for (int round = 1; round < SIDE; round *= 2) {
        for (int k = 0; k < SIDE / 2; k++) {
            turned[2 * k] = interleave<0>(rows[k], rows[k + SIDE / 2], LANE);
            turned[2 * k + 1] = interleave<SIDE / 2>(rows[k], rows[k + SIDE / 2], LANE);
        }
        for (int k = 0; k < SIDE; k++) rows[k] = turned[k];
    }
}

}  // namespace vectors
