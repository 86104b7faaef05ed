#include "tests/engine/engine_data.hpp"

#include <algorithm>
#include <random>

namespace sheaf::test {
namespace {

constexpr int kBought = 9, kHeldOut = 2;  // items a user

/// Different items of a taste, drawn one after another; item 2 r + taste in proportion to 1 / (r + 1).
std::vector<int32_t> draw_items(std::mt19937& engine, int32_t taste) {
  std::vector<double> weight;
  for (int64_t r = 0; r < Planted::n_items / 2; ++r) weight.push_back(1.0 / static_cast<double>(r + 1));
  std::vector<int32_t> items;
  for (int n = 0; n < kBought + kHeldOut; ++n) {
    std::discrete_distribution<int32_t> rank(weight.begin(), weight.end());
    const int32_t drawn = rank(engine);
    weight[static_cast<size_t>(drawn)] = 0;
    items.push_back(2 * drawn + taste);
  }
  std::shuffle(items.begin(), items.end(), engine);
  return items;
}

}  // namespace

sheaf::HostCsr engine_csr(const HostCsr& matrix) {
  return {matrix.row_offsets, matrix.columns, matrix.values, matrix.n_columns};
}

sheaf::HostCsr pattern(const std::vector<std::vector<int32_t>>& rows, int64_t n_columns) {
  sheaf::HostCsr csr;
  csr.n_columns = n_columns;
  for (const auto& row : rows) {
    csr.columns.insert(csr.columns.end(), row.begin(), row.end());
    csr.row_offsets.push_back(csr.nnz());
  }
  return csr;
}

sheaf::HostCsr sparse(const std::vector<std::vector<float>>& values) {
  sheaf::HostCsr csr;
  csr.n_columns = static_cast<int64_t>(values.front().size());
  for (const auto& row : values) {
    for (size_t c = 0; c < row.size(); ++c) {
      if (row[c] == 0.0f) continue;
      csr.columns.push_back(static_cast<int32_t>(c));
      csr.values.push_back(row[c]);
    }
    csr.row_offsets.push_back(csr.nnz());
  }
  return csr;
}

Catalog plain_catalog(int64_t n_items) {
  const auto n = static_cast<size_t>(n_items);
  return {n_items, std::vector<float>(n, 1.0f), std::vector<int32_t>(n, 0), {}};
}

Planted planted(uint32_t seed) {
  Planted data;
  data.catalog = plain_catalog(Planted::n_items);
  ItemField taste{"taste", 2, {}};
  for (int32_t i = 0; i < Planted::n_items; ++i) {
    data.catalog.price[static_cast<size_t>(i)] = static_cast<float>(i + 1);
    data.catalog.category[static_cast<size_t>(i)] = i % 4;
    taste.codes.push_back(i % 2);
  }
  data.catalog.fields.push_back(std::move(taste));
  std::mt19937 engine(seed);
  std::vector<std::vector<int32_t>> bought, held_out;
  for (int32_t u = 0; u < Planted::n_users; ++u) {
    const std::vector<int32_t> items = draw_items(engine, u % 2);
    bought.emplace_back(items.begin(), items.begin() + kBought);
    held_out.emplace_back(items.begin() + kBought, items.end());
    std::ranges::sort(bought.back());
    std::ranges::sort(held_out.back());
  }
  data.train = pattern(bought, Planted::n_items);
  data.validation = pattern(held_out, Planted::n_items);
  for (int64_t e = 0; e < data.train.nnz(); ++e) data.train.values.push_back(static_cast<float>(1 + engine() % 5));
  return data;
}

}  // namespace sheaf::test
