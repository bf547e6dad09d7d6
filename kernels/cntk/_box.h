// Sums over 3 x 3 neighbours, which a convolution of ones makes of a map.
#pragma once

#include <algorithm>

// A call in a row of a map would cost more than what it calls.
#define INLINE __attribute__((always_inline))

namespace cntk {

// In place and row by row: when the sums along a row are known, the
// row before it is complete.
template <class E> class Box {
    long width, given = 0;
    bool circular;
    E *rows, *zeros, *below;

    E* row_before(long steps) const {
        return given < steps ? zeros : rows + (given - steps) % 3 * width;
    }

  public:
    static constexpr long ROWS = 5;

    // `memory` has room for so many rows of the widest map, of zeros when it is first used.
    Box(long width, long widest, bool circular, E* memory)
        : width(width), circular(circular), rows(memory + 2 * widest), zeros(memory),
          below(circular ? memory + widest : zeros) {}

    // `at(j)` gives the entries of a row; `out(j, sum)` takes those of the row before it. Two
    // columns at a time, since they share a sum.
    template <class At, class Out> INLINE void row(At at, Out out) {
        const E *above = row_before(2), *before = row_before(1);
        E* here = rows + given++ % 3 * width;
        auto complete = [=](long j, const E& sum) INLINE {
            const E all = above[j] + before[j] + sum;
            put(here[j], sum);
            out(j, all);
        };
        const E first = at(0);
        E centre = first, pair = first;
        if (circular) pair = pair + at(width - 1);
        long j = 0;
        for (; j + 2 < width; j += 2) {
            const E right = at(j + 1);
            complete(j, pair + right);
            const E next = at(j + 2);
            pair = right + next;
            complete(j + 1, centre + pair);
            centre = next;
        }
        if (j + 1 < width) {
            const E right = at(j + 1);
            complete(j, pair + right);
            pair = centre + right;
            j++;
        }
        if (circular) pair = pair + first;
        complete(j, pair);
    }

    // Where rows are circular: the row given first is above the second, and that below the last.
    void keep_row() { std::copy_n(row_before(1), width, below); }

    template <class Out> INLINE void finish(Out out) const {
        const E *above = row_before(2), *before = row_before(1);
        for (long j = 0; j < width; j++) out(j, above[j] + before[j] + below[j]);
    }
};

// All rows of a map through one box: `at(i)` and `out(i)` give what `row` takes, for each row. The
// sums of a row are complete after the next is given, so a map may be replaced in place.
template <class E, class At, class Out>
void through_box(long rows, Box<E> box, bool circular, At at, Out out) {
    const auto nowhere = [](long, const E&) INLINE {};
    if (circular) {
        box.row(at(rows - 1), nowhere);
        box.row(at(0), nowhere);
        box.keep_row();
    } else box.row(at(0), nowhere);
    for (long i = 1; i < rows; i++) box.row(at(i), out(i - 1));
    box.finish(out(rows - 1));
}

}  // namespace cntk
