#pragma once
/// How much people want items. Every model gives a scorer to evaluation, bundles and bulk scoring. Results are on the
/// device.
///
///   score(q, i)        any real number; a larger one means that the person of query q wants item i more
///   P(q, i)            sigmoid(slope * score(q, i) + offset), by the calibration (Platt, 1999)
///
/// A scorer keeps what it needs on the device and is made once; its calls copy no table to the host.

#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/data/catalog.hpp"
#include "engine/data/csr.hpp"
#include "kernels/core/buffer.hpp"

namespace sheaf {

/// From scores to probabilities; the identity on the logit before it is fitted.
struct Calibration {
  double slope = 1.0;
  double offset = 0.0;

  double probability(double score) const { return 1.0 / (1.0 + std::exp(-(slope * score + offset))); }
};

/// Who is asked about: users of the training, or people that the model never saw, given by their purchases.
class Queries {
 public:
  /// Users of the training, by their numbers.
  Queries(Context& context, std::vector<int32_t> users);
  /// 0, 1, .. n_users - 1
  static Queries everyone(Context& context, int64_t n_users);
  /// People that the model never saw: purchases [n, n_items] with the weight of each pair (empty values: 1), and the
  /// same purchases oldest first, for models that use the order. Without `history`, the order of the items' numbers
  /// takes its place.
  Queries(Context& context, HostCsr purchases, History history = {});

  int64_t n() const { return are_known_ ? std::ssize(users_) : purchases_.n_rows(); }
  bool are_known() const { return are_known_; }
  /// Users are 0 .. n - 1 in this order.
  bool are_everyone() const { return everyone_; }
  /// [n] of known users; else 0 .. n - 1, the rows of `purchases`.
  VectorView<const int32_t> rows() const { return rows_.view(); }
  const std::vector<int32_t>& users() const { return users_; }
  const HostCsr& purchases() const { return purchases_; }
  const DeviceCsr& device_purchases() const { return device_purchases_; }
  const History& history() const { return history_; }

 private:
  bool are_known_ = true, everyone_ = false;
  std::vector<int32_t> users_;
  Buffer<int32_t> rows_;
  HostCsr purchases_;
  DeviceCsr device_purchases_;
  History history_;
};

/// The best items of each query, best first.
struct TopLists {
  int64_t n_users = 0;
  int64_t length = 0;
  Buffer<int32_t> items;  // [n_users, length], -1 where a list is short
  Buffer<float> scores;   // [n_users, length], up to a number of each query's own
};

/// Items that no list may hold.
struct Exclusion {
  const DeviceCsr* of_query = nullptr;       // [n queries, n_items] pattern, or null
  std::span<const int32_t> everywhere = {};  // items, for all queries; only where of_query is null
};

/// An exclusion as the ops take it, for some queries at a time.
class ExcludedRows {
 public:
  /// For at most `tile` queries at a time.
  ExcludedRows(Context& context, const Exclusion& exclude, int64_t n_items, int64_t tile);
  /// Of queries first .. first + n - 1.
  CsrView view(int64_t first, int64_t n) const;
  /// [n] rows of the view, or empty: row q itself.
  VectorView<const int32_t> rows(int64_t n) const {
    return shared_rows_.view().subview(0, shared_rows_.empty() ? 0 : n);
  }

 private:
  const DeviceCsr* of_query_;
  DeviceCsr shared_;             // one row for all queries
  Buffer<int32_t> shared_rows_;  // [tile] zeros
};

class Scorer {
 public:
  Scorer() = default;
  virtual ~Scorer() = default;
  Scorer(const Scorer&) = delete;
  Scorer& operator=(const Scorer&) = delete;

  virtual int64_t n_users() const = 0;
  virtual int64_t n_items() const = 0;

  /// out[r, i] = score of query first + r and item i, for out.rows queries and all items. UsageError for people that
  /// the model never saw, if it cannot score them.
  virtual void all_scores(Context& context, const Queries& queries, int64_t first, MatrixView<float> out) const = 0;
  /// out[q, g] = score of query q and items(q, g), each in [0, n_items).
  virtual void scores(Context& context, const Queries& queries, MatrixView<const int32_t> items,
                      MatrixView<float> out) const;
  /// out[q, g] = score of query q and item items[g]: the same items for all queries.
  virtual void scores_of_items(Context& context, const Queries& queries, const std::vector<int32_t>& items,
                               MatrixView<float> out) const;
  /// The k best of each query, 1 <= k <= 256.
  virtual TopLists top_k(Context& context, const Queries& queries, int64_t k, const Exclusion& exclude = {}) const;
  /// [n_items] mean over the queries of P(q, i), calibrated; at least one query.
  virtual std::vector<float> mean_probability(Context& context, const Queries& queries) const;

  Calibration calibration;
  /// Scores that are in memory at once, 16 MiB; of one query at least.
  int64_t tile_scores = int64_t{1} << 22;

 protected:
  /// Queries whose scores of all items are made in one go.
  int64_t tile_of(int64_t n_queries) const;
};

/// Scores of `group` items for each query, on the host: items is [queries.n(), group], and so is the result. An item
/// below 0 (none) gets any number.
std::vector<float> pair_scores(Context& context, const Scorer& scorer, const Queries& queries,
                               const std::vector<int32_t>& items, int64_t group);
/// P of the same.
std::vector<double> pair_probabilities(Context& context, const Scorer& scorer, const Queries& queries,
                                       const std::vector<int32_t>& items, int64_t group);

}  // namespace sheaf
