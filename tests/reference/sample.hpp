#pragma once
/// Walker's alias table (1977), built and read back in double precision.

#include <cstdint>
#include <vector>

namespace sheaf::ref {

struct AliasTable {
  std::vector<float> threshold;  // [n] in [0, 1]
  std::vector<int32_t> item;     // [n]
};

/// A table that draws item i in proportion to weights[i].
AliasTable alias_table(const std::vector<double>& weights);

/// The probability of each item under the table: its own cell up to the threshold, and what others pass on to it.
std::vector<double> alias_probabilities(const AliasTable& table);

}  // namespace sheaf::ref
