#include "engine/models/cold_items.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "engine/data/item_features.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/philox.hpp"
#include "kernels/dense/linear.hpp"
#include "kernels/dense/spd_inverse.hpp"

namespace sheaf {
namespace {

constexpr double kColdStrengths[] = {1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0};
constexpr double kColdUsers = 10.0;       // of this many users the error of a vector is as large as what is its own
constexpr uint32_t kColdFolds = 5;        // one of them is held out
constexpr int64_t kColdColumns = 1024;    // at most
constexpr int64_t kColdLeastHolders = 2;  // items with purchases that have a feature

std::vector<int64_t> buyers_of(const HostCsr& train) {
  std::vector<int64_t> buyers(static_cast<size_t>(train.n_columns), 0);
  for (const int32_t i : train.columns) ++buyers[static_cast<size_t>(i)];
  return buyers;
}

/// The columns that say something of other items, ascending: those that most items with purchases have.
std::vector<int32_t> telling_columns(const HostCsr& features, const std::vector<int64_t>& buyers) {
  std::vector<int64_t> holders(static_cast<size_t>(features.n_columns), 0);
  for (int64_t i = 0; i < features.n_rows(); ++i) {
    if (buyers[static_cast<size_t>(i)] == 0) continue;
    for (const int32_t column : features.row(i)) ++holders[static_cast<size_t>(column)];
  }
  std::vector<int32_t> columns(holders.size());
  std::iota(columns.begin(), columns.end(), 0);
  std::erase_if(columns, [&](int32_t c) { return holders[static_cast<size_t>(c)] < kColdLeastHolders; });
  std::ranges::stable_sort(columns, std::ranges::greater{}, [&](int32_t c) { return holders[static_cast<size_t>(c)]; });
  if (std::ssize(columns) > kColdColumns) columns.resize(static_cast<size_t>(kColdColumns));
  std::ranges::sort(columns);
  return columns;
}

/// Some columns of a matrix, in their order, with values.
HostCsr columns_of(const HostCsr& matrix, const std::vector<int32_t>& columns) {
  std::vector<int32_t> place(static_cast<size_t>(matrix.n_columns), -1);
  for (size_t c = 0; c < columns.size(); ++c) place[static_cast<size_t>(columns[c])] = static_cast<int32_t>(c);
  HostCsr kept;
  kept.n_columns = std::ssize(columns);
  for (int64_t r = 0; r < matrix.n_rows(); ++r) {
    for (auto e = static_cast<size_t>(matrix.row_offsets[static_cast<size_t>(r)]);
         e < static_cast<size_t>(matrix.row_offsets[static_cast<size_t>(r) + 1]); ++e) {
      const int32_t column = place[static_cast<size_t>(matrix.columns[e])];
      if (column < 0) continue;
      kept.columns.push_back(column);
      kept.values.push_back(matrix.values.empty() ? 1.0f : matrix.values[e]);
    }
    kept.row_offsets.push_back(kept.nnz());
  }
  return kept;
}

/// f(column, value) for each entry of a row.
template <class F>
void for_each_entry(const HostCsr& matrix, int32_t row, F&& f) {
  for (auto e = static_cast<size_t>(matrix.row_offsets[static_cast<size_t>(row)]);
       e < static_cast<size_t>(matrix.row_offsets[static_cast<size_t>(row) + 1]); ++e) {
    f(static_cast<size_t>(matrix.columns[e]), static_cast<double>(matrix.values[e]));
  }
}

}  // namespace

ColdItems::ColdItems(Context& context, const Catalog& catalog, const HostCsr& train) {
  const std::vector<int64_t> buyers = buyers_of(train);
  std::vector<int32_t> warm, rest;
  for (int32_t i = 0; i < catalog.n_items; ++i) {
    const auto n = static_cast<double>(buyers[static_cast<size_t>(i)]);
    weight_.push_back(n / (n + kColdUsers));
    (n > 0.0 ? warm : cold_).push_back(i);
  }
  if (cold_.empty()) return;
  const HostCsr features = feature_matrix(catalog);
  features_ = columns_of(features, telling_columns(features, buyers));
  if (!tells()) return;
  for (const int32_t i : warm) {
    const bool held = random_u32({0, Purpose::shuffle, 0}, static_cast<uint64_t>(i), 0) % kColdFolds == 0;
    (held ? held_out_ : rest).push_back(i);
  }
  chosen_by_ = equations_of(std::move(rest));
  all_ = equations_of(std::move(warm));
  for (const double strength : kColdStrengths) inverses_.push_back(inverse_of(context, chosen_by_, strength));
}

ColdItems::Equations ColdItems::equations_of(std::vector<int32_t> items) const {
  const auto n = static_cast<size_t>(n_columns());
  Equations of{std::move(items), std::vector<double>(n, 0.0), std::vector<double>(n * n, 0.0)};
  double total = 0.0;
  for (const int32_t i : of.items) {
    check_interrupt("training");
    const double w = weight_[static_cast<size_t>(i)];
    total += w;
    for_each_entry(features_, i, [&](size_t row, double x) {
      of.mean[row] += w * x;
      for_each_entry(features_, i, [&](size_t column, double z) { of.gram[row * n + column] += w * x * z; });
    });
  }
  for (double& m : of.mean) m /= std::max(total, 1e-30);
  for (size_t row = 0; row < n; ++row) {
    for (size_t column = 0; column < n; ++column) of.gram[row * n + column] -= total * of.mean[row] * of.mean[column];
  }
  return of;
}

Buffer<float> ColdItems::inverse_of(Context& context, const Equations& of, double strength) const {
  const auto n = static_cast<size_t>(n_columns());
  std::vector<float> matrix(n * n);
  for (size_t row = 0; row < n; ++row) {
    for (size_t column = 0; column < n; ++column) {
      matrix[row * n + column] = static_cast<float>(of.gram[row * n + column] + (row == column ? strength : 0.0));
    }
  }
  Buffer<float> inverse(context, matrix);
  Buffer<int32_t> failed = Buffer<int32_t>::zeros(context, 1);
  dense::spd_inverse(context, {.matrix = inverse.matrix(n_columns(), n_columns()), .failed = failed.view()});
  if (failed.to_host()[0] != 0) {
    throw DataError("the items' numbers or vectors are too large for the regression of cold items",
                    "import them standardised");
  }
  return inverse;
}

ColdItems::Prediction ColdItems::solve(Context& context, const Equations& of, const Buffer<float>& inverse,
                                       const std::vector<float>& rows, int64_t cols) const {
  const auto n = static_cast<size_t>(n_columns()), width = static_cast<size_t>(cols);
  Prediction by{std::vector<double>(n * width, 0.0), std::vector<double>(width, 0.0)};
  double total = 0.0;
  for (const int32_t i : of.items) {
    const double w = weight_[static_cast<size_t>(i)];
    total += w;
    for (size_t c = 0; c < width; ++c)
      by.constant[c] += w * static_cast<double>(rows[static_cast<size_t>(i) * width + c]);
  }
  for (double& m : by.constant) m /= std::max(total, 1e-30);
  if (inverse.size() == 0) return by;
  std::vector<double> right(width * n, 0.0);  // sum of w (y - c) x^T; the sum of w (y - c) m^T is 0
  for (const int32_t i : of.items) {
    for_each_entry(features_, i, [&](size_t column, double x) {
      const double w = x * weight_[static_cast<size_t>(i)];
      for (size_t c = 0; c < width; ++c) {
        right[c * n + column] += w * (static_cast<double>(rows[static_cast<size_t>(i) * width + c]) - by.constant[c]);
      }
    });
  }
  const Buffer<float> terms(context, std::vector<float>(right.begin(), right.end()));
  const Buffer<float> zero = Buffer<float>::zeros(context, n_columns());
  Buffer<float> weights(context, cols * n_columns());  // B^T
  dense::linear(context, {.x = terms.matrix(cols, n_columns()),
                          .weight = inverse.matrix(n_columns(), n_columns()),
                          .bias = zero.view(),
                          .out = weights.matrix(cols, n_columns())});
  const std::vector<float> learned = weights.to_host();
  for (size_t c = 0; c < width; ++c) {
    for (size_t column = 0; column < n; ++column) {
      const auto b = static_cast<double>(learned[c * n + column]);
      by.weights[column * width + c] = b;
      by.constant[c] -= of.mean[column] * b;
    }
  }
  return by;
}

std::vector<double> ColdItems::predicted(const Prediction& by, int32_t item) const {
  std::vector<double> y = by.constant;
  for_each_entry(features_, item, [&](size_t column, double x) {
    for (size_t c = 0; c < y.size(); ++c) y[c] += x * by.weights[column * y.size() + c];
  });
  return y;
}

double ColdItems::error_of(const Prediction& by, const std::vector<float>& rows, int64_t cols) const {
  double error = 0.0;
  for (const int32_t i : held_out_) {
    const std::vector<double> y = predicted(by, i);
    for (size_t c = 0; c < y.size(); ++c) {
      const double e = y[c] - static_cast<double>(rows[static_cast<size_t>(i * cols) + c]);
      error += weight_[static_cast<size_t>(i)] * e * e;
    }
  }
  return error;
}

ColdItems::Prediction ColdItems::best(Context& context, const std::vector<float>& rows, int64_t cols) {
  const double of_mean = error_of(solve(context, chosen_by_, {}, rows, cols), rows, cols);
  double least = of_mean, strength = 0.0;
  for (size_t s = 0; s < inverses_.size(); ++s) {
    check_interrupt("training");
    const double error = error_of(solve(context, chosen_by_, inverses_[s], rows, cols), rows, cols);
    if (error >= least) continue;
    least = error;
    strength = kColdStrengths[s];
  }
  if (!has_explained_) explained_ = of_mean > 0.0 ? 1.0 - least / of_mean : 0.0;
  has_explained_ = true;
  return solve(context, all_, strength > 0.0 ? inverse_of(context, all_, strength) : Buffer<float>(), rows, cols);
}

void ColdItems::fill(Context& context, std::vector<float>& rows, int64_t cols) {
  if (cold_.empty()) return;
  const Prediction by = tells() ? best(context, rows, cols) : Prediction{};
  for (const int32_t i : cold_) {
    const std::vector<double> y = tells() ? predicted(by, i) : std::vector<double>(static_cast<size_t>(cols), 0.0);
    std::ranges::transform(y, rows.begin() + i * cols, [](double v) { return static_cast<float>(v); });
  }
}

void ColdItems::fill(Context& context, Buffer<float>& rows, int64_t cols) {
  if (cold_.empty()) return;
  std::vector<float> values = rows.to_host();
  fill(context, values, cols);
  rows.assign(values);
}

void ColdItems::note(const std::function<void(const std::string&)>& on_note) const {
  if (cold_.empty() || !on_note) return;
  const std::string n = cold_.size() == 1 ? "1 item has" : fmt::format("{} items have", cold_.size());
  on_note(tells() ? fmt::format("{} no training purchases; what the model would learn of them comes from their "
                                "features, which explain {:.0f} % of it on items held out",
                                n, 100.0 * explained_)
                  : fmt::format("{} no training purchases and no features that others share: the model knows nothing "
                                "of them",
                                n));
}

}  // namespace sheaf
