// What Python may call: C functions, whose names alone leave the library.
#pragma once

#define EXPORT extern "C" __attribute__((visibility("default")))
