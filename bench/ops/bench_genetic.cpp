#include <algorithm>
#include <cmath>

#include "bench/common/inputs.hpp"
#include "bench/ops/ops.hpp"
#include "kernels/genetic/bundle_terms.hpp"
#include "tests/reference/association.hpp"
#include "tests/reference/topk.hpp"

namespace sheaf::bench {
namespace {

class BundleTerms final : public Case {
 public:
  BundleTerms(Context& context, const Shape& s)
      : context_(context),
        n_(s["n_problems"]),
        c_(s["candidates"]),
        n_items_(s["n_items"]),
        dim_(s["dim"]),
        host_candidates_(draw_candidates()),
        host_probability_(test::random_floats(n_ * c_, 102, 0.0f, 1.0f)),
        host_vectors_(test::random_floats(n_items_ * dim_, 103)),
        host_price_(test::random_floats(n_items_, 104, 1.0f, 50.0f)),
        candidates_(context, host_candidates_),
        probability_(context, host_probability_),
        vectors_(context, host_vectors_),
        item_price_(context, host_price_),
        item_category_(context, test::random_ints(n_items_, 105, 0, 30)),
        item_flags_(Buffer<uint8_t>::zeros(context, n_items_)),
        linear_(poisoned<float>(context, n_ * c_)),
        pair_(poisoned<float>(context, n_ * c_ * c_)),
        price_(poisoned<float>(context, n_ * c_)),
        category_(poisoned<int32_t>(context, n_ * c_)),
        flags_(poisoned<uint8_t>(context, n_ * c_)),
        args_{.candidates = candidates_.matrix(n_, c_),
              .probability = probability_.matrix(n_, c_),
              .vectors = vectors_.matrix(n_items_, dim_),
              .association = {},
              .item_price = item_price_.view(),
              .item_category = item_category_.view(),
              .item_flags = item_flags_.view(),
              .first_is_must_have = true,
              .scale = 1.0f,
              .weight_association = 1.0f,
              .weight_preference = 0.5f,
              .weight_revenue = 0.25f,
              .linear = linear_.matrix(n_, c_),
              .pair = pair_.view(),
              .price = price_.matrix(n_, c_),
              .category = category_.matrix(n_, c_),
              .flags = flags_.matrix(n_, c_)} {}

  void run() override { genetic::bundle_terms(context_, args_); }

  std::string fault() override {
    const std::vector<float> linear = linear_.to_host(), pair = pair_.to_host();
    std::string fault;
    for (const int64_t p : spread(n_, 3)) {
      for (int64_t a = 0; a < c_ && fault.empty(); ++a) {
        const double probability = host_probability_[static_cast<size_t>(p * c_ + a)];
        const double gain = probability * (0.5 + 0.25 * static_cast<double>(host_price_[item(p, a)]));
        fault = difference("linear", p * c_ + a, linear[static_cast<size_t>(p * c_ + a)], gain, gain * 4.0 * 0x1.0p-24);
        for (int64_t b = 0; b < c_ && fault.empty(); ++b) fault = pair_fault(p, a, b, pair);
      }
    }
    return fault;
  }

  OpCost cost() const override { return genetic::bundle_terms_cost(args_); }
  int64_t gathered_row_bytes() const override { return dim_ * static_cast<int64_t>(sizeof(float)); }

 private:
  // Different items in a row, another start in each.
  std::vector<int32_t> draw_candidates() const {
    std::vector<int32_t> ids;
    for (int64_t p = 0; p < n_; ++p) {
      for (int64_t a = 0; a < c_; ++a) ids.push_back(static_cast<int32_t>((p * 131 + a * 29) % n_items_));
    }
    return ids;
  }
  size_t item(int64_t p, int64_t a) const {
    return static_cast<size_t>(host_candidates_[static_cast<size_t>(p * c_ + a)]);
  }

  std::string pair_fault(int64_t p, int64_t a, int64_t b, const std::vector<float>& pair) const {
    const int64_t place = (p * c_ + a) * c_ + b;
    const double both = static_cast<double>(host_probability_[static_cast<size_t>(p * c_ + a)]) +
                        static_cast<double>(host_probability_[static_cast<size_t>(p * c_ + b)]);
    const double cosine = ref::cosine(host_vectors_.data() + static_cast<int64_t>(item(p, a)) * dim_,
                                      host_vectors_.data() + static_cast<int64_t>(item(p, b)) * dim_, dim_);
    const double expected = a == b ? 0.0 : both * std::max(0.0, cosine);
    // dim products of total size at most 1, two lengths of dim squares, and a handful of roundings.
    return difference("pair", place, pair[static_cast<size_t>(place)], expected,
                      both * ref::sum_bound(2 * dim_ + 12, 1.0));
  }

  Context& context_;
  int64_t n_, c_, n_items_, dim_;
  std::vector<int32_t> host_candidates_;
  std::vector<float> host_probability_, host_vectors_, host_price_;
  Buffer<int32_t> candidates_;
  Buffer<float> probability_, vectors_, item_price_;
  Buffer<int32_t> item_category_;
  Buffer<uint8_t> item_flags_;
  Buffer<float> linear_, pair_, price_;
  Buffer<int32_t> category_;
  Buffer<uint8_t> flags_;
  genetic::BundleTermsArgs args_;
};

}  // namespace

void add_genetic(Suite& suite) {
  suite.add<BundleTerms>("genetic", "bundle_terms",
                         {{{"n_problems", 64}, {"candidates", 64}, {"n_items", 4000}, {"dim", 32}},
                          // The shape of joint_pairs, to compare.
                          {{"n_problems", 1024}, {"candidates", 64}, {"n_items", 4000}, {"dim", 64}}},
                         {{{"n_problems", 4096}, {"candidates", 64}, {"n_items", 100000}, {"dim", 64}}});
}

}  // namespace sheaf::bench
