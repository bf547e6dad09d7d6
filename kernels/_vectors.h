// Vectors as wide as the instruction set that this file is compiled for: operators work lane by
// lane, and `a < b ? x : y` selects by lane.
#pragma once

#include <cmath>
#include <cstring>
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

}  // namespace vectors
