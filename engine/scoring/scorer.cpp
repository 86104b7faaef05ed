#include "engine/scoring/scorer.hpp"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/dense/gather_scores.hpp"
#include "kernels/dense/mean_sigmoid.hpp"
#include "kernels/dense/row_topk.hpp"

namespace sheaf {
namespace {

std::vector<int32_t> first_numbers(int64_t n) {
  std::vector<int32_t> numbers(static_cast<size_t>(n));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

/// The purchases of each row in the order of the items' numbers.
History history_of(const HostCsr& purchases) { return {purchases.row_offsets, purchases.columns, {}}; }

/// Calls f(first, scores) for the queries in tiles. scores [n, n_items] belong to queries first .. first + n - 1 and
/// end with the call.
template <class F>
void for_each_tile(Context& context, const Scorer& scorer, const Queries& queries, int64_t tile, F&& f) {
  for (int64_t first = 0; first < queries.n(); first += tile) {
    if (first > 0) check_interrupt("the scoring");
    const int64_t n = std::min(tile, queries.n() - first);
    ScratchScope scratch(context);
    const MatrixView<float> all{scratch.take<float>(n * scorer.n_items()), n, scorer.n_items()};
    scorer.all_scores(context, queries, first, all);
    f(first, MatrixView<const float>(all));
  }
}

}  // namespace

Queries::Queries(Context& context, std::vector<int32_t> users) : users_(std::move(users)), rows_(context, users_) {}

Queries Queries::everyone(Context& context, int64_t n_users) {
  Queries queries(context, first_numbers(n_users));
  queries.everyone_ = true;
  return queries;
}

Queries::Queries(Context& context, HostCsr purchases, History history)
    : are_known_(false),
      rows_(context, first_numbers(purchases.n_rows())),
      purchases_(std::move(purchases)),
      device_purchases_(context, purchases_),
      history_(history.n_users() > 0 ? std::move(history) : history_of(purchases_)) {
  if (history_.n_users() != purchases_.n_rows()) {
    throw UsageError("histories of " + std::to_string(history_.n_users()) + " people for purchases of " +
                         std::to_string(purchases_.n_rows()),
                     "give a history of every person, empty or not");
  }
}

int64_t Scorer::tile_of(int64_t n_queries) const {
  return std::clamp<int64_t>(tile_scores / std::max<int64_t>(1, n_items()), 1, std::max<int64_t>(1, n_queries));
}

void Scorer::scores(Context& context, const Queries& queries, MatrixView<const int32_t> items,
                    MatrixView<float> out) const {
  for_each_tile(context, *this, queries, tile_of(queries.n()), [&](int64_t first, MatrixView<const float> all) {
    const int64_t n = all.rows;
    dense::gather_scores(context, {.scores = all, .items = items.row_block(first, n), .out = out.row_block(first, n)});
  });
}

void Scorer::scores_of_items(Context& context, const Queries& queries, const std::vector<int32_t>& items,
                             MatrixView<float> out) const {
  std::vector<int32_t> all;
  for (int64_t q = 0; q < queries.n(); ++q) all.insert(all.end(), items.begin(), items.end());
  const Buffer<int32_t> device_items(context, all);
  scores(context, queries, device_items.matrix(queries.n(), std::ssize(items)), out);
  context.synchronize();  // `device_items` ends here
}

ExcludedRows::ExcludedRows(Context& context, const Exclusion& exclude, int64_t n_items, int64_t tile)
    : of_query_(exclude.of_query) {
  if (exclude.everywhere.empty()) return;
  if (of_query_ != nullptr) {
    throw UsageError("items are excluded for each query and everywhere", "put those of everywhere into each row");
  }
  HostCsr row;
  row.n_columns = n_items;
  row.columns.assign(exclude.everywhere.begin(), exclude.everywhere.end());
  std::ranges::sort(row.columns);
  row.columns.erase(std::ranges::unique(row.columns).begin(), row.columns.end());
  row.row_offsets.push_back(row.nnz());
  shared_ = DeviceCsr(context, row);
  shared_rows_ = Buffer<int32_t>::zeros(context, tile);
}

CsrView ExcludedRows::view(int64_t first, int64_t n) const {
  if (!shared_rows_.empty()) return shared_.view();
  if (of_query_ == nullptr) return {};
  CsrView view = of_query_->view();
  view.row_offsets += first;
  view.n_rows = n;
  return view;
}

TopLists Scorer::top_k(Context& context, const Queries& queries, int64_t k, const Exclusion& exclude) const {
  TopLists lists{queries.n(), k, Buffer<int32_t>(context, queries.n() * k), Buffer<float>(context, queries.n() * k)};
  const int64_t tile = tile_of(queries.n());
  const ExcludedRows excluded(context, exclude, n_items(), tile);
  for_each_tile(context, *this, queries, tile, [&](int64_t first, MatrixView<const float> all) {
    const int64_t n = all.rows;
    dense::row_topk(context, {.scores = all,
                              .exclude = excluded.view(first, n),
                              .exclude_rows = excluded.rows(n),
                              .top_items = lists.items.matrix(queries.n(), k).row_block(first, n),
                              .top_scores = lists.scores.matrix(queries.n(), k).row_block(first, n)});
  });
  context.synchronize();  // what is excluded ends here
  return lists;
}

std::vector<float> Scorer::mean_probability(Context& context, const Queries& queries) const {
  Buffer<double> sums = Buffer<double>::zeros(context, n_items());
  for_each_tile(context, *this, queries, tile_of(queries.n()), [&](int64_t, MatrixView<const float> all) {
    dense::mean_sigmoid(context, {.scores = all,
                                  .slope = static_cast<float>(calibration.slope),
                                  .offset = static_cast<float>(calibration.offset),
                                  .sums = sums.view()});
  });
  std::vector<float> mean;
  for (const double sum : sums.to_host()) mean.push_back(static_cast<float>(sum / static_cast<double>(queries.n())));
  return mean;
}

std::vector<float> pair_scores(Context& context, const Scorer& scorer, const Queries& queries,
                               const std::vector<int32_t>& items, int64_t group) {
  std::vector<int32_t> asked = items;
  for (int32_t& item : asked) item = std::max(item, 0);
  Buffer<float> scores(context, std::ssize(asked));
  const MatrixView<float> out = scores.matrix(queries.n(), group);
  // The same items for all: the row before equals this one.
  const bool are_common = queries.n() > 1 && std::equal(asked.begin() + group, asked.end(), asked.begin());
  if (are_common) {
    scorer.scores_of_items(context, queries, {asked.begin(), asked.begin() + group}, out);
  } else {
    const Buffer<int32_t> device_items(context, asked);
    scorer.scores(context, queries, device_items.matrix(queries.n(), group), out);
  }
  return scores.to_host();
}

std::vector<double> pair_probabilities(Context& context, const Scorer& scorer, const Queries& queries,
                                       const std::vector<int32_t>& items, int64_t group) {
  std::vector<double> probabilities;
  for (const float score : pair_scores(context, scorer, queries, items, group)) {
    probabilities.push_back(scorer.calibration.probability(static_cast<double>(score)));
  }
  return probabilities;
}

}  // namespace sheaf
