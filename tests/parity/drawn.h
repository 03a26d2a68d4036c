// Inputs of the parity cases, equal to those of drawn.py.
#ifndef NAVIT_TESTS_PARITY_DRAWN_H_
#define NAVIT_TESTS_PARITY_DRAWN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "worker/model/batch.h"
#include "worker/model/parameters.h"

namespace navit {

// Element `i` of the inputs called `name`: splitmix64(fnv1a64(name) + i).
uint64_t DrawnWord(const std::string& name, uint64_t i);
// (the word's upper 24 bits / 2^23 - 1) * scale.
std::vector<float> DrawnReals(const std::string& name, size_t count, float scale);
// The word's upper 24 bits modulo `below`.
uint32_t DrawnWhole(const std::string& name, uint64_t i, uint32_t below);

// Sets every parameter to the value that drawn.py gives it.
void DrawParameters(const ParameterTable& table, ModelState* state);

// The five examples of make_values.py's batch(first).
Batch DrawnBatch(const ModelConfig& config, uint64_t first);

}  // namespace navit

#endif  // NAVIT_TESTS_PARITY_DRAWN_H_
