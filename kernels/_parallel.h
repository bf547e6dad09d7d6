// Independent tasks on several threads. Threads live as long as the call: nothing spins after it,
// and nothing is left over in a forked process.
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

// Calls work(task) once for each task below `tasks`; the first exception that one throws is thrown
// here. `start()` makes what a thread needs and gives its `work`.
template <class Start> void in_parallel(long tasks, int threads, Start start) {
    std::atomic<long> next{0};
    std::exception_ptr failure;
    std::mutex guard;
    auto run = [&] {
        try {
            auto work = start();
            for (long task; (task = next++) < tasks;) work(task);
        } catch (...) {
            next = tasks;
            std::lock_guard<std::mutex> held(guard);
            if (!failure) failure = std::current_exception();
        }
    };
    std::vector<std::thread> others;
    others.reserve(threads);
    try {
        for (long k = 1; k < std::min<long>(threads, tasks); k++) others.emplace_back(run);
    } catch (const std::system_error&) {
        // The system has no more threads: those that started do it all.
    }
    run();
    for (auto& thread : others) thread.join();
    if (failure) std::rethrow_exception(failure);
}
