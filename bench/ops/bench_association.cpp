#include <cmath>
#include <map>

#include "bench/common/inputs.hpp"
#include "bench/common/npy.hpp"
#include "bench/ops/ops.hpp"
#include "kernels/association/cooccurrence.hpp"
#include "kernels/association/cosine_topk.hpp"
#include "kernels/association/count_topk.hpp"
#include "kernels/sparse/spgemm_topk.hpp"
#include "tests/reference/association.hpp"
#include "tests/reference/topk.hpp"

namespace sheaf::bench {
namespace {

// Lists of k neighbours with scores, as all the top-k ops here give back.
struct Lists {
  Lists(Context& context, int64_t n, int64_t length)
      : n_rows(n), k(length), ids(poisoned<int32_t>(context, n * k)), scores(poisoned<float>(context, n * k)) {}

  /// candidates_of(row) gives every candidate of a row.
  template <class CandidatesOf>
  std::string fault(int64_t n_sample, const CandidatesOf& candidates_of) const {
    const std::vector<int32_t> host_ids = ids.to_host();
    const std::vector<float> host_scores = scores.to_host();
    for (const int64_t row : spread(n_rows, n_sample)) {
      const std::string fault =
          ref::top_k_fault(candidates_of(row), host_ids.data() + row * k, host_scores.data() + row * k, k, 0.0f);
      if (!fault.empty()) return "row " + std::to_string(row) + ": " + fault;
    }
    return {};
  }

  int64_t n_rows, k;
  Buffer<int32_t> ids;
  Buffer<float> scores;
};

class Cooccurrence : public Case {
 public:
  Cooccurrence(Context& context, const Shape& s)
      : context_(context),
        host_baskets_(popular_csr(s["n_baskets"], s["n_items"], s["max_basket"], 90, false)),
        host_items_(ref::transpose(host_baskets_)),
        baskets_(context, host_baskets_),
        items_(context, host_items_),
        args_{baskets_.view(), items_.view(), 2},
        row_offsets_(poisoned<int64_t>(context, s["n_items"] + 1)) {
    association::cooccurrence_sizes(context_, args_, row_offsets_.view());
    n_pairs_ = row_offsets_.to_host().back();
    neighbours_ = poisoned<int32_t>(context, n_pairs_);
    counts_ = poisoned<int32_t>(context, n_pairs_);
  }

  void run() override {
    association::cooccurrence(context_, args_, row_offsets_.view(), neighbours_.view(), counts_.view());
  }

  std::string fault() override {
    const std::vector<int64_t> offsets = row_offsets_.to_host();
    const std::vector<int32_t> neighbours = neighbours_.to_host(), counts = counts_.to_host();
    for (const int64_t item : spread(host_items_.n_rows(), 20)) {
      std::map<int32_t, int32_t> got;
      for (auto e = static_cast<size_t>(offsets[static_cast<size_t>(item)]);
           e < static_cast<size_t>(offsets[static_cast<size_t>(item) + 1]); ++e) {
        got[neighbours[e]] = counts[e];
      }
      if (got != companions(item)) return "the companions of item " + std::to_string(item) + " differ";
    }
    return {};
  }

  // Beside the baskets, what was found is written.
  OpCost cost() const override {
    OpCost cost = association::cooccurrence_cost(args_);
    cost.bytes += n_pairs_ * 2 * static_cast<int64_t>(sizeof(int32_t));
    return cost;
  }
  void export_arrays(const ArrayFolder& folder) const override {
    folder.write("baskets", host_baskets_);
    folder.write("items", host_items_);
    folder.write("min_count", std::vector<int32_t>{args_.min_count}, {1});
    folder.write("row_offsets", row_offsets_.to_host(), {row_offsets_.size()});
    folder.write("neighbours", neighbours_.to_host(), {n_pairs_});
    folder.write("counts", counts_.to_host(), {n_pairs_});
  }

 protected:
  /// By the oracle, from the baskets that hold the item.
  std::map<int32_t, int32_t> companions(int64_t item) const {
    test::HostCsr with_item;
    with_item.n_columns = host_baskets_.n_columns;
    const auto row = static_cast<size_t>(item);
    for (auto e = static_cast<size_t>(host_items_.row_offsets[row]);
         e < static_cast<size_t>(host_items_.row_offsets[row + 1]); ++e) {
      const auto basket = static_cast<size_t>(host_items_.columns[e]);
      with_item.columns.insert(with_item.columns.end(),
                               host_baskets_.columns.begin() + host_baskets_.row_offsets[basket],
                               host_baskets_.columns.begin() + host_baskets_.row_offsets[basket + 1]);
      with_item.row_offsets.push_back(static_cast<int64_t>(with_item.columns.size()));
    }
    return ref::cooccurrence(with_item, args_.min_count)[row];
  }

  Context& context_;
  test::HostCsr host_baskets_, host_items_;
  test::DeviceCsr baskets_, items_;
  association::CooccurrenceArgs args_;
  Buffer<int64_t> row_offsets_;
  int64_t n_pairs_ = 0;
  Buffer<int32_t> neighbours_, counts_;
};

class CooccurrenceSizes final : public Cooccurrence {
 public:
  using Cooccurrence::Cooccurrence;
  void run() override { association::cooccurrence_sizes(context_, args_, row_offsets_.view()); }
  std::string fault() override {
    const std::vector<int64_t> offsets = row_offsets_.to_host();
    for (const int64_t item : spread(host_items_.n_rows(), 20)) {
      const auto at = static_cast<size_t>(item);
      if (offsets[at + 1] - offsets[at] != static_cast<int64_t>(companions(item).size()))
        return "the number of companions of item " + std::to_string(item) + " differs";
    }
    return {};
  }
  OpCost cost() const override { return association::cooccurrence_cost(args_); }
  void export_arrays(const ArrayFolder&) const override {}
};

class CosineTopk final : public Case {
 public:
  CosineTopk(Context& context, const Shape& s)
      : context_(context),
        n_items_(s["n_items"]),
        dim_(s["dim"]),
        host_vectors_(test::random_floats(n_items_ * dim_, 91)),
        vectors_(context, host_vectors_),
        lists_(context, n_items_, s["k"]),
        args_{.vectors = vectors_.matrix(n_items_, dim_),
              .scale = 1.0f,
              .min_score = 0.1f,
              .neighbours = lists_.ids.matrix(n_items_, s["k"]),
              .scores = lists_.scores.matrix(n_items_, s["k"])} {}

  void run() override { association::cosine_topk(context_, args_); }

  std::string fault() override {
    const double bound = ref::sum_bound(dim_ + 6, 1.0);
    return lists_.fault(20, [&](int64_t i) {
      std::vector<ref::Candidate> candidates(static_cast<size_t>(n_items_));
      for (int64_t j = 0; j < n_items_; ++j) {
        const double cosine = ref::cosine(host_vectors_.data() + i * dim_, host_vectors_.data() + j * dim_, dim_);
        const double low = args_.min_score;
        candidates[static_cast<size_t>(j)] = {std::max(0.0, cosine), bound, i != j && cosine >= low - bound,
                                              i != j && cosine > low + bound};
      }
      return candidates;
    });
  }

  OpCost cost() const override { return association::cosine_topk_cost(args_); }
  Units units() const override {
    return {static_cast<double>(args_.vectors.rows) * static_cast<double>(args_.vectors.rows), "pairs"};
  }
  void export_arrays(const ArrayFolder& folder) const override {
    folder.write("vectors", host_vectors_, {n_items_, dim_});
    folder.write("scale_and_min_score", std::vector<float>{args_.scale, args_.min_score}, {2});
    folder.write("neighbours", lists_.ids.to_host(), {n_items_, lists_.k});
    folder.write("scores", lists_.scores.to_host(), {n_items_, lists_.k});
  }

 private:
  Context& context_;
  int64_t n_items_, dim_;
  std::vector<float> host_vectors_;
  Buffer<float> vectors_;
  Lists lists_;
  association::CosineTopkArgs args_;
};

class CountTopk final : public Case {
 public:
  CountTopk(Context& context, const Shape& s)
      : context_(context),
        n_items_(s["n_items"]),
        companions_(test::random_csr(n_items_, n_items_, s["max_companions"], 92, false)),
        host_counts_(test::random_ints(static_cast<int64_t>(companions_.columns.size()), 93, 1, 40)),
        host_item_counts_(test::random_ints(n_items_, 94, 40, 2000)),
        row_offsets_(context, companions_.row_offsets),
        columns_(context, companions_.columns),
        counts_(context, host_counts_),
        item_counts_(context, host_item_counts_),
        lists_(context, n_items_, s["k"]),
        args_{.row_offsets = row_offsets_.view(),
              .companions = columns_.view(),
              .counts = counts_.view(),
              .item_counts = item_counts_.view(),
              .n_baskets = 20000,
              .measure = association::Measure::lift,
              .min_score = 0.0f,
              .neighbours = lists_.ids.matrix(n_items_, s["k"]),
              .scores = lists_.scores.matrix(n_items_, s["k"])} {}

  void run() override { association::count_topk(context_, args_); }

  std::string fault() override {
    return lists_.fault(200, [&](int64_t i) {
      const auto row = static_cast<size_t>(i);
      std::vector<ref::Candidate> candidates(static_cast<size_t>(n_items_), {0.0, 0.0, false, false});
      for (auto e = static_cast<size_t>(companions_.row_offsets[row]);
           e < static_cast<size_t>(companions_.row_offsets[row + 1]); ++e) {
        const auto j = static_cast<size_t>(companions_.columns[e]);
        const double lift =
            20000.0 * host_counts_[e] / (static_cast<double>(host_item_counts_[row]) * host_item_counts_[j]);
        candidates[j] = {lift, lift * 0x1.0p-23, true, true};
      }
      return candidates;
    });
  }

  OpCost cost() const override { return association::count_topk_cost(args_); }

 private:
  Context& context_;
  int64_t n_items_;
  test::HostCsr companions_;
  std::vector<int32_t> host_counts_, host_item_counts_;
  Buffer<int64_t> row_offsets_;
  Buffer<int32_t> columns_, counts_, item_counts_;
  Lists lists_;
  association::CountTopkArgs args_;
};

class SpgemmTopk final : public Case {
 public:
  SpgemmTopk(Context& context, const Shape& s)
      : context_(context),
        host_history_(popular_csr(s["n_users"], s["n_items"], 40, 95, true)),
        host_similarity_(test::random_csr(s["n_items"], s["n_items"], s["max_similar"], 96, true)),
        history_(context, host_history_),
        similarity_(context, host_similarity_),
        lists_(context, s["n_users"], s["k"]),
        args_{.history = history_.view(),
              .similarity = similarity_.view(),
              .exclude = history_.view(),
              .top_items = lists_.ids.matrix(s["n_users"], s["k"]),
              .top_scores = lists_.scores.matrix(s["n_users"], s["k"])} {
    args_.exclude.values = nullptr;
  }

  void run() override { sparse::spgemm_topk(context_, args_); }

  std::string fault() override {
    return lists_.fault(50, [&](int64_t user) {
      const auto row = static_cast<size_t>(user);
      std::vector<ref::Candidate> candidates(static_cast<size_t>(host_history_.n_columns), {0.0, 0.0, false, false});
      const auto begin = static_cast<size_t>(host_history_.row_offsets[row]),
                 end = static_cast<size_t>(host_history_.row_offsets[row + 1]);
      for (size_t h = begin; h < end; ++h) {
        const auto source = static_cast<size_t>(host_history_.columns[h]);
        for (auto e = static_cast<size_t>(host_similarity_.row_offsets[source]);
             e < static_cast<size_t>(host_similarity_.row_offsets[source + 1]); ++e) {
          ref::Candidate& candidate = candidates[static_cast<size_t>(host_similarity_.columns[e])];
          candidate.score += static_cast<double>(host_history_.values[h]) * host_similarity_.values[e];
          candidate.may = candidate.must = true;  // every weight and similarity is positive
        }
      }
      for (ref::Candidate& c : candidates) c.bound = ref::sum_bound(static_cast<int64_t>(end - begin), c.score);
      for (size_t h = begin; h < end; ++h) {
        ref::Candidate& taken = candidates[static_cast<size_t>(host_history_.columns[h])];
        taken.may = taken.must = false;
      }
      return candidates;
    });
  }

  OpCost cost() const override { return sparse::spgemm_topk_cost(args_); }

 private:
  Context& context_;
  test::HostCsr host_history_, host_similarity_;
  test::DeviceCsr history_, similarity_;
  Lists lists_;
  sparse::SpgemmTopkArgs args_;
};

}  // namespace

void add_association(Suite& suite) {
  const std::vector<Shape> quick_baskets{{{"n_baskets", 20000}, {"n_items", 4000}, {"max_basket", 30}}};
  const std::vector<Shape> full_baskets{{{"n_baskets", 1000000}, {"n_items", 50000}, {"max_basket", 30}}};
  suite.add<CooccurrenceSizes>("association", "cooccurrence_sizes", quick_baskets, full_baskets);
  suite.add<Cooccurrence>("association", "cooccurrence", quick_baskets, full_baskets);
  suite.add<CosineTopk>("association", "cosine_topk", {{{"n_items", 4000}, {"dim", 32}, {"k", 32}}},
                        {{{"n_items", 4000}, {"dim", 32}, {"k", 32}}, {{"n_items", 100000}, {"dim", 64}, {"k", 32}}});
  suite.add<CountTopk>("association", "count_topk", {{{"n_items", 4000}, {"max_companions", 500}, {"k", 32}}},
                       {{{"n_items", 100000}, {"max_companions", 500}, {"k", 32}}});
  suite.add<SpgemmTopk>("sparse", "spgemm_topk",
                        {{{"n_users", 4000}, {"n_items", 4000}, {"max_similar", 100}, {"k", 20}}},
                        {{{"n_users", 50000}, {"n_items", 20000}, {"max_similar", 100}, {"k", 20}}});
}

}  // namespace sheaf::bench
