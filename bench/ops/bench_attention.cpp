#include <algorithm>
#include <cmath>
#include <cstring>

#include "bench/common/inputs.hpp"
#include "bench/common/npy.hpp"
#include "bench/ops/ops.hpp"
#include "kernels/attention/attention.hpp"
#include "tests/reference/attention.hpp"

namespace sheaf::bench {
namespace {

// A [n_tokens, n_heads, dim] tensor of float or bf16, and what the host knows of it.
class Tensor {
 public:
  Tensor(Context& context, const Shape& s, int64_t n_tokens, Element element)
      : element_(element),
        n_heads_(s["n_heads"]),
        row_(s["n_heads"] * s["dim"]),
        bytes_(poisoned<uint8_t>(context, n_tokens * row_ * element_bytes(element))) {}
  Tensor(Context& context, const Shape& s, int64_t n_tokens, Element element, uint32_t seed)
      : Tensor(context, s, n_tokens, element) {
    values = test::random_floats(n_tokens * row_, seed);
    std::vector<uint8_t> host(static_cast<size_t>(bytes_.size()));
    if (element == Element::f32) {
      std::memcpy(host.data(), values.data(), host.size());
    } else {
      for (size_t e = 0; e < values.size(); ++e) {
        const auto rounded = nearest<BFloat16>(values[e]);
        std::memcpy(&host[2 * e], &rounded, 2);
        values[e] = to_float(rounded);
      }
    }
    bytes_.assign(host);
  }

  attention::Heads<const void> read() const { return {bytes_.data(), n_heads_, row_}; }
  attention::Heads<void> write() { return {bytes_.data(), n_heads_, row_}; }
  std::vector<float> to_host() const {
    const std::vector<uint8_t> host = bytes_.to_host();
    std::vector<float> result(host.size() / static_cast<size_t>(element_bytes(element_)));
    for (size_t e = 0; e < result.size(); ++e) {
      BFloat16 bits;
      std::memcpy(&bits, &host[2 * e], 2);
      result[e] = to_float(bits);
      if (element_ == Element::f32) std::memcpy(&result[e], &host[4 * e], 4);
    }
    return result;
  }

  std::vector<float> values;

 private:
  Element element_;
  int64_t n_heads_, row_;
  Buffer<uint8_t> bytes_;
};

// Lengths are uniform in shortest .. longest; causal.
class Attention : public Case {
 public:
  Attention(Context& context, const Shape& s)
      : context_(context),
        shape_(s),
        element_(s["bits"] == 16 ? Element::bf16 : Element::f32),
        lengths_(draw_lengths(s)),
        host_offsets_(offsets_of(lengths_)),
        offsets_(context, host_offsets_),
        n_tokens_(host_offsets_.back()),
        q_(context, s, n_tokens_, element_, 201),
        k_(context, s, n_tokens_, element_, 202),
        v_(context, s, n_tokens_, element_, 203),
        out_(context, s, n_tokens_, element_),
        log_sum_exp_(poisoned<float>(context, n_tokens_ * s["n_heads"])),
        args_{.shape = {.element = element_,
                        .n_tokens = n_tokens_,
                        .dim = s["dim"],
                        .offsets = offsets_.view(),
                        .max_length = s["longest"],
                        .scale = 1.0f / std::sqrt(static_cast<float>(s["dim"]))},
              .q = q_.read(),
              .k = k_.read(),
              .v = v_.read(),
              .out = out_.write(),
              .log_sum_exp = log_sum_exp_.matrix(n_tokens_, s["n_heads"])} {}

  void run() override { attention::attention(context_, args_); }

  // Scores are off by their rounding, which e^x makes relative; products of floats may be sums of three of tf32.
  std::string fault() override {
    const std::vector<float> out = out_.to_host();
    const int64_t dim = shape_["dim"], n_rows = n_tokens_ * shape_["n_heads"];
    const double bits = element_ == Element::bf16 ? 0x1.0p-7 : 0.0;
    for (const int64_t row : spread(n_rows, 60)) {
      const std::vector<double> expected = exact_row(row / shape_["n_heads"], row % shape_["n_heads"]);
      for (int64_t c = 0; c < dim; ++c) {
        const int64_t at = row * dim + c;
        const std::string fault = difference("out", at, out[static_cast<size_t>(at)], expected[static_cast<size_t>(c)],
                                             static_cast<double>(dim + 24) * 0x1.0p-21 + bits);
        if (!fault.empty()) return fault;
      }
    }
    return {};
  }

  OpCost cost() const override { return attention::attention_cost(args_, {lengths_.data(), n_sequences()}); }
  void export_arrays(const ArrayFolder& folder) const override {
    folder.write("offsets", host_offsets_, {n_sequences() + 1});
    write(folder, "q", q_.values);
    write(folder, "k", k_.values);
    write(folder, "v", v_.values);
    write(folder, "out", out_.to_host());
  }

 protected:
  static std::vector<int64_t> draw_lengths(const Shape& s) {
    const std::vector<int32_t> drawn = test::random_ints(s["n_sequences"], 200, static_cast<int32_t>(s["shortest"]),
                                                         static_cast<int32_t>(s["longest"]));
    return {drawn.begin(), drawn.end()};
  }
  static std::vector<int64_t> offsets_of(const std::vector<int64_t>& lengths) {
    std::vector<int64_t> offsets{0};
    for (const int64_t length : lengths) offsets.push_back(offsets.back() + length);
    return offsets;
  }
  int64_t n_sequences() const { return static_cast<int64_t>(lengths_.size()); }
  void write(const ArrayFolder& folder, const std::string& name, const std::vector<float>& values) const {
    folder.write(name, values, {n_tokens_, shape_["n_heads"], shape_["dim"]});
  }

  std::vector<double> exact_row(int64_t token, int64_t head) const {
    const int64_t dim = shape_["dim"], n_heads = shape_["n_heads"];
    const int64_t first = *(std::upper_bound(host_offsets_.begin(), host_offsets_.end(), token) - 1);
    const auto element = [&](const Tensor& tensor, int64_t at, int64_t c) {
      return static_cast<double>(tensor.values[static_cast<size_t>((at * n_heads + head) * dim + c)]);
    };
    std::vector<double> sums(static_cast<size_t>(dim));
    double total = 0.0;
    for (int64_t j = first; j <= token; ++j) {
      double score = 0.0;
      for (int64_t c = 0; c < dim; ++c) score += element(q_, token, c) * element(k_, j, c);
      const double p = std::exp(score * static_cast<double>(args_.shape.scale));
      total += p;
      for (int64_t c = 0; c < dim; ++c) sums[static_cast<size_t>(c)] += p * element(v_, j, c);
    }
    for (double& sum : sums) sum /= total;
    return sums;
  }

  Context& context_;
  Shape shape_;
  Element element_;
  std::vector<int64_t> lengths_, host_offsets_;
  Buffer<int64_t> offsets_;
  int64_t n_tokens_;
  Tensor q_, k_, v_, out_;
  Buffer<float> log_sum_exp_;
  attention::AttentionArgs args_;
};

class AttentionBackward : public Attention {
 public:
  AttentionBackward(Context& context, const Shape& s)
      : Attention(context, s),
        d_out_(context, s, n_tokens_, element_, 204),
        d_q_(context, s, n_tokens_, element_),
        d_k_(context, s, n_tokens_, element_),
        d_v_(context, s, n_tokens_, element_),
        backward_{.shape = args_.shape,
                  .q = q_.read(),
                  .k = k_.read(),
                  .v = v_.read(),
                  .out = out_.read(),
                  .d_out = d_out_.read(),
                  .log_sum_exp = args_.log_sum_exp,
                  .d_q = d_q_.write(),
                  .d_k = d_k_.write(),
                  .d_v = d_v_.write()} {
    Attention::run();
  }

  void run() override { attention::attention_backward(context_, backward_); }

  std::string fault() override {
    const std::vector<float> d_q = d_q_.to_host(), d_k = d_k_.to_host(), d_v = d_v_.to_host();
    for (const int64_t s : spread(n_sequences(), 3)) {
      const ref::AttentionProblem problem = problem_of(s);
      const ref::AttentionResults exact = ref::attention(
          problem, {part(q_.values, s), part(k_.values, s), part(v_.values, s), {}, part(d_out_.values, s)},
          ref::Arithmetic::exact);
      const std::string fault =
          first_of({differences("d_q", part(d_q, s), exact.d_q), differences("d_k", part(d_k, s), exact.d_k),
                    differences("d_v", part(d_v, s), exact.d_v)});
      if (!fault.empty()) return "sequence " + std::to_string(s) + ": " + fault;
    }
    return {};
  }

  OpCost cost() const override {
    return attention::attention_backward_cost(backward_, {lengths_.data(), n_sequences()});
  }
  void export_arrays(const ArrayFolder& folder) const override {
    Attention::export_arrays(folder);
    write(folder, "d_out", d_out_.values);
    write(folder, "d_q", d_q_.to_host());
    write(folder, "d_k", d_k_.to_host());
    write(folder, "d_v", d_v_.to_host());
  }

 private:
  ref::AttentionProblem problem_of(int64_t s) const {
    const int64_t n_heads = shape_["n_heads"];
    return {.n_heads = n_heads,
            .n_kv_heads = n_heads,
            .dim = shape_["dim"],
            .offsets = {0, lengths_[static_cast<size_t>(s)]},
            .scale = static_cast<double>(args_.shape.scale)};
  }
  std::vector<double> part(const std::vector<float>& values, int64_t s) const {
    const int64_t row = shape_["n_heads"] * shape_["dim"];
    return {values.begin() + host_offsets_[static_cast<size_t>(s)] * row,
            values.begin() + host_offsets_[static_cast<size_t>(s) + 1] * row};
  }
  // Sums of up to `longest` products, each with a factor that is itself a sum of dim.
  std::string differences(const std::string& what, const std::vector<double>& got,
                          const std::vector<double>& exact) const {
    double largest = 1.0;
    for (const double x : exact) largest = std::max(largest, std::abs(x));
    const double unit =
        element_ == Element::bf16 ? 0x1.0p-5 : static_cast<double>(shape_["dim"] + shape_["longest"]) * 0x1.0p-21;
    for (size_t e = 0; e < exact.size(); ++e) {
      const std::string fault = difference(what, static_cast<int64_t>(e), got[e], exact[e], unit * largest);
      if (!fault.empty()) return fault;
    }
    return {};
  }

  Tensor d_out_, d_q_, d_k_, d_v_;

 protected:
  attention::AttentionBackwardArgs backward_;
};

// Both, as training does them.
class AttentionStep final : public AttentionBackward {
 public:
  using AttentionBackward::AttentionBackward;
  void run() override {
    Attention::run();
    AttentionBackward::run();
  }
  OpCost cost() const override {
    const OpCost forward = Attention::cost(), backward = AttentionBackward::cost();
    return {.bytes = forward.bytes + backward.bytes, .flops = forward.flops + backward.flops};
  }
};

// By wgmma, where the device knows it.
class AttentionWarpgroups final : public Attention {
 public:
  AttentionWarpgroups(Context& context, const Shape& s) : Attention(context, s) {
    args_.products = attention::Products::warpgroups;
  }
};
class AttentionBackwardWarpgroups final : public AttentionBackward {
 public:
  AttentionBackwardWarpgroups(Context& context, const Shape& s) : AttentionBackward(context, s) {
    backward_.products = attention::Products::warpgroups;
  }
};

Shape named(int64_t n_sequences, int64_t n_heads, int64_t shortest, int64_t longest, int64_t dim, int64_t bits) {
  return {{"n_sequences", n_sequences}, {"n_heads", n_heads}, {"shortest", shortest},
          {"longest", longest},         {"dim", dim},         {"bits", bits}};
}

}  // namespace

void add_attention(Suite& suite) {
  const std::vector<Shape> quick{named(256, 4, 1, 64, 32, 32), named(64, 2, 1, 200, 64, 32),
                                 named(256, 4, 64, 64, 32, 32), named(64, 2, 200, 200, 64, 32)};
  const std::vector<Shape> full{named(512, 8, 128, 128, 64, 16), named(512, 8, 256, 256, 64, 16),
                                named(512, 8, 512, 512, 64, 16), named(4096, 4, 1, 200, 64, 16),
                                named(4096, 4, 1, 200, 64, 32)};
  std::vector<Shape> forward = full;
  forward.push_back(named(1, 16, 16384, 16384, 128, 16));
  suite.add<Attention>("attention", "attention", quick, forward);
  suite.add<AttentionWarpgroups>("attention", "attention_warpgroups", {},
                                 {named(512, 8, 128, 128, 64, 16), named(512, 8, 256, 256, 64, 16),
                                  named(512, 8, 512, 512, 64, 16), named(1, 16, 16384, 16384, 128, 16)});
  suite.add<AttentionBackward>("attention", "attention_backward", quick, full);
  suite.add<AttentionBackwardWarpgroups>(
      "attention", "attention_backward_warpgroups", {},
      {named(512, 8, 128, 128, 64, 16), named(512, 8, 256, 256, 64, 16), named(512, 8, 512, 512, 64, 16)});
  suite.add<AttentionStep>("attention", "attention_step", quick, full);
}

}  // namespace sheaf::bench
