#include <cmath>
#include <limits>

#include "bench/common/inputs.hpp"
#include "bench/common/npy.hpp"
#include "bench/ops/ops.hpp"
#include "kernels/dense/additive_scores.hpp"
#include "kernels/dense/dot_scores.hpp"
#include "kernels/dense/dropout.hpp"
#include "kernels/dense/ease_weights.hpp"
#include "kernels/dense/gather_scores.hpp"
#include "kernels/dense/gram.hpp"
#include "kernels/dense/mean_probability.hpp"
#include "kernels/dense/scaled_add.hpp"
#include "kernels/dense/score_topk.hpp"
#include "kernels/dense/spd_inverse.hpp"
#include "tests/reference/dense.hpp"
#include "tests/reference/topk.hpp"

namespace sheaf::bench {
namespace {

constexpr auto kFloat = static_cast<int64_t>(sizeof(float));

// A batch of users, each with its group of items, and room for what the score ops give back.
class ScoreBatch : public Case {
 public:
  ScoreBatch(Context& context, const Shape& s)
      : context_(context),
        shape_{s["n_batch"], s["group"], s["dim"]},
        n_items_(shape_.n_batch * shape_.group),
        host_users_(test::random_floats(shape_.n_batch * shape_.dim, 70)),
        host_items_(test::random_floats(n_items_ * shape_.dim, 71)),
        host_user_bias_(test::random_floats(shape_.n_batch, 72)),
        host_item_bias_(test::random_floats(n_items_, 73)),
        host_w_user_(test::random_floats(shape_.dim, 74)),
        host_w_item_(test::random_floats(shape_.dim, 75)),
        host_d_logits_(test::random_floats(n_items_, 76)),
        users_(context, host_users_),
        items_(context, host_items_),
        user_bias_(context, host_user_bias_),
        item_bias_(context, host_item_bias_),
        w_user_(context, host_w_user_),
        w_item_(context, host_w_item_),
        bias_(context, std::vector<float>{kBias}),
        d_logits_(context, host_d_logits_),
        logits_(poisoned<float>(context, n_items_)),
        d_users_(poisoned<float>(context, users_.size())),
        d_items_(poisoned<float>(context, items_.size())),
        d_user_bias_(poisoned<float>(context, shape_.n_batch)),
        d_w_user_(poisoned<float>(context, shape_.dim)),
        d_w_item_(poisoned<float>(context, shape_.dim)),
        d_bias_(poisoned<float>(context, 1)) {}

 protected:
  static constexpr float kBias = 0.125f;

  MatrixView<const float> users() const { return users_.matrix(shape_.n_batch, shape_.dim); }
  MatrixView<const float> items() const { return items_.matrix(n_items_, shape_.dim); }
  MatrixView<const float> d_logits() const { return d_logits_.matrix(shape_.n_batch, shape_.group); }
  static MatrixView<float> out(const Buffer<float>& buffer, int64_t rows, int64_t cols) {
    return {buffer.data(), rows, cols};
  }
  static VectorView<float> out(const Buffer<float>& buffer) { return {buffer.data(), buffer.size()}; }
  // The backward ops read users, items and d_logits, and write the gradients of the first two.
  int64_t backward_bytes() const { return (2 * (users_.size() + items_.size()) + d_logits_.size()) * kFloat; }

  Context& context_;
  ref::Batch shape_;
  int64_t n_items_;
  std::vector<float> host_users_, host_items_, host_user_bias_, host_item_bias_, host_w_user_, host_w_item_,
      host_d_logits_;
  Buffer<float> users_, items_, user_bias_, item_bias_, w_user_, w_item_, bias_, d_logits_;
  Buffer<float> logits_, d_users_, d_items_, d_user_bias_, d_w_user_, d_w_item_, d_bias_;
};

class DotScores final : public ScoreBatch {
 public:
  using ScoreBatch::ScoreBatch;
  void run() override { dense::dot_scores(context_, args()); }
  std::string fault() override {
    return difference("logits", logits_.to_host(),
                      ref::dot_scores(shape_, to_double(host_users_), to_double(host_items_),
                                      to_double(host_user_bias_), to_double(host_item_bias_), kBias));
  }
  OpCost cost() const override { return dense::dot_scores_cost(args()); }

 private:
  dense::DotScoresArgs args() const {
    return {users(),           items(),      user_bias_.view(),
            item_bias_.view(), bias_.view(), out(logits_, shape_.n_batch, shape_.group)};
  }
};

class DotScoresBackward final : public ScoreBatch {
 public:
  using ScoreBatch::ScoreBatch;
  void run() override {
    dense::dot_scores_backward(context_, {users(), items(), d_logits(), out(d_users_, shape_.n_batch, shape_.dim),
                                          out(d_items_, n_items_, shape_.dim), out(d_user_bias_), out(d_bias_)});
  }
  std::string fault() override {
    const ref::DotGradients expected =
        ref::dot_scores_backward(shape_, to_double(host_users_), to_double(host_items_), to_double(host_d_logits_));
    return first_of({difference("d_users", d_users_.to_host(), expected.users),
                     difference("d_items", d_items_.to_host(), expected.items),
                     difference("d_user_bias", d_user_bias_.to_host(), expected.user_bias),
                     difference("d_bias", d_bias_.to_host(), expected.bias)});
  }
  OpCost cost() const override {
    return {.bytes = backward_bytes() + d_user_bias_.size() * kFloat, .flops = 3 * items_.size() + 2 * n_items_};
  }
};

class AdditiveScores final : public ScoreBatch {
 public:
  using ScoreBatch::ScoreBatch;
  void run() override { dense::additive_scores(context_, args()); }
  std::string fault() override {
    return difference("logits", logits_.to_host(),
                      ref::additive_scores(shape_, to_double(host_users_), to_double(host_items_),
                                           to_double(host_w_user_), to_double(host_w_item_), kBias));
  }
  OpCost cost() const override { return dense::additive_scores_cost(args()); }

 private:
  dense::AdditiveScoresArgs args() const {
    return {users(), items(), w_user_.view(), w_item_.view(), bias_.view(), out(logits_, shape_.n_batch, shape_.group)};
  }
};

class AdditiveScoresBackward final : public ScoreBatch {
 public:
  using ScoreBatch::ScoreBatch;
  void run() override {
    dense::additive_scores_backward(
        context_,
        {users(), items(), w_user_.view(), w_item_.view(), d_logits(), out(d_users_, shape_.n_batch, shape_.dim),
         out(d_items_, n_items_, shape_.dim), out(d_w_user_), out(d_w_item_), out(d_bias_)});
  }
  std::string fault() override {
    const ref::AdditiveGradients expected =
        ref::additive_scores_backward(shape_, to_double(host_users_), to_double(host_items_), to_double(host_w_user_),
                                      to_double(host_w_item_), to_double(host_d_logits_));
    return first_of({difference("d_users", d_users_.to_host(), expected.users),
                     difference("d_items", d_items_.to_host(), expected.items),
                     difference("d_w_user", d_w_user_.to_host(), expected.w_user),
                     difference("d_w_item", d_w_item_.to_host(), expected.w_item),
                     difference("d_bias", d_bias_.to_host(), expected.bias)});
  }
  OpCost cost() const override {
    return {.bytes = backward_bytes() + 4 * shape_.dim * kFloat, .flops = 3 * items_.size() + 3 * users_.size()};
  }
};

class ScoreTopk final : public Case {
 public:
  ScoreTopk(Context& context, const Shape& s)
      : context_(context),
        n_queries_(s["n_queries"]),
        n_items_(s["n_items"]),
        dim_(s["dim"]),
        k_(s["k"]),
        host_queries_(test::random_floats(n_queries_ * dim_, 80)),
        host_items_(test::random_floats(n_items_ * dim_, 81)),
        host_bias_(test::random_floats(n_items_, 82)),
        host_exclude_(popular_csr(n_queries_, n_items_, 50, 83, false)),
        queries_(context, host_queries_),
        items_(context, host_items_),
        bias_(context, host_bias_),
        exclude_(context, host_exclude_),
        top_items_(poisoned<int32_t>(context, n_queries_ * k_)),
        top_scores_(poisoned<float>(context, n_queries_ * k_)),
        args_{.queries = queries_.matrix(n_queries_, dim_),
              .items = items_.matrix(n_items_, dim_),
              .item_bias = bias_.view(),
              .exclude = exclude_.view(),
              .top_items = top_items_.matrix(n_queries_, k_),
              .top_scores = top_scores_.matrix(n_queries_, k_)} {}

  void run() override { dense::score_topk(context_, args_); }

  std::string fault() override {
    const std::vector<int32_t> ids = top_items_.to_host();
    const std::vector<float> scores = top_scores_.to_host();
    for (const int64_t q : spread(n_queries_, 10)) {
      const std::string fault = ref::top_k_fault(candidates(q), ids.data() + q * k_, scores.data() + q * k_, k_,
                                                 -std::numeric_limits<float>::infinity());
      if (!fault.empty()) return "query " + std::to_string(q) + ": " + fault;
    }
    return {};
  }

  OpCost cost() const override { return dense::score_topk_cost(args_); }
  void export_arrays(const ArrayFolder& folder) const override {
    folder.write("queries", host_queries_, {n_queries_, dim_});
    folder.write("items", host_items_, {n_items_, dim_});
    folder.write("item_bias", host_bias_, {n_items_});
    folder.write("exclude", host_exclude_);
    folder.write("top_items", top_items_.to_host(), {n_queries_, k_});
    folder.write("top_scores", top_scores_.to_host(), {n_queries_, k_});
  }

 private:
  std::vector<ref::Candidate> candidates(int64_t q) const {
    std::vector<ref::Candidate> all(static_cast<size_t>(n_items_));
    for (int64_t i = 0; i < n_items_; ++i) {
      const ref::Dot dot = ref::dot(host_queries_.data() + q * dim_, host_items_.data() + i * dim_, dim_);
      const auto at = static_cast<size_t>(i);
      const double bias = host_bias_[at];
      all[at].score = dot.value + bias;
      all[at].bound = ref::sum_bound(dim_ + 1, dot.magnitude + std::abs(bias));
    }
    const auto row = static_cast<size_t>(q);
    for (int64_t e = host_exclude_.row_offsets[row]; e < host_exclude_.row_offsets[row + 1]; ++e) {
      ref::Candidate& candidate = all[static_cast<size_t>(host_exclude_.columns[static_cast<size_t>(e)])];
      candidate.may = candidate.must = false;
    }
    return all;
  }

  Context& context_;
  int64_t n_queries_, n_items_, dim_, k_;
  std::vector<float> host_queries_, host_items_, host_bias_;
  test::HostCsr host_exclude_;
  Buffer<float> queries_, items_, bias_;
  test::DeviceCsr exclude_;
  Buffer<int32_t> top_items_;
  Buffer<float> top_scores_;
  dense::ScoreTopkArgs args_;
};

// In place: what is kept grows from call to call, to infinity in the end; multiplying takes the same time.
class Dropout final : public Case {
 public:
  Dropout(Context& context, const Shape& s)
      : context_(context),
        cols_(s["cols"]),
        host_(test::random_floats(s["rows"] * cols_, 84)),
        x_(context, host_),
        args_{.rate = 0.2f,
              .key = {.seed = 85, .purpose = Purpose::dropout, .step = 3},
              .first_row = 7,
              .x = x_.matrix(s["rows"], cols_)} {}

  void run() override { dense::dropout(context_, args_); }

  std::string fault() override {
    const std::vector<double> expected = ref::dropout(to_double(host_), cols_, args_.rate, args_.key, args_.first_row);
    const std::vector<float> got = x_.to_host();
    for (size_t i = 0; i < got.size(); ++i) {
      // 1 - rate, its inverse and the product each round once.
      const std::string fault =
          difference("x", static_cast<int64_t>(i), got[i], expected[i], 4.0 * 0x1.0p-24 * std::abs(expected[i]));
      if (!fault.empty()) return fault;
    }
    return {};
  }

  OpCost cost() const override { return dense::dropout_cost(args_); }

 private:
  Context& context_;
  int64_t cols_;
  std::vector<float> host_;
  Buffer<float> x_;
  dense::DropoutArgs args_;
};

class MeanProbability final : public Case {
 public:
  MeanProbability(Context& context, const Shape& s)
      : context_(context),
        n_users_(s["n_users"]),
        n_items_(s["n_items"]),
        dim_(s["dim"]),
        host_users_(test::random_floats(n_users_ * dim_, 86)),
        host_items_(test::random_floats(n_items_ * dim_, 87)),
        host_user_bias_(test::random_floats(n_users_, 88)),
        host_item_bias_(test::random_floats(n_items_, 89)),
        users_(context, host_users_),
        items_(context, host_items_),
        user_bias_(context, host_user_bias_),
        item_bias_(context, host_item_bias_),
        bias_(context, std::vector<float>{-2.0f}),
        out_(poisoned<float>(context, n_items_)),
        args_{.users = users_.matrix(n_users_, dim_),
              .items = items_.matrix(n_items_, dim_),
              .user_bias = user_bias_.view(),
              .item_bias = item_bias_.view(),
              .bias = bias_.view(),
              .slope = 0.75f,
              .offset = 0.25f,
              .out = out_.view()} {}

  void run() override { dense::mean_probability(context_, args_); }

  std::string fault() override {
    const std::vector<float> got = out_.to_host();
    for (const int64_t i : spread(n_items_, 50)) {
      double sum = 0.0, bound = 0.0;
      for (int64_t u = 0; u < n_users_; ++u) {
        const ref::Dot dot = ref::dot(host_users_.data() + u * dim_, host_items_.data() + i * dim_, dim_);
        const double user_bias = host_user_bias_[static_cast<size_t>(u)];
        const double item_bias = host_item_bias_[static_cast<size_t>(i)];
        const double logit = dot.value + user_bias + item_bias - 2.0;
        sum += 1.0 / (1.0 + std::exp(-(0.75 * logit + 0.25)));
        // Sigmoid's slope is at most 1/4; eight roundings of values below 1 for itself.
        const double error = ref::sum_bound(dim_ + 5, dot.magnitude + std::abs(user_bias) + std::abs(item_bias) + 2.5);
        bound += error / 4.0 + 8.0 * 0x1.0p-24;
      }
      const auto n = static_cast<double>(n_users_);
      const std::string fault = difference("out", i, got[static_cast<size_t>(i)], sum / n, bound / n);
      if (!fault.empty()) return fault;
    }
    return {};
  }

  OpCost cost() const override { return dense::mean_probability_cost(args_); }

 private:
  Context& context_;
  int64_t n_users_, n_items_, dim_;
  std::vector<float> host_users_, host_items_, host_user_bias_, host_item_bias_;
  Buffer<float> users_, items_, user_bias_, item_bias_, bias_, out_;
  dense::MeanProbabilityArgs args_;
};

// The op works in place. Every call copies the matrix anew, because inverting the result again and again would drift.
// Zeros cost what other numbers do, and the inverse of this matrix is known exactly.
class SpdInverse final : public Case {
 public:
  SpdInverse(Context& context, const Shape& s)
      : context_(context),
        n_(s["n"]),
        host_(ref::exact_inverse(n_, 8, 90)),
        kept_(context, host_.matrix),
        matrix_(poisoned<float>(context, n_ * n_)),
        failed_(poisoned<int32_t>(context, 1)),
        args_{.matrix = matrix_.matrix(n_, n_), .failed = failed_.view()} {}

  void run() override {
    context_.copy(matrix_.data(), kept_.data(), static_cast<size_t>(matrix_.size() * kFloat));
    dense::spd_inverse(context_, args_);
  }

  std::string fault() override {
    if (const int32_t failed = failed_.to_host()[0]; failed != 0)
      return "pivot " + std::to_string(failed - 1) + " failed";
    const std::vector<float> got = matrix_.to_host();
    for (size_t i = 0; i < got.size(); ++i) {
      const std::string fault = difference("matrix", static_cast<int64_t>(i), got[i], host_.inverse[i], 0.0);
      if (!fault.empty()) return fault;
    }
    return {};
  }

  OpCost cost() const override { return dense::spd_inverse_cost(args_); }
  void export_arrays(const ArrayFolder& folder) const override {
    folder.write("matrix", host_.matrix, {n_, n_});
    folder.write("inverse", matrix_.to_host(), {n_, n_});
  }

 private:
  Context& context_;
  int64_t n_;
  ref::ExactInverse host_;
  Buffer<float> kept_, matrix_;
  Buffer<int32_t> failed_;
  dense::SpdInverseArgs args_;
};

// In place: the diagonal is 0 from the second call on and the rest infinite or NaN; dividing takes the same time.
class EaseWeights final : public Case {
 public:
  EaseWeights(Context& context, const Shape& s)
      : context_(context),
        n_(s["n"]),
        host_(test::random_floats(n_ * n_, 91, 0.5f, 1.0f)),
        matrix_(context, host_),
        args_{.matrix = matrix_.matrix(n_, n_)} {}

  void run() override { dense::ease_weights(context_, args_); }

  std::string fault() override {
    const std::vector<double> expected = ref::ease_weights(n_, to_double(host_));
    const std::vector<float> got = matrix_.to_host();
    for (size_t i = 0; i < got.size(); ++i) {
      const std::string fault =
          difference("matrix", static_cast<int64_t>(i), got[i], expected[i], 0x1.0p-24 * std::abs(expected[i]));
      if (!fault.empty()) return fault;
    }
    return {};
  }

  OpCost cost() const override { return dense::ease_weights_cost(args_); }

 private:
  Context& context_;
  int64_t n_;
  std::vector<float> host_;
  Buffer<float> matrix_;
  dense::EaseWeightsArgs args_;
};

class GatherScores final : public Case {
 public:
  GatherScores(Context& context, const Shape& s)
      : context_(context),
        n_(s["n"]),
        n_items_(s["n_items"]),
        group_(s["group"]),
        host_scores_(test::random_floats(n_ * n_items_, 95)),
        host_items_(test::random_ints(n_ * group_, 96, 0, static_cast<int32_t>(n_items_) - 1)),
        scores_(context, host_scores_),
        items_(context, host_items_),
        out_(poisoned<float>(context, n_ * group_)),
        args_{scores_.matrix(n_, n_items_), items_.matrix(n_, group_), out_.matrix(n_, group_)} {}

  void run() override { dense::gather_scores(context_, args_); }

  std::string fault() override {
    const std::vector<float> got = out_.to_host();
    for (size_t at = 0; at < got.size(); ++at) {
      const auto row = static_cast<int64_t>(at) / group_;
      const float expected = host_scores_[static_cast<size_t>(row * n_items_ + host_items_[at])];
      const std::string fault =
          difference("out", static_cast<int64_t>(at), got[at], static_cast<double>(expected), 0.0);
      if (!fault.empty()) return fault;
    }
    return {};
  }

  OpCost cost() const override { return dense::gather_scores_cost(args_); }
  void export_arrays(const ArrayFolder& folder) const override {
    folder.write("scores", host_scores_, {n_, n_items_});
    folder.write("items", host_items_, {n_, group_});
    folder.write("out", out_.to_host(), {n_, group_});
  }

 private:
  Context& context_;
  int64_t n_, n_items_, group_;
  std::vector<float> host_scores_;
  std::vector<int32_t> host_items_;
  Buffer<float> scores_;
  Buffer<int32_t> items_;
  Buffer<float> out_;
  dense::GatherScoresArgs args_;
};

class ScaledAdd final : public Case {
 public:
  ScaledAdd(Context& context, const Shape& s)
      : context_(context),
        n_(s["n"]),
        m_(s["n_items"]),
        host_x_(test::random_floats(n_ * m_, 97)),
        host_rows_(test::random_floats(n_, 98)),
        x_(context, host_x_),
        rows_(context, host_rows_),
        out_(poisoned<float>(context, n_ * m_)),
        args_{.keep = 0.0f,
              .weight = 0.75f,
              .x = x_.matrix(n_, m_),
              .row_bias = rows_.view(),
              .bias = {},
              .out = out_.matrix(n_, m_)} {}

  void run() override { dense::scaled_add(context_, args_); }

  std::string fault() override {
    const std::vector<float> got = out_.to_host();
    for (const int64_t at : spread(n_ * m_, 2000)) {
      const double product = 0.75 * static_cast<double>(host_x_[static_cast<size_t>(at)]);
      const auto own = static_cast<double>(host_rows_[static_cast<size_t>(at / m_)]);
      const std::string fault = difference("out", at, got[static_cast<size_t>(at)], product + own,
                                           3.0 * 0x1.0p-24 * (std::abs(product) + std::abs(own)));
      if (!fault.empty()) return fault;
    }
    return {};
  }

  OpCost cost() const override { return dense::scaled_add_cost(args_); }
  void export_arrays(const ArrayFolder& folder) const override {
    folder.write("x", host_x_, {n_, m_});
    folder.write("row_bias", host_rows_, {n_});
    folder.write("out", out_.to_host(), {n_, m_});
  }

 private:
  Context& context_;
  int64_t n_, m_;
  std::vector<float> host_x_, host_rows_;
  Buffer<float> x_, rows_, out_;
  dense::ScaledAddArgs args_;
};

/// The Gram matrix that half a sweep of alternating least squares begins with.
class Gram final : public Case {
 public:
  Gram(Context& context, const Shape& s)
      : context_(context),
        n_(s["n"]),
        dim_(s["dim"]),
        host_x_(test::random_floats(n_ * dim_, 106)),
        x_(context, host_x_),
        out_(poisoned<double>(context, dim_ * dim_)),
        args_{.x = x_.matrix(n_, dim_), .out = out_.matrix(dim_, dim_)} {}

  void run() override { dense::gram(context_, args_); }

  std::string fault() override {
    const std::vector<double> out = out_.to_host();
    for (const int64_t i : spread(dim_, 8)) {
      for (const int64_t j : spread(dim_, 8)) {
        double sum = 0.0, magnitude = 0.0;
        for (int64_t r = 0; r < n_; ++r) {
          const double term = static_cast<double>(host_x_[static_cast<size_t>(r * dim_ + i)]) *
                              static_cast<double>(host_x_[static_cast<size_t>(r * dim_ + j)]);
          sum += term;
          magnitude += std::abs(term);
        }
        const double bound = 2.0 * static_cast<double>(n_) * 0x1.0p-53 * magnitude;
        const std::string fault = difference("gram", i * dim_ + j, out[static_cast<size_t>(i * dim_ + j)], sum, bound);
        if (!fault.empty()) return fault;
      }
    }
    return {};
  }

  OpCost cost() const override { return dense::gram_cost(args_); }

 private:
  Context& context_;
  int64_t n_, dim_;
  std::vector<float> host_x_;
  Buffer<float> x_;
  Buffer<double> out_;
  dense::GramArgs args_;
};

}  // namespace

void add_dense(Suite& suite) {
  const std::vector<Shape> quick{{{"n_batch", 8192}, {"group", 5}, {"dim", 64}}};
  const std::vector<Shape> full{{{"n_batch", 8192}, {"group", 5}, {"dim", 64}},
                                {{"n_batch", 1 << 18}, {"group", 5}, {"dim", 64}}};
  suite.add<DotScores>("dense", "dot_scores", quick, full);
  suite.add<DotScoresBackward>("dense", "dot_scores_backward", quick, full);
  suite.add<AdditiveScores>("dense", "additive_scores", quick, full);
  suite.add<AdditiveScoresBackward>("dense", "additive_scores_backward", quick, full);
  suite.add<ScoreTopk>("dense", "score_topk",
                       {{{"n_queries", 512}, {"n_items", 20000}, {"dim", 64}, {"k", 20}},
                        {{"n_queries", 388}, {"n_items", 1500}, {"dim", 32}, {"k", 10}},
                        {{"n_queries", 1}, {"n_items", 20000}, {"dim", 64}, {"k", 20}}},
                       {{{"n_queries", 4096}, {"n_items", 100000}, {"dim", 64}, {"k", 20}},
                        {{"n_queries", 1024}, {"n_items", 1000000}, {"dim", 64}, {"k", 100}}});
  suite.add<Dropout>("dense", "dropout", {{{"rows", 16384}, {"cols", 64}}}, {{{"rows", 1 << 20}, {"cols", 128}}});
  suite.add<MeanProbability>("dense", "mean_probability", {{{"n_users", 2048}, {"n_items", 4000}, {"dim", 32}}},
                             {{{"n_users", 16384}, {"n_items", 100000}, {"dim", 64}}});
  suite.add<Gram>("dense", "gram", {{{"n", 20000}, {"dim", 64}}},
                  {{{"n", 1000000}, {"dim", 64}}, {{"n", 1000000}, {"dim", 128}}});
  suite.add<SpdInverse>("dense", "spd_inverse", {{{"n", 1000}}}, {{{"n", 4000}}, {{"n", 16000}}});
  suite.add<EaseWeights>("dense", "ease_weights", {{{"n", 2000}}}, {{{"n", 16000}}});
  suite.add<GatherScores>("dense", "gather_scores", {{{"n", 1024}, {"n_items", 4000}, {"group", 64}}},
                          {{{"n", 4096}, {"n_items", 100000}, {"group", 64}}});
  suite.add<ScaledAdd>("dense", "scaled_add", {{{"n", 1024}, {"n_items", 4000}}}, {{{"n", 4096}, {"n_items", 100000}}});
}

}  // namespace sheaf::bench
