#include <cmath>

#include "bench/common/inputs.hpp"
#include "bench/ops/ops.hpp"
#include "kernels/genetic/joint_pairs.hpp"
#include "tests/reference/genetic.hpp"

namespace sheaf::bench {
namespace {

constexpr int64_t kCategories = 31;

// One pair of items in ten is stored.
float count_of(int64_t i, int64_t j) { return i != j && (i + j) % 10 == 0 ? static_cast<float>(1 + i * j % 7) : 0.0f; }
// And of those one in five is a pair of substitutes.
bool is_substitute(int64_t i, int64_t j) { return i != j && (i + j) % 50 == 0; }

template <class IsStored>
test::HostCsr symmetric(int64_t n, const IsStored& is_stored) {
  test::HostCsr matrix;
  matrix.n_columns = n;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = (10 - i % 10) % 10; j < n; j += 10) {
      if (!is_stored(i, j)) continue;
      matrix.columns.push_back(static_cast<int32_t>(j));
      matrix.values.push_back(count_of(i, j));
    }
    matrix.row_offsets.push_back(std::ssize(matrix.columns));
  }
  return matrix;
}

std::vector<float> symmetric_prior() {
  std::vector<float> prior;
  for (int64_t a = 0; a < kCategories; ++a) {
    for (int64_t b = 0; b < kCategories; ++b) prior.push_back(0.5f + 0.4f * static_cast<float>((a + b) % 5));
  }
  return prior;
}

class JointPairs final : public Case {
 public:
  JointPairs(Context& context, const Shape& s)
      : context_(context),
        n_(s["n_problems"]),
        c_(s["candidates"]),
        n_items_(s["n_items"]),
        dim_(s["dim"]),
        host_probability_(test::random_floats(n_ * c_, 112, 0.0f, 0.3f)),
        host_value_(test::random_floats(n_ * c_, 113, 0.0f, 5.0f)),
        host_frequency_(test::random_floats(n_items_, 114, 0.0f, 3.0f)),
        host_vectors_(test::random_floats(n_items_ * dim_, 115)),
        host_category_(test::random_ints(n_items_, 116, 0, kCategories - 1)),
        host_prior_(symmetric_prior()),
        candidates_(context, draw_candidates()),
        probability_(context, host_probability_),
        value_(context, host_value_),
        frequency_(context, host_frequency_),
        vectors_(context, host_vectors_),
        item_category_(context, host_category_),
        prior_(context, host_prior_),
        counts_(context, symmetric(n_items_, [](int64_t i, int64_t j) { return count_of(i, j) != 0.0f; })),
        substitutes_(context, symmetric(n_items_, is_substitute)),
        pair_(Buffer<float>::zeros(context, n_ * c_ * c_)),
        args_{.candidates = candidates_.matrix(n_, c_),
              .probability = probability_.matrix(n_, c_),
              .value = value_.matrix(n_, c_),
              .counts = counts_.view(),
              .frequency = frequency_.view(),
              .item_category = item_category_.view(),
              .prior = prior_.matrix(kCategories, kCategories),
              .vectors = vectors_.matrix(dim_ > 0 ? n_items_ : 0, dim_),
              .substitutes = substitutes_.view(),
              .prior_cosine = dim_ > 0 ? 1.5f : 0.0f,
              .exponent = 0.75f,
              .offset = 0.5f,
              .substitute_factor = 0.25f,
              .pair = pair_.view()} {}

  void run() override { genetic::joint_pairs(context_, args_); }

  std::string fault() override {
    const std::vector<float> pair = pair_.to_host();
    std::string fault;
    for (const int64_t p : spread(n_, 3)) {
      const ref::JointPairs expected = ref::joint_pairs(problem(p));
      for (int64_t at = 0; at < c_ * c_ && fault.empty(); ++at) {
        const auto place = static_cast<size_t>(at);
        fault = difference("pair", p * c_ * c_ + at, pair[static_cast<size_t>(p * c_ * c_) + place],
                           expected.pair[place], expected.bound[place]);
      }
    }
    return fault;
  }

  OpCost cost() const override { return genetic::joint_pairs_cost(args_); }
  int64_t gathered_row_bytes() const override { return dim_ * static_cast<int64_t>(sizeof(float)); }
  Units units() const override { return {static_cast<double>(n_ * (c_ * (c_ - 1) / 2)), "pairs"}; }

 private:
  // Different items in a row, another start in each.
  int64_t item(int64_t p, int64_t a) const { return (p * 131 + a * 29) % n_items_; }
  std::vector<int32_t> draw_candidates() const {
    std::vector<int32_t> ids;
    for (int64_t at = 0; at < n_ * c_; ++at) ids.push_back(static_cast<int32_t>(item(at / c_, at % c_)));
    return ids;
  }

  // A problem as one of a catalog of its own items, so that dense matrices are small.
  ref::JointInput problem(int64_t p) const {
    ref::JointInput input{.n_candidates = c_,
                          .candidates = {},
                          .probability = {host_probability_.begin() + p * c_, host_probability_.begin() + (p + 1) * c_},
                          .value = {host_value_.begin() + p * c_, host_value_.begin() + (p + 1) * c_},
                          .counts = {},
                          .substitutes = {},
                          .frequency = {},
                          .item_category = {},
                          .n_categories = kCategories,
                          .dim = dim_,
                          .prior = host_prior_,
                          .vectors = {},
                          .prior_strength = args_.prior_strength,
                          .prior_cosine = args_.prior_cosine,
                          .exponent = args_.exponent,
                          .offset = args_.offset,
                          .weight = args_.weight,
                          .substitute_factor = args_.substitute_factor,
                          .pair = std::vector<float>(static_cast<size_t>(c_ * c_), 0.0f)};
    for (int64_t a = 0; a < c_; ++a) {
      const int64_t i = item(p, a);
      input.candidates.push_back(static_cast<int32_t>(a));
      input.frequency.push_back(host_frequency_[static_cast<size_t>(i)]);
      input.item_category.push_back(host_category_[static_cast<size_t>(i)]);
      const auto row = host_vectors_.begin() + i * dim_;
      input.vectors.insert(input.vectors.end(), row, row + dim_);
      for (int64_t b = 0; b < c_; ++b) {
        input.counts.push_back(count_of(i, item(p, b)));
        input.substitutes.push_back(is_substitute(i, item(p, b)) ? 1.0f : 0.0f);
      }
    }
    return input;
  }

  Context& context_;
  int64_t n_, c_, n_items_, dim_;
  std::vector<float> host_probability_, host_value_, host_frequency_, host_vectors_;
  std::vector<int32_t> host_category_;
  std::vector<float> host_prior_;
  Buffer<int32_t> candidates_;
  Buffer<float> probability_, value_, frequency_, vectors_;
  Buffer<int32_t> item_category_;
  Buffer<float> prior_;
  test::DeviceCsr counts_, substitutes_;
  Buffer<float> pair_;
  genetic::JointPairsArgs args_;
};

}  // namespace

void add_joint(Suite& suite) {
  const auto shape = [](int64_t n_problems, int64_t n_items, int64_t dim) {
    return Shape{{"n_problems", n_problems}, {"candidates", 64}, {"n_items", n_items}, {"dim", dim}};
  };
  suite.add<JointPairs>("genetic", "joint_pairs", {shape(1024, 4000, 64), shape(1024, 4000, 0)},
                        {shape(4096, 20000, 64), shape(4096, 20000, 0)});
}

}  // namespace sheaf::bench
