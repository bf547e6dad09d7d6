// NTK recursion on the CPU: a stretch of a row of the Gram matrix goes through all levels in the
// level-1 cache, and its results past the caches.
//
// All variants share one square root and two polynomials a level. That is so little that the second
// half of a symmetric matrix is computed too: to copy it from the first, tile by tile, took longer
// for many variants, since its lines were then written in parts.

#include <algorithm>
#include <new>
#include <vector>

#include "../_export.h"
#include "../_parallel.h"
#include "../_vectors.h"

namespace {

using namespace vectors;

template <class T> constexpr long STRETCH = 2048 / sizeof(T);
constexpr long ROWS = 16;  // of a task
template <class T> constexpr int TERMS_P = sizeof(T) == 4 ? 7 : 18;
template <class T> constexpr int TERMS_Q = sizeof(T) == 4 ? 6 : 16;

template <class T> struct Problem {
    long n, m, levels, fixed_counts, symmetric;
    const T *sigma, *norm1, *norm2;  // [n m], [n], [m]
    const long* fixed;               // [fixed_counts], ascending
    const long* outputs;             // [levels fixed_counts]: a place in `gram`, or -1
    const T* factor;                 // [levels]
    const T *p, *q;                  // as in _arc_cosine.py
    T* gram;                         // [places n m]
};

template <int TERMS, class T> inline Vector<T> polynomial(const T* coefficients, Vector<T> x) {
    Vector<T> sum = splat(coefficients[TERMS - 1]);
    for (int k = TERMS - 2; k >= 0; k--) sum = sum * x + coefficients[k];
    return sum;
}

// Buffers of one thread for a stretch of a row, which fills whole vectors.
template <class T> class Stretch {
    using V = Vector<T>;
    static constexpr long SIDE = LANES<T>, SIZE = STRETCH<T> / SIDE;

    const Problem<T>& problem;
    T p[TERMS_P<T>], q[TERMS_Q<T>];  // copies, which no store can change
    std::vector<V> buffers;
    V *u, *rho, *kappa0, *value, *theta;  // theta [fixed_counts], over rho
    long row, start, width, size;         // entries, and vectors

  public:
    explicit Stretch(const Problem<T>& problem)
        : problem(problem), buffers((4 + problem.fixed_counts) * SIZE) {
        std::copy_n(problem.p, TERMS_P<T>, p);
        std::copy_n(problem.q, TERMS_Q<T>, q);
        V* next = buffers.data();
        for (V** buffer : {&u, &rho, &kappa0, &value, &theta}) {
            *buffer = next;
            next += SIZE;
        }
    }

    void compute(long at_row, long at_column) {
        row = at_row, start = at_column;
        width = std::min(STRETCH<T>, problem.m - start);
        size = (width + SIDE - 1) / SIDE;
        read();
        for (long level = 0; level < problem.levels; level++) {
            if (level == 1) clip();
            if (level > 0) activate();
            for (long f = 0; f < problem.fixed_counts && problem.fixed[f] <= level; f++) {
                train(theta + f * SIZE, problem.fixed[f] == level);
                const long place = problem.outputs[level * problem.fixed_counts + f];
                if (place >= 0) write(theta + f * SIZE, problem.factor[level], place);
            }
        }
    }

  private:
    void read() {
        u[size - 1] = rho[size - 1] = V{};
        std::memcpy(u, problem.sigma + row * problem.m + start, width * sizeof(T));
        std::memcpy(rho, problem.norm2 + start, width * sizeof(T));
        for (long k = 0; k < size; k++) {
            rho[k] *= problem.norm1[row];
            u[k] = rho[k] > 0 ? u[k] / rho[k] : V{};
        }
    }

    void clip() {
        for (long k = 0; k < size; k++) u[k] = minimum(maximum(u[k], splat(T(-1))), splat(T(1)));
        const long here = row - start;
        // Next to 1 the arc cosine magnifies rounding: 1e-7 becomes 3e-4.
        if (problem.symmetric && 0 <= here && here < width) u[here / SIDE][here % SIDE] = 1;
    }

    void activate() {
        for (long k = 0; k < size; k++) {
            const V c = u[k];
            const V v = 1 - maximum(c, -c);
            const V r = root(v);
            const V rp = r * polynomial<TERMS_P<T>>(p, v);
            kappa0[k] = c < 0 ? rp : 1 - rp;
            u[k] = maximum(c, V{}) + v * r * polynomial<TERMS_Q<T>>(q, v);
        }
    }

    void train(V* theta, bool first) {
        for (long k = 0; k < size; k++) theta[k] = first ? u[k] : theta[k] * kappa0[k] + u[k];
    }

    void write(const V* theta, T factor, long place) {
        for (long k = 0; k < size; k++) value[k] = theta[k] * rho[k] * factor;
        T* to = problem.gram + (place * problem.n + row) * problem.m + start;
        stream(to, reinterpret_cast<const T*>(value), width);
    }
};

template <class T> int ntk_gram(const Problem<T>& problem, int threads) {
    try {
        in_parallel((problem.n + ROWS - 1) / ROWS, threads, [&] {
            return [&, stretch = Stretch<T>(problem)](long task) mutable {
                const long end = std::min((task + 1) * ROWS, problem.n);
                for (long row = task * ROWS; row < end; row++)
                    for (long start = 0; start < problem.m; start += STRETCH<T>)
                        stretch.compute(row, start);
                finish_streams();
            };
        });
    } catch (const std::bad_alloc&) {
        return 1;
    }
    return 0;
}

}  // namespace

EXPORT int ntk_gram_float32(const Problem<float>* problem, int threads) {
    return ntk_gram(*problem, threads);
}

EXPORT int ntk_gram_float64(const Problem<double>* problem, int threads) {
    return ntk_gram(*problem, threads);
}
