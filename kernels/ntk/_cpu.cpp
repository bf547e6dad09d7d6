// NTK recursion on the CPU: a tile of the Gram matrix goes through all levels in cache. All
// variants share one square root and two polynomials a level; of a symmetric matrix the upper
// triangle is computed, and a tile is written twice, the second time transposed.

#include <algorithm>
#include <new>
#include <vector>

#include "../_export.h"
#include "../_parallel.h"
#include "../_vectors.h"

namespace {

using namespace vectors;

template <class T> constexpr long TILE = 512 / sizeof(T);  // rows and columns: all in level 2
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

// Buffers of one thread. A row of a tile fills whole vectors; what is past its end is not written.
template <class T> class Tile {
    using V = Vector<T>;
    static constexpr long SIDE = LANES<T>, SIZE = TILE<T> * TILE<T> / SIDE;

    const Problem<T>& problem;
    T p[TERMS_P<T>], q[TERMS_Q<T>];  // copies, which no store can change
    std::vector<V> buffers;
    V *u, *rho, *kappa0, *value, *transposed, *theta;  // theta [fixed_counts], over rho
    long top, left, height, width;
    long across, size;  // vectors in a row, and in the tile

  public:
    explicit Tile(const Problem<T>& problem)
        : problem(problem), buffers((5 + problem.fixed_counts) * SIZE) {
        std::copy_n(problem.p, TERMS_P<T>, p);
        std::copy_n(problem.q, TERMS_Q<T>, q);
        V* next = buffers.data();
        for (V** buffer : {&u, &rho, &kappa0, &value, &transposed, &theta}) {
            *buffer = next;
            next += SIZE;
        }
    }

    void compute(long at_row, long at_column) {
        top = at_row, left = at_column;
        height = std::min(TILE<T>, problem.n - top);
        width = std::min(TILE<T>, problem.m - left);
        across = (width + SIDE - 1) / SIDE;
        size = height * across;
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
        for (long i = 0; i < height; i++)
            for (long j = 0; j < across; j++) {
                const long column = left + j * SIDE;
                const long bytes = std::min(SIDE, problem.m - column) * sizeof(T);
                V sigma{}, norm2{};
                std::memcpy(&sigma, problem.sigma + (top + i) * problem.m + column, bytes);
                std::memcpy(&norm2, problem.norm2 + column, bytes);
                const V product = problem.norm1[top + i] * norm2;
                rho[i * across + j] = product;
                u[i * across + j] = product > 0 ? sigma / product : V{};
            }
    }

    void clip() {
        for (long k = 0; k < size; k++) u[k] = minimum(maximum(u[k], splat(T(-1))), splat(T(1)));
        if (problem.symmetric && top == left)
            // Next to 1 the arc cosine magnifies rounding: 1e-7 becomes 3e-4.
            for (long k = 0; k < height; k++) u[k * across + k / SIDE][k % SIDE] = 1;
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
        T* gram = problem.gram + place * problem.n * problem.m;
        put(gram + top * problem.m + left, value, height, width, across);
        if (problem.symmetric && top != left) {
            const long down = (height + SIDE - 1) / SIDE;
            for (long i = 0; i < down; i++)
                for (long j = 0; j < across; j++) turn(i, j, down);
            put(gram + left * problem.m + top, transposed, width, height, down);
        }
    }

    void turn(long i, long j, long down) {
        V block[SIDE];
        for (long k = 0; k < SIDE; k++) block[k] = value[(i * SIDE + k) * across + j];
        transpose<T>(block);
        for (long k = 0; k < SIDE; k++) transposed[(j * SIDE + k) * down + i] = block[k];
    }

    void put(T* to, const V* from, long rows, long columns, long stride) {
        for (long k = 0; k < rows; k++)
            stream(to + k * problem.m, reinterpret_cast<const T*>(from + k * stride), columns);
    }
};

template <class T> int ntk_gram(const Problem<T>& problem, int threads) {
    const long down = (problem.n + TILE<T> - 1) / TILE<T>;
    const long across = (problem.m + TILE<T> - 1) / TILE<T>;
    try {
        in_parallel(down * across, threads, [&] {
            return [&, tile = Tile<T>(problem)](long task) mutable {
                const long top = task / across * TILE<T>, left = task % across * TILE<T>;
                if (problem.symmetric && left < top) return;
                tile.compute(top, left);
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
