#include "engine/associate/similar_users.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/sparse/spgemm_topk.hpp"

namespace sheaf {
namespace {

constexpr double kMaxProducts = 4e9;

std::vector<double> column_counts(const HostCsr& matrix) {
  std::vector<double> counts(static_cast<size_t>(matrix.n_columns), 0.0);
  for (const int32_t column : matrix.columns) counts[static_cast<size_t>(column)] += 1.0;
  return counts;
}

/// An item that more users than this have is left out: the most common ones say least of likeness and cost most.
double most_buyers(const std::vector<double>& of, const std::vector<double>& among) {
  std::vector<std::pair<double, double>> by_size;
  for (size_t i = 0; i < among.size(); ++i) by_size.emplace_back(among[i], of[i]);
  std::ranges::sort(by_size);
  double products = 0.0, most = 0.0;
  for (const auto& [buyers, rows] : by_size) {
    products += buyers * rows;
    if (products > kMaxProducts) break;
    most = buyers;
  }
  return most;
}

/// Rows whose cosines are the likenesses, and their lengths.
struct Profiles {
  HostCsr rows;
  std::vector<float> length;

  Profiles(const HostCsr& rates, const std::vector<double>& buyers, double most, int64_t n_users) {
    rows.n_columns = rates.n_columns;
    for (int64_t u = 0; u < rates.n_rows(); ++u) {
      const auto first = static_cast<size_t>(rates.row_offsets[static_cast<size_t>(u)]);
      const auto items = rates.row(u);
      double squares = 0.0;
      for (size_t e = 0; e < items.size(); ++e) {
        const double n = buyers[static_cast<size_t>(items[e])];
        const double rarity = std::log(static_cast<double>(n_users) / (1.0 + n));
        if (n > most || rarity <= 0.0) continue;
        const auto value = static_cast<float>(std::sqrt(static_cast<double>(rates.values[first + e])) * rarity);
        rows.columns.push_back(items[e]);
        rows.values.push_back(value);
        squares += static_cast<double>(value) * static_cast<double>(value);
      }
      rows.row_offsets.push_back(rows.nnz());
      length.push_back(squares > 0.0 ? static_cast<float>(std::sqrt(squares)) : 1.0f);
    }
  }
};

}  // namespace

HostCsr basket_rates(const BasketHistory& history, double day, double half_life_days) {
  std::vector<int32_t> users, items;
  std::vector<float> weights;
  std::vector<double> all(static_cast<size_t>(history.n_users), 0.0);
  for (int64_t b = 0; b < history.n_baskets(); ++b) {
    const double age = day - history.day(b);
    if (age < 0.0) continue;
    const double weight = std::exp2(-age / half_life_days);
    const int32_t user = history.user[static_cast<size_t>(b)];
    all[static_cast<size_t>(user)] += weight;
    for (const int32_t item : history.items.row(b)) {
      users.push_back(user);
      items.push_back(item);
      weights.push_back(static_cast<float>(weight));
    }
  }
  HostCsr rates = csr_from_pairs(users, items, weights, history.n_users, history.items.n_columns);
  if (rates.values.empty()) rates.values.resize(rates.columns.size());
  for (int64_t u = 0; u < rates.n_rows(); ++u) {
    const auto n = static_cast<float>(all[static_cast<size_t>(u)] + 1.0);
    for (int64_t e = rates.row_offsets[static_cast<size_t>(u)]; e < rates.row_offsets[static_cast<size_t>(u) + 1];
         ++e) {
      rates.values[static_cast<size_t>(e)] /= n;
    }
  }
  return rates;
}

HostCsr similar_users(Context& context, const HostCsr& of, const HostCsr& among, int64_t k, bool themselves) {
  const int64_t n = of.n_rows(), n_among = among.n_rows();
  HostCsr similar;
  similar.n_columns = n_among;
  k = std::min({k, n_among - (themselves ? 1 : 0), int64_t{256}});
  if (k < 1 || of.nnz() == 0 || among.nnz() == 0) {
    similar.row_offsets.assign(static_cast<size_t>(n) + 1, 0);
    return similar;
  }
  const std::vector<double> buyers = column_counts(among);
  const double most = most_buyers(themselves ? buyers : column_counts(of), buyers);
  const Profiles left(of, buyers, most, n_among), right(among, buyers, most, n_among);
  const DeviceCsr rows(context, left.rows), columns(context, transpose(right.rows)),
      itself(context, identity_csr(themselves ? n : 0));
  const Buffer<float> row_length(context, left.length), column_length(context, right.length);
  Buffer<int32_t> users(context, n * k);
  Buffer<float> scores(context, n * k);
  sparse::spgemm_topk(context, {.history = rows.view(),
                                .similarity = columns.view(),
                                .exclude = themselves ? itself.view() : CsrView{},
                                .row_length = row_length.view(),
                                .item_length = column_length.view(),
                                .top_items = users.matrix(n, k),
                                .top_scores = scores.matrix(n, k)});
  const std::vector<int32_t> found = users.to_host();
  const std::vector<float> likeness = scores.to_host();
  std::vector<std::pair<int32_t, float>> row;
  for (int64_t u = 0; u < n; ++u) {
    row.clear();
    for (auto at = static_cast<size_t>(u * k); at < static_cast<size_t>((u + 1) * k) && found[at] >= 0; ++at) {
      row.emplace_back(found[at], likeness[at]);
    }
    std::ranges::sort(row);
    for (const auto& [user, value] : row) {
      similar.columns.push_back(user);
      similar.values.push_back(value);
    }
    similar.row_offsets.push_back(similar.nnz());
  }
  return similar;
}

void scale_rows_to_one(HostCsr& matrix) {
  for (int64_t r = 0; r < matrix.n_rows(); ++r) {
    const auto begin = static_cast<size_t>(matrix.row_offsets[static_cast<size_t>(r)]);
    const auto end = static_cast<size_t>(matrix.row_offsets[static_cast<size_t>(r) + 1]);
    double sum = 0.0;
    for (size_t e = begin; e < end; ++e) sum += static_cast<double>(matrix.values[e]);
    if (sum <= 0.0) continue;
    for (size_t e = begin; e < end; ++e) {
      matrix.values[e] = static_cast<float>(static_cast<double>(matrix.values[e]) / sum);
    }
  }
}

}  // namespace sheaf
